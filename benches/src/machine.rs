//! Where and with what the figures were measured.

use std::{fmt, path::Path, process::Command};

use serde::Serialize;

use crate::environment::Environment;

/// The machine and the versions of all that takes part.
#[derive(Serialize)]
pub struct Machine {
    /// The processor's name for itself.
    pub processor: String,
    /// Processors that this program may use.
    pub processors: usize,
    /// Memory, as the kernel says it.
    pub memory: String,
    /// The kernel's release.
    pub kernel: String,
    /// Processes that wanted to run in the last minute, on average. Above the number
    /// of processors, only ratios mean something.
    pub load: String,
    /// This version of Enarx.
    pub enarx: &'static str,
    /// The wasmtime library in this program and in the Keep.
    pub wasmtime_library: &'static str,
    /// The wasmtime command, if there is one.
    pub wasmtime_command: Option<String>,
    /// The C compiler, if there is one.
    pub clang: Option<String>,
    /// Fewer rounds and less data.
    pub quick: bool,
}

impl Machine {
    /// Looks at this machine.
    pub fn describe(environment: &Environment) -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: field("/proc/meminfo", "MemTotal"),
            kernel: read("/proc/sys/kernel/osrelease"),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .into(),
            enarx: env!("CARGO_PKG_VERSION"),
            wasmtime_library: enarx_wire_target::WASMTIME_VERSION,
            wasmtime_command: environment.wasmtime.as_deref().and_then(version),
            clang: version("clang".as_ref()),
            quick: environment.quick,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} x {}, {} memory, Linux {}, load {}",
            self.processors, self.processor, self.memory, self.kernel, self.load
        )?;
        writeln!(
            formatter,
            "enarx {}, wasmtime library {}, wasmtime command: {}, C compiler: {}",
            self.enarx,
            self.wasmtime_library,
            self.wasmtime_command
                .as_deref()
                .unwrap_or("none on the PATH or in $WASMTIME"),
            self.clang.as_deref().unwrap_or("none"),
        )?;
        writeln!(
            formatter,
            "Medians of interleaved rounds{}. A ratio above 1 is better than the rival.",
            if self.quick { " (few: --quick)" } else { "" }
        )
    }
}

/// The first line that a program prints when asked for its version.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.to_owned())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

/// What follows the colon in a file's first line that starts with `name`.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_owned())
}
