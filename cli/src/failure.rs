//! Errors for people: what was wrong, why, and what to do about it.

mod remedy;

use std::{fmt, process::ExitCode};

use anstyle::{AnsiColor, Style};

use crate::{console::printable, exit::Status};

pub use remedy::remedy;

/// What was wrong, with what to do about it. A context for any other error, or an
/// error of its own.
#[derive(Debug)]
pub struct Advice {
    what: String,
    help: String,
}

impl Advice {
    /// What was wrong, and what to do about it.
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
        }
    }

    /// An error with its remedy.
    pub fn error(what: impl Into<String>, help: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self::new(what, help))
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for Advice {}

/// Adds a remedy to whatever failed.
pub trait WithAdvice<T> {
    /// Says that `what` failed, and that `help` may help.
    fn with_advice<W, H>(self, advice: impl FnOnce() -> (W, H)) -> anyhow::Result<T>
    where
        W: Into<String>,
        H: Into<String>;
}

impl<T, E: Into<anyhow::Error>> WithAdvice<T> for Result<T, E> {
    fn with_advice<W, H>(self, advice: impl FnOnce() -> (W, H)) -> anyhow::Result<T>
    where
        W: Into<String>,
        H: Into<String>,
    {
        self.map_err(|error| {
            let (what, help) = advice();
            error.into().context(Advice::new(what, help))
        })
    }
}

/// Writes `error` to standard error; gives the status to end with.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let status = Status::of_error(error);
    if status != Status::BROKEN_PIPE {
        anstream::eprintln!("{}", Report(error));
    }
    status.into()
}

/// Writes a wrong usage, or the help that was asked for; gives the status to end with.
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        Status::FAILED.into()
    } else {
        Status::SUCCESS.into()
    }
}

/// An error as it is shown.
struct Report<'a>(&'a anyhow::Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (error, cause, help) = (
            Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
            Style::new().bold(),
            Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
        );
        write!(
            formatter,
            "{error}error:{error:#} {}",
            Indented(&self.0.to_string())
        )?;
        let mut said = self.0.to_string();
        for next in self.0.chain().skip(1).map(ToString::to_string) {
            // Transparent errors repeat what they wrap.
            if !said.contains(&next) {
                write!(formatter, "\n  {cause}cause:{cause:#} {}", Indented(&next))?;
                said = next;
            }
        }
        // What failed in the end tells more than the step in which it did.
        let known = self.0.chain().find_map(remedy);
        let advised = || self.0.downcast_ref().map(|advice: &Advice| &*advice.help);
        if let Some(text) = known.or_else(advised) {
            write!(formatter, "\n  {help}help:{help:#} {}", Indented(text))?;
        }
        Ok(())
    }
}

/// Text whose lines after the first are indented.
struct Indented<'a>(&'a str);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A host has its say in some errors, and could mean to confuse the terminal.
        for (index, line) in printable(self.0).lines().enumerate() {
            if index > 0 {
                formatter.write_str("\n  ")?;
            }
            formatter.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &anyhow::Error) -> String {
        anstream::adapter::strip_str(&Report(error).to_string()).to_string()
    }

    #[test]
    fn causes_and_help_follow_the_error() {
        let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = Err::<(), _>(missing)
            .with_advice(|| ("cannot read the policy", "write one"))
            .unwrap_err();
        assert_eq!(
            shown(&error),
            "error: cannot read the policy\n  cause: no such file\n  help: write one"
        );
        assert_eq!(
            shown(&Advice::error("wrong", "try\nagain")),
            "error: wrong\n  help: try\n  again"
        );
    }

    #[test]
    fn an_advice_below_another_context_is_found() {
        let error = Advice::error("inner", "remedy").context("outer");
        assert_eq!(
            shown(&error),
            "error: outer\n  cause: inner\n  help: remedy"
        );
    }

    #[test]
    fn the_cause_knows_the_remedy_better_than_the_step() {
        use enarx_owner_deployer::{AttestError, HostError};

        let refused = AttestError::Host(HostError::Unreachable("nobody is there".to_owned()));
        let error = Err::<(), _>(refused)
            .with_advice(|| ("no Keep was started", "something general"))
            .unwrap_err();
        let shown = shown(&error);
        assert!(
            shown.ends_with("help: check the address, and that `enarx host serve` runs there"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_is_said_twice() {
        let error = anyhow::anyhow!("x: no such file").context("cannot load x: no such file");
        assert_eq!(shown(&error), "error: cannot load x: no such file");
    }
}
