//! `enarx package build`.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bytesize::ByteSize;
use enarx_owner_compiler::{Program, ProgramKind};
use enarx_owner_deployer::{
    SystemRandom,
    application::{Application, ApplicationError, KeyFileError, read_key_file, write_key_file},
};
use enarx_wire_package::{
    ContentKey, Entry, EntryKind, Manifest, PackageWriter, Workload, WorkloadKind, read_ahead,
    sealed_size,
};

use super::entries;
use crate::{
    arguments::GivenArguments,
    console::Console,
    exit::Status,
    failure::{Advice, WithAdvice as _},
    progress,
};

/// Encrypt an application with its data into a package
///
/// The data files are encrypted while they are read, so that a package of any size needs
/// little memory. The package holds the WebAssembly program itself; it is compiled when
/// the package is deployed, for the platform that it is deployed to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  enarx package build examples/hello -o hello.enarx --key hello.key
  enarx package build app.wasm -m data:/data -o app.enarx --key app.key -- --serve")]
pub struct Arguments {
    /// The application: a .wasm or .wat file, or a folder
    #[arg(value_name = "APP")]
    application: PathBuf,

    /// The package to write
    #[arg(short, long, value_name = "PACKAGE")]
    output: PathBuf,

    /// The package's key file; a new key is written if there is no such file
    ///
    /// The file is readable by you alone. Whoever has it can read the package and derive
    /// its program's own keys, and without it nobody can. An existing key is used again, which is as safe as a new
    /// one: each package is encrypted under its own derivation of the key.
    #[arg(short, long, value_name = "FILE")]
    key: PathBuf,

    /// Replace a package that is there
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    given: GivenArguments,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        if self.output.exists() && !self.force {
            return Err(Advice::error(
                format!("{} is there already", self.output.display()),
                "choose another name, or replace it with --force",
            ));
        }
        if self.output == self.key {
            return Err(Advice::error(
                "the package and its key cannot be the same file",
                "give --output and --key different names",
            ));
        }
        let mut application = self.load()?;
        application.digest_data()?;
        let wasm = application.program.bytes()?;
        let program = Program::new(&*wasm)
            .with_context(|| format!("the program {} cannot be packaged", application.args[0]))?;
        let manifest = manifest(&application, &program);
        let (key, new) = key(&self.key)?;
        let written = self.write(console, &application, &program, &manifest, &key);
        if written.is_err() && new {
            // It opens nothing. What stood in the way of the package is said below.
            let _ = std::fs::remove_file(&self.key);
        }
        let size = written.with_advice(|| {
            (
                format!("cannot write the package {}", self.output.display()),
                "the folder must exist and have room; an application's files must not change \
                 meanwhile",
            )
        })?;
        if new {
            let key = self.key.display();
            console.note(format_args!("new key written to {key}; keep it safe"));
        }
        console.note(format_args!(
            "{} written: {} in {}",
            self.output.display(),
            ByteSize(size),
            entries(manifest.entries.len())
        ));
        Ok(Status::SUCCESS)
    }

    fn load(&self) -> anyhow::Result<Application> {
        Application::load(&self.application, self.given.load_options()).map_err(|error| match error
        {
            ApplicationError::KeyNeeded { .. } => Advice::error(
                format!("{} is a package already", self.application.display()),
                "build from the application's folder or program",
            ),
            other => other.into(),
        })
    }

    /// Writes the package under another name, and gives it its own when it is whole.
    fn write(
        &self,
        console: &Console,
        application: &Application,
        program: &Program<'_>,
        manifest: &Manifest,
        key: &ContentKey,
    ) -> anyhow::Result<u64> {
        let folder = match self.output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".enarx-package-")
            .tempfile_in(folder)?;
        let size = sealed_size(4 + manifest.encode()?.len() as u64 + manifest.content_size());
        let bar = progress::bytes(console, "Encrypting", size);
        let sink = BufWriter::with_capacity(1 << 18, bar.wrap_write(file.as_file()));
        let salt = SystemRandom::new().bytes();
        let mut writer = PackageWriter::new(sink, key, salt, manifest)?;
        writer.entry(program.wasm())?;
        let mut data = application.open_data();
        while let Some((file, bytes)) = data.next_file()? {
            writer.entry(read_ahead(bytes, file.size))?;
        }
        drop(writer.finish()?);
        bar.finish_and_clear();
        file.as_file().sync_all()?;
        if self.force {
            file.persist(&self.output)?;
        } else {
            // Somebody may have been faster.
            file.persist_noclobber(&self.output)?;
        }
        Ok(size)
    }
}

fn manifest(application: &Application, program: &Program<'_>) -> Manifest {
    let workload = Workload {
        kind: match program.kind() {
            ProgramKind::Module => WorkloadKind::Module,
            ProgramKind::Component => WorkloadKind::Component,
        },
        digest: program.digest(),
    };
    let entry = Entry {
        path: application.name.clone(),
        kind: EntryKind::Wasm,
        size: program.wasm().len() as u64,
        digest: Some(program.digest()),
    };
    application.manifest(workload, entry, None)
}

/// The key in the file `path`, or a new one in a new file, and whether it is new.
fn key(path: &Path) -> anyhow::Result<(ContentKey, bool)> {
    match read_key_file(path) {
        Err(KeyFileError::File { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = ContentKey::new(SystemRandom::new().bytes());
            write_key_file(path, &key).with_advice(|| {
                (
                    "cannot write the package's key",
                    "give --key a new file in a folder that exists",
                )
            })?;
            Ok((key, true))
        }
        other => {
            let key = other.with_advice(|| {
                (
                    "cannot use the package's key",
                    "give --key a key file of yours, or the name of a new one",
                )
            })?;
            Ok((key, false))
        }
    }
}
