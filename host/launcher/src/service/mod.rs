//! What a Keep asks of its host, done.
//!
//! The Keep is not trusted here: it gets its own channel, its own diagnostics, sockets if it may
//! have some, and numbers, and nothing else of the host.

mod block_memory;
mod clock;
mod parking;
mod processor;
mod sockets;
mod threads;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use enarx_wire_hostcall::CHANNEL;
use enarx_wire_hostcall::call::{Operation, PAYLOAD_SIZE, POLL_ENTRY_SIZE, PollEntry, Request};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::keep::MAX_DIAGNOSTICS;
use clock::Clock;
use parking::Parking;
use processor::Processor;
use sockets::{Sockets, known};

pub(crate) use block_memory::BlockMemory;
pub(crate) use clock::begin as begin_clock;
pub use threads::STOPPED_STATUS;
pub(crate) use threads::{Departure, Stay, Threaded, Threads};

/// What only one kind of Keep has its host do.
pub(crate) trait Technology: Send + Sync {
    /// Does what `request` asks. `payload` holds the request's payload, and is left with the
    /// answer's.
    ///
    /// # Errors
    ///
    /// What the Keep is told; [`Errno::NOSYS`] for what this kind of Keep does not ask.
    fn answer(
        &self,
        request: &Request,
        payload: &mut Vec<u8>,
        diagnostics: &Diagnostics,
    ) -> Result<u64, Errno>;
}

/// Starts threads of the Keep.
pub(crate) trait Starter {
    /// Has the host enter the Keep with this thread.
    fn start(&self, thread: u32) -> Result<(), Errno>;
}

/// The host's services to one Keep, shared by its threads.
pub(crate) struct Services {
    technology: Box<dyn Technology>,
    channel: Arc<OwnedFd>,
    sockets: Sockets,
    diagnostics: Diagnostics,
    clock: Clock,
    processor: Processor,
    parking: Vec<Parking>,
}

/// What is to be done after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// Go on with this result, and with what is in the payload.
    Answer(i64),
    /// End the Keep with this status.
    Exit(i32),
}

/// Descriptors in one [`Operation::Poll`]: more than any Keep has.
const MAX_POLLED: usize = 2048;

/// Number of the channel.
const CHANNEL_NUMBER: u64 = CHANNEL as u64;

