//! `enarx measure`: what a Keep of this version measures.

mod manifest;

use std::collections::BTreeMap;

use bytesize::ByteSize;
use clap::Args;
use enarx_owner_appraisal::ReferenceValues;
use enarx_owner_deployer::application::parse_bytes;
use enarx_wire_launch::Platform;
use serde_json::json;

use crate::{console::Console, exit::Status, local_host::keep_image};

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
  enarx measure --corim keep.corim --corim-key key.pem --corim-signer https://example.com")]
pub struct Arguments {
    /// Memory of the Keep, which is measured too
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    keep_memory: u64,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    manifest: manifest::Arguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let image = keep_image();
        let runtime = hex::encode(image.runtime_digest);
        let launches: BTreeMap<_, Vec<_>> = Platform::ALL
            .into_iter()
            .map(|platform| {
                let values = ReferenceValues::of_keep_image(platform, &image, self.keep_memory);
                (platform.as_str(), values.measurements().to_vec())
            })
            .filter(|(_, digests): &(_, Vec<Vec<u8>>)| !digests.is_empty())
            .collect();
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
        Ok(Status::SUCCESS)
    }
}
