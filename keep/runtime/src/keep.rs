//! A Keep's whole life.

use std::{path::Path, sync::Arc, time::Duration};

use enarx_wire_provision::{Cause, InputReader, Provisioned};

use crate::{
    channel::{Channel, Deadline},
    clock::KeepClock,
    device::AttestationDevice,
    ending,
    input::InputThread,
    limits::Quotas,
    network::Lookup,
    package::{self, LoadError},
    process::ExitCode,
    processor,
    program::{self, Program},
    provision::{self, Keep, Unprovisioned},
    session::Session,
    stdin::StdinPipe,
    stop::Stop,
    workload::Workload,
};

/// Attests, opens one package and runs it; `tree` is the directory, in the Keep's
/// memory, for the package's files.
pub fn run(channel: Channel, device: AttestationDevice, tree: &Path) -> ExitCode {
    let keep = match provision::provision(&channel, &device) {
        Ok(keep) => keep,
        Err(Unprovisioned::Channel(error)) if error.is_gone() => return ExitCode::HostGone,
        Err(error) => {
            error.tell(&channel);
            return ExitCode::Unprovisioned;
        }
    };
    let Keep {
        launch,
        target,
        runner,
        provisioned: Provisioned {
            grant,
            session: secret,
        },
    } = keep;
    let channel = Arc::new(channel);
    let session = Arc::new(Session::new(Arc::clone(&channel), &secret));
    let input = InputReader::new(&secret);
    drop(secret);
    let clock = KeepClock::starting_at(grant.time_floor);
    let loaded = package::load(&channel, &grant, &target, tree);
    let identity = grant.application_identity();
    // The key has opened what it had to open, and is zeroized.
    drop(grant.content_key);
    let ending = match loaded {
        Ok(package) => {
            let limits = package.manifest.limits;
            let stdin = StdinPipe::new();
            let lookup = Lookup::new(Arc::clone(&session), stdin.clone());
            let stop = Arc::new(Stop::new());
            InputThread {
                channel,
                session: Arc::clone(&session),
                input,
                stdin: stdin.clone(),
                lookup: lookup.clone(),
                stop: Arc::clone(&stop),
                deadline: deadline(limits.wall_milliseconds),
            }
            .start();
            if let Some(milliseconds) = limits.processor_milliseconds {
                processor::watch(Arc::clone(&session), Duration::from_millis(milliseconds));
            }
            let memory_bytes = launch.memory_bytes;
            program::run(Program {
                target,
                runner,
                workload: Workload::new(
                    &package.manifest,
                    identity,
                    grant.application_secret,
                    launch,
                    device,
                ),
                quotas: Quotas::new(&limits, memory_bytes),
                manifest: Arc::new(package.manifest),
                code: package.code,
                tls: package.tls,
                session: Arc::clone(&session),
                stdin,
                lookup,
                clock,
                tree: package.tree,
                stop,
            })
        }
        Err(LoadError::Channel(error)) if error.is_gone() => return ExitCode::HostGone,
        Err(error) => {
            let cause = match error {
                LoadError::Refused(_) => Cause::Refused,
                LoadError::Channel(_) | LoadError::Package(_) => Cause::Failed,
            };
            ending::early(cause, error.to_string())
        }
    };
    session.end(&ending)
}

fn deadline(wall_milliseconds: Option<u64>) -> Deadline {
    wall_milliseconds.map_or(Deadline::NEVER, |milliseconds| {
        Deadline::after(Duration::from_millis(milliseconds))
    })
}
