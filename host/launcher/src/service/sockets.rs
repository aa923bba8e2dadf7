//! Sockets of a Keep.
//!
//! A Keep that may use the network gets sockets of TCP and UDP, so many and no more, which it
//! knows by numbers of its own. Nothing is done with them but what
//! [`Operation`](enarx_wire_hostcall::call::Operation) says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};

use enarx_wire_hostcall::ATTESTATION_DEVICE;
use enarx_wire_hostcall::call::{
    ADDRESS_SIZE, PAYLOAD_SIZE, SOCKET_ERRORS, SocketOption, decode_address, encode_address,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, SocketType,
};

/// The sockets of one Keep.
pub(super) struct Sockets {
    is_permitted: bool,
    open: RwLock<HashMap<u64, Arc<OwnedFd>>>,
}

/// Sockets that a Keep can have: fewer than its host's process can have open files.
const MOST_SOCKETS: usize = 1900;

/// No datagram of UDP is longer.
const LONGEST_DATAGRAM: usize = 0xFFFF;

/// Numbers that sockets can have: those before are the Keep's other streams, those behind are no
/// descriptors of `poll`.
const NUMBERS: std::ops::Range<u64> = ATTESTATION_DEVICE as u64 + 1..1 << 31;

/// What every socket is.
const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Sockets {
    /// No sockets yet; never any unless they are permitted.
    pub(super) fn new(is_permitted: bool) -> Self {
        Self {
            is_permitted,
            open: RwLock::default(),
        }
    }

    /// The socket that the Keep knows by this number. It stays for as long as the result.
    pub(super) fn get(&self, number: u64) -> Result<Arc<OwnedFd>, Errno> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&number).cloned().ok_or(Errno::BADF)
    }

    pub(super) fn make(&self, number: u64, family: u64, kind: u64) -> Result<u64, Errno> {
        if !self.is_permitted {
            return Err(Errno::ACCESS);
        }
        let family = [AddressFamily::INET, AddressFamily::INET6]
            .into_iter()
            .find(|known| u64::from(known.as_raw()) == family)
            .ok_or(Errno::AFNOSUPPORT)?;
        let kind = [SocketType::STREAM, SocketType::DGRAM]
            .into_iter()
            .find(|known| u64::from(known.as_raw()) == kind)
            .ok_or(Errno::PROTONOSUPPORT)?;
        self.require_free(number)?;
        let socket = rustix::net::socket_with(family, kind, FLAGS, None)?;
        self.insert(number, socket)
    }

    pub(super) fn bind(&self, number: u64, payload: &[u8]) -> Result<u64, Errno> {
        rustix::net::bind(&*self.get(number)?, &address(payload)?)?;
        Ok(0)
    }

    pub(super) fn connect(&self, number: u64, payload: &[u8]) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        if payload.is_empty() {
            rustix::net::connect_unspec(&*socket)?;
        } else {
            rustix::net::connect(&*socket, &address(payload)?)?;
        }
        Ok(0)
    }

    pub(super) fn listen(&self, number: u64, waiting: u64) -> Result<u64, Errno> {
        // Linux has limits of its own, far below.
        let waiting = i32::try_from(waiting).unwrap_or(i32::MAX);
        rustix::net::listen(&*self.get(number)?, waiting)?;
        Ok(0)
    }

    pub(super) fn accept(
        &self,
        number: u64,
        new: u64,
        payload: &mut Vec<u8>,
    ) -> Result<u64, Errno> {
        self.require_free(new)?;
        let (socket, peer) = rustix::net::acceptfrom_with(&*self.get(number)?, FLAGS)?;
        give(peer, payload)?;
        self.insert(new, socket)
    }

    pub(super) fn send_to(&self, number: u64, payload: &[u8]) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        let (to, datagram) = payload.split_at_checked(ADDRESS_SIZE).ok_or(Errno::INVAL)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::sendto(&*socket, datagram, flags, &address(to)?)? as u64)
    }

    pub(super) fn receive_from(
        &self,
        number: u64,
        most: u64,
        payload: &mut Vec<u8>,
    ) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        let most =
            usize::try_from(most).map_or(LONGEST_DATAGRAM, |most| most.min(LONGEST_DATAGRAM));
        payload.clear();
        payload.resize(ADDRESS_SIZE + most, 0);
        let room = &mut payload[ADDRESS_SIZE..];
        let (_, length, from) = rustix::net::recvfrom(&*socket, room, RecvFlags::DONTWAIT)?;
        let from = from.and_then(internet).ok_or(Errno::OPNOTSUPP)?;
        payload[..ADDRESS_SIZE].copy_from_slice(&encode_address(from));
        payload.truncate(ADDRESS_SIZE + length);
        Ok(length as u64)
    }

    pub(super) fn shutdown(&self, number: u64, how: u64) -> Result<u64, Errno> {
        let how = match how {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            2 => Shutdown::Both,
            _ => return Err(Errno::INVAL),
        };
        rustix::net::shutdown(&*self.get(number)?, how)?;
        Ok(0)
    }

    pub(super) fn name(
        &self,
        number: u64,
        whose: u64,
        payload: &mut Vec<u8>,
    ) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        let name = match whose {
            0 => Some(rustix::net::getsockname(&*socket)?),
            1 => rustix::net::getpeername(&*socket)?,
            _ => return Err(Errno::INVAL),
        };
        give(name, payload)?;
        Ok(0)
    }

    pub(super) fn set_option(&self, number: u64, option: u64, value: u64) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        let option = SocketOption::from_code(option).ok_or(Errno::NOPROTOOPT)?;
        let value = u32::try_from(value).map_err(|_| Errno::INVAL)?;
        let (level, name) = linux(option);
        let size = size_of::<u32>() as libc::socklen_t;
        // SAFETY: the value is a number of four bytes, which the kernel only reads.
        let result = unsafe {
            let value = (&raw const value).cast();
            libc::setsockopt(socket.as_raw_fd(), level, name, value, size)
        };
        if result == 0 {
            Ok(0)
        } else {
            Err(last_error())
        }
    }

    pub(super) fn option(&self, number: u64, option: u64) -> Result<u64, Errno> {
        let socket = self.get(number)?;
        let option = SocketOption::from_code(option).ok_or(Errno::NOPROTOOPT)?;
        let (level, name) = linux(option);
        let (mut value, mut size) = (0i32, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the kernel writes at most the four bytes that the size says there are.
        let result = unsafe {
            let value = (&raw mut value).cast();
            libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut size)
        };
        if result != 0 {
            return Err(last_error());
        }
        Ok(u64::try_from(value).unwrap_or(0))
    }

    pub(super) fn close(&self, number: u64) -> Result<u64, Errno> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(&number).map(|_| 0).ok_or(Errno::BADF)
    }

    fn require_free(&self, number: u64) -> Result<(), Errno> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if !NUMBERS.contains(&number) || open.contains_key(&number) {
            return Err(Errno::INVAL);
        }
        if open.len() >= MOST_SOCKETS {
            return Err(Errno::MFILE);
        }
        Ok(())
    }

    fn insert(&self, number: u64, socket: OwnedFd) -> Result<u64, Errno> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, Arc::new(socket));
        Ok(0)
    }
}

/// An error of those that a Keep expects of sockets.
pub(super) fn known(error: Errno) -> Errno {
    let number = u16::try_from(error.raw_os_error()).unwrap_or(0);
    if SOCKET_ERRORS.contains(&number) {
        error
    } else {
        Errno::IO
    }
}

fn address(payload: &[u8]) -> Result<SocketAddr, Errno> {
    let bytes = payload.try_into().map_err(|_| Errno::INVAL)?;
    decode_address(bytes).ok_or(Errno::AFNOSUPPORT)
}

fn internet(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok()
}

/// Leaves an address as the answer's payload.
fn give(address: Option<SocketAddrAny>, payload: &mut Vec<u8>) -> Result<(), Errno> {
    let address = address.and_then(internet).ok_or(Errno::OPNOTSUPP)?;
    payload.clear();
    payload.extend(encode_address(address));
    Ok(())
}

fn linux(option: SocketOption) -> (i32, i32) {
    let (level, name) = option.of_linux();
    (level.cast_signed(), name.cast_signed())
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

const _: () = assert!(LONGEST_DATAGRAM + ADDRESS_SIZE <= PAYLOAD_SIZE);
