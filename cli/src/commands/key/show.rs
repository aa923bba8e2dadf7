//! `enarx key show`: who signs with a key.

use clap::Args;
use enarx_host_launcher::sgx::SigningKey;
use serde_json::json;

use super::{KeyArgument, mr_signer};
use crate::{console::Console, exit::Status};

/// Print the identity of the signer who has a key
///
/// That is MRSIGNER, the SHA-256 of the key's modulus, as it stands in evidence.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key show key.pem
  enarx key show key.pem --json")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let mr_signer = mr_signer(&SigningKey::read(&self.file.key)?);
        if self.json {
            console.print_json(&json!({ "key": self.file.key, "mrsigner": mr_signer }))?;
        } else {
            console.print(mr_signer)?;
        }
        Ok(Status::SUCCESS)
    }
}
