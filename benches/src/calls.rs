//! System calls of a program in an enclave, and making the enclave.

#[path = "../../host/launcher/tests/elf/mod.rs"]
mod elf;
mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use enarx_host_launcher::{
    Backend as _, LaunchRequest, LaunchedKeep, Outcome, Simulator, become_keep_if_asked,
    sgx::SgxBackend,
};
use enarx_wire_launch::{KeepImage, MemoryStrategy, SgxImage, VmImage, sgx::runtime_pages_digest};

use crate::{
    environment::Environment,
    options::Benchmark,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    sample::{Contender, Sample, interleaved},
};
use program::Work;

/// Runs this process as a Keep's, if it was started as one.
pub fn become_keep() {
    let runtime = program::file();
    become_keep_if_asked(|| image(&runtime));
}

/// Measures calls, strict and fast, and the making of an enclave.
///
/// # Errors
///
/// When a Keep cannot be launched, or its program fails.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Calls.title());
    let directory = environment.path("simulated");
    let rounds = environment.rounds(10);
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for (_, work, fast, _) in CALLS {
        let directory = &directory;
        contenders.push(Box::new(move || seconds_of_call(directory, work, fast)));
    }
    let calls = interleaved(rounds, contenders)?;
    for ((what, .., promise), values) in CALLS.into_iter().zip(calls) {
        let figure = Figure::alone(what, Sample::new(values).median(Quantity::Seconds));
        section.figures.push(match promise {
            Some(most) => figure.promised(Promise::AtMost(Quantity::Seconds(most))),
            None => figure,
        });
    }
    let launches = interleaved(
        rounds,
        vec![Box::new(|| seconds_of_launch(&directory)) as Contender<'_>],
    )?;
    let launch = Sample::new(launches.concat()).median(Quantity::Seconds);
    section.figures.push(
        Figure::alone(
            "enclave with 256 MiB of memory, until it is entered",
            launch,
        )
        .promised(Promise::AtMost(Quantity::Seconds(0.030))),
    );
    section.notes.push(
        "processor time of a Keep's thread for a call; \"inside\" is clock_gettime, which the shim serves, \"proxied\" is a read from the channel that has nothing, which the host is asked for"
            .into(),
    );
    section.notes.push(
        "the enclave: wall time of a launch, with its process and namespaces; the shim and a small program, and the memory is added when it is touched"
            .into(),
    );
    Ok(section)
}

/// What is called, how, whether in a fast enclave, and the most that is promised, in seconds.
const CALLS: [(&str, Work, bool, Option<f64>); 4] = [
    ("system call inside, strict", Work::Inside, false, None),
    ("system call proxied, strict", Work::Proxied, false, None),
    (
        "system call inside, --fast",
        Work::Inside,
        true,
        Some(10e-6),
    ),
    (
        "system call proxied, --fast",
        Work::Proxied,
        true,
        Some(16e-6),
    ),
];

/// Calls that are made for one value.
const COUNT: u64 = 5_000;

fn seconds_of_call(directory: &Path, work: Work, fast: bool) -> anyhow::Result<f64> {
    let mut keep = launch(directory, fast)?;
    // What happens once is not counted.
    order(&mut keep, work, 100)?;
    let before = processor_nanoseconds(keep.process.id())?;
    order(&mut keep, work, COUNT)?;
    let after = processor_nanoseconds(keep.process.id())?;
    keep.channel.write_all(&Work::End.order(0))?;
    let ended = keep.process.wait();
    ensure!(ended.outcome == Outcome::Exited(0), "{ended:?}");
    Ok((after - before) as f64 / 1e9 / COUNT as f64)
}

/// Has the program work, and waits until it says that it has.
fn order(keep: &mut LaunchedKeep, work: Work, count: u64) -> anyhow::Result<()> {
    keep.channel.write_all(&work.order(count))?;
    let mut done = [0; 8];
    keep.channel
        .read_exact(&mut done)
        .context("the program ended")?;
    Ok(())
}

/// Processor time of a process's first thread (Linux, `Documentation/scheduler/sched-stats.rst`).
fn processor_nanoseconds(process: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat"))?;
    let first = text.split_whitespace().next();
    Ok(first.context("the kernel keeps no such times")?.parse()?)
}

fn seconds_of_launch(directory: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let keep = launch(directory, false)?;
    let seconds = start.elapsed().as_secs_f64();
    drop(keep);
    Ok(seconds)
}

fn launch(directory: &Path, fast: bool) -> anyhow::Result<LaunchedKeep> {
    let runtime = program::file();
    let image = image(&runtime);
    let backend = SgxBackend::new(Some(&directory.join("signatures")));
    Ok(backend.launch(&LaunchRequest {
        image: &image,
        memory_bytes: 256 << 20,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds: None,
        network: false,
        host_data: [0; 32],
        simulator: Some(Simulator::IntelMachine { directory, fast }),
    })?)
}

fn image(runtime: &[u8]) -> KeepImage<'_> {
    KeepImage {
        runtime,
        runtime_digest: [0; 48],
        sgx: SgxImage {
            shim: enarx_host_image::shim_sgx(),
            runtime_pages_digest: runtime_pages_digest(runtime).unwrap_or_default(),
        },
        vm: VmImage::default(),
    }
}
