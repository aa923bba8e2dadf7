//! `enarx measure`: what a Keep of this version measures.

mod manifest;
mod trusted;

use std::{collections::BTreeMap, path::PathBuf};

use bytesize::ByteSize;
use clap::Args;
use enarx_host_launcher::sgx::SigningKey;
use enarx_owner_appraisal::ReferenceValues;
use enarx_owner_deployer::application::parse_bytes;
use enarx_wire_launch::{KeepImage, KeepMemory, MemoryStrategy, Platform};
use serde_json::json;

use crate::{
    console::Console, enclave::EnclaveArguments, exit::Status, failure::Advice,
    local_host::keep_image, machine::MachineArguments,
};

/// Print the digests of the Keep images inside this program
///
/// These are the reference values that evidence is compared with. A build of the same
/// source with the same Rust, C compiler and C library, and the same flags, gives the same
/// image in another directory: that much is tested. Other toolchains can give others. A
/// backend that is not in this version has none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx measure
  enarx measure --keep-memory 2GiB --json
  enarx measure --platform kvm
  enarx measure --platform snp --vcpus 4 --vcpu-type EPYC-Milan
  enarx measure --platform tdx --simulate --json
  enarx measure --platform sgx --key key.pem
  enarx measure --trusted-code
  enarx measure --corim keep.corim --corim-key key.pem --corim-signer https://example.com")]
pub struct Arguments {
    /// Memory of the Keep, which is measured too
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    keep_memory: u64,

    /// Of Keeps whose programs check every access to memory in code
    #[arg(long)]
    bounded_memory: bool,

    /// Only of this backend
    #[arg(long, value_name = "BACKEND")]
    platform: Option<Platform>,

    /// The key that signs enclaves, to print its MRSIGNER too
    ///
    /// `enarx key generate` makes one.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Print how much code of whose is inside the Keeps instead
    ///
    /// Lines are counted without empty ones, comments and tests, when the image is built.
    /// Of other projects' crates only the number is told.
    #[arg(long, conflicts_with_all = ["platform", "key", "corim"])]
    trusted_code: bool,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    enclave: EnclaveArguments,

    #[command(flatten)]
    machine: MachineArguments,

    #[command(flatten)]
    manifest: manifest::Arguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        if self.trusted_code {
            return trusted::show(console, self.json);
        }
        let image = keep_image();
        let runtime = hex::encode(image.runtime_digest);
        let platforms = match &self.platform {
            Some(platform) => std::slice::from_ref(platform),
            None => &Platform::ALL,
        };
        let mut launches: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for platform in platforms {
            let digests = self.digests(*platform, &image)?;
            if !digests.is_empty() {
                launches.insert(platform.as_str(), digests);
            }
        }
        // What a trust domain measures after its launch: nothing, before it has an application.
        let rtmrs = launches
            .contains_key(Platform::Tdx.as_str())
            .then(|| vec![hex::encode([0; 48]); 4]);
        let signer = self.key.as_deref().map(SigningKey::read).transpose()?;
        let signer = signer.map(|key| hex::encode(key.mr_signer()));
        self.manifest.write(&launches, self.keep_memory)?;
        let launches: BTreeMap<_, Vec<_>> = launches
            .into_iter()
            .map(|(platform, digests)| (platform, digests.iter().map(hex::encode).collect()))
            .collect();
        if self.json {
            console.print_json(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "runtime": { "bytes": image.runtime.len(), "sha384": runtime },
                "keep_memory_bytes": self.keep_memory,
                "launch_digests": launches,
                "rtmrs": rtmrs,
                "mrsigner": signer,
            }))?;
            return Ok(Status::SUCCESS);
        }
        console.print(format_args!(
            "runtime ({})\n  {runtime}",
            ByteSize(image.runtime.len() as u64)
        ))?;
        for (platform, digests) in launches {
            let memory = ByteSize(self.keep_memory);
            console.print(format_args!("launch of {platform} with {memory} of memory"))?;
            for digest in digests {
                console.print(format_args!("  {digest}"))?;
            }
        }
        if let Some(signer) = signer {
            console.print(format_args!("signer of sgx\n  {signer}"))?;
        }
        Ok(Status::SUCCESS)
    }

    const fn memory(&self) -> KeepMemory {
        KeepMemory {
            bytes: self.keep_memory,
            strategy: MemoryStrategy::bounded_if(self.bounded_memory),
        }
    }

    /// The launch digests of a Keep on `platform`; none if this version has no such Keeps
    /// and nobody asked for them.
    fn digests(&self, platform: Platform, image: &KeepImage<'_>) -> anyhow::Result<Vec<Vec<u8>>> {
        let asked = self.platform.is_some();
        if platform == Platform::Sgx && (asked || !image.sgx.shim.is_empty()) {
            let measurement = self.enclave.measure(image, self.memory())?;
            return Ok(vec![measurement.to_vec()]);
        }
        let values = match platform {
            Platform::Snp | Platform::Tdx => {
                let value = self.machine.measure(platform, image, self.memory());
                value.into_iter().collect()
            }
            _ => {
                let values = ReferenceValues::of_keep_image(platform, image, self.memory());
                values.measurements().to_vec()
            }
        };
        if asked && values.is_empty() {
            return Err(Advice::error(
                format!("this version has no Keeps of the backend `{platform}`"),
                "`enarx measure` without --platform shows which it has",
            ));
        }
        Ok(values)
    }
}
