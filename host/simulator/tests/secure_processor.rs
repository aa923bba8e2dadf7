//! The simulated AMD secure processor from outside: its state, its
//! certificates as OpenSSL reads them, its reports.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use enarx_host_simulator::StateError;
use enarx_host_simulator::snp::{GuestPolicy, REPORT_SIZE, ReportRequest, SecureProcessor, Vmpl};
use tempfile::TempDir;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A state directory that is made once, because making it takes seconds.
fn shared() -> &'static Path {
    static SHARED: OnceLock<TempDir> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            let directory = TempDir::new().unwrap();
            SecureProcessor::open(directory.path()).unwrap();
            directory
        })
        .path()
}

/// A copy of the shared state that a test may damage.
fn copy() -> TempDir {
    let directory = TempDir::new().unwrap();
    let target = directory.path().join("snp");
    fs::create_dir(&target).unwrap();
    for entry in fs::read_dir(shared().join("snp")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
    directory
}

fn request() -> ReportRequest {
    ReportRequest {
        report_data: [1; 64],
        measurement: [2; 48],
        host_data: [3; 32],
        policy: GuestPolicy::STANDARD,
        vmpl: Vmpl::Zero,
        report_id: [4; 32],
        identity: None,
    }
}

#[test]
fn state_is_private_complete_and_without_rsa_keys() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let directory = shared().join("snp");
    assert_eq!(mode(&directory), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["SHA384SUMS", "ark.der", "ask.der", "vcek.der", "vcek.key"]
    );
    assert!(!shared().join("snp.new").exists());
}

#[test]
fn opening_again_gives_the_same_processor_without_announcing() {
    let open = || SecureProcessor::open_announcing(shared(), || panic!("already made")).unwrap();
    assert_eq!(open().certificates(), open().certificates());
}

#[test]
fn opening_takes_under_a_millisecond() {
    shared();
    let mut best_open = Duration::MAX;
    let mut best_report = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        let processor = SecureProcessor::open(shared()).unwrap();
        best_open = best_open.min(start.elapsed());
        let start = Instant::now();
        processor.report(&request()).unwrap();
        best_report = best_report.min(start.elapsed());
    }
    println!("open: {best_open:?}, key and first report: {best_report:?}");
    assert!(best_open < Duration::from_millis(1));
}

