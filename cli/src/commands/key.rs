//! `enarx key`: keys that sign SGX enclaves and identities of SEV-SNP machines, and secrets for
//! programs' keys.

mod generate;
mod identify;
mod show;
mod sign;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use enarx_host_launcher::{
    sgx::{SigningError, SigningKey},
    snp::IdentityKey,
};
use serde_json::json;

use crate::{console::Console, exit::Status};

/// Make and use keys that sign SGX enclaves and SEV-SNP machines
///
/// For authors of Keep images: owners who trust an author can demand the signer of evidence,
/// MRSIGNER of enclaves and the ID key of machines. Keep the key away from hosts. A host signs what it starts with a key of its
/// own, which proves nothing; for owners who look at MRENCLAVE that is enough.
///
/// For owners: `enarx key generate --secret` makes the secret that programs' own keys come from.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Identify(identify::Arguments),
    Show(show::Arguments),
    Sign(sign::Arguments),
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Generate(arguments) => arguments.run(console),
            Command::Identify(arguments) => arguments.run(console),
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

/// What a key signs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Signed {
    /// SGX enclaves: RSA of 3072 bits with the public exponent 3
    Sgx,
    /// SEV-SNP machines: ECDSA on P-384
    Snp,
}

/// A key of either kind.
enum Key {
    Sgx(Box<SigningKey>),
    Snp(IdentityKey),
}

impl Key {
    fn generate(signed: Signed) -> anyhow::Result<Self> {
        Ok(match signed {
            Signed::Sgx => Self::Sgx(Box::new(SigningKey::generate()?)),
            Signed::Snp => Self::Snp(IdentityKey::generate()?),
        })
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        match SigningKey::read(file) {
            Err(not_rsa @ SigningError::Key) => match IdentityKey::read(file) {
                Ok(key) => Ok(Self::Snp(key)),
                Err(_) => Err(not_rsa.into()),
            },
            read => Ok(Self::Sgx(Box::new(read?))),
        }
    }

    fn write_new(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Sgx(key) => Ok(key.write_new(file)?),
            Self::Snp(key) => Ok(key.write_new(file)?),
        }
    }

    /// What evidence calls the signer, and the signer in hexadecimal digits.
    fn signer(&self) -> (&'static str, String) {
        match self {
            Self::Sgx(key) => ("mrsigner", mr_signer(key)),
            Self::Snp(key) => ("id_key_digest", hex::encode(key.public().digest())),
        }
    }

    /// Says who has the key in `file`.
    fn show(&self, file: &Path, console: &Console, json: bool) -> std::io::Result<()> {
        let (name, signer) = self.signer();
        if json {
            console.print_json(&json!({ "key": file, name: signer }))
        } else {
            console.print(signer)
        }
    }
}

/// The signer's identity in hexadecimal digits.
fn mr_signer(key: &SigningKey) -> String {
    hex::encode(key.mr_signer())
}
