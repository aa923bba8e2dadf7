//! `enarx platform selftest`: one backend, step by step, for real.

mod keep;
mod programs;

use anstyle::{AnsiColor, Style};
use clap::Args;
use enarx_host_launcher::{BackendProbe, probes};
use enarx_wire_launch::Platform;
use serde::Serialize;

use crate::{
    commands::block_on,
    console::{Console, Level, LogFormat},
    exit::Status,
    failure::Advice,
    fetching::FetchArguments,
    local_host,
};

/// Try all of a backend, step by step
///
/// First what the machine has, then Keeps: one is started, proves what it is, and runs a
/// program; others use memory, clocks and random numbers, and trap. Whatever can be tried is
/// tried; each step passes, fails, or is skipped, and says why and what to do.
///
/// With --simulate a simulator stands in for the machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx platform selftest sgx
  enarx platform selftest sgx --fetch --json
  enarx platform selftest sgx --simulate
  enarx platform selftest tdx --simulate
  enarx platform selftest kvm")]
pub struct Arguments {
    /// The backend
    #[arg(value_name = "BACKEND")]
    backend: Platform,

    /// Use the backend's simulator instead of the machine
    #[arg(short, long)]
    simulate: bool,

    #[command(flatten)]
    fetch: FetchArguments,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// One step, and what came of it.
#[derive(Debug, Serialize)]
pub struct Step {
    name: String,
    outcome: Outcome,
    detail: String,
    /// What to do; absent unless something should be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Step {
    fn passed(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            outcome: Outcome::Passed,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn failed(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            outcome: Outcome::Failed,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn skipped(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            outcome: Outcome::Skipped,
            detail: detail.into(),
            remedy: None,
        }
    }
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        let found = probes();
        let probe = found
            .iter()
            .find(|probe| probe.backend == self.backend.as_str())
            .ok_or_else(|| Advice::error("there is no such backend", "see `enarx platform`"))?;
        if self.simulate && !local_host::can_simulate(self.backend) {
            return Err(Advice::error(
                format!(
                    "this version cannot simulate the backend `{}`",
                    self.backend
                ),
                "leave --simulate out, or take `sgx`, `snp`, `tdx`, `kvm` or `process`",
            ));
        }
        let mut steps = Vec::new();
        let mut say = |step: Step| {
            if !self.json {
                show(console, &step)?;
            }
            steps.push(step);
            anyhow::Ok(())
        };
        if !self.json {
            console.print(format_args!("{}: {}", self.backend, probe.hardware_proof))?;
        }
        let ready = self.machine(probe, &mut say)?;
        if ready {
            block_on(keep::try_all(&self, console, &mut say))?;
        } else {
            for name in keep::names() {
                say(Step::skipped(name, "the machine lacks what it takes"))?;
            }
        }
        let count = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
        let failed = count(Outcome::Failed);
        if self.json {
            console.print_json(&serde_json::json!({
                "backend": self.backend.as_str(),
                "simulated": self.simulate,
                "passed": failed == 0,
                "hardware_proof": probe.hardware_proof,
                "steps": steps,
            }))?;
        } else {
            console.print(format_args!(
                "\n{} passed, {failed} failed, {} skipped",
                count(Outcome::Passed),
                count(Outcome::Skipped)
            ))?;
        }
        Ok(if failed == 0 {
            Status::SUCCESS
        } else {
            Status::SELFTEST
        })
    }

    /// What the machine has. Whether that suffices for a Keep.
    fn machine(
        &self,
        probe: &BackendProbe,
        say: &mut impl FnMut(Step) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        for check in &probe.checks {
            // The simulator is part of the version, not of the machine.
            let is_simulated = self.simulate && check.name != "in this version";
            say(if is_simulated {
                Step::skipped(check.name, "the simulator stands in for it")
            } else if check.found {
                Step::passed(check.name, &check.detail)
            } else if check.required {
                Step::failed(check.name, &check.detail, check.remedy)
            } else {
                Step::skipped(check.name, format!("{}; {}", check.detail, check.remedy))
            })?;
        }
        Ok(self.simulate || probe.works)
    }
}

fn show(console: &Console, step: &Step) -> std::io::Result<()> {
    let (word, color) = match step.outcome {
        Outcome::Passed => ("pass", AnsiColor::Green),
        Outcome::Failed => ("FAIL", AnsiColor::Red),
        Outcome::Skipped => ("skip", AnsiColor::Yellow),
    };
    let style = Style::new().fg_color(Some(color.into()));
    console.print(format_args!(
        "  {style}{word}{style:#} {:<28} {}",
        step.name, step.detail
    ))?;
    if let Some(remedy) = &step.remedy {
        console.print(format_args!("       {remedy}"))?;
    }
    Ok(())
}
