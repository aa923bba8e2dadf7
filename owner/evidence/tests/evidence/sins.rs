//! One thing wrong in simulated evidence at a time.

use aws_lc_rs::{
    rsa::{self, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use enarx_owner_evidence::{
    AnchorKind, CertificateError, Simulated, UnixTime, VerifiedEvidence,
    snp::{
        self, CertificateRole, Certificates, Error, GenuineRoots, KeyKind, Product, ReportError,
        SigningKey, SimulatedRoots,
    },
};

use crate::mint::{self, Chain, Issued, extension, put, tlv};

const NOW: UnixTime = UnixTime(mint::NOW);

#[test]
fn nothing_wrong_is_simulated() {
    let issued = Chain::new().issue();
    let report = mint::sign(mint::report());
    let evidence = verify(&issued, &report).unwrap();
    assert_eq!(
        evidence.summary().machine.as_deref(),
        Some(&mint::CHIP_ID[..])
    );
    assert_eq!(evidence.summary().anchor_name, "Enarx Simulator ARK");

    let either = snp::verify_either(&report, &certificates(&issued), &SimulatedRoots::Any, NOW);
    assert_eq!(either.unwrap().kind(), AnchorKind::Simulated);
    let anchor = evidence.summary().anchor;
    for (roots, trusted) in [
        (SimulatedRoots::None, false),
        (SimulatedRoots::Pinned(vec![[0; 48]]), false),
        (SimulatedRoots::Pinned(vec![anchor]), true),
    ] {
        let result = snp::verify(&report, &certificates(&issued), &roots, NOW);
        assert_eq!(result.is_ok(), trusted);
    }
}

#[test]
fn a_simulators_root_is_not_genuine() {
    let issued = Chain::new().issue();
    let report = mint::sign(mint::report());
    let result = snp::verify(&report, &certificates(&issued), &GenuineRoots, NOW);
    assert!(matches!(result, Err(Error::UntrustedRoot { .. })));
}

#[test]
fn a_root_that_only_borrows_the_name_of_amd() {
    let mut chain = Chain::new();
    chain.root.subject = "ARK-Milan";
    chain.root.issuer = "ARK-Milan";
    chain.authority.issuer = "ARK-Milan";
    let issued = chain.issue();
    let report = mint::sign(mint::report());
    let result = snp::verify_either(&report, &certificates(&issued), &SimulatedRoots::Any, NOW);
    assert!(matches!(result, Err(Error::UntrustedRoot { name, .. }) if name == "ARK-Milan"));
}

#[test]
fn a_root_that_another_key_signed() {
    let mut issued = Chain::new().issue();
    issued.root = Chain::new().root.sign(&mint::keys().authority);
    assert_eq!(
        certificate_error(&issued),
        (CertificateRole::Root, CertificateError::Signature)
    );
}

#[test]
fn a_root_that_is_not_self_issued() {
    let mut chain = Chain::new();
    chain.root.issuer = "Someone Else";
    assert_eq!(
        sin(&chain),
        (CertificateRole::Root, CertificateError::IssuerName)
    );
}

#[test]
fn names_that_do_not_chain() {
    let mut chain = Chain::new();
    chain.authority.issuer = "Someone Else";
    assert_eq!(
        sin(&chain),
        (
            CertificateRole::SigningAuthority,
            CertificateError::IssuerName
        )
    );
    let mut chain = Chain::new();
    chain.endorsement.issuer = "Someone Else";
    assert_eq!(
        sin(&chain),
        (
            CertificateRole::EndorsementKey,
            CertificateError::IssuerName
        )
    );
}

#[test]
fn an_endorsement_that_the_root_signed() {
    let mut issued = Chain::new().issue();
    issued.endorsement = Chain::new().endorsement.sign(&mint::keys().root);
    assert_eq!(
        certificate_error(&issued),
        (CertificateRole::EndorsementKey, CertificateError::Signature)
    );
}

#[test]
fn issuers_must_be_authorities() {
    for (usage, constraints) in [
        (None, None),
        (None, Some(tlv(0x30, &[]))),
        (
            Some(mint::key_usage(0x80)),
            Some(mint::authority(Some(0)).value),
        ),
    ] {
        let mut chain = Chain::new();
        chain.authority.extensions.clear();
        chain.authority.extensions.extend(usage);
        let constraints = constraints.map(|value| extension("2.5.29.19", value));
        chain.authority.extensions.extend(constraints);
        assert_eq!(
            sin(&chain),
            (
                CertificateRole::SigningAuthority,
                CertificateError::NotAuthority
            )
        );
    }
    let mut chain = Chain::new();
    chain.root.extensions.clear();
    assert_eq!(
        sin(&chain),
        (CertificateRole::Root, CertificateError::NotAuthority)
    );
}

#[test]
fn key_usage_for_certificates_is_accepted() {
    let mut chain = Chain::new();
    chain.authority.extensions.push(mint::key_usage(0x04));
    assert!(verify(&chain.issue(), &mint::sign(mint::report())).is_ok());
}

#[test]
fn path_length() {
    let mut chain = Chain::new();
    chain.root.extensions = vec![mint::authority(Some(0))];
    assert_eq!(
        sin(&chain),
        (CertificateRole::Root, CertificateError::PathLength)
    );
}

#[test]
fn an_endorsement_key_is_no_authority() {
    let mut chain = Chain::new();
    chain.endorsement.extensions.push(mint::authority(None));
    assert_eq!(
        sin(&chain),
        (
            CertificateRole::EndorsementKey,
            CertificateError::UnexpectedAuthority
        )
    );
}

#[test]
fn validity_of_each_certificate() {
    type Pick = fn(&mut Chain) -> &mut mint::Certificate;
    let picks: [(CertificateRole, Pick); 3] = [
        (CertificateRole::Root, |chain| &mut chain.root),
        (CertificateRole::SigningAuthority, |chain| {
            &mut chain.authority
        }),
        (CertificateRole::EndorsementKey, |chain| {
            &mut chain.endorsement
        }),
    ];
    for (role, pick) in picks {
        let mut chain = Chain::new();
        pick(&mut chain).not_after = "260101000000Z";
        let not_after = UnixTime(1_767_225_600);
        let expired = CertificateError::Expired {
            not_after,
            now: NOW,
        };
        assert_eq!(sin(&chain), (role, expired));

        let mut chain = Chain::new();
        pick(&mut chain).not_before = "280101000000Z";
        let not_before = UnixTime(1_830_297_600);
        let early = CertificateError::NotYetValid {
            not_before,
            now: NOW,
        };
        assert_eq!(sin(&chain), (role, early));
    }
}

#[test]
fn signature_algorithms() {
    let role = CertificateRole::EndorsementKey;
    let mut chain = Chain::new();
    chain.endorsement.algorithms = [mint::pss(32), mint::pss(32)];
    assert_eq!(sin(&chain), (role, CertificateError::SignatureAlgorithm));

    chain.endorsement.algorithms = [mint::pkcs1(), mint::pkcs1()];
    chain.endorsement.pkcs1 = true;
    assert_eq!(sin(&chain), (role, CertificateError::SignatureAlgorithm));

    chain.endorsement.algorithms = [mint::pss(48), mint::pkcs1()];
    assert_eq!(sin(&chain), (role, CertificateError::AlgorithmMismatch));

    chain.endorsement.algorithms = [mint::pss(48), mint::pss(48)];
    assert_eq!(sin(&chain), (role, CertificateError::Signature));
}

#[test]
fn extensions_that_do_not_belong() {
    let role = CertificateRole::EndorsementKey;
    let mut chain = Chain::new();
    let mut unknown = extension("2.5.29.30", tlv(0x30, &[]));
    unknown.critical = true;
    chain.endorsement.extensions.push(unknown);
    assert_eq!(sin(&chain), (role, CertificateError::CriticalExtension));

    let mut chain = Chain::new();
    let again = chain.endorsement.extensions[0].clone();
    chain.endorsement.extensions.push(again);
    assert_eq!(sin(&chain), (role, CertificateError::DuplicateExtension));
}

#[test]
fn certificates_of_another_form() {
    let role = CertificateRole::EndorsementKey;
    let mut issued = Chain::new().issue();
    issued.endorsement.push(0);
    assert_eq!(
        certificate_error(&issued),
        (role, CertificateError::Malformed)
    );
    issued.endorsement = vec![0x30; 9_000];
    let too_large = CertificateError::TooLarge { actual: 9_000 };
    assert_eq!(certificate_error(&issued), (role, too_large));
}

#[test]
fn keys_of_another_form() {
    let small = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut chain = Chain::new();
    chain.authority.key = mint::rsa_key(small.public_key().as_ref());
    let mut issued = chain.issue();
    issued.endorsement = chain.endorsement.sign(&small);
    assert_eq!(
        certificate_error(&issued),
        (CertificateRole::EndorsementKey, CertificateError::IssuerKey)
    );

    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    for key in [
        mint::p384_key(p256.public_key().as_ref()),
        mint::p384_key(&[4; 97]),
        mint::rsa_key(small.public_key().as_ref()),
    ] {
        let mut chain = Chain::new();
        chain.endorsement.key = key;
        assert_eq!(
            sin(&chain),
            (
                CertificateRole::EndorsementKey,
                CertificateError::SubjectKey
            )
        );
    }
}

#[test]
fn endorsement_extensions_must_be_there() {
    for (id, name) in [
        (mint::PRODUCT_NAME, "productName"),
        (mint::BOOTLOADER, "blSPL"),
        (mint::TEE, "teeSPL"),
        (mint::SNP, "snpSPL"),
        (mint::MICROCODE, "ucodeSPL"),
        (mint::HARDWARE_ID, "hwID"),
    ] {
        let mut chain = Chain::new();
        *chain.endorsement.extension(id) = vec![0x02, 0x02, 0x01, 0x00];
        assert_eq!(error(&chain), Error::Extension(name));
    }
    let mut chain = Chain::new();
    chain.endorsement.remove(mint::SNP);
    assert_eq!(error(&chain), Error::Extension("snpSPL"));
}

#[test]
fn an_endorsement_key_belongs_to_a_chip_or_to_a_provider() {
    let provider = extension(mint::PROVIDER_ID, tlv(0x16, b"CN=cc-example"));
    let mut chain = Chain::new();
    chain.endorsement.extensions.push(provider.clone());
    assert_eq!(error(&chain), Error::KeyKind);
    chain.endorsement.remove(mint::HARDWARE_ID);
    assert_eq!(
        error(&chain),
        Error::SigningKeyKind {
            report: SigningKey::Vcek,
            certificate: KeyKind::Vlek
        }
    );
    let mut report = mint::report();
    put(&mut report, 0x048, &[1 << 2]);
    assert!(verify(&chain.issue(), &mint::sign(report.clone())).is_ok());
    chain.endorsement.remove(mint::PROVIDER_ID);
    assert_eq!(error(&chain), Error::KeyKind);

    assert_eq!(
        verify(&Chain::new().issue(), &mint::sign(report)).unwrap_err(),
        Error::SigningKeyKind {
            report: SigningKey::Vlek,
            certificate: KeyKind::Vcek
        }
    );
}

#[test]
fn products_must_agree() {
    let mut chain = Chain::new();
    *chain.endorsement.extension(mint::PRODUCT_NAME) = tlv(0x16, b"Genoa");
    assert_eq!(
        error(&chain),
        Error::ReportProduct {
            report: Product::Milan,
            certificate: Product::Genoa
        }
    );
    *chain.endorsement.extension(mint::PRODUCT_NAME) = tlv(0x16, b"Naples");
    assert_eq!(error(&chain), Error::UnknownProduct);

    let unknown = report_with(0x188, &[0x17]);
    let result = verify(&Chain::new().issue(), &unknown);
    assert!(matches!(
        result,
        Err(Error::Report(ReportError::Processor { family: 0x17, .. }))
    ));
}

#[test]
fn the_tcb_must_be_the_endorsed_one() {
    for component in [0, 1, 6, 7] {
        let report = report_with(0x180 + component, &[99]);
        let result = verify(&Chain::new().issue(), &report);
        assert!(matches!(result, Err(Error::Tcb { .. })), "{component}");
    }
    // The other TCB fields are the report's to say.
    assert!(verify(&Chain::new().issue(), &report_with(0x038, &[99])).is_ok());
    let reserved = verify(&Chain::new().issue(), &report_with(0x182, &[1]));
    assert_eq!(
        reserved.unwrap_err(),
        Error::Report(ReportError::Reserved { offset: 0x180 })
    );
}

#[test]
fn the_chip_must_be_the_endorsed_one() {
    let issued = Chain::new().issue();
    assert_eq!(
        verify(&issued, &report_with(0x1a0, &[0])).unwrap_err(),
        Error::ChipId
    );
    // A host may mask the field; the key is the chip's all the same.
    let masked = verify(&issued, &report_with(0x1a0, &[0; 64])).unwrap();
    assert_eq!(
        masked.summary().machine.as_deref(),
        Some(&mint::CHIP_ID[..])
    );
}

#[test]
fn a_chip_identity_may_be_wrapped() {
    let mut chain = Chain::new();
    *chain.endorsement.extension(mint::HARDWARE_ID) = tlv(0x04, &mint::CHIP_ID);
    assert!(verify(&chain.issue(), &mint::sign(mint::report())).is_ok());
}

#[test]
fn reports_that_nobody_signed() {
    let issued = Chain::new().issue();
    assert_eq!(
        verify(&issued, &mint::report()).unwrap_err(),
        Error::Unsigned
    );
    let no_key = report_with(0x048, &[7 << 2]);
    assert_eq!(verify(&issued, &no_key).unwrap_err(), Error::Unsigned);
    let mut changed = mint::sign(mint::report());
    changed[0x2a0] ^= 1;
    assert_eq!(verify(&issued, &changed).unwrap_err(), Error::Signature);
}

fn report_with(offset: usize, value: &[u8]) -> Vec<u8> {
    let mut report = mint::report();
    put(&mut report, offset, value);
    mint::sign(report)
}

fn verify(issued: &Issued, report: &[u8]) -> Result<VerifiedEvidence<Simulated>, Error> {
    snp::verify(report, &certificates(issued), &SimulatedRoots::Any, NOW)
}

fn error(chain: &Chain) -> Error {
    verify(&chain.issue(), &mint::sign(mint::report())).unwrap_err()
}

fn sin(chain: &Chain) -> (CertificateRole, CertificateError) {
    certificate_error(&chain.issue())
}

fn certificate_error(issued: &Issued) -> (CertificateRole, CertificateError) {
    match verify(issued, &mint::sign(mint::report())) {
        Err(Error::Certificate { role, reason }) => (role, reason),
        other => panic!("{other:?}"),
    }
}

fn certificates(issued: &Issued) -> Certificates<'_> {
    Certificates {
        endorsement_key: &issued.endorsement,
        signing_authority: &issued.authority,
        root: &issued.root,
    }
}
