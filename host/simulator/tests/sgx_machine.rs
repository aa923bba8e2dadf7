//! The simulated SGX machine from outside: its state, the keys of its enclaves, its quotes
//! and its certificates as OpenSSL reads them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use aws_lc_rs::cmac;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use enarx_host_simulator::StateError;
use enarx_host_simulator::sgx::{
    Attributes, EnclaveIdentity, KeyError, KeyName, KeyPolicy, KeyRequest, Machine, QuoteError,
    Report, ReservedNotZero, TargetInfo,
};
use tempfile::TempDir;
use x509_cert::Certificate;
use x509_cert::der::{Decode, DecodePem, Encode};

const KEY_ID: [u8; 32] = [0x1D; 32];

fn machine() -> (Machine, TempDir) {
    let directory = TempDir::new().unwrap();
    (Machine::open(directory.path()).unwrap(), directory)
}

/// A machine that all tests may use which do not change its state.
fn shared() -> &'static Machine {
    static SHARED: OnceLock<(Machine, TempDir)> = OnceLock::new();
    &SHARED.get_or_init(machine).0
}

fn enclave() -> EnclaveIdentity {
    EnclaveIdentity {
        mrenclave: [0x3E; 32],
        mrsigner: [0x51; 32],
        attributes: Attributes {
            flags: Attributes::INIT | Attributes::MODE64BIT | Attributes::KSS,
            xfrm: 7,
        },
        misc_select: 1,
        isv_prod_id: 0x0201,
        isv_svn: 5,
        config_id: [0xC0; 64],
        config_svn: 3,
        isv_ext_prod_id: [0xE0; 16],
        isv_family_id: [0xFA; 16],
    }
}

fn quoting_target() -> TargetInfo {
    TargetInfo::from_bytes(&shared().quoting_target()).unwrap()
}

fn report_for(target: &TargetInfo) -> [u8; Report::SIZE] {
    let fuses = shared().fuses();
    fuses.ereport(&enclave(), target, &[0xDA; 64], KEY_ID)
}

fn request(name: KeyName, policy: u16) -> KeyRequest {
    KeyRequest {
        key_name: name as u16,
        key_policy: KeyPolicy(policy),
        isv_svn: 5,
        cpu_svn: Report::from_bytes(&report_for(&quoting_target())).cpu_svn,
        attribute_mask: Attributes {
            flags: u64::MAX,
            xfrm: 0,
        },
        key_id: KEY_ID,
        misc_mask: 0,
        config_svn: 0,
    }
}

fn seal_key(enclave: &EnclaveIdentity, request: &KeyRequest) -> Result<[u8; 16], KeyError> {
    shared().fuses().egetkey(enclave, request)
}

#[test]
fn state_is_private_and_complete() {
    let (machine, directory) = machine();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let made = directory.path().join("intel");
    assert!(Machine::is_made(directory.path()));
    assert_eq!(mode(&made), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&made).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "SHA384SUMS",
            "fuses.key",
            "pck-authority.der",
            "pck-revocations.der",
            "pck.der",
            "pck.key",
            "qe-identity.json",
            "root-revocations.der",
            "root.der",
            "tcb-info.json",
            "tcb-signing.der",
            "tdx-qe-identity.json",
            "tdx-tcb-info.json",
        ]
    );
    let again = Machine::open_announcing(directory.path(), || panic!("already made")).unwrap();
    assert_eq!(again.endorsements(), machine.endorsements());
    let report = machine
        .fuses()
        .ereport(&enclave(), &quoting_target(), &[0; 64], KEY_ID);
    again.quote(&report).unwrap();
}

