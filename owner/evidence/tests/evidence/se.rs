//! Host key documents of IBM Secure Execution: those of IBM's own tests, and some of ours with
//! one thing wrong at a time.

use std::{fs, sync::OnceLock};

use aws_lc_rs::{
    digest::{SHA384, digest},
    rsa::{KeyPair, KeySize},
    signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
        KeyPair as _, RSA_PKCS1_SHA512,
    },
};
use enarx_owner_evidence::{
    CertificateError, Digest, FailureKind, UnixTime,
    materials::{self, Materials, Roots},
    se::{Error, Role, VerifiedHostKey, roots, verify_host_key},
};

use crate::{
    mint::{
        self, Certificate, RevocationList, authority, elliptic_key, extension, p384_key,
        rsa_algorithm, rsa_key, sign_rsa, tlv,
    },
    vectors::{directory, time},
};

const NOW: UnixTime = UnixTime(mint::NOW);
const ROOT: &str = "C=US,O=A Public Authority,CN=Root";
const INTERMEDIATE: &str = "C=US,O=A Public Authority,CN=Code Signing";
const SIGNING: &str = "C=US,O=International Business Machines Corporation,\
    CN=International Business Machines Corporation,ST=New York,L=Poughkeepsie,\
    OU=IBM Z Host Key Signing Service";
/// The same in another order, and at the other place.
const SIGNING_REORDERED: &str = "OU=IBM Z Host Key Signing Service,C=US,\
    CN=International Business Machines Corporation,ST=New York,L=Armonk,\
    O=International Business Machines Corporation";
const HOST_KEY: &str = "C=US,O=International Business Machines Corporation,\
    CN=International Business Machines Corporation,ST=New York,L=Armonk,OU=IBM Z Host Key";

struct Keys {
    root: KeyPair,
    intermediate: KeyPair,
    signing: KeyPair,
    host: EcdsaKeyPair,
    other_host: EcdsaKeyPair,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let rsa = || KeyPair::generate(KeySize::Rsa2048).unwrap();
    KEYS.get_or_init(|| Keys {
        root: rsa(),
        intermediate: rsa(),
        signing: rsa(),
        host: EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
        other_host: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    })
}

/// A document with its chain and lists before they are signed.
struct Mint {
    certificates: [Certificate; 4],
    lists: Vec<RevocationList>,
}

impl Mint {
    fn new() -> Self {
        let keys = keys();
        let algorithm = || rsa_algorithm("1.2.840.113549.1.1.13");
        let certificate = |serial, subject, issuer, key, extensions| Certificate {
            serial,
            subject,
            issuer,
            not_before: "250101000000Z",
            not_after: "350101000000Z",
            key,
            extensions,
            algorithms: [algorithm(), algorithm()],
            pkcs1: true,
        };
        let rsa = |key: &KeyPair| rsa_key(key.public_key().as_ref());
        let list = |issuer| RevocationList {
            algorithm: algorithm(),
            issuer,
            this_update: "261201000000Z",
            next_update: Some("271201000000Z"),
            revoked: vec![100],
            extensions: Vec::new(),
        };
        Self {
            certificates: [
                certificate(1, ROOT, ROOT, rsa(&keys.root), vec![authority(None)]),
                certificate(
                    2,
                    INTERMEDIATE,
                    ROOT,
                    rsa(&keys.intermediate),
                    vec![authority(Some(0))],
                ),
                certificate(
                    3,
                    SIGNING,
                    INTERMEDIATE,
                    rsa(&keys.signing),
                    vec![
                        // To sign with, neither certificates nor lists.
                        mint::key_usage(0x80),
                        extension("2.5.29.14", tlv(0x04, &[7; 20])),
                    ],
                ),
                certificate(
                    4,
                    HOST_KEY,
                    SIGNING_REORDERED,
                    elliptic_key("1.3.132.0.35", keys.host.public_key().as_ref()),
                    vec![extension("2.5.29.35", tlv(0x30, &tlv(0x80, &[7; 20])))],
                ),
            ],
            lists: vec![list(ROOT), list(INTERMEDIATE), list(SIGNING_REORDERED)],
        }
    }

    fn files(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let keys = keys();
        let signers = [&keys.root, &keys.intermediate, &keys.signing];
        let sign = |key| move |data: &[u8]| sign_rsa(key, &RSA_PKCS1_SHA512, data);
        let issuers = [signers[0], signers[0], signers[1], signers[2]];
        let certificates = self.certificates.iter().zip(issuers);
        let certificates = certificates.map(|(one, issuer)| one.sign_with(sign(issuer)));
        let lists = self.lists.iter().zip(signers);
        let lists = lists.map(|(one, issuer)| one.sign_with(sign(issuer)));
        (certificates.collect(), lists.collect())
    }

