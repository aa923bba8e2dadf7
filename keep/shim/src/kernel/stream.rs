//! The calls on descriptors: streams here, files elsewhere.

// The names are the kernel's own.
#![allow(non_upper_case_globals)]

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use enarx_wire_hostcall::{
    CHANNEL,
    call::{Operation, PAYLOAD_SIZE, SOCKET_ERRORS},
};
use linux_raw_sys::general::{__NR_read, __NR_readv, __NR_writev};

use super::Kernel;
use crate::{
    Buffer, Buffers, Error, UserMemory,
    file::{Edge, Object, Socket, Time},
    platform::{Answer, Platform, Stop},
};

/// A stream that leads out of the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Diagnostics,
    Attestation,
    Host(Socket),
}

impl<P: Platform> Kernel<P> {
    /// Serves a call on descriptors and files that never waits; others are counted.
    pub(super) fn file_call(&self, number: u32, a: [u64; 6]) -> Result<u64, Error> {
        let now = Time::from_nanoseconds(self.wall());
        let done = self.with_files(|files| files.call(self, number, a, now));
        done.unwrap_or_else(|| {
            self.unknown_calls.fetch_add(1, Ordering::Relaxed);
            Err(Error::ENOSYS)
        })
    }

    /// Serves `read`, `write` and what they are with several buffers.
    pub(super) fn transfer(&self, number: u32, a: [u64; 6]) -> Result<u64, Error> {
        let reads = matches!(number, __NR_read | __NR_readv);
        if let Some(stream) = self.stream(a[0]) {
            let buffers = match (number, a[1], a[2]) {
                (__NR_readv | __NR_writev, address, count) => Buffers::Array { address, count },
                (_, address, length) => Buffers::One(Buffer { address, length }),
            };
            let buffers = buffers.list(self)?;
            return if reads {
                self.receive(stream, &buffers)
            } else {
                self.send(stream, &buffers)
            };
        }
        self.file_call(number, a)
    }

    pub(super) fn stream(&self, descriptor: u64) -> Option<Stream> {
        let files = self.files.lock();
        match files.descriptor(descriptor as i32).ok()?.object() {
            Object::Diagnostics => Some(Stream::Diagnostics),
            Object::Attestation => Some(Stream::Attestation),
            Object::Channel(socket) | Object::Socket(socket) => Some(Stream::Host(*socket)),
            _ => None,
        }
    }

    /// Receives into the first buffer that is not empty: a stream gives what it has in as many
    /// parts as it likes.
    pub(super) fn receive(&self, stream: Stream, buffers: &[Buffer]) -> Result<u64, Error> {
        if let Stream::Host(socket) = stream
            && socket.is_datagram
        {
            let (received, _) = self.receive_datagram(&socket, buffers)?;
            return Ok(received);
        }
        let Some(buffer) = buffers.iter().find(|buffer| buffer.length != 0) else {
            return Ok(0);
        };
        let length = buffer.length.min(PAYLOAD_SIZE as u64);
        match stream {
            Stream::Host(socket) => {
                let into = self.borrow_mut(buffer.address, length)?;
                let request = (Operation::Receive, [length, 0]);
                let answer = self.ask_stream(&socket, Edge::Read, request, &[], length, into)?;
                if answer.result != answer.length as i64 {
                    self.platform.stop(Stop::AnswerLength);
                }
                let wanted = buffers.iter().map(|buffer| buffer.length);
                if (answer.length as u64) < wanted.fold(0, u64::saturating_add) {
                    self.note(&socket, Edge::Read);
                }
                Ok(answer.length as u64)
            }
            Stream::Diagnostics => Err(Error::EBADF),
            Stream::Attestation => {
                let answer = self.device.lock().read(length as usize)?;
                UserMemory::write(self, buffer.address, &answer)?;
                Ok(answer.len() as u64)
            }
        }
    }

    pub(super) fn send(&self, stream: Stream, buffers: &[Buffer]) -> Result<u64, Error> {
        let (payload, length) = self.gathered(buffers)?;
        match stream {
            Stream::Diagnostics => {
                self.platform
                    .call(Operation::Diagnose, [0; 4], &payload, 0, &mut []);
                Ok(length)
            }
            Stream::Attestation => {
                let mut device = self.device.lock();
                let mut pieces = payload.into_iter();
                pieces.try_fold(0, |done, piece| {
                    Ok(done + device.write(&self.platform, piece)?)
                })
            }
            Stream::Host(socket) => self.send_to_host(&socket, Operation::Send, &payload, length),
        }
    }

    /// Asks the host to send `length` bytes of the payload.
    pub(super) fn send_to_host(
        &self,
        socket: &Socket,
        operation: Operation,
        payload: &[&[u8]],
        length: u64,
    ) -> Result<u64, Error> {
        let request = (operation, [0; 2]);
        let answer = self.ask_stream(socket, Edge::Written, request, payload, length, &mut [])?;
        let sent = answer.result.unsigned_abs();
        if sent < length {
            // There are no parts of datagrams.
            if socket.is_datagram {
                self.platform.stop(Stop::AnswerResult);
            }
            self.note(socket, Edge::Written);
        }
        Ok(sent)
    }

    /// The buffers' bytes, as many as one call can carry, and how many they are.
    pub(super) fn gathered(&self, buffers: &[Buffer]) -> Result<(Vec<&[u8]>, u64), Error> {
        let mut length = 0;
        let pieces = buffers.iter().map(|buffer| {
            let piece = buffer.length.min(PAYLOAD_SIZE as u64 - length);
            length += piece;
            self.borrow(buffer.address, piece)
        });
        let pieces = pieces.collect::<Result<_, _>>()?;
        Ok((pieces, length))
    }

    /// Asks the host for something to be done with a stream, of which nothing is left to read or
    /// write if the host cannot do it yet.
    pub(super) fn ask_stream(
        &self,
        socket: &Socket,
        edge: Edge,
        (operation, [first, second]): (Operation, [u64; 2]),
        payload: &[&[u8]],
        most: u64,
        into: &mut [u8],
    ) -> Result<Answer, Error> {
        let arguments = [socket.number.into(), first, second, 0];
        let answer = self
            .platform
            .call(operation, arguments, payload, most, into);
        if answer.result == Error::EAGAIN.as_result() {
            self.note(socket, edge);
        } else if answer.result < 0 && socket.number == CHANNEL as u32 {
            // Whatever the host says: the stream to the owner is gone.
            return Err(Error::EPIPE);
        }
        self.checked(answer)
    }

    /// The answer, or its error: one that sockets have.
    pub(super) fn checked(&self, answer: Answer) -> Result<Answer, Error> {
        if answer.result >= 0 {
            return Ok(answer);
        }
        self.require_known(answer.result.unsigned_abs());
        Err(Error::from_answer(answer.result))
    }

    /// Stops the Keep unless sockets have this error.
    pub(super) fn require_known(&self, error: u64) {
        if !SOCKET_ERRORS.iter().any(|known| u64::from(*known) == error) {
            self.platform.stop(Stop::AnswerResult);
        }
    }

    /// Notes what has happened to a stream, for those that wait for it.
    pub(super) fn note(&self, socket: &Socket, edge: Edge) {
        self.with_files(|files| files.socket_edge(socket.number, edge));
    }
}
