//! `enarx key identify`: an identity for the SEV-SNP machine of the Keep image inside this program.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use clap::Args;
use enarx_host_launcher::snp::{GUEST_POLICY, IdentityKey, identity_file_name};
use enarx_owner_deployer::application::parse_bytes;
use enarx_wire_launch::{Digest, KeepMemory, Platform, SnpIdentity};
use serde_json::json;

use super::KeyArgument;
use crate::{
    console::Console, exit::Status, failure::Advice, failure::WithAdvice as _,
    local_host::keep_image, machine::MachineArguments,
};

/// Sign the identity of a Keep's SEV-SNP machine
///
/// Writes an ID block with what authenticates it, 4192 bytes. The firmware launches the machine
/// with it only if it measures what the block says, and reports then have the key's digest,
/// which a policy can demand as snp.values.id_key_digest. A host uses the file when it lies,
/// under the name that it has by default, in the directory enarx/snp below $XDG_STATE_HOME or
/// ~/.local/state.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key identify id.pem
  enarx key identify id.pem --author-key author.pem --security-version 2 -o keep.identity
  enarx key identify id.pem --json")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// A second key, which vouches for the first
    #[arg(long, value_name = "FILE")]
    author_key: Option<PathBuf>,

    /// Memory of the Keep, which is measured
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    keep_memory: u64,

    /// The machine's family, 16 bytes in hexadecimal, for your own use (FAMILY_ID)
    #[arg(long, value_name = "HEX", value_parser = parse_name, default_value = "00000000000000000000000000000000")]
    family: [u8; 16],

    /// The machine's image, 16 bytes in hexadecimal, for your own use (IMAGE_ID)
    #[arg(long, value_name = "HEX", value_parser = parse_name, default_value = "00000000000000000000000000000000")]
    image: [u8; 16],

    /// Security version of the machine (GUEST_SVN)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    security_version: u32,

    /// Where to write it, by default MEASUREMENT.identity
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    machine: MachineArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let key = IdentityKey::read(&self.file.key)?;
        let author = self.author_key.as_deref().map(IdentityKey::read);
        let author = author.transpose()?;
        let memory = KeepMemory::from(self.keep_memory);
        let measurement = self.machine.measure(Platform::Snp, &keep_image(), memory);
        let measurement: Digest = measurement
            .and_then(|measurement| measurement.try_into().ok())
            .ok_or_else(|| {
                Advice::error(
                    "this build of enarx has no shim for virtual machines",
                    "take a build that has one; `enarx measure` shows what this one has",
                )
            })?;
        let signed = key.sign(
            &SnpIdentity {
                measurement,
                family: self.family,
                image: self.image,
                security_version: self.security_version,
                policy: GUEST_POLICY,
            },
            author.as_ref(),
        )?;
        let file = self
            .output
            .unwrap_or_else(|| identity_file_name(&measurement).into());
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&file)
            .and_then(|mut open| open.write_all(&signed.encode()))
            .with_advice(|| {
                (
                    format!("cannot write {}", file.display()),
                    "remove the file that is there, or name another with --output",
                )
            })?;
        if self.json {
            let author = author.map(|author| hex::encode(author.public().digest()));
            console.print_json(&json!({
                "file": file,
                "measurement": hex::encode(measurement),
                "id_key_digest": hex::encode(key.public().digest()),
                "author_key_digest": author,
            }))?;
        } else {
            console.print(file.display())?;
        }
        Ok(Status::SUCCESS)
    }
}

fn parse_name(text: &str) -> anyhow::Result<[u8; 16]> {
    let mut name = [0; 16];
    hex::decode_to_slice(text, &mut name)
        .map(|()| name)
        .map_err(|_| Advice::error("this is no name", "write 32 hexadecimal digits"))
}