    fn verify(&self) -> Result<VerifiedHostKey, Error> {
        let (certificates, lists) = self.files();
        verify(&certificates, &lists)
    }
}

/// Certificates and lists in which nothing is wrong.
pub fn files() -> Vec<Vec<u8>> {
    let (certificates, lists) = Mint::new().files();
    [certificates, lists].concat()
}

fn verify(certificates: &[Vec<u8>], lists: &[Vec<u8>]) -> Result<VerifiedHostKey, Error> {
    verify_host_key(&slices(certificates), &slices(lists), &[root_digest()], NOW)
}

fn root_digest() -> Digest {
    let key = rsa_key(keys().root.public_key().as_ref());
    digest(&SHA384, &key).as_ref().try_into().unwrap()
}

fn slices(files: &[Vec<u8>]) -> Vec<&[u8]> {
    files.iter().map(Vec::as_slice).collect()
}

fn sin(sin: impl Fn(&mut Mint)) -> Error {
    let mut mint = Mint::new();
    sin(&mut mint);
    mint.verify().unwrap_err()
}

#[test]
fn nothing_is_wrong() {
    let (mut certificates, mut lists) = Mint::new().files();
    for _ in 0..certificates.len() {
        let host_key = verify(&certificates, &lists).unwrap();
        // Until the lists' next update, 2027-12-01.
        assert_eq!(host_key.validity().not_after, UnixTime(1_827_619_200));
        assert_eq!(host_key.anchor().0, &root_digest());
        assert!(host_key.steps()[0].found.contains("CN=Root"));
        certificates.rotate_left(1);
        lists.rotate_left(1);
    }
    assert_eq!(roots(&slices(&certificates[..1])).unwrap(), [root_digest()]);
    assert_eq!(
        roots(&[]).unwrap_err(),
        Error::Roots(CertificateError::Malformed)
    );
    // A signing key that was renewed, of the same name.
    let mut renewed = Mint::new();
    renewed.certificates[2].not_after = "260101000000Z";
    let (old, _) = renewed.files();
    certificates.insert(0, old[2].clone());
    assert!(verify(&certificates, &lists).is_ok());
}

#[test]
fn who_names_no_root_trusts_nobody() {
    let (certificates, lists) = Mint::new().files();
    let (certificates, lists) = (slices(&certificates), slices(&lists));
    for named in [Vec::new(), vec![[7; 48]]] {
        let error = verify_host_key(&certificates, &lists, &named, NOW).unwrap_err();
        assert_eq!(error, Error::UntrustedRoot);
        assert_eq!(error.kind(), FailureKind::NotGenuine);
    }
}

#[test]
fn each_certificate_is_needed_and_must_hold() {
    let names = [
        Role::Authority,
        Role::Authority,
        Role::SigningKey,
        Role::HostKey,
    ];
    for (index, role) in names.into_iter().enumerate() {
        let (mut certificates, lists) = Mint::new().files();
        certificates.remove(index);
        let error = verify(&certificates, &lists).unwrap_err();
        assert_eq!(error, Error::Missing(role));
        assert_eq!(error.kind(), FailureKind::Collateral);
        for (from, until) in [
            ("250101000000Z", "260101000000Z"),
            ("280101000000Z", "290101000000Z"),
        ] {
            let error = sin(|mint| {
                mint.certificates[index].not_before = from;
                mint.certificates[index].not_after = until;
            });
            assert!(
                matches!(error, Error::Certificate { role: found, .. } if found == role),
                "{error}"
            );
        }
    }
}

#[test]
fn nothing_of_the_chain_may_be_revoked() {
    for (index, role) in [Role::Authority, Role::SigningKey, Role::HostKey]
        .into_iter()
        .enumerate()
    {
        let serial = u8::try_from(index).unwrap() + 2;
        let error = sin(|mint| mint.lists[index].revoked.push(serial));
        assert_eq!(error, Error::Revoked(role));
        assert_eq!(error.kind(), FailureKind::NotGenuine);
        let error = sin(|mint| mint.lists[index].next_update = Some("270101000000Z"));
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
        let (certificates, mut lists) = Mint::new().files();
        lists.remove(index);
        let error = verify(&certificates, &lists).unwrap_err();
        assert_eq!(error, Error::Missing(Role::Revocations));
        // Somebody else's list does not help.
        let mut forged = Mint::new();
        forged.lists.rotate_left(1);
        let issuers = [ROOT, INTERMEDIATE, SIGNING];
        for (list, issuer) in forged.lists.iter_mut().zip(issuers) {
            list.issuer = issuer;
        }
        forged.lists[index].revoked = Vec::new();
        let (_, own) = forged.files();
        lists.push(own[(index + 1) % 3].clone());
        assert!(verify(&certificates, &lists).is_err());
    }
}

