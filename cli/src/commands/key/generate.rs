//! `enarx key generate`: a new key.

use clap::Args;
use enarx_owner_deployer::{SystemRandom, application::write_secret_file};
use enarx_wire_provision::OwnerSecret;
use serde_json::json;

use super::{Key, KeyArgument, Signed};
use crate::{console::Console, exit::Status, failure::WithAdvice as _};

/// Make a key that signs enclaves or machines, or a secret for programs' keys
///
/// The file is readable by you alone, and is never written over another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key generate key.pem
  enarx key generate id.pem --platform snp
  enarx key generate key.pem --json
  enarx key generate shop.secret --secret")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// What it is to sign
    #[arg(long, value_name = "PLATFORM", value_enum, default_value_t = Signed::Sgx)]
    platform: Signed,

    /// Make a secret for `enarx run --secret` and `enarx deploy --secret` instead
    ///
    /// One line of text. Whoever has it can derive the keys that an owner's programs get, and
    /// without it what they have encrypted with them is lost.
    #[arg(long, conflicts_with = "platform")]
    secret: bool,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        if self.secret {
            return self.generate_secret(console);
        }
        let key = Key::generate(self.platform)?;
        key.write_new(&self.file.key)?;
        key.show(&self.file.key, console, self.json)?;
        Ok(Status::SUCCESS)
    }

    fn generate_secret(self, console: &Console) -> anyhow::Result<Status> {
        let file = &self.file.key;
        let secret = OwnerSecret::new(SystemRandom::new().bytes());
        write_secret_file(file, &secret).with_advice(|| {
            (
                "cannot write the secret",
                "name a new file in a folder that exists",
            )
        })?;
        if self.json {
            console.print_json(&json!({ "secret": file }))?;
        } else {
            console.note(format_args!(
                "new secret written to {}; keep it safe",
                file.display()
            ));
        }
        Ok(Status::SUCCESS)
    }
}
