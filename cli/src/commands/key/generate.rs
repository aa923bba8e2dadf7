//! `enarx key generate`: a new key.

use clap::Args;

use super::{Key, KeyArgument, Signed};
use crate::{console::Console, exit::Status};

/// Make a key that signs enclaves or machines
///
/// The file is readable by you alone, and is never written over another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key generate key.pem
  enarx key generate id.pem --platform snp
  enarx key generate key.pem --json")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// What it is to sign
    #[arg(long, value_name = "PLATFORM", value_enum, default_value_t = Signed::Sgx)]
    platform: Signed,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let key = Key::generate(self.platform)?;
        key.write_new(&self.file.key)?;
        key.show(&self.file.key, console, self.json)?;
        Ok(Status::SUCCESS)
    }
}
