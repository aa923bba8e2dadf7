//! A Keep's whole life.

use std::{path::Path, sync::Arc, time::Duration};

use enarx_wire_provision::{Cause, InputReader, Provisioned};

use crate::{
    channel::{Channel, Deadline},
    clock::KeepClock,
    device::AttestationDevice,
    ending,
    input::InputThread,
    network::Lookup,
    package::{self, LoadError},
    process::ExitCode,
    program::{self, Program},
    provision::{self, Keep, Unprovisioned},
    session::Session,
    stdin::StdinPipe,
};

/// Attests, opens one package and runs it; `tree` is the directory, in the Keep's
/// memory, for the package's files.
pub fn run(channel: Channel, device: &AttestationDevice, tree: &Path) -> ExitCode {
    let keep = match provision::provision(&channel, device) {
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
        engine,
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
    // The key has opened what it had to open, and is zeroized.
    drop(grant);
    let ending = match loaded {
        Ok(package) => {
            let limits = package.manifest.limits;
            let stdin = StdinPipe::new();
            let lookup = Lookup::new(Arc::clone(&session), stdin.clone());
            InputThread {
                channel,
                session: Arc::clone(&session),
                input,
                stdin: stdin.clone(),
                lookup: lookup.clone(),
                deadline: deadline(limits.wall_milliseconds),
            }
            .start();
            program::run(Program {
                engine: &engine,
                manifest: &package.manifest,
                artifact: package.artifact,
                tls: package.tls,
                // The Keep's own memory is a limit too: a program learns from a
                // failed allocation what would otherwise end the Keep.
                memory_bytes: limits
                    .memory_bytes
                    .unwrap_or(u64::MAX)
                    .min(launch.memory_bytes),
                session: &session,
                stdin,
                lookup,
                clock,
                tree: package.tree,
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
