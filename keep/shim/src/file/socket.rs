//! Sockets, as far as they are kept here: which there are, and their numbers.

use alloc::vec::Vec;

use linux_raw_sys::general::{O_NONBLOCK, O_RDWR};

use super::descriptor::Socket;
use super::{Files, Object};
use crate::Error;
use enarx_wire_hostcall::ATTESTATION_DEVICE;

/// What has happened to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// All that could be read was.
    Read,

    /// As much was written as could be.
    Written,

    /// It is no longer what it was: it listens, is connected or shut down.
    Changed,
}

impl Files {
    /// A number for a new socket. None that is in use is given, nor soon one that was.
    ///
    /// # Errors
    ///
    /// [`Error::EMFILE`] when no more descriptors can be open.
    pub fn socket_number(&mut self) -> Result<u32, Error> {
        const LOWEST: u32 = ATTESTATION_DEVICE as u32 + 1;
        self.table.unused(0)?;
        loop {
            self.last_socket = match self.last_socket {
                last @ LOWEST..0x7FFF_FFFF => last + 1,
                _ => LOWEST,
            };
            let number = self.last_socket;
            let mut objects = self.table.objects();
            let is_used = objects
                .any(|object| matches!(object, Object::Socket(socket) if socket.number == number));
            if !is_used {
                return Ok(number);
            }
        }
    }

    /// Opens a descriptor for a socket that the host has made, which is closed if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::EMFILE`] when no more descriptors can be open.
    pub fn open_socket(&mut self, socket: Socket) -> Result<u64, Error> {
        let status = O_RDWR | O_NONBLOCK;
        let opened = self.table.insert(Object::Socket(socket), status);
        if opened.is_err() {
            self.closed_sockets.push(socket.number);
        }
        opened
    }

    /// Takes note of what has happened to a socket, if it is still open.
    pub fn socket_edge(&mut self, number: u32, edge: Edge) {
        for object in self.table.objects_mut() {
            match object {
                Object::Channel(socket) | Object::Socket(socket) if socket.number == number => {
                    match edge {
                        Edge::Read => socket.activity.reading(),
                        Edge::Written => socket.activity.writing(),
                        Edge::Changed => socket.activity.both(),
                    }
                    self.changes += 1;
                    return;
                }
                _ => {}
            }
        }
    }

    /// The numbers of sockets that were closed since this was asked.
    pub fn take_closed_sockets(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.closed_sockets)
    }
}
