//! `enarx package verify`.

use anyhow::Context as _;
use bytesize::ByteSize;
use enarx_owner_compiler::Program;
use enarx_wire_package::EntryKind;

use super::{PackageArguments, entries, explain};
use crate::{console::Console, exit::Status, failure::Advice};

/// Read a package from its start to its end and check everything
///
/// Finds anything that was changed, cut, repeated or left out, and a program that is not
/// the one that the manifest names. The exit status is 0 only when all is right.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  enarx package verify hello.enarx --key hello.key")]
pub struct Arguments {
    #[command(flatten)]
    package: PackageArguments,

    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let path = &self.package.package;
        let mut reader = self.package.open(console)?;
        while let Some(entry) = reader.next_entry() {
            if entry.kind == EntryKind::File || entry.kind.is_for_tls() {
                reader.copy_entry(&mut std::io::sink())
            } else {
                let is_wasm = entry.kind == EntryKind::Wasm;
                let expected = reader.manifest().workload.digest;
                let mut program = Vec::new();
                let copied = reader.copy_entry(&mut program);
                if copied.is_ok() && is_wasm {
                    check_program(&program, &expected)
                        .with_context(|| format!("the package {} is wrong", path.display()))?;
                }
                copied
            }
            .map_err(|error| explain(error, path))?;
        }
        let digest = hex::encode(reader.manifest_digest());
        let manifest = reader.finish().map_err(|error| explain(error, path))?;
        if self.json {
            console.print_json(&serde_json::json!({
                "name": manifest.name,
                "manifest_digest": digest,
                "entries": manifest.entries.len(),
                "bytes": manifest.content_size(),
            }))?;
        } else {
            console.print(format_args!(
                "{}: complete and unaltered, {} in {}\nmanifest {digest}",
                path.display(),
                ByteSize(manifest.content_size()),
                entries(manifest.entries.len()),
            ))?;
        }
        Ok(Status::SUCCESS)
    }
}

fn check_program(program: &[u8], expected: &[u8; 48]) -> anyhow::Result<()> {
    let program = Program::new(program)?;
    if program.digest() == *expected {
        Ok(())
    } else {
        Err(Advice::error(
            "its program is not the one that its manifest names",
            "build the package again",
        ))
    }
}
