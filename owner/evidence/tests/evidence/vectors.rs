//! Evidence of real processors, kept outside this repository.

use std::{env, fs, path::PathBuf};

use enarx_owner_evidence::UnixTime;
use serde_json::Value;
use x509_cert::der::{DateTime, pem};

/// Where the vectors are: `ENARX_VECTORS`, else `shared/vectors` beside the workspace.
/// Says so and gives nothing when they are absent.
pub fn directory() -> Option<PathBuf> {
    let directory = env::var_os("ENARX_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    if directory.join("cases.json").is_file() {
        return Some(directory);
    }
    println!(
        "SKIPPED: no test vectors in {}; set ENARX_VECTORS",
        directory.display()
    );
    None
}

/// A case: files, a clock, and what the verdict must be.
pub struct Case {
    pub id: String,
    pub now: UnixTime,
    /// `ACCEPT`, `REJECT`, or `REJECT(debug)`: verified, but for its debug policy.
    pub verdict: String,
    pub why: String,
    pub report: Vec<u8>,
    pub endorsement_key: Vec<u8>,
    /// ASK, ARK and ASVK, in this order.
    pub authorities: [Vec<u8>; 3],
    pub fields: Value,
}

/// A change to a case's report, after which it must be rejected.
pub struct Derived {
    pub case: String,
    pub what: String,
    change: Change,
}

enum Change {
    Xor { offset: usize, value: u8 },
    Truncate { length: usize },
}

impl Derived {
    pub fn apply(&self, report: &[u8]) -> Vec<u8> {
        let mut report = report.to_vec();
        match self.change {
            Change::Xor { offset, value } => report[offset] ^= value,
            Change::Truncate { length } => report.truncate(length),
        }
        report
    }
}

/// The SEV-SNP cases and the changes derived from them; cases with other files than a
/// report and its certificates are counted as not expressible.
pub fn cases() -> Option<(Vec<Case>, Vec<Derived>, usize)> {
    let directory = directory()?;
    let file = |path: &Value| fs::read(directory.join(text(path))).expect("a file of a case");
    let document: Value = serde_json::from_slice(&fs::read(directory.join("cases.json")).unwrap())
        .expect("cases.json holds JSON");
    let all = document["cases"].as_array().expect("a list of cases");
    let (expressible, others): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|case| case["tech"] == "snp")
        .partition(|case| case["files"]["vek"].is_string());
    let cases: Vec<Case> = expressible
        .into_iter()
        .map(|case| Case {
            id: text(&case["id"]),
            now: time(&text(&case["now"])),
            verdict: text(&case["verdict"]),
            why: text(&case["why"]),
            report: file(&case["files"]["report"]),
            endorsement_key: file(&case["files"]["vek"]),
            authorities: pem_certificates(&file(&case["files"]["cas"])),
            fields: case.clone(),
        })
        .collect();
    let derived = document["derived"].as_array().expect("a list of changes");
    let derived = derived
        .iter()
        .filter(|derived| cases.iter().any(|case| case.id == derived["case"]))
        .map(|derived| Derived {
            case: text(&derived["case"]),
            what: text(&derived["what"]),
            change: change(derived),
        })
        .collect();
    Some((cases, derived, others.len()))
}

/// A report with the certificates that go with it, by the case's name.
pub fn case(id: &str) -> Option<Case> {
    cases()?.0.into_iter().find(|case| case.id == id)
}

/// `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ssZ`.
pub fn time(text: &str) -> UnixTime {
    let text = if text.contains('T') {
        text.to_owned()
    } else {
        format!("{text}T00:00:00Z")
    };
    let time: DateTime = text.parse().expect("a date and time");
    UnixTime(time.unix_duration().as_secs())
}

fn change(derived: &Value) -> Change {
    let number = |name: &str| derived[name].as_u64().expect("a number") as usize;
    match text(&derived["op"]).as_str() {
        "xor" => Change::Xor {
            offset: number("offset"),
            value: u8::try_from(number("value")).expect("a byte"),
        },
        "truncate" => Change::Truncate {
            length: number("length"),
        },
        other => panic!("unknown change {other}"),
    }
}

fn pem_certificates(bundle: &[u8]) -> [Vec<u8>; 3] {
    const END: &str = "-----END CERTIFICATE-----";
    let bundle = str::from_utf8(bundle).expect("PEM is text");
    let certificates: Vec<Vec<u8>> = bundle
        .split_inclusive(END)
        .filter(|part| part.contains(END))
        .map(|part| {
            pem::decode_vec(part.trim_start().as_bytes())
                .expect("PEM")
                .1
        })
        .collect();
    certificates.try_into().expect("three certificates")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
