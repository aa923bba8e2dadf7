//! Cases with known verdicts.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use enarx_owner_evidence::{
    Evidence, FailureKind, UnixTime,
    cca::PlatformKey,
    dcap,
    materials::{self, Materials, Roots},
    se,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{files::read, parse_time};
use crate::{console::Console, exit::Status};

/// A file with cases.
#[derive(Deserialize)]
struct Cases {
    cases: Vec<Value>,
    #[serde(default)]
    derived: Vec<Value>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    tech: String,
    files: BTreeMap<String, String>,
    now: String,
    verdict: String,
    #[serde(alias = "expect_nonce", alias = "challenge")]
    nonce: Option<String>,
}

/// A change after which a case must be rejected.
#[derive(Deserialize)]
struct Change {
    base: String,
    what: String,
    #[serde(flatten)]
    operation: Operation,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Xor {
        offset: usize,
        value: u8,
    },
    Truncate {
        length: usize,
    },
    Replace {
        find: String,
        #[serde(rename = "with_")]
        with: String,
    },
}

/// How many of a technology's cases agree.
#[derive(Default)]
struct Tally {
    agree: usize,
    all: usize,
}

/// Verifies all cases in `file`, and writes a line for each. What cannot be judged, because
/// it is not as described or names a file that cannot be read, agrees with nothing.
///
/// # Errors
///
/// When the file cannot be read, or has no list of cases.
pub fn run(file: &Path, console: &Console) -> anyhow::Result<Status> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let cases: Cases = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a file with cases", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut tallies = BTreeMap::<String, Tally>::new();
    let mut all_agree = true;
    let mut tell = |case: &Case, what: Option<&str>, expected: &str, found: &Found| {
        let agrees = agrees(expected, found.label.as_str());
        let tally = tallies.entry(case.tech.clone()).or_default();
        tally.all += 1;
        tally.agree += usize::from(agrees);
        all_agree &= agrees;
        console.print_json_line(&json!({
            "id": case.id,
            "tech": case.tech,
            "change": what,
            "expected": expected,
            "verdict": found.label,
            "agrees": agrees,
            "detail": found.detail,
        }))
    };
    let mut changes = BTreeMap::<String, Vec<Result<Change, String>>>::new();
    for value in cases.derived {
        let id = value["case"].as_str().unwrap_or_default().to_owned();
        let change = Change::deserialize(value).map_err(|error| error.to_string());
        changes.entry(id).or_default().push(change);
    }
    for value in cases.cases {
        let case = match Case::deserialize(&value) {
            Ok(case) => case,
            Err(error) => {
                let case = Case::unreadable(&value);
                tell(&case, None, &case.verdict, &Found::unjudged(&error))?;
                continue;
            }
        };
        let files = case.read(folder);
        let judge = |change: Option<&Change>| match &files {
            Ok(files) => case.judge(&case.changed(files, change)),
            Err(error) => Found::unjudged(error),
        };
        tell(&case, None, &case.verdict, &judge(None))?;
        for change in changes.remove(&case.id).unwrap_or_default() {
            match change {
                Ok(change) => tell(&case, Some(&change.what), "REJECT", &judge(Some(&change)))?,
                Err(error) => tell(&case, Some("?"), "REJECT", &Found::unjudged(&error))?,
            }
        }
    }
    for (technology, Tally { agree, all }) in tallies {
        console.note(format_args!("{technology}: {agree} of {all} agree"));
    }
    Ok(if all_agree {
        Status::SUCCESS
    } else {
        Status::REJECTED
    })
}

/// Without a time only the event log can be compared with the quote beside it.
fn replay(materials: &Materials) -> Found {
    let quote = materials.only_evidence();
    let quote = quote.and_then(|(_, bytes)| dcap::Quote::parse(bytes).ok());
    let checked = quote.map(|quote| materials.check_event_logs(quote.body()));
    match checked {
        Some(Ok(Some(step))) => Found {
            label: "MATCH".to_owned(),
            detail: step.found,
        },
        Some(Err(error)) => Found::refused(error.to_string()),
        Some(Ok(None)) | None => Found::refused("no quote of a TD with an event log".to_owned()),
    }
}

