//! Reference values for others, as a CoRIM manifest.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::Args;
use enarx_owner_appraisal::corim::{Digest, Manifest, ReferenceValue};

use crate::commands::read_signing_key;

/// Where to write the manifest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Manifest")]
#[group(skip)]
pub struct Arguments {
    /// Write the launch digests as a CoRIM manifest too
    #[arg(long, value_name = "FILE")]
    corim: Option<PathBuf>,

    /// The key that signs it: PKCS#8 in PEM, on P-256, P-384 or Ed25519
    #[arg(long, value_name = "FILE", requires_all = ["corim", "corim_signer"])]
    corim_key: Option<PathBuf>,

    /// Who signs it, such as a URL of yours
    #[arg(long, value_name = "NAME", requires = "corim_key")]
    corim_signer: Option<String>,
}

impl Arguments {
    /// Writes the manifest, if one was asked for.
    ///
    /// # Errors
    ///
    /// When the key cannot be read, or the file not be written.
    pub fn write(
        &self,
        launches: &BTreeMap<&str, Vec<Vec<u8>>>,
        keep_memory: u64,
    ) -> anyhow::Result<()> {
        let Some(file) = &self.corim else {
            return Ok(());
        };
        let version = env!("CARGO_PKG_VERSION");
        let image = format!("enarx {version} with {} of memory", ByteSize(keep_memory));
        let values = launches
            .iter()
            .flat_map(|(platform, digests)| {
                let digests = digests
                    .iter()
                    .filter_map(|digest| Digest::of_length(digest));
                digests.map(|digest| ReferenceValue::of_keep(platform, digest, &image))
            })
            .collect();
        let manifest = Manifest::new(&format!("enarx-{version}-{keep_memory}"), values);
        let bytes = match (&self.corim_key, &self.corim_signer) {
            (Some(key), Some(signer)) => manifest.to_signed(signer, &read_signing_key(key)?)?,
            _ => manifest.to_unsigned()?,
        };
        std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }
}
