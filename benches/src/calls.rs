//! System calls of a program in a Keep, and making the Keep.

mod bare;
#[path = "../../host/launcher/tests/elf/mod.rs"]
mod elf;
mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use enarx_host_launcher::{
    Backend, LaunchRequest, LaunchedKeep, Outcome, Simulator, become_keep_if_asked,
    kvm::KvmBackend, sgx::SgxBackend,
};
use enarx_host_simulator::snp::SecureProcessor;
use enarx_wire_launch::{
    KeepImage, MemoryStrategy, SgxImage, VmImage, sgx::runtime_pages_digest, vm::file_digest,
};

use crate::{
    environment::Environment,
    options::{self, Benchmark},
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

/// Measures calls and the making of a Keep: of a virtual machine, or else of an enclave.
///
/// # Errors
///
/// When a Keep cannot be launched, or its program fails.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Calls.title());
    let directory = &environment.path("simulated");
    let rounds = environment.rounds(10);
    let (calls, launch) = match environment.backend {
        options::Backend::Kvm => (CALLS_OF_MACHINES, LAUNCH_OF_MACHINES),
        options::Backend::Process | options::Backend::Sgx => {
            (CALLS_OF_ENCLAVES, LAUNCH_OF_ENCLAVES)
        }
    };
    let all = || calls.iter().chain([&launch]);
    let contenders = all().map(|measured| -> Contender<'_> {
        Box::new(move || match measured.event {
            Event::Call(place, work) => seconds_of_call(directory, place, work),
            Event::Instruction => bare::seconds_of_call(),
            Event::Launch(place) => seconds_of_launch(directory, place),
        })
    });
    let values = interleaved(rounds, contenders.collect())?;
    for (measured, values) in all().zip(values) {
        let figure = Figure::alone(measured.what, Sample::new(values).median(Quantity::Seconds));
        section.figures.push(match measured.promise {
            Some(most) => figure.promised(Promise::AtMost(Quantity::Seconds(most))),
            None => figure,
        });
    }
    section.notes.push(
        "processor time of a Keep's thread for a call; \"inside\" is clock_gettime, which the shim serves, \"proxied\" is a read from the channel that has nothing, which the host is asked for"
            .into(),
    );
    if matches!(environment.backend, options::Backend::Kvm) {
        section.notes.push(
            "what KVM takes: SYSCALL in ring 3 of a machine that has nothing else, and a jump back; no shim can be quicker"
                .into(),
        );
    }
    section.notes.push(
        "the launch: its wall time, with its process and namespaces; the shim and a small program, and the memory is added when it is touched"
            .into(),
    );
    Ok(section)
}

/// What is measured, and the most that is promised, in seconds.
struct Measured {
    what: &'static str,
    event: Event,
    promise: Option<f64>,
}

#[derive(Clone, Copy)]
enum Event {
    /// A system call of a program in a Keep.
    Call(Place, Work),
    /// The instruction for it, in a machine with nothing else.
    Instruction,
    /// A Keep's launch.
    Launch(Place),
}

/// A kind of Keep.
#[derive(Clone, Copy)]
enum Place {
    /// A simulated enclave; whether it is patched.
    Enclave { fast: bool },
    /// A virtual machine that the host can read.
    Machine,
}

const STRICT: Place = Place::Enclave { fast: false };
const FAST: Place = Place::Enclave { fast: true };

const CALLS_OF_ENCLAVES: &[Measured] = &[
    Measured {
        what: "system call inside, strict",
        event: Event::Call(STRICT, Work::Inside),
        promise: None,
    },
    Measured {
        what: "system call proxied, strict",
        event: Event::Call(STRICT, Work::Proxied),
        promise: None,
    },
    Measured {
        what: "system call inside, --fast",
        event: Event::Call(FAST, Work::Inside),
        promise: Some(10e-6),
    },
    Measured {
        what: "system call proxied, --fast",
        event: Event::Call(FAST, Work::Proxied),
        promise: Some(16e-6),
    },
];

const LAUNCH_OF_ENCLAVES: Measured = Measured {
    what: "enclave with 256 MiB of memory, until it is entered",
    event: Event::Launch(STRICT),
    promise: Some(0.030),
};

const CALLS_OF_MACHINES: &[Measured] = &[
    Measured {
        what: "system call inside",
        event: Event::Call(Place::Machine, Work::Inside),
        promise: Some(5e-6),
    },
    Measured {
        what: "of that, what KVM takes for the instruction",
        event: Event::Instruction,
        promise: None,
    },
    Measured {
        what: "system call proxied",
        event: Event::Call(Place::Machine, Work::Proxied),
        promise: Some(150e-6),
    },
];

const LAUNCH_OF_MACHINES: Measured = Measured {
    what: "machine with 256 MiB of memory, until it is entered",
    event: Event::Launch(Place::Machine),
    promise: Some(0.010),
};

/// Calls that are made for one value.
const COUNT: u64 = 5_000;

fn seconds_of_call(directory: &Path, place: Place, work: Work) -> anyhow::Result<f64> {
    let mut keep = launch(directory, place)?;
    // What happens once is not counted.
    order(&mut keep, work, 100)?;
    let process = keep.process.id().to_string();
    let before = processor_nanoseconds(&process)?;
    order(&mut keep, work, COUNT)?;
    let after = processor_nanoseconds(&process)?;
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

/// Processor time of a process's first thread, or a thread of this process (Linux, `Documentation/scheduler/sched-stats.rst`).
fn processor_nanoseconds(process: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat"))?;
    let first = text.split_whitespace().next();
    Ok(first.context("the kernel keeps no such times")?.parse()?)
}

fn seconds_of_launch(directory: &Path, place: Place) -> anyhow::Result<f64> {
    let start = Instant::now();
    let keep = launch(directory, place)?;
    let seconds = start.elapsed().as_secs_f64();
    drop(keep);
    Ok(seconds)
}

fn launch(directory: &Path, place: Place) -> anyhow::Result<LaunchedKeep> {
    let runtime = program::file();
    let image = image(&runtime);
    let processor;
    let (backend, simulator): (Box<dyn Backend>, _) = match place {
        Place::Enclave { fast } => (
            Box::new(SgxBackend::new(Some(&directory.join("signatures")))),
            Simulator::IntelMachine { directory, fast },
        ),
        Place::Machine => {
            processor = Arc::new(SecureProcessor::open(directory)?);
            (
                Box::new(KvmBackend::new()),
                Simulator::SecureProcessor(&processor),
            )
        }
    };
    Ok(backend.launch(&LaunchRequest {
        image: &image,
        memory_bytes: 256 << 20,
        strategy: MemoryStrategy::GuardPages,
        cpu_seconds: None,
        network: false,
        host_data: [0; 32],
        simulator: Some(simulator),
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
        vm: VmImage {
            shim: enarx_host_image::shim_vm(),
            runtime_file_digest: file_digest(runtime),
        },
    }
}
