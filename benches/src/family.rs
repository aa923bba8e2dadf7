//! Processes and their descendants.

use std::fs;

use anyhow::Context;

/// A process, and all that descend from it and run still.
///
/// # Errors
///
/// When the kernel does not say.
pub fn of(process: u32) -> anyhow::Result<Vec<u32>> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child| Some((child, Status::of(child)?.parent)))
        .collect();
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == member);
        family.extend(children.map(|(child, _)| child));
        next += 1;
    }
    Ok(family)
}

/// The processor time that a process and its descendants have had, in seconds.
///
/// # Errors
///
/// When one of them has ended.
pub fn processor_seconds(process: u32) -> anyhow::Result<f64> {
    of(process)?.into_iter().try_fold(0.0, |sum, member| {
        let status = Status::of(member).with_context(|| format!("process {member} has ended"))?;
        Ok(sum + status.processor_ticks as f64 / TICKS_PER_SECOND)
    })
}

/// What the kernel counts in for programs: `USER_HZ` of x86-64.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Status {
    parent: u32,
    processor_ticks: u64,
}

impl Status {
    fn of(process: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field, in parentheses, is a name that may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            processor_ticks: ticks(11)? + ticks(12)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let text = "7 (a) b) S 5 7 7 0 -1 0 0 0 0 0 30 12 1 1 20 0 1 0 0 0 0";
        let status = Status {
            parent: 5,
            processor_ticks: 42,
        };
        assert_eq!(Status::parse(text), Some(status));
        assert_eq!(Status::parse("7 (a) S"), None);
    }

    #[test]
    fn this_process_is_of_its_parents_family() {
        let own = std::process::id();
        let parent = std::os::unix::process::parent_id();
        assert!(of(parent).unwrap().contains(&own));
        assert!(processor_seconds(own).unwrap() >= 0.0);
    }
}