#[test]
fn concurrent_first_use_makes_one_processor() {
    let directory = TempDir::new().unwrap();
    let announced = AtomicUsize::new(0);
    let certificates: Vec<_> = std::thread::scope(|scope| {
        let open = || {
            let processor = SecureProcessor::open_announcing(directory.path(), || {
                announced.fetch_add(1, Ordering::SeqCst);
            });
            processor.unwrap().certificates().clone()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(announced.into_inner(), 1);
    assert!(certificates.iter().all(|found| *found == certificates[0]));
}

#[test]
fn what_a_crash_left_behind_is_no_obstacle() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("snp.new")).unwrap();
    fs::write(directory.path().join("snp.new/vcek.key"), b"half").unwrap();
    SecureProcessor::open(directory.path()).unwrap();
    assert!(!directory.path().join("snp.new").exists());
}

#[test]
fn every_damaged_or_missing_file_is_named() {
    for name in ["ark.der", "ask.der", "vcek.der", "vcek.key"] {
        for damage in [
            |path: &Path| {
                let mut contents = fs::read(path).unwrap();
                contents[20] ^= 1;
                fs::write(path, contents).unwrap();
            },
            |path: &Path| fs::write(path, b"").unwrap(),
            |path: &Path| fs::remove_file(path).unwrap(),
        ] {
            let directory = copy();
            damage(&directory.path().join("snp").join(name));
            let error = SecureProcessor::open(directory.path()).unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{error}");
            let message = error.to_string();
            assert!(
                message.contains(name) && message.contains("remove"),
                "{message}"
            );
        }
    }
    let directory = copy();
    fs::remove_file(directory.path().join("snp/SHA384SUMS")).unwrap();
    let error = SecureProcessor::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = copy();
    let key = directory.path().join("snp/vcek.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = SecureProcessor::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Exposed { mode: 0o644, .. }));
    assert!(error.to_string().contains("chmod 600"));
}

#[test]
fn an_unusable_state_directory_is_a_clear_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = SecureProcessor::open(file.path()).unwrap_err();
    assert!(
        error.to_string().contains(file.path().to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn debug_output_holds_no_key() {
    let processor = SecureProcessor::open(shared()).unwrap();
    processor.report(&request()).unwrap();
    let text = format!("{processor:?}");
    assert!(text.starts_with("SecureProcessor { key_path:"), "{text}");
    assert!(!text.contains("EcdsaKeyPair"), "{text}");
}

#[test]
fn reports_verify_under_the_endorsed_key_and_carry_the_chip_of_the_certificate() {
    let processor = SecureProcessor::open(shared()).unwrap();
    let report = processor.report(&request()).unwrap();
    assert_eq!(report.len(), REPORT_SIZE);

    let vcek = Certificate::from_der(&processor.certificates().vcek).unwrap();
    let tbs = vcek.tbs_certificate();
    let point = tbs.subject_public_key_info().subject_public_key.raw_bytes();
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
    let signature = |report: &[u8]| {
        let scalar = |at: usize| {
            report[at..at + 48]
                .iter()
                .rev()
                .copied()
                .collect::<Vec<_>>()
        };
        [scalar(0x2A0), scalar(0x2A0 + 72)].concat()
    };
    key.verify(&report[..0x2A0], &signature(&report)).unwrap();
    let mut changed = report;
    changed[0x90] ^= 1;
    key.verify(&changed[..0x2A0], &signature(&changed))
        .unwrap_err();

    let hardware_id = tbs
        .extensions()
        .unwrap()
        .iter()
        .find(|extension| extension.extn_id.to_string() == "1.3.6.1.4.1.3704.1.4")
        .unwrap();
    assert_eq!(&report[0x1A0..0x1E0], hardware_id.extn_value.as_bytes());
}

/// The chain and its fields as OpenSSL sees them. OpenSSL is not needed to
/// build or use this crate; without it there is nothing to compare with.
#[test]
fn openssl_accepts_the_chain_and_reads_amds_fields() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("no openssl command: skipped");
        return;
    }
    let directory = TempDir::new().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .current_dir(directory.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    };
    for name in ["ark", "ask", "vcek"] {
        let der = shared().join(format!("snp/{name}.der"));
        let pem = format!("{name}.pem");
        openssl(&[
            "x509",
            "-inform",
            "der",
            "-in",
            der.to_str().unwrap(),
            "-out",
            &pem,
        ]);
    }
    openssl(&["verify", "-x509_strict", "-CAfile", "ark.pem", "ark.pem"]);
    openssl(&["verify", "-CAfile", "ark.pem", "ask.pem"]);
    openssl(&[
        "verify",
        "-CAfile",
        "ark.pem",
        "-untrusted",
        "ask.pem",
        "vcek.pem",
    ]);

    let text = |name: &str| openssl(&["x509", "-in", name, "-noout", "-text"]);
    let (ark, vcek) = (text("ark.pem"), text("vcek.pem"));
    for expected in [
        "Enarx Simulator ARK",
        "(4096 bit)",
        "rsassaPss",
        "mgf1 with sha384",
        "Salt Length: 0x30",
        "Trailer Field: 0x01\n",
        "CA:TRUE",
    ] {
        assert!(ark.contains(expected), "{expected} in {ark}");
    }
    for expected in [
        "secp384r1",
        "Salt Length: 0x30",
        "1.3.6.1.4.1.3704.1.3.8",
        "Milan-B0",
    ] {
        assert!(vcek.contains(expected), "{expected} in {vcek}");
    }
    let structure = openssl(&["asn1parse", "-in", "vcek.pem"]);
    for (oid, value) in [
        ("1.1", "020100"),
        ("1.2", "16084D696C616E2D4230"),
        ("1.3.1", "020104"),
        ("1.3.2", "020100"),
        ("1.3.3", "020118"),
        ("1.3.4", "020100"),
        ("1.3.7", "020100"),
        ("1.3.8", "020200DB"),
    ] {
        let mut lines = structure.lines();
        lines
            .by_ref()
            .find(|line| line.ends_with(&format!(":1.3.6.1.4.1.3704.{oid}")))
            .unwrap_or_else(|| panic!("{oid} in {structure}"));
        let found = lines.next().unwrap();
        assert!(
            found.ends_with(&format!("[HEX DUMP]:{value}")),
            "{oid}: {found}"
        );
    }
}
