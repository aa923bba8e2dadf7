//! `enarx key show`: who signs with a key.

use clap::Args;

use super::{Key, KeyArgument};
use crate::{console::Console, exit::Status};

/// Print the identity of the signer who has a key
///
/// As it stands in evidence: of a key for enclaves that is MRSIGNER, the SHA-256 of the key's
/// modulus, of one for machines the ID key digest, the SHA-384 of its public half.
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
        Key::read(&self.file.key)?.show(&self.file.key, console, self.json)?;
        Ok(Status::SUCCESS)
    }
}
