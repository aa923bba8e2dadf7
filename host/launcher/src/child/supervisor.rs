//! Serving a Keep for its whole life: evidence, diagnostics, the end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::workplace::Workplace;
use crate::device::{Device, Malformed, Requests};
use crate::keep::{Ended, Life, MAX_DIAGNOSTICS, Outcome};

/// What a Keep's thread holds.
pub(super) struct Supervisor {
    /// The attestation device with its stream, if the host has to serve it.
    pub device: Option<(Device, UnixStream)>,
    pub diagnostics: OwnedFd,
    pub life: Arc<Life>,
    pub cpu_seconds: Option<u64>,
    pub workplace: Workplace,
}

impl Supervisor {
    /// Serves until the process has ended, then cleans up and publishes the end.
    pub(super) fn run(self, id: u32, pidfd: &OwnedFd) {
        let Self {
            mut device,
            diagnostics,
            life,
            cpu_seconds,
            workplace,
        } = self;
        let mut requests = Requests::new();
        let mut diagnostics = Diagnostics {
            pipe: Some(diagnostics),
            kept: Vec::new(),
            truncated: false,
        };
        // The Keep's process is starting, and asks later.
        if let Some((device, _)) = &device {
            device.source.prepare();
        }
        loop {
            let stream = device.as_ref().map(|(_, stream)| stream);
            let ready = wait(pidfd, diagnostics.pipe.as_ref(), stream);
            if ready.diagnostics {
                diagnostics.read();
            }
            if ready.device
                && let Some((served, stream)) = &device
                && serve(served, stream, &mut requests).is_err()
            {
                device = None;
            }
            if ready.ended {
                break;
            }
        }
        diagnostics.read();
        drop(device);
        let collected = collect(id);
        // Whoever hears of the end may rely on nothing being left.
        drop(workplace);
        let (outcome, cpu_time) = match collected {
            Some((status, cpu_time)) => {
                let limit = cpu_seconds.filter(|_| !life.was_killed());
                (outcome(status, cpu_time, limit), cpu_time)
            }
            None => (Outcome::Unknown, Duration::ZERO),
        };
        life.end(Ended {
            outcome,
            diagnostics: String::from_utf8_lossy(&diagnostics.kept).into_owned(),
            diagnostics_truncated: diagnostics.truncated,
            cpu_time,
        });
    }
}

struct Ready {
    ended: bool,
    diagnostics: bool,
    device: bool,
}

/// Blocks until something can be done.
fn wait(pidfd: &OwnedFd, diagnostics: Option<&OwnedFd>, device: Option<&UnixStream>) -> Ready {
    let mut polled = vec![PollFd::new(pidfd, PollFlags::IN)];
    let diagnostics = diagnostics.map(|open| {
        polled.push(PollFd::new(open, PollFlags::IN));
        polled.len() - 1
    });
    let device = device.map(|open| {
        polled.push(PollFd::new(open, PollFlags::IN));
        polled.len() - 1
    });
    while let Err(Errno::INTR | Errno::AGAIN | Errno::NOMEM) =
        rustix::event::poll(&mut polled, None)
    {}
    let ready = |index: usize| !polled[index].revents().is_empty();
    Ready {
        ended: ready(0),
        diagnostics: diagnostics.is_some_and(ready),
        device: device.is_some_and(ready),
    }
}

/// Answers what the Keep asks at the moment. An error means that there will be no
/// more: the Keep closed the stream, broke the protocol, or does not read its answers.
fn serve(device: &Device, stream: &UnixStream, requests: &mut Requests) -> Result<(), Malformed> {
    loop {
        let space = requests.space()?;
        let (_, count) = match rustix::net::recv(stream, space, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(Malformed),
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(_) => return Err(Malformed),
        };
        if let Some(request) = requests.advance(count)? {
            let answer = device.answer(&request);
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(stream, &answer, flags) {
                Ok(sent) if sent == answer.len() => {}
                _ => return Err(Malformed),
            }
        }
    }
}

/// What a Keep says to the operator of its host.
struct Diagnostics {
    pipe: Option<OwnedFd>,
    kept: Vec<u8>,
    truncated: bool,
}

impl Diagnostics {
    /// Reads all that is there; keeps the beginning and drops the rest, so that
    /// the Keep never waits.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = MAX_DIAGNOSTICS - self.kept.len();
                    self.kept.extend_from_slice(&buffer[..count.min(room)]);
                    self.truncated |= count > room;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// Collects an ended child: its wait status and the processor time that it used.
/// `None` if somebody else has collected it.
pub(super) fn collect(id: u32) -> Option<(i32, Duration)> {
    let id = libc::pid_t::try_from(id).ok()?;
    let mut status = 0;
    // SAFETY: all fields of rusage are integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both structures live until the call returns.
        let collected = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
        if collected == id {
            return Some((status, duration(usage.ru_utime) + duration(usage.ru_stime)));
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

/// `cpu_seconds` is the limit, if running into it is the likely reason of a kill.
///
/// The kernel enforces the limit by counting clock ticks, and reports what it measured
/// exactly; on a busy machine the two lie far apart, so half of the limit is enough.
fn outcome(status: i32, cpu_time: Duration, cpu_seconds: Option<u64>) -> Outcome {
    if libc::WIFEXITED(status) {
        return Outcome::Exited(libc::WEXITSTATUS(status));
    }
    match libc::WTERMSIG(status) {
        libc::SIGSYS => Outcome::ForbiddenCall,
        libc::SIGKILL
            if cpu_seconds.is_some_and(|limit| cpu_time * 2 >= Duration::from_secs(limit)) =>
        {
            Outcome::CpuLimit
        }
        signal => Outcome::Signaled(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let second = Duration::from_secs(1);
        assert_eq!(outcome(3 << 8, second, None), Outcome::Exited(3));
        assert_eq!(
            outcome(libc::SIGSEGV, second, None),
            Outcome::Signaled(libc::SIGSEGV)
        );
        assert_eq!(outcome(libc::SIGSYS, second, None), Outcome::ForbiddenCall);
        assert_eq!(outcome(libc::SIGKILL, second, Some(1)), Outcome::CpuLimit);
        assert_eq!(
            outcome(libc::SIGKILL, second, Some(3)),
            Outcome::Signaled(libc::SIGKILL)
        );
    }
}
