//! Commands whose module waits for its standard input.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::modules;

/// A command that runs [`modules::waiting`], which has printed its line.
pub struct Waiting {
    child: Child,
    /// Open, so that the module may write.
    _output: BufReader<ChildStdout>,
}

impl Waiting {
    /// Starts `command`, and waits until its module waits.
    ///
    /// # Errors
    ///
    /// When it does not start, or prints something else.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a command")?;
        let output = child.stdout.take().context("the output was not a pipe")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let waiting = Self {
            child,
            _output: output,
        };
        if line == modules::OUTPUT {
            return Ok(waiting);
        }
        waiting.end()?;
        anyhow::bail!("the module printed {line:?}");
    }

    /// The command's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it end.
    ///
    /// # Errors
    ///
    /// When it failed.
    pub fn end(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let ended = self.child.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}: {}", ended.status, said.trim());
        Ok(())
    }
}
