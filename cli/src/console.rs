//! What is written to the terminal: results to standard output, everything else to
//! standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::cli::{ColorChoice, Global};

/// How much is said, and how.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    quiet: bool,
    verbose: u8,
}

impl Console {
    /// Sets the terminal up as the command line says.
    pub fn new(global: &Global) -> Self {
        let color = match global.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        color.write_global();
        Self {
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Writes a line of the result to standard output.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn print(&self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(anstream::stdout().lock(), "{line}")
    }

    /// Writes `value` as JSON to standard output: indented, for one result.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn print_json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut output = io::stdout().lock();
        serde_json::to_writer_pretty(&mut output, value)?;
        writeln!(output)
    }

    /// Writes `value` as one line of JSON to standard output, for a series of events.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn print_json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, value)?;
        writeln!(output)?;
        output.flush()
    }

    /// Writes a table to standard output.
    ///
    /// # Errors
    ///
    /// Standard output's own.
    pub fn print_table(&self, table: &Table) -> io::Result<()> {
        write!(anstream::stdout().lock(), "{table}")
    }

    /// Says what is being done, unless `--quiet`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            anstream::eprintln!("{}", printable(&text.to_string()));
        }
    }

    /// Says, with the stage's name in front, what is being done, unless `--quiet`.
    pub fn stage(&self, stage: &str, text: impl std::fmt::Display) {
        if !self.quiet {
            self.insist(stage, text);
        }
    }

    /// Says, with the stage's name in front, why it goes no further, even with `--quiet`.
    pub fn insist(&self, stage: &str, text: impl std::fmt::Display) {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Green.into()));
        let text = printable(&text.to_string()).replace('\n', "\n          ");
        anstream::eprintln!("{style}{stage:>9}{style:#} {text}");
    }

    /// Warns, even with `--quiet`.
    pub fn warn(&self, text: impl std::fmt::Display) {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        let text = printable(&text.to_string());
        anstream::eprintln!("{style}warning:{style:#} {text}");
    }

    /// Says what went wrong, even with `--quiet`.
    pub fn error(&self, text: impl std::fmt::Display) {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let text = printable(&text.to_string());
        anstream::eprintln!("{style}error:{style:#} {text}");
    }

    /// Whether progress bars may be drawn.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// The same console without progress and notes.
    #[must_use]
    pub fn without_progress(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// Sends the log to standard error: at `default` and above, more with each
    /// `--verbose`, or what the variable `ENARX_LOG` says.
    pub fn start_log(&self, default: Level, format: LogFormat) {
        let level = match (default, self.verbose) {
            (Level::Error, 0) => "error",
            (Level::Error, 1) | (Level::Info, 0) => "info",
            (Level::Error, 2) | (Level::Info, 1) => "debug",
            _ => "trace",
        };
        let filter = EnvFilter::try_from_env("ENARX_LOG")
            .unwrap_or_else(|_| EnvFilter::new(format!("error,enarx={level}")));
        let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(ansi);
        // Only a second call could fail, and the first one counts.
        let _ = match format {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
    }
}

/// Rows of cells under headings, each column as wide as its widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows yet.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned).into()],
        }
    }

    /// Adds a row. Cells may hold what a host says, which could be meant to confuse the
    /// terminal: control characters are replaced.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| printable(&cell).replace(['\n', '\t'], " "));
        self.rows.push(cells.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `text` with control characters replaced, for what others than the owner wrote.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            other if other.is_control() => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect()
}

/// How many there are, in words that agree with the number.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

/// From which level on something is logged without `--verbose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What went wrong; what matters to the user is said in other ways.
    Error,
    /// What happens.
    Info,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let mut table = Table::new(["A", "BCD"]);
        table.row(["long cell".to_owned(), "x\u{1b}[31m".to_owned()]);
        table.row(["é".to_owned(), String::new()]);
        assert_eq!(
            table.to_string(),
            "A          BCD\nlong cell  x\u{fffd}[31m\né\n"
        );
    }

    #[test]
    fn words_agree_with_numbers() {
        let files = |count| counted(count, "file", "files");
        assert_eq!(
            [files(0), files(1), files(2)],
            ["0 files", "1 file", "2 files"]
        );
    }
}