/// A report that lacks the key's certificate, with Microsoft's endorsement of what it
/// measures: such cases are about the endorsement.
fn endorsed(materials: &Materials, now: UnixTime, lacking: &materials::Error) -> Found {
    match materials.check_uvm_endorsements(now) {
        Ok(_) => Found {
            label: "ACCEPT".to_owned(),
            detail: format!("the measurement is endorsed; {lacking}"),
        },
        Err(error) => Found {
            label: refusal(&error).to_owned(),
            detail: error.to_string(),
        },
    }
}

/// Whether a verdict is the expected one. `REJECT` without a reason is any refusal, but not
/// that of evidence which verified and only is of a TEE that can be debugged; after
/// `/POLICY` stands what a policy could mind.
fn agrees(expected: &str, found: &str) -> bool {
    match expected.trim_end_matches("/POLICY") {
        _ if found == UNJUDGED => false,
        "REJECT" => found == REVOKED || found.starts_with("REJECT") && found != DEBUG,
        expected => found == expected,
    }
}

/// The verdict about evidence of a TEE that the host can look into.
const DEBUG: &str = "REJECT(debug)";

/// The verdict about a platform that Intel has given up on, which is a refusal.
const REVOKED: &str = "TCB:Revoked";

/// What stands for a verdict where none could be found.
const UNJUDGED: &str = "?";

/// The verdict about evidence whose signatures lead to a root, and for which there is no
/// collateral.
const CHAIN_OK: &str = "CHAIN-OK";

/// What was found about a case.
struct Found {
    label: String,
    detail: String,
}

impl Found {
    fn unjudged(error: &impl ToString) -> Self {
        Self {
            label: UNJUDGED.to_owned(),
            detail: error.to_string(),
        }
    }

    fn refused(detail: String) -> Self {
        Self {
            label: "REJECT".to_owned(),
            detail,
        }
    }
}

/// The files of a case, by role.
type Files = BTreeMap<String, Vec<u8>>;

impl Case {
    fn read(&self, folder: &Path) -> anyhow::Result<Files> {
        let files = self.files.iter();
        files
            .map(|(role, path)| Ok((role.clone(), read(&folder.join(path))?)))
            .collect()
    }

    /// What is known of a case that is not as described.
    fn unreadable(value: &Value) -> Self {
        let text = |key| value[key].as_str().unwrap_or(UNJUDGED).to_owned();
        Self {
            id: text("id"),
            tech: text("tech"),
            files: BTreeMap::new(),
            now: text("now"),
            verdict: text("verdict"),
            nonce: None,
        }
    }

    /// The files after a change to one of them.
    fn changed(&self, files: &Files, change: Option<&Change>) -> Files {
        let mut files = files.clone();
        for (role, path) in &self.files {
            if let Some(change) = change.filter(|change| *path == change.base)
                && let Some(bytes) = files.get_mut(role)
            {
                change.operation.apply(bytes);
            }
        }
        files
    }

    fn judge(&self, files: &Files) -> Found {
        let now = match self.now.as_str() {
            // The case is about nothing that expires.
            "-" => UnixTime(0),
            text => match parse_time(text) {
                Ok(now) => now,
                Err(error) => return Found::unjudged(&error),
            },
        };
        let mut materials = Materials::default();
        let mut roots = Roots::genuine();
        for (role, bytes) in files {
            // Whom a case trusts is the case's to say, where no vendor says it.
            let added = match (self.tech.as_str(), role.as_str()) {
                ("ibm-se", "root" | "trust_anchor") => {
                    trust_root(bytes, &mut materials, &mut roots)
                }
                (_, "trust_anchor") => PlatformKey::read(bytes)
                    .map(|keys| roots.cca.extend(keys))
                    .map_err(|error| error.to_string()),
                _ => materials
                    .add(bytes)
                    .map(drop)
                    .map_err(|error| format!("{role} {error}")),
            };
            if let Err(error) = added {
                return Found::refused(error);
            }
        }
        if self.now == "-" {
            return replay(&materials);
        }
        let mut found = materials
            .by_device()
            .into_iter()
            .map(|device| self.verdict(&device, &roots, now));
        // Of several devices each must be accepted; there is at least one.
        let first = found.next();
        let first = first.unwrap_or_else(|| Found::refused("no evidence".to_owned()));
        if first.label != "ACCEPT" {
            return first;
        }
        found.find(|found| found.label != "ACCEPT").unwrap_or(first)
    }

