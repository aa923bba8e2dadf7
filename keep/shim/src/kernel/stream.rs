//! The calls on descriptors: streams here, files elsewhere.

// The names are the kernel's own.
#![allow(non_upper_case_globals)]

use alloc::{vec, vec::Vec};

use enarx_wire_hostcall::{
    CHANNEL,
    call::{Operation, PAYLOAD_SIZE, POLL_ENTRY_SIZE, PollEntry},
};
use linux_raw_sys::general::{
    __NR_read, __NR_readv, __NR_write, __NR_writev, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT,
};

use super::Kernel;
use crate::{
    Error, UserMemory,
    file::{Object, Readiness},
    platform::{Platform, Stop},
};

/// A stream that leads out of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Diagnostics,
    Channel { waits: bool },
    Attestation,
}

/// A vector of buffers has at most so many.
const MOST_BUFFERS: u64 = 1024;

/// `struct pollfd` is laid out as the host's.
const MOST_DESCRIPTORS: u64 = 512;

impl<P: Platform> Kernel<P> {
    /// Serves a call on a descriptor or a file, if it is one.
    pub(super) fn descriptor_call(&self, number: u32, a: [u64; 6]) -> Option<Result<u64, Error>> {
        let transfers = matches!(number, __NR_read | __NR_write | __NR_readv | __NR_writev);
        if transfers && let Some(stream) = self.stream(a[0]) {
            return Some(match number {
                __NR_read => self.receive(stream, a[1], a[2]),
                __NR_write => self.send(stream, a[1], a[2]),
                __NR_readv => self.vectored(a, stream, |stream, at, length| {
                    self.receive(stream, at, length)
                }),
                _ => self.vectored(a, stream, |stream, at, length| {
                    self.send(stream, at, length)
                }),
            });
        }
        let now = self.wall();
        self.files.lock().call(self, number.into(), a, now)
    }

    fn stream(&self, descriptor: u64) -> Option<Stream> {
        let files = self.files.lock();
        let description = files.descriptor(descriptor as i32).ok()?;
        match description.object() {
            Object::Diagnostics => Some(Stream::Diagnostics),
            Object::Attestation => Some(Stream::Attestation),
            Object::Channel => Some(Stream::Channel {
                waits: !description.nonblocking(),
            }),
            _ => None,
        }
    }

    fn receive(&self, stream: Stream, into: u64, length: u64) -> Result<u64, Error> {
        let length = length.min(PAYLOAD_SIZE as u64);
        match stream {
            _ if length == 0 => Ok(0),
            Stream::Diagnostics => Err(Error::EBADF),
            Stream::Attestation => {
                let answer = self.device.lock().read(length as usize)?;
                UserMemory::write(self, into, &answer)?;
                Ok(answer.len() as u64)
            }
            Stream::Channel { waits } => {
                let buffer = self.borrow_mut(into, length)?;
                loop {
                    let arguments = [CHANNEL as u64, length, 0, 0];
                    let answer =
                        self.platform
                            .call(Operation::Receive, arguments, &[], length, buffer);
                    match u64::try_from(answer.result) {
                        Ok(count) if count == answer.length as u64 => return Ok(count),
                        Ok(_) => self.platform.stop(Stop::AnswerLength),
                        Err(_) => self.retry(answer.result, waits, POLLIN)?,
                    }
                }
            }
        }
    }

    fn send(&self, stream: Stream, from: u64, length: u64) -> Result<u64, Error> {
        let length = length.min(PAYLOAD_SIZE as u64);
        let payload = self.borrow(from, length)?;
        match stream {
            Stream::Diagnostics => {
                self.platform
                    .call(Operation::Diagnose, [0; 4], &[payload], 0, &mut []);
                Ok(length)
            }
            Stream::Attestation => self.device.lock().write(&self.platform, payload),
            Stream::Channel { waits } => loop {
                let arguments = [CHANNEL as u64, 0, 0, 0];
                let answer =
                    self.platform
                        .call(Operation::Send, arguments, &[payload], length, &mut []);
                match u64::try_from(answer.result) {
                    Ok(count) => return Ok(count),
                    Err(_) => self.retry(answer.result, waits, POLLOUT)?,
                }
            },
        }
    }

    /// Waits for the host's stream if the answer was that it is not ready and the program
    /// wants to wait.
    fn retry(&self, answer: i64, waits: bool, events: u32) -> Result<(), Error> {
        match Error::from_answer(answer) {
            Error::EAGAIN if waits => {
                self.poll_channel(events as u16, u64::MAX);
                Ok(())
            }
            Error::EAGAIN => Err(Error::EAGAIN),
            // The host's other errors mean that the stream is gone, whatever it says.
            _ => Err(Error::EPIPE),
        }
    }

