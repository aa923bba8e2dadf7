//! Reference values that others have computed.

use std::path::{Path, PathBuf};

use clap::Args;
use enarx_owner_appraisal::{Policy, VerifyingKey, corim};
use enarx_owner_evidence::UnixTime;

use crate::{
    commands::read_at_most,
    failure::{Advice, WithAdvice as _},
};

/// Where reference values are from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reference values")]
pub struct ReferenceArguments {
    /// A CoRIM manifest, whose measurements `reference-values` in the policy stands for
    #[arg(long, value_name = "FILE")]
    pub reference_values: Vec<PathBuf>,

    /// The public key, in PEM, that must have signed the manifests
    ///
    /// Without it they must be unsigned, and you vouch for the files yourself.
    #[arg(long, value_name = "FILE", requires = "reference_values")]
    pub reference_key: Option<PathBuf>,
}

impl ReferenceArguments {
    /// The policy with these reference values, of manifests that hold at the time `now`.
    ///
    /// # Errors
    ///
    /// When a manifest cannot be read, or is not signed as it must be, or the policy has no
    /// use for them.
    pub fn apply(&self, policy: Policy, now: UnixTime) -> anyhow::Result<Policy> {
        if self.reference_values.is_empty() {
            return Ok(policy);
        }
        if !policy.uses_reference_values() {
            return Err(Advice::error(
                "the policy accepts no measurements of manifests",
                "write `measurements = [\"reference-values\"]` into the policy, or leave out \
                 --reference-values",
            ));
        }
        let key = self.key()?;
        let mut values = Vec::new();
        for file in &self.reference_values {
            let found = measurements(file, key.as_ref(), now)?;
            if found.is_empty() {
                return Err(Advice::error(
                    format!("{} names no launch measurement", file.display()),
                    "it must have reference values that are digests and nothing else, such as \
                     those of `enarx measure --corim`",
                ));
            }
            values.extend(found);
        }
        Ok(policy.with_reference_values(&values))
    }

    fn key(&self) -> anyhow::Result<Option<VerifyingKey>> {
        let Some(file) = &self.reference_key else {
            return Ok(None);
        };
        let pem = read_at_most(file, corim::MAX_BYTES)?;
        let key = VerifyingKey::from_pem(&String::from_utf8_lossy(&pem));
        key.map(Some).with_advice(|| {
            (
                format!("{} is no public key", file.display()),
                "`openssl pkey -in KEY -pubout` writes the public key of a private one",
            )
        })
    }
}

fn measurements(
    file: &Path,
    key: Option<&VerifyingKey>,
    now: UnixTime,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = read_at_most(file, corim::MAX_BYTES)?;
    let unusable = || format!("{} cannot be used", file.display());
    let signed = corim::Manifest::is_signed(&bytes)
        .with_advice(|| (unusable(), "give a CoRIM manifest in CBOR"))?;
    let manifest = match (signed, key) {
        (true, Some(key)) => corim::Manifest::from_signed(&bytes, key, now),
        (false, None) => corim::Manifest::from_unsigned(&bytes, now),
        (true, None) => {
            return Err(Advice::error(
                format!("{} is signed", file.display()),
                "name the public key of its signer with --reference-key",
            ));
        }
        (false, Some(_)) => {
            return Err(Advice::error(
                format!("{} is not signed", file.display()),
                "get the signed manifest, or leave out --reference-key if you vouch for the file",
            ));
        }
    };
    let manifest = manifest.with_advice(|| {
        (
            unusable(),
            "get a manifest that holds now, from the signer of --reference-key",
        )
    })?;
    Ok(manifest.launch_measurements().map(<[u8]>::to_vec).collect())
}
