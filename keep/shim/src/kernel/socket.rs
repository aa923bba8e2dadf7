//! The calls on sockets: the host has them, and gives no other answers than can be.
//!
//! Addresses are parsed here and cross as numbers. That a peer is who it says, or that the
//! host does not listen, is for whoever talks through the socket to see to: with TLS.

use alloc::vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use enarx_wire_hostcall::call::{
    ADDRESS_SIZE, Operation, SocketOption, decode_address, encode_address,
};
use linux_raw_sys::{
    general::{O_CLOEXEC, O_NONBLOCK},
    net::{
        AF_INET, AF_INET6, AF_UNSPEC, IPPROTO_TCP, IPPROTO_UDP, MSG_DONTWAIT, MSG_NOSIGNAL,
        SOCK_DGRAM, SOCK_STREAM,
    },
};

use super::{Kernel, stream::Stream};
use crate::{
    Buffer, Error, UserMemory,
    file::{Edge, Socket},
    platform::{Answer, Platform, Stop},
};

/// No datagram is longer.
const LONGEST_DATAGRAM: u64 = 0xFFFF;

/// Flags of a new socket, apart from its type. No descriptor waits, and none is kept beyond an
/// execution, whether that is asked for or not.
const HOW: u32 = O_NONBLOCK | O_CLOEXEC;

impl<P: Platform> Kernel<P> {
    pub(super) fn socket(&self, [family, kind, protocol, ..]: [u64; 6]) -> Result<u64, Error> {
        let (family, kind, protocol) = (family as u32, kind as u32, protocol as u32);
        if !matches!(family, AF_INET | AF_INET6) {
            return Err(Error::EAFNOSUPPORT);
        }
        let own_protocol = match kind & !HOW {
            SOCK_STREAM => IPPROTO_TCP,
            SOCK_DGRAM => IPPROTO_UDP,
            _ => return Err(Error::ESOCKTNOSUPPORT),
        };
        if protocol != 0 && protocol != own_protocol as u32 {
            return Err(Error::EPROTONOSUPPORT);
        }
        let number = self.files.lock().socket_number()?;
        let socket = Socket::new(number, family == AF_INET6, kind & !HOW == SOCK_DGRAM);
        let kind = kind & !HOW;
        self.ask(
            &socket,
            Operation::Socket,
            [family.into(), kind.into()],
            &[],
        )?;
        self.with_files(|files| files.open_socket(socket))
    }

