//! What is said about sockets.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Size of an encoded address in bytes.
pub const ADDRESS_SIZE: usize = 28;

/// Encodes an address: 4 or 6, a zero, the port, flow information, scope, and the IP address with
/// zeros behind it. Numbers are little-endian.
#[must_use]
pub fn encode_address(address: SocketAddr) -> [u8; ADDRESS_SIZE] {
    let mut bytes = [0; ADDRESS_SIZE];
    bytes[2..4].copy_from_slice(&address.port().to_le_bytes());
    match address {
        SocketAddr::V4(address) => {
            bytes[0] = 4;
            bytes[12..16].copy_from_slice(&address.ip().octets());
        }
        SocketAddr::V6(address) => {
            bytes[0] = 6;
            bytes[4..8].copy_from_slice(&address.flowinfo().to_le_bytes());
            bytes[8..12].copy_from_slice(&address.scope_id().to_le_bytes());
            bytes[12..].copy_from_slice(&address.ip().octets());
        }
    }
    bytes
}

/// Decodes an address; nothing but what [`encode_address`] gives is one.
#[must_use]
pub fn decode_address(bytes: &[u8; ADDRESS_SIZE]) -> Option<SocketAddr> {
    let (port, flow, scope) = (half_at(bytes, 2), word_at(bytes, 4), word_at(bytes, 8));
    let mut ip = [0; 16];
    ip.copy_from_slice(&bytes[12..]);
    let address = match bytes[0] {
        4 => SocketAddr::V4(SocketAddrV4::new(
            Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]),
            port,
        )),
        6 => SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope)),
        _ => return None,
    };
    (encode_address(address) == *bytes).then_some(address)
}

/// An option of a socket whose value is one number (`int` of `setsockopt` and `getsockopt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum SocketOption {
    /// `SO_ERROR`: is only read.
    Error = 1,
    /// `SO_REUSEADDR`
    ReuseAddress = 2,
    /// `SO_BROADCAST`
    Broadcast = 3,
    /// `SO_SNDBUF`
    SendBuffer = 4,
    /// `SO_RCVBUF`
    ReceiveBuffer = 5,
    /// `SO_KEEPALIVE`
    KeepAlive = 6,
    /// `IP_TTL`
    TimeToLive = 7,
    /// `IPV6_UNICAST_HOPS`
    UnicastHops = 8,
    /// `IPV6_V6ONLY`
    Ipv6Only = 9,
    /// `TCP_NODELAY`
    NoDelay = 10,
    /// `TCP_KEEPIDLE`
    KeepIdle = 11,
    /// `TCP_KEEPINTVL`
    KeepInterval = 12,
    /// `TCP_KEEPCNT`
    KeepCount = 13,
}

impl SocketOption {
    /// Every option that there is.
    pub const ALL: [Self; 13] = [
        Self::Error,
        Self::ReuseAddress,
        Self::Broadcast,
        Self::SendBuffer,
        Self::ReceiveBuffer,
        Self::KeepAlive,
        Self::TimeToLive,
        Self::UnicastHops,
        Self::Ipv6Only,
        Self::NoDelay,
        Self::KeepIdle,
        Self::KeepInterval,
        Self::KeepCount,
    ];

    /// Level and name by which Linux knows it.
    #[must_use]
    pub const fn of_linux(self) -> (u32, u32) {
        const SOCKET: u32 = 1;
        const IP: u32 = 0;
        const IPV6: u32 = 41;
        const TCP: u32 = 6;
        match self {
            Self::Error => (SOCKET, 4),
            Self::ReuseAddress => (SOCKET, 2),
            Self::Broadcast => (SOCKET, 6),
            Self::SendBuffer => (SOCKET, 7),
            Self::ReceiveBuffer => (SOCKET, 8),
            Self::KeepAlive => (SOCKET, 9),
            Self::TimeToLive => (IP, 2),
            Self::UnicastHops => (IPV6, 16),
            Self::Ipv6Only => (IPV6, 26),
            Self::NoDelay => (TCP, 1),
            Self::KeepIdle => (TCP, 4),
            Self::KeepInterval => (TCP, 5),
            Self::KeepCount => (TCP, 6),
        }
    }

