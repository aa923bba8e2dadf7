//! `enarx attest`: stage one of a deployment alone.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use clap::Args;
use enarx_owner_appraisal::Level;
use enarx_owner_deployer::{Expectations, HostConnection, Observer, Progress, attest};
use enarx_wire_host_api::{Endorsement, EndorsementKind};

use super::block_on;
use crate::{
    arguments::HostAccessArguments,
    console::{Console, Level as LogLevel, LogFormat},
    deployment::{KeepArguments, Needs, explain_attestation, now},
    exit::Status,
    local_host::keep_image,
};

/// Have a host prove what its Keeps are, and send nothing
///
/// The host starts an empty Keep, your policy is applied to the evidence of it, the
/// verdict is printed, and the Keep is ended again. With --save the evidence is kept, also
/// when it is rejected: `enarx verify` reads it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx attest --to local --simulate
  enarx attest --to https://host.example:7363 --policy policy.toml --save evidence/
  enarx verify evidence/*")]
pub struct Arguments {
    /// The host's address, or `local` for a host inside this command
    #[arg(short, long, value_name = "URL", help_heading = "Host")]
    to: String,

    #[command(flatten)]
    access: HostAccessArguments,

    #[command(flatten)]
    keep: KeepArguments,

    /// Keep the evidence and its endorsements as files in this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,

    /// Write the verdict as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(mut self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(LogLevel::Error, LogFormat::Text);
        let local = self.to == "local";
        self.keep.remote = !local;
        block_on(async {
            let host: Box<dyn HostConnection> = if local {
                self.keep.local_host(console, &Needs::default())?
            } else {
                Box::new(self.access.connect(&self.to, console)?)
            };
            self.attest(&*host, console).await
        })
    }

    async fn attest(&self, host: &dyn HostConnection, console: &Console) -> anyhow::Result<Status> {
        let policy = self.keep.policy()?;
        let request = self.keep.request(host, &policy, &Needs::default()).await?;
        let collector = self.keep.fetch.collector()?;
        let expectations = Expectations {
            policy: &policy,
            image: keep_image(),
            collector: collector.as_ref(),
            now: now(),
            suite: None,
        };
        let witness = Witness {
            console: *console,
            json: self.json,
            offered: Mutex::default(),
        };
        let attested = attest(host, &request, &expectations, &witness).await;
        if let (Some(folder), Some(files)) = (&self.save, witness.files()) {
            save(folder, &files)?;
        }
        let attested = attested.map_err(|error| explain_attestation(error, &request.backend))?;
        host.stop(attested.keep())
            .await
            .context("the host did not end the Keep")?;
        if attested.accepted().verdict().level() == Level::Simulated {
            console.warn("the evidence is simulated: nothing protects such a Keep from its host");
        }
        Ok(Status::SUCCESS)
    }
}

/// A file's name with its contents.
type Named = (String, Vec<u8>);

/// Prints the verdict, and remembers the evidence.
struct Witness {
    console: Console,
    json: bool,
    offered: Mutex<Option<Vec<Named>>>,
}

impl Witness {
    fn files(&self) -> Option<Vec<Named>> {
        self.offered.lock().ok()?.take()
    }
}

impl Observer for Witness {
    fn progress(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Offered {
                evidence,
                endorsements,
            } => {
                let files = files(evidence, endorsements);
                if let Ok(mut offered) = self.offered.lock() {
                    *offered = Some(files);
                }
            }
            Progress::Appraised(verdict) => {
                // A reader that has gone away will be noticed by what comes next.
                let _ = if self.json {
                    self.console.print_json(verdict)
                } else {
                    self.console.print(verdict)
                };
            }
            _ => {}
        }
    }
}

/// Evidence and endorsements under names by which people know them; `enarx verify` knows
/// them by their contents.
fn files(evidence: &[u8], endorsements: &[Endorsement]) -> Vec<Named> {
    let mut files = Vec::new();
    for endorsement in endorsements {
        let name = match endorsement.kind {
            EndorsementKind::SnpVcek => "vcek.der",
            EndorsementKind::SnpAsk => "ask.der",
            EndorsementKind::SnpArk => "ark.der",
            EndorsementKind::SnpCertificateTable => "certificates.bin",
            EndorsementKind::DcapRoot => "root.der",
            EndorsementKind::DcapTcbSigning => "tcb-signing.der",
            EndorsementKind::DcapTcbInfo => "tcb-info.json",
            EndorsementKind::DcapQeIdentity => "qe-identity.json",
            EndorsementKind::DcapRootRevocations => "root-revocations.der",
            EndorsementKind::DcapPckRevocations => "pck-revocations.der",
            EndorsementKind::Unrecognized => continue,
        };
        files.push((name.to_owned(), endorsement.bytes.clone()));
    }
    let mut kinds = endorsements.iter().map(|endorsement| endorsement.kind);
    let name = if kinds.any(|kind| kind == EndorsementKind::DcapTcbInfo) {
        "quote.bin"
    } else {
        "report.bin"
    };
    files.push((name.to_owned(), evidence.to_vec()));
    files
}

fn save(folder: &Path, files: &[Named]) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, contents) in files {
        let path = folder.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
