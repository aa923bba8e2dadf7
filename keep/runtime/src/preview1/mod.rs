//! WASI preview 1, with sockets.
//!
//! wasmtime's implementation has none: its `sock_accept` always fails, and a program's
//! descriptors are the standard streams, then its directories. Here a program begins
//! with the descriptors of its manifest; what is no socket is passed on to wasmtime.

mod descriptors;
mod files;
mod keep;
mod poll;
mod sockets;
mod waiting;

use std::borrow::Cow;

use wasmtime::Linker;
use wasmtime_wasi::p1::{
    WasiP1Ctx,
    types::{self, Errno},
    wasi_snapshot_preview1,
};
use wiggle::{GuestMemory, GuestPtr};

use crate::{network::Closing, stdin::StdinPipe};

use descriptors::Target;
pub use descriptors::{Descriptors, is_plain};
pub use keep::add_to_linker as add_keep_to_linker;

/// The functions of a program of preview 1, and what they work with.
pub struct Preview1 {
    /// Everything but sockets.
    pub wasi: WasiP1Ctx,
    descriptors: Descriptors,
    stdin: StdinPipe,
    closing: Closing,
}

impl Preview1 {
    /// A program's functions, with standard streams alone. `stdin` is the one that `wasi` has.
    pub fn new(wasi: WasiP1Ctx, stdin: StdinPipe) -> Self {
        Self {
            wasi,
            descriptors: Descriptors::Plain,
            stdin,
            closing: Closing::default(),
        }
    }

    /// Gives the program its descriptors.
    pub fn set_descriptors(&mut self, descriptors: Descriptors) {
        self.descriptors = descriptors;
    }

    /// Closes the connections of a program that has ended, for a bounded time. One that has
    /// not `succeeded` leaves those that it had without an end: what it was sending would look
    /// complete to the peer.
    pub async fn finish(&mut self, succeeded: bool) {
        if let Descriptors::Numbered(targets) = &mut self.descriptors {
            for target in std::mem::take(targets).into_values() {
                match target {
                    Target::Connection(connection) if succeeded => self.closing.close(connection),
                    _ => {}
                }
            }
        }
        self.closing.finish().await;
    }
}

/// Adds the functions to `linker`; `get` finds what they work with.
///
/// # Errors
///
/// None that a linker which defines nothing else has.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> &mut Preview1,
) -> wasmtime::Result<()> {
    wasi_snapshot_preview1::add_to_linker(linker, get)?;
    linker.allow_shadowing(true);
    sockets::add_to_linker(linker, get)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The first area of a program's buffers that has room.
fn first_area(
    memory: &GuestMemory<'_>,
    areas: types::IovecArray,
) -> Result<Option<GuestPtr<[u8]>>, types::Error> {
    for area in areas.iter() {
        let area = memory.read(area?)?;
        if area.buf_len > 0 {
            return Ok(Some(area.buf.as_array(area.buf_len)));
        }
    }
    Ok(None)
}

/// The bytes of a program's buffers, up to [`GATHERED`]. Those of one alone are not copied.
fn gather<'a>(
    memory: &'a GuestMemory<'_>,
    areas: types::CiovecArray,
) -> Result<Cow<'a, [u8]>, types::Error> {
    let mut bytes = Vec::new();
    for area in areas.iter() {
        let area = memory.read(area?)?;
        if areas.len() == 1 {
            let length = area.buf_len.min(GATHERED as u32);
            return Ok(memory.as_cow(area.buf.as_array(length))?);
        }
        let room = GATHERED - bytes.len();
        let length = area.buf_len.min(u32::try_from(room).unwrap_or(u32::MAX));
        bytes.extend_from_slice(&memory.as_cow(area.buf.as_array(length))?);
        if bytes.len() == GATHERED {
            break;
        }
    }
    Ok(bytes.into())
}

/// Bytes that one operation sends at most.
const GATHERED: usize = 64 << 10;

/// The bytes that all of a program's buffers have.
fn total(memory: &GuestMemory<'_>, areas: types::CiovecArray) -> Result<u32, types::Error> {
    let mut total = 0u32;
    for area in areas.iter() {
        let area = memory.read(area?)?;
        total = total.checked_add(area.buf_len).ok_or(Errno::Inval)?;
    }
    Ok(total)
}

/// What a program is told about an error of a connection.
fn errno(error: &std::io::Error) -> Errno {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::WouldBlock => Errno::Again,
        ErrorKind::BrokenPipe => Errno::Pipe,
        // A peer that goes without a word may be a host that cuts the connection.
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Errno::Connreset,
        ErrorKind::ConnectionAborted | ErrorKind::InvalidData => Errno::Connaborted,
        ErrorKind::NotConnected => Errno::Notconn,
        ErrorKind::TimedOut => Errno::Timedout,
        _ => Errno::Io,
    }
}
