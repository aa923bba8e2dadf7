//! What came out, for people, programs and relying parties.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use enarx_owner_appraisal::{
    Level, Verdict,
    ear::{Appraisal, AttestationResult, VerifierId},
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
    /// Of several devices, each by itself.
    Devices(Vec<Outcome>),
}

impl Outcome {
    /// What came out of one device or several; a device that is there twice is refused.
    pub fn of(mut devices: Vec<Self>) -> Self {
        let mut seen = BTreeSet::new();
        for device in &mut devices {
            if let Self::Appraised { evidence, .. } = device
                && let Some(machine) = evidence.summary().machine.clone()
                && !seen.insert(machine)
            {
                *device = Self::Unverified(materials::Error::SameDevice);
            }
        }
        match devices.pop() {
            Some(alone) if devices.is_empty() => alone,
            last => {
                devices.extend(last);
                Self::Devices(devices)
            }
        }
    }

    /// The status to exit with; of several devices, the worst.
    pub fn status(&self) -> Status {
        match self {
            Self::Devices(devices) => {
                let found: Vec<_> = devices.iter().map(Self::status).collect();
                let worst = [
                    Status::NOT_GENUINE,
                    Status::MALFORMED,
                    Status::COLLATERAL,
                    Status::REJECTED,
                ];
                let worst = worst.into_iter().find(|status| found.contains(status));
                worst.unwrap_or(Status::SUCCESS)
            }
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
            Self::Devices(devices) => {
                for (device, number) in devices.iter().zip(1..) {
                    console.print(format_args!("device {number} of {}", devices.len()))?;
                    device.show(console, as_json)?;
                }
                Ok(())
            }
        }
    }

    /// How good it is; of several devices, the worst.
    fn level(&self) -> Level {
        match self {
            Self::Unverified(_) => Level::Rejected,
            Self::Appraised { verdict, .. } => verdict.level(),
            Self::Devices(devices) => {
                let levels = devices.iter().map(Self::level);
                levels.min().unwrap_or(Level::Rejected)
            }
        }
    }

    /// The verdicts by name, as attestation results have them; `None` when evidence did not
    /// verify: nobody knows whom a result would be about.
    fn appraisals(&self) -> Option<Vec<(String, Appraisal)>> {
        match self {
            Self::Unverified(_) => None,
            Self::Appraised { evidence, verdict } => {
                let technology = evidence.summary().technology.as_str().to_owned();
                Some(vec![(technology, verdict.to_appraisal())])
            }
            Self::Devices(devices) => {
                let mut all = Vec::new();
                for (device, number) in devices.iter().zip(1..) {
                    let named = device.appraisals()?.into_iter();
                    all.extend(named.map(|(name, one)| (format!("{name}-{number}"), one)));
                }
                Some(all)
            }
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
            Self::Devices(devices) => json!({
                "level": self.level(),
                "devices": devices.iter().map(Self::to_json).collect::<Vec<_>>(),
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
        let Some(appraisals) = outcome.appraisals() else {
            return Ok(());
        };
        let key = read_signing_key(key)?;
        let result = AttestationResult {
            issued_at: now,
            expires_at: None,
            verifier: VerifierId {
                developer: "https://enarx.dev".to_owned(),
                build: concat!("enarx ", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            nonce: None,
            raw_evidence: None,
            submodules: appraisals.into_iter().collect(),
        };
        let encoded = match self.ear_form {
            Form::Jwt => result.to_jwt(&key)?.into_bytes(),
            Form::Cwt => result.to_cwt(&key)?,
        };
        std::fs::write(file, encoded).with_context(|| format!("cannot write {}", file.display()))
    }
}
