//! The functions that are about sockets. wasmtime's trait has them as functions that never
//! wait, so they are defined beside it.

use wasmtime::{Caller, Extern, Linker};
use wasmtime_wasi::p1::{
    types::{self, Errno, Error, Fd},
    wasi_snapshot_preview1::WasiSnapshotPreview1 as _,
};
use wiggle::{GuestMemory, GuestPtr};

use super::{Preview1, Target, errno, first_area, gather};
use crate::network::Connection;

const MODULE: &str = "wasi_snapshot_preview1";

/// Flags of `sock_recv` and `sock_shutdown` (`wasi_snapshot_preview1.witx`).
const PEEK: i32 = 1;
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
                let peek = flags & PEEK != 0;
                let received = preview1
                    .receive_from(descriptor.into(), &mut memory, areas, peek)
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
                let sent = preview1.send_to(descriptor.into(), &memory, areas).await;
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
        let accepted = match self.descriptors.get(descriptor)? {
            Some(Target::Listener(listener)) => listener.accept(blocking).await,
            Some(Target::Connection(_)) => return Err(Errno::Inval.into()),
            Some(Target::Null | Target::Wasi(_)) => return Err(Errno::Notsock.into()),
            None => {
                // Whether it is open is wasmtime's to know.
                return Err(Errno::Notsock.into());
            }
        };
        let accepted = accepted.map_err(|error| errno(&error))?;
        Ok(self.descriptors.insert(Target::Connection(accepted))?)
    }

    async fn receive_from(
        &mut self,
        descriptor: Fd,
        memory: &mut GuestMemory<'_>,
        areas: types::IovecArray,
        peek: bool,
    ) -> Result<types::Size, Error> {
        let connection = self.connection(descriptor)?;
        match first_area(memory, areas)? {
            None => Ok(0),
            Some(area) => Self::receive(connection, memory, area, peek).await,
        }
    }

    async fn send_to(
        &mut self,
        descriptor: Fd,
        memory: &GuestMemory<'_>,
        areas: types::CiovecArray,
    ) -> Result<types::Size, Error> {
        let connection = self.connection(descriptor)?;
        let bytes = gather(memory, areas)?;
        let sent = connection.send(&bytes).await;
        Ok(u32::try_from(sent.map_err(|error| errno(&error))?)?)
    }

    async fn shut_down(&mut self, descriptor: Fd, how: i32) -> Result<(), Error> {
        let connection = self.connection(descriptor)?;
        if how & !(ONLY_RECEIVING | ONLY_SENDING) != 0 || how == 0 {
            return Err(Errno::Inval.into());
        }
        if how & ONLY_RECEIVING != 0 {
            connection.end_receiving();
        }
        if how & ONLY_SENDING != 0 {
            let ended = connection.end_sending().await;
            ended.map_err(|error| errno(&error))?;
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
        if let Some(target) = self.descriptors.get(descriptor)?
            && !matches!(target, Target::Wasi(_))
        {
            return Ok(memory.write(pointer(result), NO_DIRECTORY)?);
        }
        let prestat = self.fd_prestat_get(memory, descriptor)?;
        Ok(memory.write(pointer(result), prestat)?)
    }

    /// Receives into `area` of the program's memory.
    pub(super) async fn receive(
        connection: &mut Connection,
        memory: &mut GuestMemory<'_>,
        area: GuestPtr<[u8]>,
        peek: bool,
    ) -> Result<types::Size, Error> {
        if let Some(buffer) = memory.as_slice_mut(area)? {
            let received = connection.receive(buffer, peek).await;
            return Ok(u32::try_from(received.map_err(|error| errno(&error))?)?);
        }
        // Memory that threads share cannot be lent.
        let mut buffer = vec![0; (area.len() as usize).min(super::GATHERED)];
        let received = connection.receive(&mut buffer, peek).await;
        let received = u32::try_from(received.map_err(|error| errno(&error))?)?;
        let filled = area.get_range(0..received).ok_or(Errno::Fault)?;
        memory.copy_from_slice(&buffer[..received as usize], filled)?;
        Ok(received)
    }

    fn connection(&mut self, descriptor: Fd) -> Result<&mut Connection, Errno> {
        match self.descriptors.get(descriptor)? {
            Some(Target::Connection(connection)) => Ok(connection),
            Some(Target::Listener(_)) => Err(Errno::Notconn),
            Some(Target::Null | Target::Wasi(_)) | None => Err(Errno::Notsock),
        }
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
