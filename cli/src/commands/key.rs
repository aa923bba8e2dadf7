//! `enarx key`: keys that sign SGX enclaves.

mod generate;
mod show;
mod sign;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use enarx_host_launcher::sgx::SigningKey;

use crate::{console::Console, exit::Status};

/// Make and use keys that sign SGX enclaves
///
/// For authors of Keep images: owners who trust an author can demand the signer MRSIGNER
/// of evidence. Keep the key away from hosts. A host signs what it starts with a key of its
/// own, which proves nothing; for owners who look at MRENCLAVE that is enough.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Show(show::Arguments),
    Sign(sign::Arguments),
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Generate(arguments) => arguments.run(console),
            Command::Show(arguments) => arguments.run(console),
            Command::Sign(arguments) => arguments.run(console),
        }
    }
}

/// A key's file.
#[derive(Debug, Args)]
struct KeyArgument {
    /// The key: PKCS#8 in PEM, readable by you alone
    #[arg(value_name = "FILE")]
    key: PathBuf,
}

/// The signer's identity in hexadecimal digits.
fn mr_signer(key: &SigningKey) -> String {
    hex::encode(key.mr_signer())
}
