//! Memory of processes, as the kernel counts it.

use std::fs;

use anyhow::Context;

use crate::family;

/// Memory of one or several processes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessMemory {
    /// All that is resident (`VmRSS`).
    pub resident: f64,
    /// The same, with what several processes share divided among them (`Pss`). A Keep
    /// cannot be traced, so the kernel says this of it only to root.
    pub proportional: Option<f64>,
}

impl ProcessMemory {
    /// Memory of one process.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(Self {
            resident: kibibytes(&status, "VmRSS")
                .with_context(|| format!("{path} has no VmRSS"))?,
            proportional: fs::read_to_string(format!("/proc/{process}/smaps_rollup"))
                .ok()
                .and_then(|text| kibibytes(&text, "Pss")),
        })
    }

    /// Memory of all processes below `process`, itself not counted.
    ///
    /// # Errors
    ///
    /// As [`ProcessMemory::of`], and when there is none.
    pub fn below(process: u32) -> anyhow::Result<Self> {
        let family = family::of(process)?;
        anyhow::ensure!(family.len() > 1, "process {process} has no children");
        let nothing = Self {
            resident: 0.0,
            proportional: Some(0.0),
        };
        family[1..].iter().try_fold(nothing, |sum, &member| {
            let memory = Self::of(member)?;
            let proportional = sum.proportional.zip(memory.proportional);
            Ok(Self {
                resident: sum.resident + memory.resident,
                proportional: proportional.map(|(sum, more)| sum + more),
            })
        })
    }
}

/// The most memory that this process ever had resident, in bytes (`VmHWM`).
///
/// # Errors
///
/// When the kernel does not say.
pub fn own_peak() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    kibibytes(&text, "VmHWM").context("/proc/self/status has no VmHWM")
}

/// The value of a line `name:   123 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let value: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(value * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "Pss_Dirty:  9 kB\nPss:     12 kB\n";
        assert_eq!(kibibytes(text, "Pss"), Some(12.0 * 1024.0));
        assert_eq!(kibibytes(text, "Rss"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let own = ProcessMemory::of(std::process::id()).unwrap();
        let proportional = own.proportional.unwrap();
        assert!(own.resident >= proportional && proportional > 0.0);
        assert!(own_peak().unwrap() > 0.0);
    }
}