impl Services {
    pub(crate) fn new(
        technology: Box<dyn Technology>,
        channel: OwnedFd,
        diagnostics: OwnedFd,
        threads: u32,
        network: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            technology,
            channel: Arc::new(channel),
            sockets: Sockets::new(network),
            diagnostics: Diagnostics {
                pipe: diagnostics,
                room: Mutex::new(MAX_DIAGNOSTICS),
            },
            clock: Clock::new(),
            processor: Processor::new(),
            parking: (0..threads)
                .map(|_| Parking::new())
                .collect::<Result<_, _>>()?,
        })
    }

    /// Tells the host's operator something, as the Keep could.
    pub(crate) fn diagnose(&self, text: &str) {
        self.diagnostics.write(text.as_bytes());
    }

    /// Does what `request` of thread `thread` asks. `payload` holds the request's payload, and
    /// is left with the answer's.
    pub(crate) fn serve(
        &self,
        thread: u32,
        request: &Request,
        payload: &mut Vec<u8>,
        starter: &dyn Starter,
    ) -> Served {
        if request.operation == Operation::Exit {
            // As for Linux processes, the lowest byte counts.
            return Served::Exit((request.arguments[0] & 0xff) as i32);
        }
        match self.answer(thread, request, payload, starter) {
            Ok(result) => Served::Answer(result.cast_signed()),
            Err(error) => {
                payload.clear();
                Served::Answer(-i64::from(error.raw_os_error()))
            }
        }
    }

    fn answer(
        &self,
        thread: u32,
        request: &Request,
        payload: &mut Vec<u8>,
        starter: &dyn Starter,
    ) -> Result<u64, Errno> {
        let [first, second, ..] = request.arguments;
        match request.operation {
            Operation::Diagnose => {
                self.diagnostics.write(payload);
                payload.clear();
                Ok(0)
            }
            Operation::Receive => self.receive(first, second, payload),
            Operation::Send => self.send(first, payload),
            Operation::Poll => self.poll(thread, first, payload),
            Operation::Park => self.park(thread, first, payload),
            Operation::Unpark => {
                payload.clear();
                let index = usize::try_from(first).map_err(|_| Errno::SRCH)?;
                self.parking.get(index).ok_or(Errno::SRCH)?.unpark();
                Ok(0)
            }
            Operation::StartThread => {
                payload.clear();
                let index = u32::try_from(first).map_err(|_| Errno::SRCH)?;
                starter.start(index).map(|()| 0)
            }
            Operation::Clock => {
                payload.clear();
                payload.extend(Clock::wall_nanoseconds().to_le_bytes());
                payload.extend(self.clock.frequency().to_le_bytes());
                Ok(0)
            }
            Operation::Cpuid => {
                payload.clear();
                let leaf = u32::try_from(first).map_err(|_| Errno::INVAL)?;
                let subleaf = u32::try_from(second).map_err(|_| Errno::INVAL)?;
                payload.extend(self.processor.cpuid(leaf, subleaf)?);
                Ok(0)
            }
            Operation::QuoteTarget
            | Operation::Quote
            | Operation::Restrict
            | Operation::Trim
            | Operation::Remove
            | Operation::Evidence
            | Operation::GiveBack => self.technology.answer(request, payload, &self.diagnostics),
            Operation::Exit => Err(Errno::NOSYS),
            _ => self.answer_about_sockets(request, payload).map_err(known),
        }
    }

    fn answer_about_sockets(&self, request: &Request, payload: &mut Vec<u8>) -> Result<u64, Errno> {
        let [number, second, third, _] = request.arguments;
        let sockets = &self.sockets;
        again_if_interrupted(|| match request.operation {
            Operation::Accept => sockets.accept(number, second, payload),
            Operation::ReceiveFrom => sockets.receive_from(number, second, payload),
            Operation::Name => sockets.name(number, second, payload),
            operation => {
                let done = match operation {
                    Operation::Socket => sockets.make(number, second, third),
                    Operation::Bind => sockets.bind(number, payload),
                    Operation::Connect => sockets.connect(number, payload),
                    Operation::Listen => sockets.listen(number, second),
                    Operation::SendTo => sockets.send_to(number, payload),
                    Operation::Shutdown => sockets.shutdown(number, second),
                    Operation::SetOption => sockets.set_option(number, second, third),
                    Operation::GetOption => sockets.option(number, second),
                    Operation::Close => sockets.close(number),
                    _ => Err(Errno::OPNOTSUPP),
                };
                if done != Err(Errno::INTR) {
                    payload.clear();
                }
                done
            }
        })
    }

    fn receive(&self, number: u64, most: u64, payload: &mut Vec<u8>) -> Result<u64, Errno> {
        let stream = self.stream(number)?;
        let most = usize::try_from(most).map_or(PAYLOAD_SIZE, |most| most.min(PAYLOAD_SIZE));
        payload.clear();
        payload.resize(most, 0);
        let received = again_if_interrupted(|| {
            rustix::net::recv(&*stream, &mut payload[..], RecvFlags::DONTWAIT)
        });
        let (_, count) = received.map_err(known)?;
        payload.truncate(count);
        Ok(count as u64)
    }

    fn send(&self, number: u64, payload: &mut Vec<u8>) -> Result<u64, Errno> {
        let stream = self.stream(number)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = again_if_interrupted(|| rustix::net::send(&*stream, payload, flags));
        payload.clear();
        Ok(sent.map_err(known)? as u64)
    }

    /// The channel, or a socket.
    fn stream(&self, number: u64) -> Result<Arc<OwnedFd>, Errno> {
        match number {
            CHANNEL_NUMBER => Ok(Arc::clone(&self.channel)),
            number => self.sockets.get(number),
        }
    }

    /// As poll(2), for which the channel and the sockets are the descriptors that are open; a
    /// token for the thread ends it too.
    fn poll(&self, thread: u32, nanoseconds: u64, payload: &mut [u8]) -> Result<u64, Errno> {
        let (entries, rest) = payload.as_chunks_mut::<POLL_ENTRY_SIZE>();
        if !rest.is_empty() || entries.len() > MAX_POLLED {
            return Err(Errno::INVAL);
        }
        let parking = self.parking.get(thread as usize).ok_or(Errno::SRCH)?;
        let streams: Vec<Option<Arc<OwnedFd>>> = entries
            .iter()
            .map(|entry| {
                let number = u64::try_from(PollEntry::decode(*entry).descriptor).ok()?;
                self.stream(number).ok()
            })
            .collect();
        let mut ready = 0;
        let mut polled = vec![PollFd::from_borrowed_fd(
            parking.descriptor(),
            PollFlags::IN,
        )];
        for (slot, stream) in entries.iter_mut().zip(&streams) {
            let mut entry = PollEntry::decode(*slot);
            entry.found = 0;
            if let Some(stream) = stream {
                let events = PollFlags::from_bits_retain(entry.events);
                polled.push(PollFd::from_borrowed_fd(stream.as_fd(), events));
            } else if entry.descriptor >= 0 {
                entry.found = PollFlags::NVAL.bits();
                ready += 1;
            }
            *slot = entry.encode();
        }
        // What is ready already does not make the others wait.
        let timeout = if ready > 0 {
            Some(Duration::ZERO)
        } else {
            timeout(nanoseconds)
        };
        poll(&mut polled, timeout)?;
        let (token, polled) = polled.split_first().ok_or(Errno::INVAL)?;
        if !token.revents().is_empty() {
            parking.take();
        }
        let open = entries.iter_mut().zip(&streams);
        let open = open.filter(|(_, stream)| stream.is_some());
        for ((slot, _), polled) in open.zip(polled) {
            let found = polled.revents().bits();
            *slot = PollEntry {
                found,
                ..PollEntry::decode(*slot)
            }
            .encode();
            ready += u64::from(found != 0);
        }
        Ok(ready)
    }

    fn park(&self, thread: u32, nanoseconds: u64, payload: &mut Vec<u8>) -> Result<u64, Errno> {
        payload.clear();
        let parking = self.parking.get(thread as usize).ok_or(Errno::SRCH)?;
        let mut polled = [PollFd::from_borrowed_fd(
            parking.descriptor(),
            PollFlags::IN,
        )];
        poll(&mut polled, timeout(nanoseconds))?;
        if parking.take() {
            Ok(0)
        } else {
            Err(Errno::TIMEDOUT)
        }
    }
}

/// What the Keep says to its host's operator: so much and no more.
pub(crate) struct Diagnostics {
    pipe: OwnedFd,
    room: Mutex<usize>,
}

impl Diagnostics {
    pub(crate) fn write(&self, text: &[u8]) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = &text[..text.len().min(*room)];
        *room -= rest.len();
        while !rest.is_empty() {
            match rustix::io::write(&self.pipe, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                // Nobody reads it.
                Err(_) => return,
            }
        }
    }
}

/// A time to wait, of which the greatest number means that there is none.
fn timeout(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != u64::MAX).then(|| Duration::from_nanos(nanoseconds))
}

/// ppoll(2) that signals do not shorten.
fn poll(polled: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<(), Errno> {
    // A time that no clock reaches is none.
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = end.map(|end| {
            let left = end.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match rustix::event::poll(polled, left.as_ref()) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

fn again_if_interrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{Asked, Outside, error, services};
