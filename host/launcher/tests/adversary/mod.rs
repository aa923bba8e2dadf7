//! The suite.

mod crossing;
mod host;
mod launch;
mod program;
mod scenario;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use host::{Ending, Host};
use scenario::{SCENARIOS, Scenario};

/// Before the arguments of a process that runs one variant of a scenario.
const VARIANT: &str = "--variant";

/// Runs the scenarios whose names contain the first argument that is no option, and prints
/// what became of the Keeps. A process has one enclave, so each Keep is run in a process of
/// its own: this program again.
pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, directory, scenario, variant] = &arguments[..]
        && first == VARIANT
    {
        return run_variant(
            Path::new(directory),
            &SCENARIOS[scenario.parse::<usize>().unwrap()],
            variant.parse().unwrap(),
        );
    }
    let wanted = arguments.iter().find(|word| !word.starts_with('-'));
    let directory = tempfile::tempdir().unwrap();
    launch::prepare(directory.path());
    if !program::refuses_cpuid() {
        println!(
            "this processor cannot refuse CPUID: what enclaves are told of it is not looked at"
        );
    }
    let calls = Count::of(directory.path(), 0, 0).calls;
    println!(
        "{:<66} {:>6} {:>9} {:>6} {:>6} {:>7}",
        "scenario", "Keeps", "faults", "right", "denied", "stopped"
    );
    let is_wanted =
        |scenario: &Scenario| wanted.is_none_or(|wanted| scenario.name.contains(wanted.as_str()));
    let counts = run(directory.path(), |scenario| {
        if is_wanted(scenario) {
            (scenario.variants)(calls)
        } else {
            0
        }
    });
    let mut total = Count::default();
    for (scenario, count) in SCENARIOS.iter().zip(&counts) {
        if is_wanted(scenario) {
            count.print(scenario.name);
            total.add(count);
        }
    }
    total.print("all");
}

/// Runs so many variants of each scenario, as many at once as there are processors.
fn run(directory: &Path, variants: impl Fn(&Scenario) -> usize) -> Vec<Count> {
    let jobs: Vec<(usize, usize)> = SCENARIOS
        .iter()
        .enumerate()
        .flat_map(|(index, scenario)| (0..variants(scenario)).map(move |variant| (index, variant)))
        .collect();
    let next = AtomicUsize::new(0);
    let counts: Vec<_> = SCENARIOS
        .iter()
        .map(|_| Mutex::new(Count::default()))
        .collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(&(scenario, variant)) =
                    jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let count = Count::of(directory, scenario, variant);
                    counts[scenario].lock().unwrap().add(&count);
                }
            });
        }
    });
    counts
        .into_iter()
        .map(|count| count.into_inner().unwrap())
        .collect()
}

/// Runs one Keep in this process, and prints what became of it.
fn run_variant(directory: &Path, scenario: &Scenario, variant: usize) {
    limit_time();
    let mut host = Host::new(launch::enclave(directory));
    let ending = (scenario.run)(&mut host, variant);
    assert!(
        scenario.outcome.permits(&ending),
        "{ending:?}, but {:?} was expected",
        scenario.outcome
    );
    let kind = match &ending {
        Ending::Exited(program::RIGHT) => "right".to_owned(),
        Ending::Exited(_) => "denied".to_owned(),
        other => format!("{other:?}"),
    };
    println!("{}|{}|{kind}", host.calls(), host.faults);
}

/// A Keep that hangs is killed: a process whose threads are attached to an enclave gets no
/// other signals.
fn limit_time() {
    let limit = libc::rlimit {
        rlim_cur: 300,
        rlim_max: 300,
    };
    // SAFETY: reads the structure.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) }, 0);
}

/// What became of Keeps.
#[derive(Default)]
struct Count {
    calls: usize,
    keeps: u64,
    faults: u64,
    right: u64,
    denied: u64,
    stopped: BTreeMap<String, u64>,
}

impl Count {
    /// Of one Keep, run in a process of its own.
    fn of(directory: &Path, scenario: usize, variant: usize) -> Self {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(VARIANT)
            .arg(directory)
            .args([scenario.to_string(), variant.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}, variant {variant}: {}\n{text}{}",
            SCENARIOS[scenario].name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let fields: Vec<&str> = text.trim().split('|').collect();
        let [calls, faults, kind] = fields[..] else {
            panic!("{text}")
        };
        let mut count = Self {
            calls: calls.parse().unwrap(),
            keeps: 1,
            faults: faults.parse().unwrap(),
            ..Self::default()
        };
        match kind {
            "right" => count.right = 1,
            "denied" => count.denied = 1,
            other => drop(count.stopped.insert(other.to_owned(), 1)),
        }
        count
    }

    fn add(&mut self, other: &Self) {
        self.keeps += other.keeps;
        self.faults += other.faults;
        self.right += other.right;
        self.denied += other.denied;
        for (kind, count) in &other.stopped {
            *self.stopped.entry(kind.clone()).or_default() += count;
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<66} {:>6} {:>9} {:>6} {:>6} {:>7} {:?}",
            self.keeps,
            self.faults,
            self.right,
            self.denied,
            self.stopped.values().sum::<u64>(),
            self.stopped
        );
    }
}