    /// The option with this code.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|option| *option as u64 == code)
    }

    /// The option that Linux knows by this level and name.
    #[must_use]
    pub fn from_linux(level: u32, name: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|option| option.of_linux() == (level, name))
    }
}

/// Error numbers of Linux with which calls on sockets fail. A host that answers with another
/// one lies; what else happens to it, it calls `EIO`.
pub const SOCKET_ERRORS: [u16; 36] = [
    1,   // EPERM
    5,   // EIO
    9,   // EBADF
    11,  // EAGAIN
    12,  // ENOMEM
    13,  // EACCES
    22,  // EINVAL
    23,  // ENFILE
    24,  // EMFILE
    32,  // EPIPE
    71,  // EPROTO
    88,  // ENOTSOCK
    89,  // EDESTADDRREQ
    90,  // EMSGSIZE
    91,  // EPROTOTYPE
    92,  // ENOPROTOOPT
    93,  // EPROTONOSUPPORT
    95,  // EOPNOTSUPP
    97,  // EAFNOSUPPORT
    98,  // EADDRINUSE
    99,  // EADDRNOTAVAIL
    100, // ENETDOWN
    101, // ENETUNREACH
    102, // ENETRESET
    103, // ECONNABORTED
    104, // ECONNRESET
    105, // ENOBUFS
    106, // EISCONN
    107, // ENOTCONN
    108, // ESHUTDOWN
    110, // ETIMEDOUT
    111, // ECONNREFUSED
    112, // EHOSTDOWN
    113, // EHOSTUNREACH
    114, // EALREADY
    115, // EINPROGRESS
];

fn half_at(bytes: &[u8; ADDRESS_SIZE], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn word_at(bytes: &[u8; ADDRESS_SIZE], offset: usize) -> u32 {
    u32::from(half_at(bytes, offset)) | u32::from(half_at(bytes, offset + 2)) << 16
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn addresses_survive_the_wire() {
        for text in [
            "0.0.0.0:0",
            "255.1.2.3:65535",
            "[::]:1",
            "[fe80::1:2%7]:443",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(decode_address(&encode_address(address)), Some(address));
        }
        let flowing = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 2, 3).into();
        assert_eq!(decode_address(&encode_address(flowing)), Some(flowing));
    }

    /// Whatever the host writes is an address in its one form, or none.
    #[test]
    fn no_bytes_but_those_of_an_address_are_one() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut found = 0;
        for round in 0..200_000 {
            let mut bytes = [0; ADDRESS_SIZE];
            for byte in &mut bytes {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Many zeros, or hardly any IPv4 address comes of it.
                *byte = if random >> 40 & 3 == 0 || round % 7 == 0 {
                    random as u8
                } else {
                    0
                };
            }
            bytes[0] = [4, 6, 0, random as u8][round % 4];
            if let Some(address) = decode_address(&bytes) {
                assert_eq!(encode_address(address), bytes);
                found += 1;
            }
        }
        assert!(found > 100, "{found}");
        let mut bytes = encode_address("1.2.3.4:5".parse().unwrap());
        for offset in [1, 4, 8, 16, 27] {
            bytes[offset] = 1;
            assert_eq!(decode_address(&bytes), None, "{offset}");
            bytes[offset] = 0;
        }
    }

    #[test]
    fn options_are_read_back() {
        for option in SocketOption::ALL {
            assert_eq!(SocketOption::from_code(option as u64), Some(option));
            let (level, name) = option.of_linux();
            assert_eq!(SocketOption::from_linux(level, name), Some(option));
        }
        assert_eq!(SocketOption::from_code(0), None);
        assert_eq!(SocketOption::from_code(1 << 32 | 1), None);
        assert_eq!(SocketOption::from_linux(1, 1), None);
    }
}
