//! `enarx platform`: what this machine can run.

use anstyle::{AnsiColor, Style};
use clap::Args;
use enarx_host_launcher::{BackendProbe, probes};

use crate::{
    console::{Console, Table},
    exit::Status,
};

/// Show which Keeps this machine can run, and what is missing for the others
///
/// For each backend it says whether it works here, what its Keeps prove themselves with,
/// and whether it has ever run on the hardware that it is for. For what is missing it
/// says the remedy. The exit status is 0 whatever is found.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx platform
  enarx platform --json")]
pub struct Arguments {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        let probes = probes();
        if self.json {
            console.print_json(&probes)?;
            return Ok(Status::SUCCESS);
        }
        let mut table = Table::new(["BACKEND", "WORKS", "EVIDENCE", "STATE OF PROOF"]);
        for probe in &probes {
            table.row([
                probe.backend.to_owned(),
                if probe.works { "yes" } else { "no" }.to_owned(),
                probe.evidence.to_owned(),
                probe.hardware_proof.to_owned(),
            ]);
        }
        console.print_table(&table)?;
        for probe in &probes {
            explain(console, probe)?;
        }
        Ok(Status::SUCCESS)
    }
}

/// Says what was not found, and what to do about it.
fn explain(console: &Console, probe: &BackendProbe) -> std::io::Result<()> {
    let bold = Style::new().bold();
    let mut missing = probe.checks.iter().filter(|check| !check.found).peekable();
    if missing.peek().is_none() {
        return Ok(());
    }
    console.print(format_args!("\n{bold}{}{bold:#}", probe.backend))?;
    for check in missing {
        let (word, color) = if check.required {
            ("missing", AnsiColor::Red)
        } else {
            ("without", AnsiColor::Yellow)
        };
        let style = Style::new().fg_color(Some(color.into()));
        console.print(format_args!(
            "  {style}{word}{style:#} {}: {}",
            check.name, check.detail
        ))?;
        console.print(format_args!("          {}", check.remedy))?;
    }
    Ok(())
}
