//! Revocation lists of AMD's kind, with one thing wrong at a time.

use enarx_owner_evidence::{
    CertificateError, FailureKind, UnixTime,
    snp::{CertificateRole, Certificates, EitherEndorsementKey, Error, Report, SimulatedRoots},
};

use crate::mint::{self, Chain, RevocationList, extension, keys, tlv};

const NOW: UnixTime = UnixTime(mint::NOW);

fn verify(list: &[u8], now: UnixTime) -> Result<EitherEndorsementKey, Error> {
    let issued = Chain::new().issue();
    let certificates = Certificates {
        endorsement_key: &issued.endorsement,
        signing_authority: &issued.authority,
        root: &issued.root,
    };
    let roots = SimulatedRoots::Any;
    EitherEndorsementKey::verify_unrevoked(&certificates, Some(list), &roots, now)
}

fn sin(list: &RevocationList) -> CertificateError {
    match verify(&list.sign(&keys().root), NOW) {
        Err(Error::Certificate {
            role: CertificateRole::Revocations,
            reason,
        }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_on_the_list_is_not_revoked() {
    let list = RevocationList::new().sign(&keys().root);
    let key = verify(&list, NOW).unwrap();
    let report = mint::sign(mint::report());
    let evidence = key.verify_report(&report, NOW).unwrap();
    let summary = evidence.summary();
    assert!(summary.revocation_checked);
    // 2026-12-01 and 2027-12-01.
    assert_eq!(summary.collateral_issued, Some(UnixTime(1_796_083_200)));
    assert_eq!(summary.validity.not_after, UnixTime(1_827_619_200));
    assert!(evidence.steps()[0].found.contains("not revoked"));
    // The list's end counts at each report.
    let error = key
        .verify_report(&report, UnixTime(1_827_619_201))
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::Collateral);
}

#[test]
fn a_revoked_authority_endorses_nothing() {
    let mut list = RevocationList::new();
    list.revoked.push(1);
    let error = verify(&list.sign(&keys().root), NOW).unwrap_err();
    assert_eq!(error, Error::Revoked(CertificateRole::SigningAuthority));
    assert_eq!(error.kind(), FailureKind::NotGenuine);
}

#[test]
fn a_list_must_be_the_roots_own() {
    let list = RevocationList::new().sign(&keys().authority);
    assert!(verify(&list, NOW).is_err());
    let mut list = RevocationList::new();
    list.issuer = "Enarx Simulator ASK";
    assert_eq!(sin(&list), CertificateError::IssuerName);
}

#[test]
fn a_list_must_be_fresh() {
    let list = RevocationList::new().sign(&keys().root);
    // The days before its issue and after its next update.
    for moment in [1_796_083_199, 1_827_619_201] {
        let error = verify(&list, UnixTime(moment)).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    }
    let mut endless = RevocationList::new();
    endless.next_update = None;
    assert_eq!(sin(&endless), CertificateError::Malformed);
}

#[test]
fn a_partial_list_is_refused() {
    let mut list = RevocationList::new();
    list.extensions = vec![extension("2.5.29.28", tlv(0x30, &[]))];
    assert_eq!(sin(&list), CertificateError::CriticalExtension);
}

#[test]
fn a_root_that_may_not_sign_lists() {
    let mut chain = Chain::new();
    // Certificates alone.
    chain.root.extensions.push(mint::key_usage(0x04));
    let issued = chain.issue();
    let certificates = Certificates {
        endorsement_key: &issued.endorsement,
        signing_authority: &issued.authority,
        root: &issued.root,
    };
    let list = RevocationList::new().sign(&keys().root);
    let result = EitherEndorsementKey::verify_unrevoked(
        &certificates,
        Some(&list),
        &SimulatedRoots::Any,
        NOW,
    );
    let expected = Error::Certificate {
        role: CertificateRole::Revocations,
        reason: CertificateError::NotAuthority,
    };
    assert_eq!(result.unwrap_err(), expected);
}

#[test]
fn no_byte_of_a_list_can_be_changed() {
    let list = RevocationList::new().sign(&keys().root);
    for position in 0..list.len() {
        let mut changed = list.clone();
        changed[position] ^= 1;
        assert!(verify(&changed, NOW).is_err(), "byte {position}");
    }
    for length in 0..list.len() {
        assert!(verify(&list[..length], NOW).is_err());
    }
}

#[test]
fn a_chain_is_found_among_other_certificates() {
    let issued = Chain::new().issue();
    let mut other = Chain::new();
    other.root.subject = "Enarx Simulator ARK 2";
    other.root.issuer = "Enarx Simulator ARK 2";
    other.authority.subject = "Enarx Simulator ASK 2";
    let other = other.issue();
    let bag: Vec<&[u8]> = vec![
        b"nothing",
        &other.authority,
        &issued.root,
        &other.root,
        &issued.endorsement,
        &issued.authority,
    ];
    let report = Report::parse(&mint::report()).unwrap();
    let found = Certificates::among(&bag, &report).unwrap();
    assert_eq!(found.endorsement_key, issued.endorsement);
    assert_eq!(found.signing_authority, issued.authority);
    assert_eq!(found.root, issued.root);
    for (left_out, role) in [
        (2, CertificateRole::Root),
        (4, CertificateRole::EndorsementKey),
        (5, CertificateRole::SigningAuthority),
    ] {
        let mut bag = bag.clone();
        bag.remove(left_out);
        assert_eq!(
            Certificates::among(&bag, &report).unwrap_err(),
            Error::Missing(role)
        );
    }
}

#[test]
fn a_reports_own_key_is_found_among_a_fleets() {
    let chain = Chain::new();
    let issued = chain.issue();
    let report = Report::parse(&mint::report()).unwrap();
    let variant = |change: fn(&mut Chain)| {
        let mut other = chain.clone();
        change(&mut other);
        other.issue().endorsement
    };
    let others = [
        // Another chip, another version of its firmware, both, and another product.
        variant(|chain| *chain.endorsement.extension(mint::HARDWARE_ID) = vec![7; 64]),
        variant(|chain| *chain.endorsement.extension(mint::SNP) = mint::integer(23)),
        variant(|chain| {
            *chain.endorsement.extension(mint::HARDWARE_ID) = vec![7; 64];
            *chain.endorsement.extension(mint::SNP) = mint::integer(23);
        }),
        variant(|chain| *chain.endorsement.extension(mint::PRODUCT_NAME) = tlv(0x16, b"Genoa")),
    ];
    for place in 0..=others.len() {
        let mut bag: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        bag.insert(place, &issued.endorsement);
        bag.extend([issued.authority.as_slice(), &issued.root]);
        let found = Certificates::among(&bag, &report).unwrap();
        assert_eq!(found.endorsement_key, issued.endorsement);
    }
    // More than a few do no harm.
    let mut bag = vec![others[0].as_slice(); 200];
    bag.extend([
        issued.authority.as_slice(),
        &issued.root,
        &issued.endorsement,
    ]);
    let found = Certificates::among(&bag, &report).unwrap();
    assert_eq!(found.endorsement_key, issued.endorsement);
}

#[test]
fn the_newest_list_that_holds_is_found() {
    let issued = Chain::new().issue();
    let report = Report::parse(&mint::report()).unwrap();
    let bag: Vec<&[u8]> = vec![&issued.endorsement, &issued.authority, &issued.root];
    let certificates = Certificates::among(&bag, &report).unwrap();
    let list = |this_update, next_update| {
        let mut list = RevocationList::new();
        list.this_update = this_update;
        list.next_update = Some(next_update);
        list.sign(&keys().root)
    };
    let old = list("260101000000Z", "270301000000Z");
    let present = list("270101000000Z", "270301000000Z");
    let future = list("270201000000Z", "270401000000Z");
    let mut foreign = RevocationList::new();
    foreign.issuer = "Enarx Simulator ASK";
    let foreign = foreign.sign(&keys().root);
    let lists: [&[u8]; 4] = [&old, &future, &present, &foreign];
    assert_eq!(certificates.list_among(&lists, NOW), Some(&*present));
    assert_eq!(certificates.list_among(&lists[..2], NOW), Some(&*old));
    assert_eq!(certificates.list_among(&lists[1..2], NOW), Some(&*future));
    assert_eq!(certificates.list_among(&lists[3..], NOW), None);
}
