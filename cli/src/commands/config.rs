//! `enarx config`: an application's `Enarx.toml`.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use enarx_owner_compiler::Program;
use enarx_owner_deployer::application::{
    Application, CONFIGURATION_FILE_NAME, Configuration, LoadOptions,
};
use enarx_wire_package::{Descriptor, DescriptorKind, EntryKind, Protocol};

use crate::{
    console::{Console, counted},
    exit::Status,
    failure::Advice,
};

/// Write or check an application's Enarx.toml
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(Init),
    Check(Check),
    /// Write the JSON schema of Enarx.toml to standard output
    #[command(after_help = "\
Example:
  enarx config schema > enarx.schema.json")]
    Schema,
}

/// Write an Enarx.toml with every key explained
///
/// All keys are commented out, so that it changes nothing until it is edited.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx config init            in this folder
  enarx config init shop       in the folder shop")]
struct Init {
    /// The application's folder; it is created if it does not exist
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// Replace an Enarx.toml that is there
    #[arg(short, long)]
    force: bool,
}

/// Check a folder's Enarx.toml, its program and its data files
///
/// Loads the application like `run` would, and says what would be run.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx config check examples/hello")]
struct Check {
    /// The application's folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Init(init) => init.run(console),
            Command::Check(check) => check.run(console),
            Command::Schema => {
                console.print(format_args!("{:#}", Configuration::schema()))?;
                Ok(Status::SUCCESS)
            }
        }
    }
}

impl Init {
    fn run(self, console: &Console) -> anyhow::Result<Status> {
        let path = self.folder.join(CONFIGURATION_FILE_NAME);
        let written = std::fs::create_dir_all(&self.folder).and_then(|()| {
            OpenOptions::new()
                .write(true)
                .truncate(self.force)
                .create(self.force)
                .create_new(!self.force)
                .open(&path)?
                .write_all(TEMPLATE.as_bytes())
        });
        match written {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Advice::error(
                format!("{} is there already", path.display()),
                "edit it, or replace it with --force",
            )),
            other => {
                other.with_context(|| format!("cannot write {}", path.display()))?;
                console.note(format_args!("{} written", path.display()));
                Ok(Status::SUCCESS)
            }
        }
    }
}

impl Check {
    fn run(self, console: &Console) -> anyhow::Result<Status> {
        let application = Application::load(&self.folder, LoadOptions::default())?;
        let wasm = application.program.bytes()?;
        let program = Program::new(&*wasm)
            .with_context(|| format!("the program {} cannot be run", application.args[0]))?;
        console.print(format_args!("application  {}", application.name))?;
        console.print(format_args!(
            "program      {} ({}, {})",
            application.args[0],
            super::program_kind(program.kind()),
            ByteSize(program.wasm().len() as u64)
        ))?;
        let files = (application.files.iter()).filter(|file| file.kind == EntryKind::File);
        console.print(format_args!(
            "data         {}, {}",
            counted(files.count(), "file", "files"),
            ByteSize(application.data_bytes())
        ))?;
        let sockets = application.descriptors.iter().filter_map(socket);
        for line in sockets.chain(network(&application)) {
            console.print(format_args!("{line}"))?;
        }
        let notices = application
            .check_program()
            .with_context(|| format!("the program {} cannot be run", application.args[0]))?;
        for notice in notices {
            console.note(notice);
        }
        Ok(Status::SUCCESS)
    }
}

/// What a program does on the network through a descriptor.
fn socket(descriptor: &Descriptor) -> Option<String> {
    let (action, endpoint) = match &descriptor.kind {
        DescriptorKind::Listen(endpoint) => ("listens", endpoint),
        DescriptorKind::Connect(endpoint) => ("connects", endpoint),
        _ => return None,
    };
    let protection = protection(endpoint.protocol);
    Some(format!(
        "{action:12} {}: {} port {}, {protection}",
        descriptor.name, endpoint.host, endpoint.port
    ))
}

/// What a component does on the network, and what it is told.
fn network(application: &Application) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(http) = &application.http {
        let (host, port) = (&http.endpoint.host, http.endpoint.port);
        let protection = protection(http.endpoint.protocol);
        lines.push(format!(
            "serves       HTTP: {host} port {port}, {protection}"
        ));
    }
    for rule in application.network.iter().flat_map(|rules| &rules.connect) {
        lines.push(format!("may reach    {rule}"));
    }
    for rule in application.network.iter().flat_map(|rules| &rules.listen) {
        lines.push(format!("may listen   {rule}"));
    }
    if !application.config.is_empty() {
        // Values may be secrets, and terminals have a history.
        let keys: Vec<_> = application
            .config
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        lines.push(format!("is told      {}", keys.join(" ")));
    }
    lines
}

const fn protection(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tls => "TLS",
        Protocol::Tcp => "in plaintext, for the host to read and alter",
    }
}

const TEMPLATE: &str = include_str!("config/Enarx.toml");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_template_changes_nothing_and_each_of_its_lines_is_right() {
        let parse = |text: &str| {
            Configuration::parse(Path::new("Enarx.toml"), text)
                .unwrap_or_else(|error| panic!("{error}"))
        };
        assert_eq!(parse(TEMPLATE), Configuration::default());
        // Explanations begin with "# ", keys that are commented out with "#".
        let keys: String = TEMPLATE
            .lines()
            .filter(|line| !line.starts_with("# "))
            .map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line)))
            .collect();
        let configuration = parse(&keys);
        assert!(configuration.descriptors.is_some() && configuration.name.is_some());
        assert!(!configuration.args.is_empty() && !configuration.env.is_empty());
        assert!(!configuration.mounts.is_empty() && configuration.module.is_some());
        assert!(configuration.limits.memory_bytes.is_some());
        assert!(configuration.tls.is_some());
        assert!(configuration.limits.wall_milliseconds.is_some());
        assert!(configuration.limits.processor_milliseconds.is_some());
        assert!(configuration.limits.output_bytes.is_some());
        assert!(configuration.network.is_some() && configuration.http.is_some());
        assert!(configuration.preview3);
        assert!(!configuration.config.is_empty() && !configuration.secrets.is_empty());
    }
}
