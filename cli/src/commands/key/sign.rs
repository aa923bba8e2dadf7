//! `enarx key sign`: a SIGSTRUCT for the Keep image inside this program.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use clap::Args;
use enarx_host_launcher::sgx::{SigningKey, sigstruct_file_name, today};
use enarx_owner_deployer::application::parse_bytes;
use enarx_wire_launch::sgx::EnclaveStatement;
use serde_json::json;

use super::{KeyArgument, mr_signer};
use crate::{
    console::Console, enclave::EnclaveArguments, exit::Status, failure::WithAdvice as _,
    local_host::keep_image,
};

/// Sign the enclave of a Keep
///
/// Writes a SIGSTRUCT. A host uses it when it lies, under the name that it has by
/// default, in the directory enarx/sgx below $XDG_STATE_HOME or ~/.local/state.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx key sign key.pem
  enarx key sign key.pem --keep-memory 2GiB --security-version 2 -o keep.sigstruct")]
pub struct Arguments {
    #[command(flatten)]
    file: KeyArgument,

    /// Memory of the Keep, which is measured
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    keep_memory: u64,

    /// Number of the product among the signer's (ISVPRODID)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    product: u16,

    /// Security version of the product (ISVSVN)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    security_version: u16,

    /// Where to write it, by default MRENCLAVE.sigstruct
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    enclave: EnclaveArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let key = SigningKey::read(&self.file.key)?;
        let debug = self.enclave.debug;
        let measurement = self.enclave.measure(&keep_image(), self.keep_memory)?;
        let sigstruct = key.sign(&EnclaveStatement {
            product: self.product,
            security_version: self.security_version,
            ..EnclaveStatement::of_keep(measurement, debug, today())
        })?;
        let file = self
            .output
            .unwrap_or_else(|| sigstruct_file_name(&measurement, debug).into());
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&file)
            .and_then(|mut open| open.write_all(sigstruct.as_bytes()))
            .with_advice(|| {
                (
                    format!("cannot write {}", file.display()),
                    "remove the file that is there, or name another with --output",
                )
            })?;
        let measurement = hex::encode(measurement);
        if self.json {
            console.print_json(&json!({
                "file": file,
                "mrenclave": measurement,
                "mrsigner": mr_signer(&key),
            }))?;
        } else {
            console.print(file.display())?;
        }
        Ok(Status::SUCCESS)
    }
}
