//! What a Keep can ask of its host.

/// What a Keep asks of its host.
///
/// The host may do anything in answer; each line says what an honest one does. Results are
/// those of Linux calls: zero or more on success, a negated error number otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Operation {
    /// Shows the payload, text of the Keep's diagnostics, to the host's operator.
    Diagnose = 1,
    /// Reads from the descriptor in argument 0, at most argument 1 bytes, without waiting.
    Receive = 2,
    /// Writes the payload to the descriptor in argument 0, without waiting; the result is the
    /// number of bytes taken.
    Send = 3,
    /// Waits until something can be done with one of the descriptors in the payload, an array
    /// of [`PollEntry`], or until argument 0 nanoseconds have passed (`u64::MAX`: never), or as
    /// [`Operation::Park`] does. The answer is the array with events filled in, the result how
    /// many have some.
    Poll = 4,
    /// Waits until [`Operation::Unpark`] was called for this thread, once for each call, or
    /// until argument 0 nanoseconds have passed (`u64::MAX`: never).
    Park = 5,
    /// Ends the waiting, or the next waiting, of the thread in argument 0.
    Unpark = 6,
    /// Enters the Keep with the thread in argument 0, which has not run or has ended.
    StartThread = 7,
    /// Ends the Keep with the status in argument 0. There is no answer.
    Exit = 8,
    /// Gives the time: the answer is the wall clock's nanoseconds since 1970, the time-stamp
    /// counter's frequency in Hz, as two little-endian `u64`.
    Clock = 9,
    /// Gives the processor's answer to CPUID leaf argument 0, subleaf argument 1: EAX, EBX,
    /// ECX, EDX as four little-endian `u32`.
    Cpuid = 10,
    /// Gives the TARGETINFO of the enclave that makes quotes (Intel SDM volume 3D, 34.19).
    QuoteTarget = 11,
    /// Turns the REPORT in the payload into a quote.
    Quote = 12,
    /// Restricts the access of argument 1 pages from the offset in argument 0 to argument 2
    /// (EMODPR).
    Restrict = 13,
    /// Makes the socket that the Keep knows by the number in argument 0 from now on, of the
    /// address family in argument 1 (`AF_INET`, `AF_INET6`) and the type in argument 2
    /// (`SOCK_STREAM`, `SOCK_DGRAM`). Where the Keep may not use the network: `EACCES`. What
    /// the calls on sockets fail with is one of [`SOCKET_ERRORS`](super::SOCKET_ERRORS).
    Socket = 14,
    /// Binds the socket in argument 0 to the [address](super::encode_address) in the payload.
    Bind = 15,
    /// Connects the socket in argument 0 to the address in the payload, without waiting;
    /// without a payload, ends what a socket for datagrams is connected to.
    Connect = 16,
    /// Lets the socket in argument 0 accept connections, of which argument 1 can wait.
    Listen = 17,
    /// Accepts a connection to the socket in argument 0, without waiting, as the socket with
    /// the new number in argument 1. The answer is the peer's address.
    Accept = 18,
    /// Sends a datagram from the socket in argument 0: the payload is an address and the
    /// datagram.
    SendTo = 19,
    /// Receives a datagram from the socket in argument 0, without waiting. The answer is its
    /// sender's address and at most argument 1 bytes of it, the result how many those are.
    ReceiveFrom = 20,
    /// Ends receiving (argument 1 is 0), sending (1) or both (2) on the socket in argument 0.
    Shutdown = 21,
    /// Gives the address of the socket in argument 0 (argument 1 is 0) or its peer's (1).
    Name = 22,
    /// Sets the [option](super::SocketOption) in argument 1 of the socket in argument 0 to the
    /// 32-bit number in argument 2.
    SetOption = 23,
    /// Gives the option in argument 1 of the socket in argument 0.
    GetOption = 24,
    /// Closes the socket in argument 0, whose number may be used again.
    Close = 25,
    /// Turns argument 1 pages from the offset in argument 0 into ones that can be removed
    /// (EMODT to PT_TRIM).
    Trim = 26,
    /// Removes as many pages from that offset, which the Keep has accepted as trimmed (EREMOVE).
    Remove = 27,
    /// Gives evidence over the report data in the payload, of a Keep that has no TEE to give it.
    Evidence = 28,
    /// Takes argument 1 bytes of a machine's private memory back, from the guest physical address in
    /// argument 0 on, with what is in them. They are still the machine's: what it finds there when it
    /// uses them again is anything.
    GiveBack = 29,
}

impl Operation {
    const ALL: [Self; 29] = [
        Self::Diagnose,
        Self::Receive,
        Self::Send,
        Self::Poll,
        Self::Park,
        Self::Unpark,
        Self::StartThread,
        Self::Exit,
        Self::Clock,
        Self::Cpuid,
        Self::QuoteTarget,
        Self::Quote,
        Self::Restrict,
        Self::Socket,
        Self::Bind,
        Self::Connect,
        Self::Listen,
        Self::Accept,
        Self::SendTo,
        Self::ReceiveFrom,
        Self::Shutdown,
        Self::Name,
        Self::SetOption,
        Self::GetOption,
        Self::Close,
        Self::Trim,
        Self::Remove,
        Self::Evidence,
        Self::GiveBack,
    ];

    /// The operation with this code.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| *operation as u64 == code)
    }
}

/// Size of an encoded [`PollEntry`] in bytes.
pub const POLL_ENTRY_SIZE: usize = 8;

/// One descriptor of [`Operation::Poll`]: that of `struct pollfd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollEntry {
    /// The descriptor.
    pub descriptor: i32,
    /// The events that are waited for (`POLLIN`, ...).
    pub events: u16,
    /// The events that were found.
    pub found: u16,
}

impl PollEntry {
    /// Encodes the entry.
    #[must_use]
    pub fn encode(self) -> [u8; POLL_ENTRY_SIZE] {
        let [a, b, c, d] = self.descriptor.to_le_bytes();
        let [e, f] = self.events.to_le_bytes();
        let [g, h] = self.found.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Decodes an entry; every value is one.
    #[must_use]
    pub fn decode([a, b, c, d, e, f, g, h]: [u8; POLL_ENTRY_SIZE]) -> Self {
        Self {
            descriptor: i32::from_le_bytes([a, b, c, d]),
            events: u16::from_le_bytes([e, f]),
            found: u16::from_le_bytes([g, h]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_code(operation as u64), Some(operation));
        }
        assert_eq!(Operation::from_code(0), None);
        assert_eq!(Operation::from_code(1 << 32 | 1), None);
    }

    #[test]
    fn poll_entries_survive_the_wire() {
        let entry = PollEntry {
            descriptor: -3,
            events: 5,
            found: 0x8001,
        };
        assert_eq!(PollEntry::decode(entry.encode()), entry);
    }
}
