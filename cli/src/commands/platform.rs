//! `enarx platform`: what this machine can run.

mod selftest;

use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use enarx_host_launcher::{BackendProbe, Probe, probes};

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
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  enarx platform
  enarx platform --json
  enarx platform selftest sgx"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Selftest(selftest::Arguments),
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        if let Some(Command::Selftest(selftest)) = self.command {
            return selftest.run(console);
        }
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
        explain(console, &probes)?;
        Ok(Status::SUCCESS)
    }
}

/// Something that backends need and was not found.
struct Missing<'a> {
    backends: Vec<&'a str>,
    check: &'a Probe,
    /// What was seen, if it is the same for all of them.
    detail: Option<&'a str>,
}

/// Says what was not found, and what to do about it: once, whichever backends need it.
fn explain(console: &Console, probes: &[BackendProbe]) -> std::io::Result<()> {
    let bold = Style::new().bold();
    let mut heading = String::new();
    for missing in missing(probes) {
        let backends = missing.backends.join(", ");
        if backends != heading {
            console.print(format_args!("\n{bold}{backends}{bold:#}"))?;
            heading = backends;
        }
        let (word, color) = if missing.check.required {
            ("missing", AnsiColor::Red)
        } else {
            ("without", AnsiColor::Yellow)
        };
        let style = Style::new().fg_color(Some(color.into()));
        let detail = missing.detail.map(|detail| format!(": {detail}"));
        console.print(format_args!(
            "  {style}{word}{style:#} {}{}",
            missing.check.name,
            detail.unwrap_or_default()
        ))?;
        console.print(format_args!("          {}", missing.check.remedy))?;
    }
    Ok(())
}

/// What was not found, in the order in which it was looked for first.
fn missing(probes: &[BackendProbe]) -> Vec<Missing<'_>> {
    let mut all: Vec<Missing<'_>> = Vec::new();
    for probe in probes {
        for check in probe.checks.iter().filter(|check| !check.found) {
            let same = all
                .iter_mut()
                .find(|other| (other.check.name, other.check.remedy) == (check.name, check.remedy));
            match same {
                Some(other) => {
                    other.backends.push(probe.backend);
                    other.detail = other.detail.filter(|detail| *detail == check.detail);
                }
                None => all.push(Missing {
                    backends: vec![probe.backend],
                    check,
                    detail: Some(&check.detail),
                }),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_backends_miss_is_said_once() {
        let check = |detail: &str, remedy| Probe {
            name: "device",
            found: false,
            required: true,
            detail: detail.to_owned(),
            remedy,
        };
        let backend = |backend, checks| BackendProbe {
            backend,
            works: false,
            evidence: "",
            hardware_proof: "",
            checks,
        };
        let probes = [
            backend("a", vec![check("x", "load it"), check("y", "buy it")]),
            backend("b", vec![check("x", "load it")]),
            backend("c", vec![check("z", "buy it")]),
        ];
        let missing = missing(&probes);
        let shown: Vec<_> = missing
            .iter()
            .map(|one| (one.backends.join(" "), one.check.remedy, one.detail))
            .collect();
        assert_eq!(
            shown,
            [
                ("a b".to_owned(), "load it", Some("x")),
                ("a c".to_owned(), "buy it", None),
            ]
        );
    }
}
