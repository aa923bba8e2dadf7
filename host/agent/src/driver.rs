//! The task that owns a Keep's channel and process, from start to end.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use enarx_wire_host_api::{EndKind, KeepEnd, KeepState};
use enarx_wire_hostcall::envelope::{FailureCode, Kind};
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use crate::{
    KeepProcess, Limits, ProcessExit,
    channel::{ChannelError, read_envelope, write_envelope},
    keep::{Keep, Outgoing},
    life::{Step, end},
    lookup::{Answer, Lookups, Resolver},
    metrics::Metrics,
};

/// How long a Keep that closed its channel may take to exit.
const EXIT_TIME: Duration = Duration::from_secs(2);

/// The longest diagnostics that callers are shown, in bytes.
const MAX_DIAGNOSTICS: usize = 4096;

/// Relays between a Keep and the service until the Keep has ended.
pub(crate) struct Driver {
    pub(crate) keep: Arc<Keep>,
    pub(crate) channel: UnixStream,
    pub(crate) process: Arc<dyn KeepProcess>,
    pub(crate) outgoing: mpsc::Receiver<Outgoing>,
    pub(crate) limits: Limits,
    pub(crate) resolver: Resolver,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why the relaying ended.
enum Stop {
    /// The host decides how the Keep ends.
    Ended(KeepEnd),
    /// The Keep closed the channel.
    Closed,
    /// The Keep said that it failed.
    Failed(u8),
}

impl Driver {
    /// Runs until the Keep has ended and its end is noted.
    pub(crate) async fn run(self) {
        let Self {
            keep,
            channel,
            process,
            mut outgoing,
            limits,
            resolver,
            metrics,
        } = self;
        let process = KillOnDrop(process);
        let (mut reader, mut writer) = channel.into_split();
        let (lookups, mut answers) = Lookups::new(resolver, keep.request.network);
        let relay = async {
            // In no order: a Keep that talks without a pause must hear its owner too.
            tokio::select! {
                stop = receive(&keep, &lookups, &metrics, &mut reader) => stop,
                never = send(&keep, &lookups, &metrics, &mut writer, &mut answers, &mut outgoing) => match never {},
            }
        };
        let stop = tokio::select! {
            biased;
            how = keep.end_requested() => Stop::Ended(how),
            stop = relay => stop,
            how = overdue(&keep, &limits) => Stop::Ended(how),
        };
        // Followers of the output need not wait for the process.
        keep.output.close();
        drop((answers, outgoing, reader, writer));
        let state = keep.state();
        let how = match stop {
            Stop::Ended(how) => {
                process.0.kill();
                let exit = exit_of(&process).await;
                with_diagnostics(how, &exit)
            }
            Stop::Closed => {
                let exit = exit_of(&process).await;
                match state {
                    KeepState::Running if exit.success => {
                        end(EndKind::Completed, "the workload ended")
                    }
                    KeepState::Provisioned | KeepState::Loading if exit.success => end(
                        EndKind::Completed,
                        "the Keep ended the session without its package; its owner knows why",
                    ),
                    _ => {
                        let detail = format!("the Keep {}", exit.description);
                        with_diagnostics(end(EndKind::Died, detail), &exit)
                    }
                }
            }
            Stop::Failed(code) => {
                let exit = exit_of(&process).await;
                with_diagnostics(failure(code), &exit)
            }
        };
        metrics.keep_ended(how.kind);
        tracing::info!(
            keep = %keep.id,
            kind = how.kind.as_str(),
            detail = how.detail,
            diagnostics = how.diagnostics,
            "Keep ended"
        );
        keep.set_ended(how);
    }
}

/// Takes what the Keep sends, until there is no more.
async fn receive(
    keep: &Keep,
    lookups: &Lookups,
    metrics: &Metrics,
    channel: &mut OwnedReadHalf,
) -> Stop {
    loop {
        let (kind, payload) = match read_envelope(channel).await {
            Ok(Some(envelope)) => envelope,
            Ok(None) | Err(ChannelError::Broken(_)) => return Stop::Closed,
            Err(ChannelError::Envelope(error)) => return misbehaved(&error.to_string()),
        };
        let due = match kind {
            Kind::Offer => accept_offer(keep, metrics, payload),
            Kind::Ready => payload.is_empty() && keep.take(Step::GrantOpened).is_ok(),
            Kind::Output => accept_output(keep, metrics, payload).await,
            Kind::Lookup if keep.state() == KeepState::Running => match lookups.begin(&payload) {
                Ok(()) => true,
                Err(reason) => return misbehaved(reason),
            },
            Kind::Failure => match *payload {
                [code] => return Stop::Failed(code),
                _ => false,
            },
            Kind::Lookup
            | Kind::Challenge
            | Kind::Provision
            | Kind::PackageData
            | Kind::PackageEnd
            | Kind::Input
            | Kind::Addresses => false,
        };
        if !due {
            let state = keep.state();
            return misbehaved(&format!("{kind:?} is not due while it is {state}"));
        }
    }
}

fn accept_offer(keep: &Keep, metrics: &Metrics, offer: Bytes) -> bool {
    let accepted =
        !offer.is_empty() && keep.offer.set(offer).is_ok() && keep.take(Step::OfferCame).is_ok();
    if accepted && let Ok(time) = keep.started.elapsed() {
        metrics.offer_seconds.observe(time.as_secs_f64());
    }
    accepted
}

async fn accept_output(keep: &Keep, metrics: &Metrics, frame: Bytes) -> bool {
    if frame.is_empty() || keep.state() < KeepState::Provisioned {
        return false;
    }
    metrics.output_frames.inc();
    metrics.output_bytes.inc_by(frame.len() as u64);
    let dropped = keep.output.push(frame).await;
    metrics.output_dropped_frames.inc_by(dropped);
    true
}

/// Bytes of input that may come before the answer that a Keep waits for. It holds this much
/// of what its program does not take, and no more: the answer must not be stuck behind it.
const INPUT_BEFORE_ANSWER: u64 = 256 << 10;

/// Sends what is queued, for as long as the Keep takes it.
async fn send(
    keep: &Keep,
    lookups: &Lookups,
    metrics: &Metrics,
    channel: &mut OwnedWriteHalf,
    answers: &mut mpsc::UnboundedReceiver<Answer>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> Infallible {
    let mut before_answer = 0;
    loop {
        if !lookups.are_pending() {
            before_answer = 0;
        }
        let sent = tokio::select! {
            biased;
            Some(answer) = answers.recv() => {
                write_envelope(channel, Kind::Addresses, &answer.payload).await
            }
            Some(next) = outgoing.recv(), if before_answer < INPUT_BEFORE_ANSWER => {
                before_answer += next.payload.len() as u64;
                send_one(keep, metrics, channel, next).await
            }
            else => break,
        };
        if let Err(error) = sent {
            tracing::debug!(keep = %keep.id, %error, "the Keep takes no more");
            break;
        }
    }
    answers.close();
    outgoing.close();
    while answers.recv().await.is_some() {}
    while outgoing.recv().await.is_some() {}
    // What the Keep still has to say ends with its end of the channel.
    std::future::pending().await
}

/// Sends an envelope of the owner's.
async fn send_one(
    keep: &Keep,
    metrics: &Metrics,
    channel: &mut OwnedWriteHalf,
    next: Outgoing,
) -> Result<(), ChannelError> {
    write_envelope(channel, next.kind, &next.payload).await?;
    let bytes = next.payload.len() as u64;
    match next.kind {
        Kind::PackageData => {
            keep.touch();
            keep.counts.package_bytes.fetch_add(bytes, Relaxed);
            metrics.package_bytes.inc_by(bytes);
        }
        Kind::Input => {
            keep.counts.input_frames.fetch_add(1, Relaxed);
            keep.counts.input_bytes.fetch_add(bytes, Relaxed);
            metrics.input_frames.inc();
            metrics.input_bytes.inc_by(bytes);
        }
        _ => {}
    }
    if let Some(written) = next.written {
        // The caller may be gone.
        let _ = written.send(());
    }
    Ok(())
}

/// Waits until the Keep or its owner has taken too long for the next step.
async fn overdue(keep: &Keep, limits: &Limits) -> KeepEnd {
    let mut life = keep.watch_life();
    loop {
        let state = life.borrow_and_update().state();
        let (time, how) = match state {
            KeepState::Started => (
                Some(limits.answer_time),
                end(EndKind::Unresponsive, "the Keep made no offer in time"),
            ),
            KeepState::Provisioning => (
                Some(limits.answer_time),
                end(
                    EndKind::Unresponsive,
                    "the Keep did not answer the grant in time",
                ),
            ),
            KeepState::Offered => (
                limits.idle_time,
                end(EndKind::Expired, "no grant came in time"),
            ),
            KeepState::Provisioned => (
                limits.idle_time,
                end(EndKind::Expired, "no package came in time"),
            ),
            KeepState::Loading => (
                limits.idle_time,
                end(EndKind::Expired, "the package did not go on in time"),
            ),
            KeepState::Running | KeepState::Ended => return std::future::pending().await,
        };
        let Some(deadline) = time.map(|time| keep.touched() + time) else {
            drop(life.changed().await);
            continue;
        };
        tokio::select! {
            _ = life.changed() => {}
            () = tokio::time::sleep_until(deadline) => {
                if time.is_some_and(|time| keep.touched().elapsed() >= time) {
                    return how;
                }
            }
        }
    }
}

/// Kills the Keep even when the driver itself is dropped, with its runtime: a thread
/// that waits for the process would hold up the end of the runtime.
struct KillOnDrop(Arc<dyn KeepProcess>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Waits for the process, and kills it when it does not end by itself.
async fn exit_of(process: &KillOnDrop) -> ProcessExit {
    let KillOnDrop(process) = process;
    let waiting = process.clone();
    let mut waiting = tokio::task::spawn_blocking(move || waiting.wait());
    let exited = match tokio::time::timeout(EXIT_TIME, &mut waiting).await {
        Ok(exited) => Ok(exited),
        Err(_) => {
            process.kill();
            tokio::time::timeout(EXIT_TIME, waiting).await
        }
    };
    match exited {
        Ok(Ok(exit)) => exit,
        Ok(Err(_)) | Err(_) => ProcessExit {
            success: false,
            description: "was killed, and the system has not let go of it yet".into(),
            diagnostics: String::new(),
        },
    }
}

fn misbehaved(reason: &str) -> Stop {
    let detail = format!("the Keep broke the channel protocol: {reason}");
    Stop::Ended(end(EndKind::Misbehaved, detail))
}

fn failure(code: u8) -> KeepEnd {
    let detail = match FailureCode::from_code(code) {
        Some(failure) => format!("the Keep gave up: {failure}"),
        None => format!("the Keep gave up with the unknown code {code}"),
    };
    KeepEnd {
        failure_code: Some(code),
        ..end(EndKind::Failed, detail)
    }
}

/// Adds the end of the diagnostics. They come from an untrusted program, so
/// control characters are replaced.
fn with_diagnostics(how: KeepEnd, exit: &ProcessExit) -> KeepEnd {
    let text = exit.diagnostics.trim_end();
    let mut start = text.len().saturating_sub(MAX_DIAGNOSTICS);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let shown: String = text[start..]
        .chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect();
    KeepEnd {
        diagnostics: (!shown.is_empty()).then_some(shown),
        ..how
    }
}
