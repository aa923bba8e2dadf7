//! Conversations that end well, and those in which the host mixes things up.

use enarx_wire_provision::*;

use crate::sample::*;

#[test]
fn both_suites_carry_the_grant_and_agree_on_the_session() {
    for suite in Suite::ALL {
        let (sealed, session) = seal(&offer(), suite);
        assert!(sealed.len() <= MAX_GRANT_SIZE);
        let provisioned = answering_keep().open(&sealed).unwrap();
        assert_eq!(provisioned.grant.content_key, grant().content_key);
        assert_eq!(provisioned.grant.manifest_digest, grant().manifest_digest);
        assert_eq!(provisioned.grant.time_floor, grant().time_floor);
        assert_eq!(
            provisioned.grant.application_secret.unwrap().expose(),
            grant().application_secret.unwrap().expose()
        );
        assert_eq!(provisioned.session.expose(), session.expose());

        let mut writer = OutputWriter::new(&provisioned.session);
        let frame = writer.frame(&Output::Stdout(b"hello".to_vec())).unwrap();
        assert_eq!(
            OutputReader::new(&session, 0).open(&frame),
            Ok(Output::Stdout(b"hello".to_vec()))
        );
    }
}

#[test]
fn an_owner_without_a_secret_that_stays_grants_none() {
    let mut without = grant();
    without.application_secret = None;
    let offered = challenge().answered(&offer()).unwrap();
    let (sealed, _) = offered
        .seal(None, &without, &mut TestRandom::new("seal"))
        .unwrap();
    let provisioned = answering_keep().open(&sealed).unwrap();
    assert!(provisioned.grant.application_secret.is_none());
}

/// Who knows a manifest cannot tell that it is the one in evidence.
#[test]
fn an_applications_identity_depends_on_its_key() {
    let one = grant();
    let mut other = grant();
    other.content_key[0] ^= 1;
    assert_eq!(one.application_identity(), grant().application_identity());
    assert_ne!(one.application_identity(), other.application_identity());
    assert_ne!(one.application_identity(), one.manifest_digest);
    other = grant();
    other.manifest_digest[0] ^= 1;
    assert_ne!(one.application_identity(), other.application_identity());
}

#[test]
fn the_keeps_preference_decides_unless_the_owner_does() {
    let sealed = challenge()
        .answered(&offer())
        .unwrap()
        .seal(None, &grant(), &mut TestRandom::new("seal"))
        .unwrap()
        .0;
    assert_eq!(Sealed::decode(&sealed).suite, Suite::XWing.as_str());
    answering_keep().open(&sealed).unwrap();
}

#[test]
fn a_grant_for_another_keep_is_refused() {
    for suite in Suite::ALL {
        let (sealed, _) = seal(&offer(), suite);
        let other = keep("another keep", *challenge().nonce());
        assert_eq!(other.open(&sealed).err(), Some(OpenError::NotForThisKeep));
    }
}

#[test]
fn a_replayed_offer_answers_no_later_challenge() {
    let later = Challenge::new(&mut TestRandom::new("a later challenge"));
    assert_eq!(later.answered(&offer()).err(), Some(OfferError::WrongNonce));
}

#[test]
fn a_keep_that_was_given_another_nonce_is_refused() {
    let mut nonce = *challenge().nonce();
    nonce[31] ^= 1;
    let offer = keep("keep", nonce).encode().unwrap();
    assert_eq!(
        challenge().answered(&offer).err(),
        Some(OfferError::WrongNonce)
    );
    // Claims that are corrected afterwards no longer match their evidence.
    let corrected = with_claims(&offer, |claims| claims.nonce = *challenge().nonce());
    let offered = challenge().answered(&corrected).unwrap();
    assert_ne!(offered.report_data().as_slice(), offered.evidence());
}

#[test]
fn altered_claims_match_no_evidence_and_open_nothing() {
    let honest = offer();
    let owner = challenge().answered(&honest).unwrap();
    assert_eq!(owner.report_data().as_slice(), owner.evidence());
    let changes: [fn(&mut Claims); 6] = [
        |claims| claims.platform = "snp".into(),
        |claims| claims.evidence = "snp-report-v2".into(),
        |claims| claims.runtime[0] ^= 1,
        |claims| claims.memory_bytes += 1,
        |claims| claims.keys.swap(0, 1),
        |claims| {
            claims.keys.pop();
        },
    ];
    for change in changes {
        let altered = with_claims(&honest, change);
        let owner = challenge().answered(&altered).unwrap();
        assert_ne!(owner.report_data().as_slice(), owner.evidence());
        // An owner who does not look still seals nothing that the Keep would open:
        // the two did not see the same conversation.
        let sealed = owner
            .seal(None, &grant(), &mut TestRandom::new("seal"))
            .unwrap()
            .0;
        let opened = answering_keep().open(&sealed);
        assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
    }
}

#[test]
fn altered_evidence_opens_nothing() {
    for suite in Suite::ALL {
        let mut altered: Offer = enarx_wire_cbor::from_slice(&offer(), MAX_OFFER_SIZE).unwrap();
        altered.evidence[0] ^= 1;
        let (sealed, _) = seal(&enarx_wire_cbor::to_vec(&altered).unwrap(), suite);
        let opened = answering_keep().open(&sealed);
        assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
    }
}

#[test]
fn no_altered_bit_of_a_grant_is_accepted() {
    for suite in Suite::ALL {
        let (sealed, _) = seal(&offer(), suite);
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1 << (place % 8);
            assert!(answering_keep().open(&altered).is_err(), "byte {place}");
        }
        for length in (0..sealed.len()).step_by(7) {
            assert!(answering_keep().open(&sealed[..length]).is_err());
        }
    }
}

#[test]
fn a_grant_is_not_opened_in_another_suite() {
    let (sealed, _) = seal(&offer(), Suite::XWing);
    let mut renamed = Sealed::decode(&sealed);
    renamed.suite = Suite::X25519.as_str().into();
    let opened = answering_keep().open(&renamed.encode());
    assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
    // Not even with an encapsulated key of the right size.
    let (other, _) = seal(&offer(), Suite::X25519);
    renamed.encapsulated = Sealed::decode(&other).encapsulated;
    let opened = answering_keep().open(&renamed.encode());
    assert_eq!(opened.err(), Some(OpenError::NotForThisKeep));
}

#[test]
fn the_host_can_start_its_own_work_but_not_pretend_it_is_the_owners() {
    let (_, owners) = seal(&offer(), Suite::XWing);
    let hosts = challenge().answered(&offer()).unwrap();
    let (sealed, _) = hosts
        .seal(None, &grant(), &mut TestRandom::new("the host's own"))
        .unwrap();
    let provisioned = answering_keep().open(&sealed).unwrap();
    let frame = OutputWriter::new(&provisioned.session)
        .frame(&Output::Log("I am yours".into()))
        .unwrap();
    assert_eq!(
        OutputReader::new(&owners, 0).open(&frame),
        Err(SessionError::Altered(0))
    );
}

#[test]
fn nothing_secret_shows_itself() {
    let (_, session) = seal(&offer(), Suite::X25519);
    assert_eq!(format!("{session:?}"), "SessionSecret(secret)");
    let owner = owner_secret();
    let application = owner.application(NAME);
    assert_eq!(format!("{owner:?}"), "OwnerSecret(secret)");
    assert_eq!(format!("{application:?}"), "ApplicationSecret(secret)");
}
