//! The functions that are about sockets. wasmtime's trait has them as functions that never
//! wait, so they are defined beside it.

use std::{
    future::poll_fn,
    task::{Poll, ready},
};

use wasmtime::{Caller, Extern, Linker};
use wasmtime_wasi::p1::{
    types::{self, Errno, Error, Fd},
    wasi_snapshot_preview1::WasiSnapshotPreview1 as _,
};
use wiggle::{GuestMemory, GuestPtr};

use super::{Preview1, Target, descriptors::ROOT, errno, first_area, gather};

const MODULE: &str = "wasi_snapshot_preview1";

/// Flags of `sock_recv` and `sock_shutdown` (`wasi_snapshot_preview1.witx`).
const PEEK: i32 = 1;
const WAIT_FOR_ALL: i32 = 2;
const ONLY_RECEIVING: i32 = 1;
const ONLY_SENDING: i32 = 2;

/// The kind of a descriptor that a program begins with and that is no directory. The C
/// libraries go on to the next descriptor then, and would stop at an error.
const NO_DIRECTORY: u8 = u8::MAX;

/// Adds the functions to `linker`; `get` finds what they work with.
pub(super) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> &mut Preview1,
) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "sock_accept",
        move |mut caller: Caller<'_, T>, (descriptor, flags, result): (i32, i32, i32)| {
            Box::new(async move {
                let (mut memory, preview1) = parts(&mut caller, get)?;
                let accepted = preview1.accept(descriptor.into(), flags).await;
                answer(
                    accepted.and_then(|accepted| {
                        Ok(memory.write(pointer(result), u32::from(accepted))?)
                    }),
                )
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_recv",
        move |mut caller: Caller<'_, T>,
              (descriptor, areas, count, flags, size, told): (i32, i32, i32, i32, i32, i32)| {
            Box::new(async move {
                let (mut memory, preview1) = parts(&mut caller, get)?;
                let areas = GuestPtr::new((areas.cast_unsigned(), count.cast_unsigned()));
                let received = preview1
                    .receive_from(descriptor.into(), &mut memory, areas, flags)
                    .await;
                answer(received.and_then(|received| {
                    memory.write(pointer(size), received)?;
                    Ok(memory.write(pointer(told), 0u16)?)
                }))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_send",
        move |mut caller: Caller<'_, T>,
              (descriptor, areas, count, _flags, size): (i32, i32, i32, i32, i32)| {
            Box::new(async move {
                let (mut memory, preview1) = parts(&mut caller, get)?;
                let areas = GuestPtr::new((areas.cast_unsigned(), count.cast_unsigned()));
                let sent = preview1.send(descriptor.into(), &memory, areas).await;
                answer(sent.and_then(|sent| Ok(memory.write(pointer(size), sent)?)))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_shutdown",
        move |mut caller: Caller<'_, T>, (descriptor, how): (i32, i32)| {
            Box::new(async move {
                let (_, preview1) = parts(&mut caller, get)?;
                answer(preview1.shut_down(descriptor.into(), how).await)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_get",
        move |mut caller: Caller<'_, T>, descriptor: i32, result: i32| {
            let (mut memory, preview1) = parts(&mut caller, get)?;
            answer(preview1.tell_kind(descriptor.into(), &mut memory, result))
        },
    )?;
    Ok(())
}

impl Preview1 {
    async fn accept(&mut self, descriptor: Fd, flags: i32) -> Result<Fd, Error> {
        let blocking = flags & i32::from(types::Fdflags::NONBLOCK.bits()) == 0;
        let waits = self.descriptors.listener(descriptor)?.is_blocking();
        let accepted = self
            .run(waits, |descriptors, context| {
                let accepted = descriptors
                    .listener(descriptor)?
                    .poll_accept(context, blocking);
                accepted.map_err(|error| errno(&error).into())
            })
            .await?;
        Ok(self.descriptors.insert(Target::Connection(accepted))?)
    }

    async fn receive_from(
        &mut self,
        descriptor: Fd,
        memory: &mut GuestMemory<'_>,
        areas: types::IovecArray,
        flags: i32,
    ) -> Result<types::Size, Error> {
        self.descriptors.connection(descriptor)?;
        match flags {
            0 | PEEK => match first_area(memory, areas)? {
                None => Ok(0),
                Some(area) => self.receive(descriptor, memory, area, flags == PEEK).await,
            },
            WAIT_FOR_ALL => self.fill(descriptor, memory, areas).await,
            _ => Err(Errno::Notsup.into()),
        }
    }

    /// Receives until `areas` are full, or nothing more comes.
    async fn fill(
        &mut self,
        descriptor: Fd,
        memory: &mut GuestMemory<'_>,
        areas: types::IovecArray,
    ) -> Result<types::Size, Error> {
        let mut filled: types::Size = 0;
        for area in areas.iter() {
            let area = memory.read(area?)?;
            let mut begin = 0;
            while begin < area.buf_len {
                let rest = area
                    .buf
                    .as_array(area.buf_len)
                    .get_range(begin..area.buf_len);
                let rest = rest.ok_or(Errno::Fault)?;
                match self.receive(descriptor, memory, rest, false).await {
                    Ok(0) => return Ok(filled),
                    Ok(received) => {
                        begin += received;
                        filled = filled.checked_add(received).ok_or(Errno::Inval)?;
                    }
                    // The next operation finds the error again.
                    Err(_) if filled > 0 => return Ok(filled),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(filled)
    }

    async fn shut_down(&mut self, descriptor: Fd, how: i32) -> Result<(), Error> {
        let connection = self.descriptors.connection(descriptor)?;
        if how & !(ONLY_RECEIVING | ONLY_SENDING) != 0 || how == 0 {
            return Err(Errno::Inval.into());
        }
        if how & ONLY_RECEIVING != 0 {
            connection.end_receiving();
        }
        if how & ONLY_SENDING != 0 {
            connection.end_sending();
            // What the peer does not take at once goes on its way while the program waits for
            // something else.
            let begun = poll_fn(|context| Poll::Ready(connection.poll_flush(context)));
            if let Poll::Ready(Err(error)) = begun.await {
                return Err(errno(&error).into());
            }
        }
        Ok(())
    }

    /// `fd_prestat_get`.
    fn tell_kind(
        &mut self,
        descriptor: Fd,
        memory: &mut GuestMemory<'_>,
        result: i32,
    ) -> Result<(), Error> {
        // Of wasmtime's descriptors, too, that stand where a program looks for its directories.
        if let Some(target) = self.descriptors.get(descriptor)?
            && target.wasi() != Some(ROOT)
        {
            return Ok(memory.write(pointer(result), NO_DIRECTORY)?);
        }
        let prestat = self.fd_prestat_get(memory, descriptor)?;
        Ok(memory.write(pointer(result), prestat)?)
    }

    /// Receives from a connection into `area` of the program's memory.
    pub(super) async fn receive(
        &mut self,
        descriptor: Fd,
        memory: &mut GuestMemory<'_>,
        area: GuestPtr<[u8]>,
        peek: bool,
    ) -> Result<types::Size, Error> {
        if let Some(buffer) = memory.as_slice_mut(area)? {
            return self.receive_into(descriptor, buffer, peek).await;
        }
        // Memory that threads share cannot be lent.
        let mut buffer = vec![0; (area.len() as usize).min(super::GATHERED)];
        let received = self.receive_into(descriptor, &mut buffer, peek).await?;
        let filled = area.get_range(0..received).ok_or(Errno::Fault)?;
        memory.copy_from_slice(&buffer[..received as usize], filled)?;
        Ok(received)
    }

    async fn receive_into(
        &mut self,
        descriptor: Fd,
        buffer: &mut [u8],
        peek: bool,
    ) -> Result<types::Size, Error> {
        let waits = self.descriptors.connection(descriptor)?.is_blocking();
        let received = self
            .run(waits, |descriptors, context| {
                let connection = descriptors.connection(descriptor)?;
                let received = connection.poll_receive(context, buffer, peek);
                received.map_err(|error| errno(&error).into())
            })
            .await?;
        Ok(u32::try_from(received)?)
    }

    /// Sends the first of the bytes in `areas` over a connection.
    pub(super) async fn send(
        &mut self,
        descriptor: Fd,
        memory: &GuestMemory<'_>,
        areas: types::CiovecArray,
    ) -> Result<types::Size, Error> {
        let waits = self.descriptors.connection(descriptor)?.is_blocking();
        let bytes = gather(memory, areas)?;
        let mut sent = None;
        let sent = self
            .run(waits, |descriptors, context| {
                let connection = descriptors.connection(descriptor)?;
                let size = match sent {
                    Some(size) => size,
                    None => ready!(connection.poll_send(context, &bytes))
                        .map_err(|error| errno(&error))?,
                };
                sent = Some(size);
                // Who waits, waits until the network has the bytes; the others' go on their way
                // while they wait for something else.
                match connection.poll_flush(context) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(errno(&error).into())),
                    Poll::Pending if waits => Poll::Pending,
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(size)),
                }
            })
            .await?;
        Ok(u32::try_from(sent)?)
    }
}

/// The calling program's memory, and what its functions work with.
fn parts<'a, T: 'static>(
    caller: &'a mut Caller<'_, T>,
    get: fn(&mut T) -> &mut Preview1,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut Preview1)> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            let (bytes, state) = memory.data_and_store_mut(caller);
            Ok((GuestMemory::Unshared(bytes), get(state)))
        }
        _ => wasmtime::bail!("the module exports no memory of its own, which sockets need"),
    }
}

/// What a function returns to the program.
fn answer(result: Result<(), Error>) -> wasmtime::Result<i32> {
    match result {
        Ok(()) => Ok(Errno::Success as i32),
        Err(error) => Ok(error.downcast()? as i32),
    }
}

fn pointer<T: wiggle::GuestType>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}
