//! `enarx package inspect`.

use bytesize::ByteSize;
use enarx_wire_package::{EntryKind, Manifest};
use serde_json::{Value, json};

use super::PackageArguments;
use crate::{
    console::{Console, printable},
    exit::Status,
};

/// Show what a package holds, from its manifest
///
/// Only the manifest is read; `enarx package verify` reads and checks everything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  enarx package inspect hello.enarx --key hello.key")]
pub struct Arguments {
    #[command(flatten)]
    package: PackageArguments,

    /// Write JSON, with the values of variables too
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let reader = self.package.open(&console.without_progress())?;
        let digest = hex::encode(reader.manifest_digest());
        if self.json {
            console.print_json(&as_json(reader.manifest(), &digest))?;
        } else {
            show(console, reader.manifest(), &digest)?;
        }
        Ok(Status::SUCCESS)
    }
}

fn show(console: &Console, manifest: &Manifest, digest: &str) -> anyhow::Result<()> {
    // Whoever has the key may have written it, to confuse the terminal.
    let line = |name: &str, value: &dyn std::fmt::Display| {
        let value = printable(&value.to_string()).replace(['\n', '\t'], " ");
        console.print(format_args!("{name:<12} {value}"))
    };
    let list = |values: &mut dyn Iterator<Item = &str>| {
        let all: Vec<_> = values.collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(" ")
        }
    };
    line("application", &manifest.name)?;
    line("manifest", &digest)?;
    line("program", &hex::encode(manifest.workload.digest))?;
    line("kind", &kind(manifest))?;
    line(
        "arguments",
        &list(&mut manifest.args.iter().map(String::as_str)),
    )?;
    // Values may be secrets, and terminals have a history.
    let names = &mut manifest.env.iter().map(|(name, _)| name.as_str());
    line("variables", &list(names))?;
    let descriptors = &mut manifest
        .descriptors
        .iter()
        .map(|descriptor| descriptor.name.as_str());
    line("descriptors", &list(descriptors))?;
    if let Some(http) = &manifest.http {
        let endpoint = &http.endpoint;
        line(
            "serves",
            &format_args!("HTTP on {} port {}", endpoint.host, endpoint.port),
        )?;
    }
    for (what, rules) in [
        (
            "may reach",
            manifest.network.as_ref().map(|rules| &rules.connect),
        ),
        (
            "may listen",
            manifest.network.as_ref().map(|rules| &rules.listen),
        ),
    ] {
        for rule in rules.into_iter().flatten() {
            line(what, rule)?;
        }
    }
    if manifest.preview3 {
        line("may use", &"WASI 0.3, which is experimental")?;
    }
    if !manifest.config.is_empty() {
        let keys = &mut manifest.config.iter().map(|(key, _)| key.as_str());
        line("is told", &list(keys))?;
    }
    if let Some(bytes) = manifest.limits.memory_bytes {
        line("memory", &format_args!("at most {}", ByteSize(bytes)))?;
    }
    for (what, limit) in [
        ("time", manifest.limits.wall_milliseconds),
        ("processor", manifest.limits.processor_milliseconds),
    ] {
        if let Some(milliseconds) = limit {
            let time = std::time::Duration::from_millis(milliseconds);
            let time = humantime::format_duration(time);
            line(what, &format_args!("at most {time}"))?;
        }
    }
    if let Some(bytes) = manifest.limits.output_bytes {
        line(
            "output",
            &format_args!("at most {} a second", ByteSize(bytes)),
        )?;
    }
    line("contents", &ByteSize(manifest.content_size()))?;
    for entry in &manifest.entries {
        let size = ByteSize(entry.size).to_string();
        let what = match entry.kind {
            EntryKind::Artifact => "compiled program",
            EntryKind::Wasm => "program",
            EntryKind::File => "file",
            EntryKind::TlsCertificates => "certificate chain",
            EntryKind::TlsKey => "private key",
            EntryKind::TlsAuthorities => "authorities of servers",
            EntryKind::TlsClientAuthorities => "authorities of clients",
        };
        let path = printable(&entry.path).replace(['\n', '\t'], " ");
        console.print(format_args!("  {size:>10}  {what}  {path}"))?;
    }
    Ok(())
}

fn as_json(manifest: &Manifest, digest: &str) -> Value {
    let entries: Vec<_> = manifest
        .entries
        .iter()
        .map(|entry| {
            json!({
                "path": entry.path,
                "kind": entry.kind,
                "size": entry.size,
                "digest": entry.digest.map(hex::encode),
            })
        })
        .collect();
    let env: Vec<_> = manifest
        .env
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({
        "name": manifest.name,
        "manifest_digest": digest,
        "workload": {
            "kind": manifest.workload.kind,
            "digest": hex::encode(manifest.workload.digest),
        },
        "args": manifest.args,
        "env": env,
        "descriptors": manifest.descriptors,
        "tls": manifest.tls,
        "network": manifest.network,
        "http": manifest.http,
        "preview3": manifest.preview3,
        "config": manifest.config.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        "limits": manifest.limits,
        "target": manifest.target.map(hex::encode),
        "entries": entries,
    })
}

fn kind(manifest: &Manifest) -> &'static str {
    use enarx_wire_package::WorkloadKind;
    match manifest.workload.kind {
        WorkloadKind::Module => "core module",
        WorkloadKind::Component => "component",
    }
}