    pub(super) fn bind(&self, [descriptor, at, length, ..]: [u64; 6]) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        let address = self.address(at, length, &socket)?;
        self.ask(&socket, Operation::Bind, [0; 2], &encode_address(address))
    }

    pub(super) fn listen(&self, [descriptor, waiting, ..]: [u64; 6]) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        // As Linux has it, a negative number is a large one.
        let waiting = u64::from(waiting as u32);
        self.ask(&socket, Operation::Listen, [waiting, 0], &[])?;
        self.note(&socket, Edge::Changed);
        Ok(0)
    }

    pub(super) fn accept(
        &self,
        [descriptor, into, length_at, how, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        if how as u32 & !HOW != 0 {
            return Err(Error::EINVAL);
        }
        let socket = self.host_socket(descriptor)?;
        let number = self.files.lock().socket_number()?;
        let mut peer = [0; ADDRESS_SIZE];
        let request = (Operation::Accept, [number.into(), 0]);
        let answer = self.ask_stream(&socket, Edge::Read, request, &[], 0, &mut peer)?;
        let peer = self.told_address(&socket, answer, &peer);
        let accepted = Socket::new(number, socket.is_v6, false);
        let opened = self.with_files(|files| files.open_socket(accepted))?;
        if let Err(error) = self.write_address(peer, into, length_at) {
            self.with_files(|files| files.close(opened as i32))?;
            return Err(error);
        }
        Ok(opened)
    }

    pub(super) fn connect(&self, [descriptor, at, length, ..]: [u64; 6]) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        let unspecified = length >= 2 && self.array::<2>(at)? == (AF_UNSPEC as u16).to_le_bytes();
        let connected = if unspecified && socket.is_datagram {
            self.ask(&socket, Operation::Connect, [0; 2], &[])
        } else {
            let address = encode_address(self.address(at, length, &socket)?);
            self.ask(&socket, Operation::Connect, [0; 2], &address)
        };
        self.note(&socket, Edge::Changed);
        connected
    }

    pub(super) fn shutdown(&self, [descriptor, how, ..]: [u64; 6]) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        if how > 2 {
            return Err(Error::EINVAL);
        }
        self.ask(&socket, Operation::Shutdown, [how, 0], &[])?;
        self.note(&socket, Edge::Changed);
        Ok(0)
    }

    /// `getsockname` (`whose` is 0) and `getpeername` (1).
    pub(super) fn socket_name(
        &self,
        [descriptor, into, length_at, ..]: [u64; 6],
        whose: u64,
    ) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        let mut name = [0; ADDRESS_SIZE];
        let answer = self.request(&socket, Operation::Name, [whose, 0], &[], 0, &mut name)?;
        let name = self.told_address(&socket, answer, &name);
        self.write_address(name, into, length_at)?;
        Ok(0)
    }

    pub(super) fn set_socket_option(
        &self,
        [descriptor, level, name, at, length, _]: [u64; 6],
    ) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        let option = SocketOption::from_linux(level as u32, name as u32)
            .filter(|option| *option != SocketOption::Error)
            .ok_or(Error::ENOPROTOOPT)?;
        if length < 4 {
            return Err(Error::EINVAL);
        }
        let value = self.word(at)?;
        let setting = [option as u64, value.into()];
        self.ask(&socket, Operation::SetOption, setting, &[])
    }

    pub(super) fn socket_option(
        &self,
        [descriptor, level, name, into, length_at, _]: [u64; 6],
    ) -> Result<u64, Error> {
        let socket = self.host_socket(descriptor)?;
        let option = SocketOption::from_linux(level as u32, name as u32);
        let option = option.ok_or(Error::ENOPROTOOPT)?;
        let (which, most) = ([option as u64, 0], i32::MAX as u64);
        let answer = self.request(&socket, Operation::GetOption, which, &[], most, &mut [])?;
        let value = answer.result.unsigned_abs();
        if option == SocketOption::Error && value != 0 {
            self.require_known(value);
        }
        self.write_counted(&(value as u32).to_le_bytes(), into, length_at)?;
        Ok(0)
    }

    pub(super) fn send_to(
        &self,
        [descriptor, at, length, flags, to, to_length]: [u64; 6],
    ) -> Result<u64, Error> {
        let (socket, flags) = (self.host_socket(descriptor)?, flags as u32);
        // There are no signals for streams that are gone.
        if flags & !(MSG_DONTWAIT | MSG_NOSIGNAL) != 0 {
            return Err(Error::EOPNOTSUPP);
        }
        let buffer = Buffer {
            address: at,
            length,
        };
        if !socket.is_datagram {
            return self.send(Stream::Host(socket), &[buffer]);
        }
        if length > LONGEST_DATAGRAM {
            return Err(Error::EMSGSIZE);
        }
        let payload = self.borrow(at, length)?;
        if to == 0 {
            return self.send_to_host(&socket, Operation::Send, &[payload], length);
        }
        let address = encode_address(self.address(to, to_length, &socket)?);
        self.send_to_host(&socket, Operation::SendTo, &[&address, payload], length)
    }

    pub(super) fn receive_from(
        &self,
        [descriptor, at, length, flags, from, length_at]: [u64; 6],
    ) -> Result<u64, Error> {
        let (socket, flags) = (self.host_socket(descriptor)?, flags as u32);
        if flags & !MSG_DONTWAIT != 0 {
            return Err(Error::EOPNOTSUPP);
        }
        let buffers = [Buffer {
            address: at,
            length,
        }];
        if socket.is_datagram {
            let (received, sender) = self.receive_datagram(&socket, &buffers)?;
            self.write_address(sender, from, length_at)?;
            return Ok(received);
        }
        let received = self.receive(Stream::Host(socket), &buffers)?;
        if from != 0 {
            UserMemory::write(self, length_at, &[0; 4])?;
        }
        Ok(received)
    }

    /// Receives a datagram; gives how much of it there was room for, and its sender.
    pub(super) fn receive_datagram(
        &self,
        socket: &Socket,
        buffers: &[Buffer],
    ) -> Result<(u64, SocketAddr), Error> {
        let room = buffers.iter().map(|buffer| buffer.length);
        let room = room.fold(0, u64::saturating_add).min(LONGEST_DATAGRAM);
        let mut bytes = vec![0; ADDRESS_SIZE + room as usize];
        let request = (Operation::ReceiveFrom, [room, 0]);
        let answer = self.ask_stream(socket, Edge::Read, request, &[], room, &mut bytes)?;
        let received = answer.result.unsigned_abs();
        if answer.length as u64 != ADDRESS_SIZE as u64 + received {
            self.platform.stop(Stop::AnswerLength);
        }
        let Some((sender, mut rest)) = bytes.split_first_chunk() else {
            self.platform.stop(Stop::AnswerLength)
        };
        rest = &rest[..received as usize];
        for buffer in buffers {
            let (piece, others) = rest.split_at(rest.len().min(buffer.length as usize));
            UserMemory::write(self, buffer.address, piece)?;
            rest = others;
        }
        Ok((received, self.checked_address(socket, sender)))
    }

    /// Asks for something that is done at once and has no other answer than that.
    fn ask(
        &self,
        socket: &Socket,
        operation: Operation,
        details: [u64; 2],
        payload: &[u8],
    ) -> Result<u64, Error> {
        self.request(socket, operation, details, payload, 0, &mut [])?;
        Ok(0)
    }

    /// As [`ask`](Self::ask), for an answer that is at most `most`, with bytes that fit `into`.
    fn request(
        &self,
        socket: &Socket,
        operation: Operation,
        [first, second]: [u64; 2],
        payload: &[u8],
        most: u64,
        into: &mut [u8],
    ) -> Result<Answer, Error> {
        let arguments = [socket.number.into(), first, second, 0];
        let answer = self
            .platform
            .call(operation, arguments, &[payload], most, into);
        self.checked(answer)
    }

    fn host_socket(&self, descriptor: u64) -> Result<Socket, Error> {
        match self.stream(descriptor) {
            Some(Stream::Host(socket)) => Ok(socket),
            _ => {
                self.files.lock().descriptor(descriptor as i32)?;
                Err(Error::ENOTSOCK)
            }
        }
    }

    /// The address of which the host says that it is the answer.
    fn told_address(
        &self,
        socket: &Socket,
        answer: Answer,
        bytes: &[u8; ADDRESS_SIZE],
    ) -> SocketAddr {
        if answer.length != ADDRESS_SIZE {
            self.platform.stop(Stop::AnswerLength);
        }
        self.checked_address(socket, bytes)
    }

    fn checked_address(&self, socket: &Socket, bytes: &[u8; ADDRESS_SIZE]) -> SocketAddr {
        match decode_address(bytes) {
            Some(address) if address.is_ipv6() == socket.is_v6 => address,
            _ => self.platform.stop(Stop::AnswerResult),
        }
    }

    /// The `struct sockaddr_in` or `sockaddr_in6` at `at`, of the socket's family.
    fn address(&self, at: u64, length: u64, socket: &Socket) -> Result<SocketAddr, Error> {
        const V4: usize = 16;
        const V6: usize = 28;
        let is_v6 = socket.is_v6;
        let size = if is_v6 { V6 } else { V4 };
        if length < size as u64 {
            return Err(Error::EINVAL);
        }
        let mut bytes = [0; V6];
        UserMemory::read(self, at, &mut bytes[..size])?;
        let family = if is_v6 { AF_INET6 } else { AF_INET };
        if bytes[..2] != (family as u16).to_le_bytes() {
            return Err(Error::EAFNOSUPPORT);
        }
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if !is_v6 {
            return Ok(SocketAddrV4::new(Ipv4Addr::from(word(4)), port).into());
        }
        let mut ip = [0; 16];
        ip.copy_from_slice(&bytes[8..24]);
        let flow = u32::from_be_bytes(word(4));
        let scope = u32::from_le_bytes(word(24));
        Ok(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
    }

    /// Writes an address as the program knows them, if it wants to know it.
    fn write_address(&self, address: SocketAddr, into: u64, length_at: u64) -> Result<(), Error> {
        if into == 0 {
            return Ok(());
        }
        let mut bytes = [0; 28];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let size = match address {
            SocketAddr::V4(address) => {
                bytes[..2].copy_from_slice(&(AF_INET as u16).to_le_bytes());
                bytes[4..8].copy_from_slice(&address.ip().octets());
                16
            }
            SocketAddr::V6(address) => {
                bytes[..2].copy_from_slice(&(AF_INET6 as u16).to_le_bytes());
                bytes[4..8].copy_from_slice(&address.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&address.ip().octets());
                bytes[24..].copy_from_slice(&address.scope_id().to_le_bytes());
                28
            }
        };
        self.write_counted(&bytes[..size], into, length_at)
    }

    /// Writes as much as there is room for, and how much there was to write.
    fn write_counted(&self, bytes: &[u8], into: u64, length_at: u64) -> Result<(), Error> {
        let room = usize::try_from(self.word(length_at)? as i32).map_err(|_| Error::EINVAL)?;
        UserMemory::write(self, into, &bytes[..bytes.len().min(room)])?;
        UserMemory::write(self, length_at, &(bytes.len() as u32).to_le_bytes())
    }
}
