//! `enarx key generate`: a new key.

use clap::Args;
use enarx_host_launcher::sgx::SigningKey;
use serde_json::json;

use super::{KeyArgument, mr_signer};
use crate::{console::Console, exit::Status};

/// Make a key that signs enclaves
///
/// RSA of 3072 bits with the public exponent 3, as the processor wants it. The file is
/// readable by you alone, and is never written over another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key generate key.pem
  enarx key generate key.pem --json")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let key = SigningKey::generate()?;
        key.write_new(&self.file.key)?;
        let mr_signer = mr_signer(&key);
        if self.json {
            console.print_json(&json!({ "key": self.file.key, "mrsigner": mr_signer }))?;
        } else {
            console.print(mr_signer)?;
        }
        Ok(Status::SUCCESS)
    }
}
