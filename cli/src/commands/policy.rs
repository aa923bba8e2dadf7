//! `enarx policy`: what an owner demands of a Keep.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use enarx_owner_appraisal::{Policy, Profile};

use crate::{console::Console, exit::Status, failure::WithAdvice as _};

/// Show the built-in policies, or check one of yours
///
/// A policy is a TOML file that says which Keeps may have your application; docs/policy.md
/// explains its keys. Without --policy, `run` and `deploy` use the policy `standard`, which
/// demands genuine evidence; when --simulate or a backend without a TEE is named,
/// `simulation`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Check(Check),
    Explain(Explain),
    /// Write the JSON schema of policies to standard output
    #[command(after_help = "\
Example:
  enarx policy schema > policy.schema.json")]
    Schema,
}

/// Write a built-in policy to standard output, to start one's own from
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx policy show standard > policy.toml")]
struct Show {
    /// The policy: strict, standard or simulation
    #[arg(value_name = "NAME", default_value = "standard")]
    profile: Profile,
}

/// Check a policy file
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  enarx policy check policy.toml")]
struct Check {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Say in sentences what a policy demands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx policy explain strict
  enarx policy explain policy.toml")]
struct Explain {
    /// The policy: strict, standard, simulation or a file
    #[arg(value_name = "POLICY", default_value = "standard")]
    policy: PathBuf,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self.command {
            Command::Show(Show { profile }) => {
                console.print(profile.toml().trim_end())?;
            }
            Command::Check(Check { file }) => {
                let policy = read(&file)?;
                let simulation = match policy.simulation {
                    enarx_owner_appraisal::Permission::Allow => {
                        "accepts simulated evidence: protects nothing there"
                    }
                    enarx_owner_appraisal::Permission::Deny => "demands genuine evidence",
                };
                console.print(format_args!("{}: {simulation}", file.display()))?;
            }
            Command::Explain(Explain { policy }) => {
                for sentence in named_or_read(&policy)?.explain() {
                    console.print(sentence)?;
                }
            }
            Command::Schema => {
                console.print(format_args!("{:#}", Policy::schema()))?;
            }
        }
        Ok(Status::SUCCESS)
    }
}

/// The built-in policy of this name, or the policy in the file of this name.
///
/// # Errors
///
/// As [`read`].
pub fn named_or_read(policy: &std::path::Path) -> anyhow::Result<Policy> {
    match policy.to_str().map(str::parse::<Profile>) {
        Some(Ok(profile)) => Ok(profile.policy()),
        _ => read(policy),
    }
}

/// Reads the policy in `file`.
///
/// # Errors
///
/// When it cannot be read, or is not right; with the place.
pub fn read(file: &std::path::Path) -> anyhow::Result<Policy> {
    let text = std::fs::read_to_string(file).with_advice(|| {
        (
            format!("cannot read the policy {}", file.display()),
            "`enarx policy show > FILE` writes one to start from",
        )
    })?;
    Policy::from_toml(&text).with_advice(|| {
        (
            format!("the policy {} is not right", file.display()),
            "docs/policy.md explains every key; `enarx policy show` writes a policy that is right",
        )
    })
}