#[test]
fn damaged_and_exposed_files_are_refused() {
    for name in ["root.der", "tcb-info.json", "pck.key", "fuses.key"] {
        let (_, directory) = machine();
        let path = directory.path().join("intel").join(name);
        let mut contents = fs::read(&path).unwrap();
        contents[20] ^= 1;
        fs::write(&path, contents).unwrap();
        let error = Machine::open(directory.path()).unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    for name in ["pck.key", "fuses.key"] {
        let (_, directory) = machine();
        let path = directory.path().join("intel").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Machine::open(directory.path()).unwrap_err();
        assert!(matches!(error, StateError::Exposed { mode: 0o640, .. }));
    }
}

#[test]
fn structures_stand_where_the_manual_puts_them() {
    let report = report_for(&quoting_target());
    let expected: [(usize, &[u8]); 16] = [
        (16, &[1, 0, 0, 0]),
        (20, &[0; 12]),
        (32, &[0xE0; 16]),
        (48, &[0x85, 0, 0, 0, 0, 0, 0, 0]),
        (56, &[7, 0, 0, 0, 0, 0, 0, 0]),
        (64, &[0x3E; 32]),
        (96, &[0; 32]),
        (128, &[0x51; 32]),
        (160, &[0; 32]),
        (192, &[0xC0; 64]),
        (256, &[1, 2, 5, 0]),
        (260, &[3, 0]),
        (262, &[0; 42]),
        (304, &[0xFA; 16]),
        (320, &[0xDA; 64]),
        (384, &KEY_ID),
    ];
    for (at, bytes) in expected {
        assert_eq!(&report[at..at + bytes.len()], bytes, "at {at}");
    }
    assert_eq!(Report::from_bytes(&report).to_bytes(), report);

    let target = TargetInfo::of(&enclave());
    let bytes = target.to_bytes();
    let expected: [(usize, &[u8]); 8] = [
        (0, &[0x3E; 32]),
        (32, &[0x85]),
        (40, &[7]),
        (48, &[0; 2]),
        (50, &[3, 0]),
        (52, &[1, 0, 0, 0]),
        (56, &[0; 8]),
        (64, &[0xC0; 64]),
    ];
    for (at, field) in expected {
        assert_eq!(&bytes[at..at + field.len()], field, "at {at}");
    }
    assert_eq!(TargetInfo::from_bytes(&bytes), Ok(target));
    for reserved in [48, 49, 56, 63, 128, 511] {
        let mut bytes = bytes;
        bytes[reserved] = 1;
        assert_eq!(TargetInfo::from_bytes(&bytes), Err(ReservedNotZero));
    }

    let request = KeyRequest {
        config_svn: 0x0807,
        misc_mask: 0x0605_0403,
        ..request(KeyName::Seal, KeyPolicy::MRSIGNER)
    };
    let bytes = request.to_bytes();
    let expected: [(usize, &[u8]); 7] = [
        (0, &[4, 0]),
        (2, &[2, 0]),
        (4, &[5, 0, 0, 0]),
        (24, &[0xFF; 8]),
        (40, &KEY_ID),
        (72, &[3, 4, 5, 6]),
        (76, &[7, 8, 0]),
    ];
    for (at, field) in expected {
        assert_eq!(&bytes[at..at + field.len()], field, "at {at}");
    }
    assert_eq!(KeyRequest::from_bytes(&bytes), Ok(request));
    // Reserved bytes, and a bit of the policy that is not defined.
    for (at, value) in [(6, 1), (7, 1), (78, 1), (511, 1), (2, 0x40), (3, 0x80)] {
        let mut bytes = bytes;
        bytes[at] = value;
        assert_eq!(KeyRequest::from_bytes(&bytes), Err(ReservedNotZero));
    }
}

#[test]
fn the_target_alone_can_verify_a_report() {
    let target = EnclaveIdentity {
        mrenclave: [9; 32],
        ..enclave()
    };
    let report = report_for(&TargetInfo::of(&target));
    let verified = |enclave: &EnclaveIdentity, report: &[u8; Report::SIZE]| {
        let wanted = KeyRequest {
            // The key is the same whatever of these the request says.
            isv_svn: 9,
            attribute_mask: Attributes::default(),
            key_id: Report::from_bytes(report).key_id,
            ..request(KeyName::Report, KeyPolicy::MRSIGNER)
        };
        let key = shared().fuses().egetkey(enclave, &wanted).unwrap();
        let key = cmac::Key::new(cmac::AES_128, &key).unwrap();
        cmac::verify(&key, &report[..Report::BODY_SIZE], &report[416..]).is_ok()
    };
    assert!(verified(&target, &report));
    assert!(!verified(&enclave(), &report));
    let debugged = EnclaveIdentity {
        attributes: Attributes {
            flags: target.attributes.flags | Attributes::DEBUG,
            ..target.attributes
        },
        ..target
    };
    assert!(!verified(&debugged, &report));
    for byte in 0..Report::SIZE {
        let mut changed = report;
        changed[byte] ^= 1;
        assert!(!verified(&target, &changed), "byte {byte}");
    }
}

#[test]
fn only_authentic_reports_for_the_quoting_enclave_are_quoted() {
    let machine = shared();
    let report = report_for(&quoting_target());
    machine.quote(&report).unwrap();
    for byte in 0..Report::SIZE {
        let mut changed = report;
        changed[byte] ^= 0x10;
        let refused = machine.quote(&changed);
        assert!(matches!(refused, Err(QuoteError::Unauthentic)), "{byte}");
    }
    let other_target = report_for(&TargetInfo::of(&enclave()));
    let refused = machine.quote(&other_target);
    assert!(matches!(refused, Err(QuoteError::Unauthentic)));
    let (other_machine, _directory) = self::machine();
    let refused = other_machine.quote(&report);
    assert!(matches!(refused, Err(QuoteError::Unauthentic)));
    for size in [0, 384, 431, 433] {
        let refused = machine.quote(&vec![0; size]);
        assert!(matches!(refused, Err(QuoteError::Size { actual, .. }) if actual == size));
    }
}

#[test]
fn seal_keys_are_bound_to_what_the_policy_names() {
    type Change = fn(&mut EnclaveIdentity);
    // Each part of an identity, with the policy that binds a key to it.
    let parts: [(&str, u16, Change); 6] = [
        ("MRENCLAVE", KeyPolicy::MRENCLAVE, |e| e.mrenclave[0] ^= 1),
        ("MRSIGNER", KeyPolicy::MRSIGNER, |e| e.mrsigner[0] ^= 1),
        ("CONFIGID", KeyPolicy::CONFIG_ID, |e| e.config_id[63] ^= 1),
        ("ISVFAMILYID", KeyPolicy::ISV_FAMILY_ID, |e| {
            e.isv_family_id[0] ^= 1;
        }),
        ("ISVEXTPRODID", KeyPolicy::ISV_EXT_PROD_ID, |e| {
            e.isv_ext_prod_id[0] ^= 1;
        }),
        // ISVPRODID is the one that is bound unless the policy says otherwise.
        ("ISVPRODID", 0, |e| e.isv_prod_id ^= 1),
    ];
    let unbound = KeyPolicy::NO_ISV_PROD_ID;
    for (name, bit, change) in parts {
        let mut other = enclave();
        change(&mut other);
        let bound = request(KeyName::Seal, bit);
        assert_ne!(
            seal_key(&enclave(), &bound).unwrap(),
            seal_key(&other, &bound).unwrap(),
            "{name}"
        );
        let free = request(KeyName::Seal, unbound);
        assert_eq!(
            seal_key(&enclave(), &free).unwrap(),
            seal_key(&other, &free).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn seal_keys_follow_the_masks_and_versions_of_the_request() {
    let base = request(KeyName::Seal, KeyPolicy::MRSIGNER);
    let key = seal_key(&enclave(), &base).unwrap();
    assert_eq!(seal_key(&enclave(), &base), Ok(key));

    let older = KeyRequest { isv_svn: 4, ..base };
    let older_processor = KeyRequest {
        cpu_svn: [0; 16],
        ..base
    };
    let other_id = KeyRequest {
        key_id: [0; 32],
        ..base
    };
    let with_misc = KeyRequest {
        misc_mask: 1,
        ..base
    };
    let with_xfrm = KeyRequest {
        attribute_mask: Attributes {
            xfrm: 1,
            ..base.attribute_mask
        },
        ..base
    };
    let report = KeyRequest {
        key_name: KeyName::Report as u16,
        ..base
    };
    for other in [
        older,
        older_processor,
        other_id,
        with_misc,
        with_xfrm,
        report,
    ] {
        assert_ne!(seal_key(&enclave(), &other), Ok(key), "{other:?}");
    }
    // An enclave that was updated gets at what its predecessor sealed.
    let updated = EnclaveIdentity {
        isv_svn: 6,
        mrenclave: [1; 32],
        ..enclave()
    };
    assert_eq!(seal_key(&updated, &base), Ok(key));

    // Whether it is debugged always counts, other attributes as the mask says.
    let without_attributes = KeyRequest {
        attribute_mask: Attributes::default(),
        ..base
    };
    let with = |flags| EnclaveIdentity {
        attributes: Attributes {
            flags: enclave().attributes.flags | flags,
            xfrm: 7,
        },
        ..enclave()
    };
    let plain = seal_key(&enclave(), &without_attributes).unwrap();
    let debugged = seal_key(&with(Attributes::DEBUG), &without_attributes);
    assert_ne!(debugged, Ok(plain));
    let privileged = seal_key(&with(Attributes::PROVISION_KEY), &without_attributes);
    assert_eq!(privileged, Ok(plain));
    assert_ne!(seal_key(&with(Attributes::PROVISION_KEY), &base), Ok(key));

    let (other_machine, _directory) = machine();
    assert_ne!(other_machine.fuses().egetkey(&enclave(), &base), Ok(key));
}

#[test]
fn keys_that_an_enclave_may_not_have_are_refused() {
    let base = request(KeyName::Seal, KeyPolicy::MRSIGNER);
    let newer = KeyRequest { isv_svn: 6, ..base };
    let newer_configuration = KeyRequest {
        config_svn: 4,
        ..base
    };
    let mut newer_processor = base;
    newer_processor.cpu_svn[15] += 1;
    let unknown = KeyRequest {
        key_name: 5,
        ..base
    };
    for (request, error, code) in [
        (newer, KeyError::InvalidIsvSvn, Some(64)),
        (newer_configuration, KeyError::InvalidIsvSvn, Some(64)),
        (newer_processor, KeyError::InvalidCpuSvn, Some(32)),
        (unknown, KeyError::InvalidKeyName, Some(256)),
        (
            request(KeyName::Provision, 0),
            KeyError::InvalidAttribute,
            Some(2),
        ),
        (
            request(KeyName::EinitToken, 0),
            KeyError::InvalidAttribute,
            Some(2),
        ),
    ] {
        assert_eq!(seal_key(&enclave(), &request), Err(error));
        assert_eq!(error.code(), code);
    }

    let mut without_separation = enclave();
    without_separation.attributes.flags &= !Attributes::KSS;
    seal_key(&without_separation, &base).unwrap();
    let configured = KeyRequest {
        config_svn: 1,
        ..base
    };
    for request in [
        request(KeyName::Seal, KeyPolicy::CONFIG_ID),
        request(KeyName::Report, KeyPolicy::NO_ISV_PROD_ID),
        configured,
    ] {
        let refused = seal_key(&without_separation, &request);
        assert_eq!(refused, Err(KeyError::KeySeparation));
        assert_eq!(KeyError::KeySeparation.code(), None);
    }
}

/// Cuts a quote into its parts as Intel's document lays them out, and checks each signature
/// with the key that it should be by.
#[test]
fn quotes_are_version_three_byte_by_byte() {
    let report = report_for(&quoting_target());
    let quote = shared().quote(&report).unwrap();
    assert_eq!(&quote[..8], [3, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!(&quote[8..12], [8, 0, 13, 0]);
    assert_eq!(&quote[12..16], [0x93, 0x9A, 0x72, 0x33]);
    assert_eq!(&quote[44..48], [0; 4]);
    assert_eq!(&quote[48..432], &report[..384]);
    let word = |at: usize| u32::from_le_bytes(quote[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(word(432), quote.len() - 436);
    let (signature, key) = (&quote[436..500], &quote[500..564]);
    let (qe_report, qe_signature) = (&quote[564..948], &quote[948..1012]);
    assert_eq!(&quote[1012..1014], [32, 0]);
    let authentication_data = &quote[1014..1046];
    assert_eq!(&quote[1046..1048], [5, 0]);
    assert_eq!(word(1048), quote.len() - 1052);
    let chain = std::str::from_utf8(&quote[1052..]).unwrap();

    let verify = |point: &[u8], message: &[u8], signature: &[u8]| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(message, signature).unwrap();
    };
    verify(&[&[4], key].concat(), &quote[..432], signature);
    let named = digest(&SHA256, &[key, authentication_data].concat());
    assert_eq!(&qe_report[320..352], named.as_ref());
    assert_eq!(&qe_report[352..384], [0; 32]);

    let blocks: Vec<&str> = chain
        .strip_suffix('\0')
        .unwrap()
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect();
    let endorsements = shared().endorsements();
    let certificates = blocks
        .iter()
        .map(|pem| Certificate::from_pem(pem).unwrap().to_der().unwrap());
    let expected = [
        &endorsements.pck,
        &endorsements.pck_authority,
        &endorsements.root,
    ];
    assert!(certificates.eq(expected.into_iter().cloned()));
    let pck = Certificate::from_der(&endorsements.pck).unwrap();
    let spki = pck.tbs_certificate().subject_public_key_info();
    let point = spki.subject_public_key.raw_bytes();
    verify(point, qe_report, qe_signature);
}

#[test]
fn debug_output_holds_no_key() {
    let machine = shared();
    machine.prepare();
    let text = format!("{machine:?}{:?}", machine.fuses());
    let (machine, rest) = text.split_at(text.find("Fuses").unwrap());
    assert!(machine.starts_with("Machine { pck_path:"), "{text}");
    assert_eq!(rest, "Fuses { .. }");
}

/// The certificates and lists as OpenSSL sees them. OpenSSL is not needed to build or use this
/// crate; without it there is nothing to compare with.
#[test]
fn openssl_accepts_the_chains_and_the_lists() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("no openssl command: skipped");
        return;
    }
    let (_, directory) = machine();
    let folder = directory.path().join("intel");
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .current_dir(&folder)
            .args(arguments.split(' '))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {text}{errors}");
        text
    };
    for name in ["root", "pck-authority", "pck", "tcb-signing"] {
        openssl(&format!("x509 -inform der -in {name}.der -out {name}.pem"));
    }
    for name in ["root", "pck"] {
        openssl(&format!(
            "crl -inform der -in {name}-revocations.der -out {name}.crl"
        ));
    }
    let lists = "-crl_check_all -CRLfile root.crl -CRLfile pck.crl";
    let strict = format!("verify -x509_strict {lists} -CAfile root.pem");
    openssl(&format!("{strict} -untrusted pck-authority.pem pck.pem"));
    openssl(&format!("{strict} tcb-signing.pem"));

    let text = openssl("x509 -in pck.pem -noout -text");
    for expected in [
        "Intel SGX PCK Certificate",
        "Simulation, protects nothing",
        "1.2.840.113741.1.13.1",
        "CA:FALSE",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let root = openssl("x509 -in root.pem -noout -subject");
    assert!(root.contains("Enarx Simulator SGX Root CA"), "{root}");
}