    /// Serves each buffer of a vector until one is not filled or emptied.
    fn vectored(
        &self,
        [_, vector, count, ..]: [u64; 6],
        stream: Stream,
        transfer: impl Fn(Stream, u64, u64) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        if count > MOST_BUFFERS {
            return Err(Error::EINVAL);
        }
        let (mut stream, mut total) = (stream, 0);
        for index in 0..count {
            let at = vector.wrapping_add(16 * index);
            let (address, length) = (self.long(at)?, self.long(at.wrapping_add(8))?);
            if length == 0 {
                continue;
            }
            match transfer(stream, address, length) {
                Ok(done) => {
                    total += done;
                    if done < length {
                        break;
                    }
                    // What there is, is enough.
                    if let Stream::Channel { waits } = &mut stream {
                        *waits = false;
                    }
                }
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    pub(super) fn poll(&self, [array, count, timeout, ..]: [u64; 6]) -> Result<u64, Error> {
        const MILLISECOND: u64 = 1_000_000;
        // As everywhere, the lower half of the register is the number.
        let timeout = u64::try_from(timeout as i32)
            .ok()
            .map(|timeout| timeout * MILLISECOND);
        self.poll_until(array, count, timeout)
    }

    pub(super) fn ppoll(&self, [array, count, timeout, ..]: [u64; 6]) -> Result<u64, Error> {
        let timeout = match timeout {
            0 => None,
            at => Some(self.duration(at)?),
        };
        self.poll_until(array, count, timeout)
    }

    fn poll_until(&self, array: u64, count: u64, timeout: Option<u64>) -> Result<u64, Error> {
        if count > MOST_DESCRIPTORS {
            return Err(Error::EINVAL);
        }
        let mut bytes = vec![0; count as usize * POLL_ENTRY_SIZE];
        UserMemory::read(self, array, &mut bytes)?;
        let mut entries: Vec<PollEntry> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|entry| PollEntry::decode(*entry))
            .collect();
        let deadline = timeout.map(|timeout| self.now().saturating_add(timeout));
        let found = loop {
            let mut host = 0;
            let mut ready = 0;
            for entry in &mut entries {
                entry.found = self.readiness(entry, &mut host);
                ready += u64::from(entry.found != 0);
            }
            let left = match deadline {
                _ if ready != 0 => 0,
                None => u64::MAX,
                Some(deadline) => deadline.saturating_sub(self.now()),
            };
            if host != 0 {
                let events = self.poll_channel(host, left);
                for entry in &mut entries {
                    if self.is_channel(entry.descriptor) {
                        entry.found = events & (entry.events | ALWAYS_FOUND);
                        ready += u64::from(entry.found != 0);
                    }
                }
            } else if ready == 0 && left != 0 {
                self.park(deadline);
            }
            if ready != 0 || left == 0 {
                break ready;
            }
        };
        for (place, entry) in bytes.as_chunks_mut().0.iter_mut().zip(&entries) {
            *place = entry.encode();
        }
        UserMemory::write(self, array, &bytes)?;
        Ok(found)
    }

    /// What is ready in here; events that only the host can find are added to `host`.
    fn readiness(&self, entry: &PollEntry, host: &mut u16) -> u16 {
        if entry.descriptor < 0 {
            return 0;
        }
        if self.is_channel(entry.descriptor) {
            *host |= entry.events | ALWAYS_FOUND;
            return 0;
        }
        let files = self.files.lock();
        match files.poll_events(entry.descriptor) {
            Err(_) => POLLNVAL as u16,
            // Diagnostics are always taken, and the device answers at once.
            Ok(None) => (POLLIN | POLLOUT) as u16 & entry.events,
            Ok(Some(Readiness { readable, writable })) => {
                let mut found = 0;
                if readable {
                    found |= POLLIN;
                }
                if writable {
                    found |= POLLOUT;
                }
                found as u16 & entry.events
            }
        }
    }

    fn is_channel(&self, descriptor: i32) -> bool {
        let files = self.files.lock();
        let description = files.descriptor(descriptor);
        description.is_ok_and(|description| matches!(description.object(), Object::Channel))
    }

    /// Waits for events of the host's stream, and gives what the host says it found.
    fn poll_channel(&self, events: u16, nanoseconds: u64) -> u16 {
        let entry = PollEntry {
            descriptor: CHANNEL,
            events,
            found: 0,
        };
        let mut answer = [0; POLL_ENTRY_SIZE];
        let answered = self.platform.call(
            Operation::Poll,
            [nanoseconds, 0, 0, 0],
            &[&entry.encode()],
            1,
            &mut answer,
        );
        match answered.result {
            1 if answered.length == answer.len() => PollEntry::decode(answer).found,
            1 => self.platform.stop(Stop::AnswerLength),
            _ => 0,
        }
    }
}

/// Events that are found although nobody waits for them.
const ALWAYS_FOUND: u16 = (POLLERR | POLLHUP) as u16;