    fn verdict(&self, materials: &Materials, roots: &Roots, now: UnixTime) -> Found {
        match materials.verify(roots, now) {
            // What attests nothing by itself can still be genuine.
            Err(
                error @ (materials::Error::SevPlatform(_)
                | materials::Error::HostKey(_)
                | materials::Error::Manifest(_)),
            ) => Found {
                label: "ACCEPT".to_owned(),
                detail: error.to_string(),
            },
            Err(error)
                if error.kind() == FailureKind::Collateral && materials.has_uvm_endorsement() =>
            {
                endorsed(materials, now, &error)
            }
            // Without Intel's collateral all else can still be right.
            Err(error) if refusal(&error) == CHAIN_OK => Found {
                label: self.behind_tpm(materials).unwrap_or(CHAIN_OK).to_owned(),
                detail: error.to_string(),
            },
            Err(error) => Found {
                label: refusal(&error).to_owned(),
                detail: error.to_string(),
            },
            Ok(evidence) => self.label(&evidence),
        }
    }

    /// The verdict on a virtual TPM whose hardware lacks only collateral; `None` for other
    /// evidence. Such cases are about the TPM's part.
    fn behind_tpm(&self, materials: &Materials) -> Option<&'static str> {
        let nonce = materials.claimed_nonce()?;
        let wanted = self
            .nonce
            .as_ref()
            .and_then(|wanted| hex::decode(wanted).ok());
        Some(match wanted {
            Some(wanted) if wanted != nonce => "REJECT",
            _ => "ACCEPT",
        })
    }

    fn label(&self, evidence: &Evidence) -> Found {
        let summary = evidence.summary();
        let nonce = self.nonce.as_ref().map(hex::decode);
        let fresh = match nonce {
            None => true,
            Some(Ok(nonce)) => summary.carries(&nonce),
            Some(Err(_)) => false,
        };
        let label = match summary.tcb_status {
            _ if !fresh => "REJECT".to_owned(),
            _ if summary.debug => DEBUG.to_owned(),
            None | Some("UpToDate") => "ACCEPT".to_owned(),
            Some(status) => format!("TCB:{status}"),
        };
        Found {
            label,
            detail: summary.advisories.join(", "),
        }
    }
}

/// The verdict about evidence that did not verify.
fn refusal(error: &materials::Error) -> &'static str {
    match error {
        materials::Error::Dcap(dcap::Error::NoCertificates { .. }) => "REJECT(needs PCK)",
        materials::Error::Dcap(dcap::Error::RevokedTcb) => REVOKED,
        // Signatures and certificates are looked at before collateral.
        materials::Error::Dcap(dcap::Error::MissingDocument(_)) => CHAIN_OK,
        error if error.kind() == FailureKind::Collateral => "REJECT(stale collateral)",
        _ => "REJECT",
    }
}

/// Takes a root in that the case trusts to lead to IBM's signing key.
fn trust_root(file: &[u8], materials: &mut Materials, roots: &mut Roots) -> Result<(), String> {
    let mut alone = Materials::default();
    alone.add(file).map_err(|error| error.to_string())?;
    let digests = se::roots(&alone.certificates()).map_err(|error| error.to_string())?;
    roots.se.extend(digests);
    materials.add_endorsements(alone);
    Ok(())
}

impl Operation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Xor { offset, value } => {
                if let Some(byte) = bytes.get_mut(*offset) {
                    *byte ^= value;
                }
            }
            Self::Truncate { length } => bytes.truncate(*length),
            Self::Replace { find, with } => {
                if let Ok(text) = str::from_utf8(bytes) {
                    *bytes = text.replacen(find, with, 1).into_bytes();
                }
            }
        }
    }
}
