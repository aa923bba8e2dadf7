//! The command line as a whole.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{commands, console::Console, exit::Status};

/// Run WebAssembly applications in Keeps, on machines that you do not trust.
///
/// A Keep is an instance of a hardware Trusted Execution Environment (TEE). Enarx has
/// the host start an empty Keep, has the Keep prove what it is, and only then sends the
/// application and its data, encrypted so that this Keep alone can open them. The host
/// relays ciphertext, and what it alters is noticed.
///
/// This version has the backends `process` and `kvm`, which protect nothing from the host;
/// `sgx`, `snp` and `tdx`, simulated, which protect as little: their ways to hardware have
/// not run on any; and `cvm`, inside a confidential VM, which has not run in a real one.
#[derive(Debug, Parser)]
#[command(
    name = "enarx",
    version,
    max_term_width = 100,
    after_long_help = examples(),
    after_help = Status::help(),
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses this process's command line.
    ///
    /// # Errors
    ///
    /// A wrong usage, or help or the version that was asked for.
    pub fn of_this_process() -> Result<Self, clap::Error> {
        Self::quickly(std::env::args_os().collect())
    }

    /// To define all commands takes longer than many other parts of a small program's
    /// start, so `run` is parsed without the others.
    fn quickly(words: Vec<OsString>) -> Result<Self, clap::Error> {
        if words.get(1).is_none_or(|command| command != "run") {
            return Self::try_parse_from(words);
        }
        let RunAlone {
            global,
            command: RunCommand::Run(arguments),
        } = RunAlone::try_parse_from(words)?;
        Ok(Self {
            global,
            command: Command::Run(arguments),
        })
    }
}

/// [`Cli`] with one command.
#[derive(Parser)]
#[command(name = "enarx", version, max_term_width = 100)]
struct RunAlone {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: RunCommand,
}

#[derive(Subcommand)]
enum RunCommand {
    Run(commands::run::Arguments),
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Global {
    /// Say nothing but results, warnings and errors
    ///
    /// No progress, no stages, no notes. That evidence is simulated is said
    /// nevertheless.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Log more to standard error; repeat for even more
    ///
    /// Once for what happens, twice for details, three times for everything. The
    /// variable ENARX_LOG chooses by module instead, such as
    /// ENARX_LOG=enarx_host_agent=debug.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to use colors
    ///
    /// `auto` uses them on terminals, and heeds the variables NO_COLOR and
    /// CLICOLOR_FORCE.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(commands::run::Arguments),
    Deploy(commands::deploy::Arguments),
    Ps(commands::ps::Arguments),
    Logs(commands::logs::Arguments),
    Attach(commands::attach::Arguments),
    Stop(commands::stop::Arguments),
    Host(commands::host::Arguments),
    Platform(commands::platform::Arguments),
    Measure(commands::measure::Arguments),
    Key(commands::key::Arguments),
    Package(commands::package::Arguments),
    Config(commands::config::Arguments),
    Policy(commands::policy::Arguments),
    Attest(commands::attest::Arguments),
    Verify(commands::verify::Arguments),
    Collateral(commands::collateral::Arguments),
    Completions(commands::completions::Arguments),
    Man(commands::man::Arguments),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever stood in the way, for [`crate::failure::report`].
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        match self {
            Self::Run(arguments) => arguments.run(console),
            Self::Deploy(arguments) => arguments.run(console),
            Self::Ps(arguments) => arguments.run(console),
            Self::Logs(arguments) => arguments.run(console),
            Self::Attach(arguments) => arguments.run(console),
            Self::Stop(arguments) => arguments.run(console),
            Self::Host(arguments) => arguments.run(console),
            Self::Platform(arguments) => arguments.run(console),
            Self::Measure(arguments) => arguments.run(console),
            Self::Key(arguments) => arguments.run(console),
            Self::Package(arguments) => arguments.run(console),
            Self::Config(arguments) => arguments.run(console),
            Self::Policy(arguments) => arguments.run(console),
            Self::Attest(arguments) => arguments.run(console),
            Self::Verify(arguments) => arguments.run(console),
            Self::Collateral(arguments) => arguments.run(console),
            Self::Completions(arguments) => arguments.run(console),
            Self::Man(arguments) => arguments.run(console),
        }
    }
}

fn examples() -> String {
    format!(
        "Examples:\n  \
         enarx platform                                 what this machine can do\n  \
         enarx run --backend process examples/hello     try it out; protects nothing\n  \
         enarx deploy app.wasm --to https://host:7363   into a Keep on another machine\n\n{}",
        Status::help()
    )
}

#[cfg(test)]
mod tests;
