//! Child processes, timed from before their start to after their end.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};

/// A child process that ended well.
pub struct Ended {
    /// From before its start to after its end.
    pub seconds: f64,
    /// What it wrote to its standard output.
    pub output: String,
}

/// Runs a command without input to its end.
///
/// # Errors
///
/// When it cannot be started, ends with another status than 0, or prints something
/// that is not text; with what it said on its standard error.
pub fn run(command: &mut Command) -> anyhow::Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null());
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "{name}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(Ended {
        seconds,
        output: String::from_utf8(output.stdout)
            .with_context(|| format!("{name} printed something that is not text"))?,
    })
}
