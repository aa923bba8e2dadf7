//! A Keep's output on its way to the terminal.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use aws_lc_rs::digest;
use clap::Args;
use enarx_owner_deployer::{SessionEvent, application::to_pem};
use enarx_wire_provision::{Cause, Ending, Output};
use serde_json::{Value, json};

use crate::console::Console;

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkFormat {
    /// As the program wrote it, to standard output and standard error.
    Raw,
    /// A line of JSON for each piece, to standard output.
    Json,
}

/// Writes a Keep's output.
#[derive(Debug, Clone)]
pub struct Sink {
    format: SinkFormat,
    /// Where the Keep's certificate is to be kept.
    certificate: Option<PathBuf>,
}

/// What becomes of what the Keep itself says.
#[derive(Debug, Args)]
pub struct SinkArguments {
    /// Write the certificate that the Keep issues to itself into this file, in PEM
    ///
    /// It comes through the encrypted session, so that clients can trust it: `curl --cacert`.
    #[arg(long, value_name = "FILE")]
    save_certificate: Option<PathBuf>,
}

impl SinkArguments {
    /// The sink of this format.
    pub fn sink(self, format: SinkFormat) -> Sink {
        Sink {
            format,
            certificate: self.save_certificate,
        }
    }
}

impl Sink {
    /// Writes one piece; gives the ending when this was it.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn output(&mut self, console: &Console, output: Output) -> io::Result<Option<Ending>> {
        if let (Output::Certificate(der), Some(path)) = (&output, &self.certificate) {
            std::fs::write(path, to_pem(der))?;
        }
        if self.format == SinkFormat::Json {
            console.print_json_line(&as_json(&output))?;
            return Ok(ending(output));
        }
        match &output {
            Output::Stdout(bytes) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()?;
            }
            Output::Stderr(bytes) => io::stderr().lock().write_all(bytes)?,
            Output::Log(text) => console.note(format_args!("keep: {text}")),
            Output::Certificate(der) => {
                console.note(format_args!(
                    "keep: it has issued itself a certificate, SHA-256 {}",
                    sha256(der)
                ));
            }
            Output::End(ending) => say(console, ending),
        }
        Ok(ending(output))
    }
}

impl Sink {
    /// Says that output is missing.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn lost(&mut self, console: &Console, lost: &SessionEvent) -> io::Result<()> {
        if self.format == SinkFormat::Json {
            console.print_json_line(&json!({ "event": "lost", "detail": lost.to_string() }))?;
        }
        console.warn(lost);
        Ok(())
    }
}

/// Says how a program ended that did not end by itself.
pub fn say(console: &Console, ending: &Ending) {
    let what = match ending.cause {
        Cause::Exited => return,
        Cause::Trapped => "the program trapped",
        Cause::Limit => "the program went over a limit",
        Cause::Refused => "the Keep could not start the program",
        Cause::Stopped => {
            console.note("the program was stopped, and its Keep has ended");
            return;
        }
        Cause::Failed => "the Keep failed",
    };
    console.error(format_args!("{what}: {}", ending.message));
}

fn ending(output: Output) -> Option<Ending> {
    match output {
        Output::End(ending) => Some(ending),
        _ => None,
    }
}

fn as_json(output: &Output) -> Value {
    match output {
        Output::Stdout(bytes) => piece("stdout", bytes),
        Output::Stderr(bytes) => piece("stderr", bytes),
        Output::Log(text) => json!({ "event": "log", "text": text }),
        Output::Certificate(der) => json!({
            "event": "certificate",
            "sha256": sha256(der),
            "pem": to_pem(der),
        }),
        Output::End(ending) => json!({
            "event": "ended",
            "cause": ending.cause,
            "status": ending.status,
            "message": ending.message,
        }),
    }
}

/// The fingerprint that other programs show of a certificate.
fn sha256(der: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, der))
}

/// Bytes as text where they are text, and else in hexadecimal, so that nothing is lost.
fn piece(event: &str, bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!({ "event": event, "text": text }),
        Err(_) => json!({ "event": event, "hex": hex::encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_json() {
        assert_eq!(piece("stdout", b"a\n")["text"], "a\n");
        assert_eq!(piece("stdout", b"\xff\0")["hex"], "ff00");
    }
}