#[test]
fn each_has_its_place() {
    let wrong = |index: usize, subject: &'static str| {
        move |mint: &mut Mint| mint.certificates[index].subject = subject
    };
    assert_eq!(
        sin(wrong(
            2,
            "C=US,O=International Business Machines Corporation"
        )),
        Error::Missing(Role::SigningKey)
    );
    assert_eq!(
        sin(wrong(3, "C=US,O=Somebody Else")),
        Error::Missing(Role::HostKey)
    );
    let error = sin(|mint| mint.certificates[3].issuer = INTERMEDIATE);
    assert_eq!(error, Error::Issuer);
    let error = sin(|mint| {
        mint.certificates[3].extensions =
            vec![extension("2.5.29.35", tlv(0x30, &tlv(0x80, &[8; 20])))];
    });
    assert_eq!(error, Error::KeyIdentifier);
    let error = sin(|mint| mint.certificates[1].extensions.clear());
    assert_eq!(
        error,
        Error::Certificate {
            role: Role::Authority,
            error: CertificateError::NotAuthority
        }
    );
    let error = sin(|mint| mint.certificates[2].extensions.push(authority(None)));
    assert_eq!(
        error,
        Error::Certificate {
            role: Role::SigningKey,
            error: CertificateError::UnexpectedAuthority
        }
    );
    // IBM's host keys are on P-521.
    let error = sin(|mint| {
        mint.certificates[3].key = p384_key(keys().other_host.public_key().as_ref());
    });
    assert_eq!(error, Error::Missing(Role::HostKey));
    let (mut certificates, lists) = Mint::new().files();
    certificates.push(certificates[3].clone());
    assert_eq!(
        verify(&certificates, &lists).unwrap_err(),
        Error::Several(2)
    );
    let error = sin(|mint| mint.certificates[3].algorithms = [mint::pss(48), mint::pss(48)]);
    assert_eq!(error, Error::Missing(Role::HostKey));
}

#[test]
fn no_bit_can_be_changed() {
    let (certificates, lists) = Mint::new().files();
    for index in 0..certificates.len() {
        for position in (0..certificates[index].len()).step_by(11) {
            let mut changed = certificates.clone();
            changed[index][position] ^= 0x04;
            assert!(verify(&changed, &lists).is_err(), "{index}, {position}");
        }
    }
}

/// IBM's own tests have a public key infrastructure of their own, shaped like the real one.
#[test]
fn documents_of_ibms_own_tests() {
    let Some(directory) = directory() else {
        return;
    };
    let read = |name: &str| fs::read(directory.join("ibm-se/s390-tools").join(name)).unwrap();
    let now = time("2024-06-01T00:00:00Z");
    let add = |materials: &mut Materials, names: &[&str]| {
        for name in names {
            materials.add(&read(name)).unwrap();
        }
    };
    let mut root = Materials::default();
    add(&mut root, &["root_ca.chained.crt"]);
    let mut trusted = Roots::genuine();
    trusted.se = roots(&root.certificates()).unwrap();
    let others = [
        "ibm.crt",
        "inter_ca.crt",
        "root_ca.chained.crt",
        "ibm.crl",
        "inter_ca.crl",
    ];
    let verify = |host_key, others: &[&str], roots: &Roots, now| {
        let mut materials = Materials::default();
        add(&mut materials, &[host_key]);
        add(&mut materials, others);
        materials.verify(roots, now).unwrap_err()
    };
    let found = verify("host.crt", &others, &trusted, now);
    assert!(
        matches!(&found, materials::Error::HostKey(root) if root.contains("IBM Z Root CA")),
        "{found}"
    );
    let found = verify("host_rev.crt", &others, &trusted, now);
    assert_eq!(found, Error::Revoked(Role::HostKey).into());
    let found = verify("host.crt", &others, &Roots::genuine(), now);
    assert_eq!(found, Error::UntrustedRoot.into());
    let earlier = time("2024-03-01T00:00:00Z");
    assert!(matches!(
        verify("host.crt", &others, &trusted, earlier),
        materials::Error::Se(Error::Certificate { .. })
    ));
    // Without the root's own list, which is behind its certificate in that file, or another.
    let mut fewer = others;
    fewer[2] = "root_ca.crt";
    let found = verify("host.crt", &fewer, &trusted, now);
    assert_eq!(found, Error::Missing(Role::Revocations).into());
    for missing in [3, 4] {
        let mut fewer = others.to_vec();
        fewer.remove(missing);
        let found = verify("host.crt", &fewer, &trusted, now);
        assert_eq!(found.kind(), FailureKind::Collateral, "{found}");
    }
}
