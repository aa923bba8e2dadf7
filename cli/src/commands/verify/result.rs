//! What came out, for people, programs and relying parties.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use enarx_owner_appraisal::{
    Level, Verdict,
    ear::{AttestationResult, VerifierId},
};
use enarx_owner_evidence::{Evidence, FailureKind, Summary, UnixTime, materials};
use serde_json::{Value, json};

use crate::{commands::read_signing_key, console::Console, exit::Status};

/// The result for others, in the form EAR.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attestation result")]
#[group(skip)]
pub struct Arguments {
    /// Write the result for other parties, as an EAT attestation result (EAR)
    #[arg(long, value_name = "FILE", requires = "ear_key")]
    ear: Option<PathBuf>,

    /// The key that signs it: PKCS#8 in PEM, on P-256, P-384 or Ed25519
    #[arg(long, value_name = "FILE", requires = "ear")]
    ear_key: Option<PathBuf>,

    /// Its encoding
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    ear_form: Form,
}

/// How an attestation result is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// JSON Web Token
    #[default]
    Jwt,
    /// CBOR Web Token
    Cwt,
}

/// What came out.
pub enum Outcome {
    /// The evidence was not verified.
    Unverified(materials::Error),
    /// It was, and the policy was applied.
    Appraised {
        /// The evidence.
        evidence: Box<Evidence>,
        /// What the policy says.
        verdict: Verdict,
    },
}

impl Outcome {
    /// The status to exit with.
    pub fn status(&self) -> Status {
        match self {
            Self::Unverified(error) => match error.kind() {
                FailureKind::Malformed => Status::MALFORMED,
                FailureKind::NotGenuine => Status::NOT_GENUINE,
                FailureKind::Collateral => Status::COLLATERAL,
            },
            Self::Appraised { verdict, .. } => match verdict.level() {
                Level::Rejected => Status::REJECTED,
                Level::Simulated | Level::Genuine => Status::SUCCESS,
            },
        }
    }

    /// Writes it to standard output.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn show(&self, console: &Console, as_json: bool) -> std::io::Result<()> {
        match self {
            _ if as_json => console.print_json(&self.to_json()),
            Self::Unverified(error) => {
                console.print(format_args!("{}: {error}", error.kind()))?;
                if let FailureKind::Collateral = error.kind() {
                    console.note("--collateral takes a folder with what is missing");
                }
                Ok(())
            }
            Self::Appraised { verdict, .. } => console.print(verdict),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Unverified(error) => json!({
                "level": "rejected",
                "failure": error.kind().as_str(),
                "error": error.to_string(),
            }),
            Self::Appraised { evidence, verdict } => json!({
                "level": verdict.level(),
                "policy": verdict.policy(),
                "checks": verdict.checks(),
                "evidence": describe(evidence.summary()),
            }),
        }
    }
}

/// What evidence says, under the names that policies use.
fn describe(summary: &Summary) -> Value {
    let flags = summary.flags.iter().map(|flag| (flag.name, flag.on));
    let numbers = summary.numbers.iter().map(|one| (one.name, one.value));
    let values = summary.values.iter();
    let values = values.map(|one| (one.name, hex::encode(&one.bytes)));
    let tcb = summary.tcb.iter().map(|part| {
        let versions = json!({
            "reported": part.reported,
            "committed": part.committed,
            "current": part.current,
            "launch": part.at_launch,
        });
        (part.name, versions)
    });
    json!({
        "technology": summary.technology.as_str(),
        "product": summary.product,
        "measurement": hex::encode(&summary.measurement),
        "report_data": hex::encode(&summary.report_data),
        "host_data": summary.host_data.as_ref().map(hex::encode),
        "debug": summary.debug,
        "machine": summary.machine.as_ref().map(hex::encode),
        "vmpl": summary.privilege_level,
        "tcb": tcb.collect::<BTreeMap<_, _>>(),
        "tcb_status": summary.tcb_status,
        "advisories": summary.advisories,
        "flags": flags.collect::<BTreeMap<_, _>>(),
        "numbers": numbers.collect::<BTreeMap<_, _>>(),
        "values": values.collect::<BTreeMap<_, _>>(),
        "anchor": { "name": summary.anchor_name, "sha384": hex::encode(summary.anchor) },
        "valid": {
            "from": summary.validity.not_before.to_string(),
            "until": summary.validity.not_after.to_string(),
        },
    })
}

impl Arguments {
    /// Writes the attestation result, if one was asked for. There is none about evidence that
    /// did not verify: nobody knows whom it would be about.
    ///
    /// # Errors
    ///
    /// When the key cannot be read, or the file not be written.
    pub fn write(&self, outcome: &Outcome, now: UnixTime) -> anyhow::Result<()> {
        let (Some(file), Some(key)) = (&self.ear, &self.ear_key) else {
            return Ok(());
        };
        let Outcome::Appraised { evidence, verdict } = outcome else {
            return Ok(());
        };
        let key = read_signing_key(key)?;
        let technology = evidence.summary().technology.as_str().to_owned();
        let result = AttestationResult {
            issued_at: now,
            expires_at: None,
            verifier: VerifierId {
                developer: "https://enarx.dev".to_owned(),
                build: concat!("enarx ", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            nonce: None,
            raw_evidence: None,
            submodules: BTreeMap::from([(technology, verdict.to_appraisal())]),
        };
        let encoded = match self.ear_form {
            Form::Jwt => result.to_jwt(&key)?.into_bytes(),
            Form::Cwt => result.to_cwt(&key)?,
        };
        std::fs::write(file, encoded).with_context(|| format!("cannot write {}", file.display()))
    }
}
