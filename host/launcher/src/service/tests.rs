use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;

use enarx_wire_hostcall::call::{
    ADDRESS_SIZE, Caller, SocketOption, decode_address, encode_address,
};
use rustix::pipe::PipeFlags;

use super::*;

struct NoStarter;

impl Starter for NoStarter {
    fn start(&self, thread: u32) -> Result<(), Errno> {
        if thread == 1 {
            Ok(())
        } else {
            Err(Errno::SRCH)
        }
    }
}

/// A kind of Keep that asks for nothing of its own.
struct Plain;

impl Technology for Plain {
    fn answer(&self, _: &Request, _: &mut Vec<u8>, _: &Diagnostics) -> Result<u64, Errno> {
        Err(Errno::NOSYS)
    }
}

/// The other ends of what a Keep has.
pub(crate) struct Outside {
    pub channel: UnixStream,
    diagnostics: OwnedFd,
}

impl Outside {
    /// All diagnostics, once the Keep's end is closed or nothing more is there.
    pub(crate) fn diagnostics(&self) -> String {
        rustix::io::ioctl_fionbio(&self.diagnostics, true).unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = rustix::io::read(&self.diagnostics, &mut buffer) {
            all.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(all).unwrap()
    }
}

/// Services to a Keep of `threads` threads, with a network.
pub(crate) fn services(technology: Box<dyn Technology>, threads: u32) -> (Services, Outside) {
    let (channel, theirs) = UnixStream::pair().unwrap();
    let (diagnostics, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let services = Services::new(technology, theirs.into(), write, threads, true);
    let services = services.unwrap();
    (
        services,
        Outside {
            channel,
            diagnostics,
        },
    )
}

/// A Keep of two threads, asked from outside of any TEE.
pub(crate) struct Asked {
    services: Services,
    pub outside: Outside,
}

impl Asked {
    fn plain() -> Self {
        Self::new(Box::new(Plain))
    }

    pub(crate) fn new(technology: Box<dyn Technology>) -> Self {
        let (services, outside) = services(technology, 2);
        Self { services, outside }
    }

    pub(crate) fn ask(
        &self,
        operation: Operation,
        arguments: &[u64],
        payload: &[u8],
    ) -> (i64, Vec<u8>) {
        let memory = BlockMemory::new().unwrap();
        let base = NonNull::new(memory.address() as *mut u8).unwrap();
        // SAFETY: the memory of a block, which outlives the caller.
        let mut caller = unsafe { Caller::new(base) };
        let mut all = [0; 4];
        all[..arguments.len()].copy_from_slice(arguments);
        let _ = caller.stage(operation, all, &[payload]).unwrap().commit();
        let request = memory.service().request().unwrap();
        let mut payload = vec![0; request.length];
        memory.service().payload(&mut payload);
        match self.services.serve(0, &request, &mut payload, &NoStarter) {
            Served::Answer(result) => (result, payload),
            Served::Exit(status) => (1000 + i64::from(status), payload),
        }
    }
}

/// What a Keep gets when something failed.
pub(crate) fn error(number: i32) -> (i64, Vec<u8>) {
    (-i64::from(number), Vec::new())
}

fn entry(descriptor: i32, events: i16) -> [u8; POLL_ENTRY_SIZE] {
    PollEntry {
        descriptor,
        events: events.cast_unsigned(),
        found: 0xffff,
    }
    .encode()
}

#[test]
fn the_channel_is_the_one_stream_without_sockets() {
    let mut keep = Asked::plain();
    assert_eq!(
        keep.ask(Operation::Receive, &[3, 16], b""),
        error(libc::EAGAIN)
    );
    keep.outside.channel.write_all(b"hello, Keep").unwrap();
    let (count, bytes) = keep.ask(Operation::Receive, &[3, 5], b"");
    assert_eq!((count, &bytes[..]), (5, &b"hello"[..]));
    let (count, bytes) = keep.ask(Operation::Receive, &[3, u64::MAX], b"");
    assert_eq!((count, &bytes[..]), (6, &b", Keep"[..]));
    assert_eq!(
        keep.ask(Operation::Send, &[3], b"hello, host"),
        (11, vec![])
    );
    let mut heard = [0; 11];
    keep.outside.channel.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello, host");
    for descriptor in [0, 1, 2, 4, 5, u64::from(u32::MAX), (1 << 32) + 3, u64::MAX] {
        let refused = error(libc::EBADF);
        assert_eq!(keep.ask(Operation::Receive, &[descriptor, 1], b""), refused);
        assert_eq!(keep.ask(Operation::Send, &[descriptor], b"x"), refused);
    }
    keep.outside.channel = UnixStream::pair().unwrap().0;
    assert_eq!(keep.ask(Operation::Receive, &[3, 1], b""), (0, vec![]));
    assert_eq!(keep.ask(Operation::Send, &[3], b"x"), error(libc::EPIPE));
}

#[test]
fn waiting_is_for_the_channel() {
    let mut keep = Asked::plain();
    let both = [
        entry(3, libc::POLLIN),
        entry(3, libc::POLLIN | libc::POLLOUT),
    ]
    .concat();
    let found = |payload: &[u8]| {
        let entries = payload.as_chunks().0.iter();
        entries
            .map(|entry| PollEntry::decode(*entry).found.cast_signed())
            .collect::<Vec<_>>()
    };
    let (count, payload) = keep.ask(Operation::Poll, &[u64::MAX], &both);
    assert_eq!((count, found(&payload)), (1, vec![0, libc::POLLOUT]));
    let input = entry(3, libc::POLLIN);
    let (count, payload) = keep.ask(Operation::Poll, &[1000], &input);
    assert_eq!((count, found(&payload)), (0, vec![0]));
    keep.outside.channel.write_all(b"x").unwrap();
    let (count, payload) = keep.ask(Operation::Poll, &[u64::MAX], &input);
    assert_eq!((count, found(&payload)), (1, vec![libc::POLLIN]));
    // Others are not open; negative ones are passed over.
    let others = [entry(4, libc::POLLIN), entry(-1, libc::POLLIN), input].concat();
    let (count, payload) = keep.ask(Operation::Poll, &[u64::MAX], &others);
    assert_eq!(
        (count, found(&payload)),
        (2, vec![libc::POLLNVAL, 0, libc::POLLIN])
    );
    assert_eq!(keep.ask(Operation::Poll, &[0], b""), (0, vec![]));
    assert_eq!(
        keep.ask(Operation::Poll, &[0], b"1234567"),
        error(libc::EINVAL)
    );
    assert_eq!(
        keep.ask(Operation::Poll, &[0], &input.repeat(MAX_POLLED + 1)),
        error(libc::EINVAL)
    );
}

#[test]
fn threads_wait_for_each_other() {
    let keep = Asked::plain();
    assert_eq!(keep.ask(Operation::Park, &[0], b""), error(libc::ETIMEDOUT));
    assert_eq!(keep.ask(Operation::Unpark, &[0], b""), (0, vec![]));
    assert_eq!(keep.ask(Operation::Park, &[u64::MAX], b""), (0, vec![]));
    assert_eq!(keep.ask(Operation::Unpark, &[2], b""), error(libc::ESRCH));
    assert_eq!(
        keep.ask(Operation::Unpark, &[u64::MAX], b""),
        error(libc::ESRCH)
    );
    assert_eq!(keep.ask(Operation::StartThread, &[1], b""), (0, vec![]));
    assert_eq!(
        keep.ask(Operation::StartThread, &[1 << 32 | 1], b""),
        error(libc::ESRCH)
    );
}

#[test]
fn a_token_ends_any_waiting_of_its_thread() {
    let keep = Asked::plain();
    let input = entry(3, libc::POLLIN);
    assert_eq!(keep.ask(Operation::Unpark, &[0], b""), (0, vec![]));
    let (count, _) = keep.ask(Operation::Poll, &[u64::MAX], &input);
    assert_eq!(count, 0);
    // It was taken.
    assert_eq!(keep.ask(Operation::Park, &[0], b""), error(libc::ETIMEDOUT));
    assert_eq!(keep.ask(Operation::Poll, &[1000], &input).0, 0);
    // That of another thread does nothing.
    assert_eq!(keep.ask(Operation::Unpark, &[1], b""), (0, vec![]));
    assert_eq!(keep.ask(Operation::Park, &[0], b""), error(libc::ETIMEDOUT));
}

const STREAM: u64 = libc::SOCK_STREAM as u64;
const DATAGRAM: u64 = libc::SOCK_DGRAM as u64;
const INTERNET: u64 = libc::AF_INET as u64;

fn loopback() -> [u8; ADDRESS_SIZE] {
    encode_address("127.0.0.1:0".parse().unwrap())
}

fn done() -> (i64, Vec<u8>) {
    (0, Vec::new())
}

#[test]
fn streams_lead_where_the_keep_wants_under_its_own_numbers() {
    let keep = Asked::plain();
    let ask =
        |operation, arguments: &[u64], payload: &[u8]| keep.ask(operation, arguments, payload);
    for number in [5, 6] {
        assert_eq!(
            ask(Operation::Socket, &[number, INTERNET, STREAM], b""),
            done()
        );
    }
    assert_eq!(ask(Operation::Bind, &[5], &loopback()), done());
    assert_eq!(ask(Operation::Listen, &[5, u64::MAX], b""), done());
    let (_, name) = ask(Operation::Name, &[5, 0], b"");
    assert_eq!(ask(Operation::Accept, &[5, 7], b""), error(libc::EAGAIN));
    let connected = ask(Operation::Connect, &[6], &name);
    assert!([done(), error(libc::EINPROGRESS)].contains(&connected));
    let listening = entry(5, libc::POLLIN);
    assert_eq!(ask(Operation::Poll, &[u64::MAX], &listening).0, 1);
    let (result, peer) = ask(Operation::Accept, &[5, 7], b"");
    assert_eq!((result, &peer), (0, &ask(Operation::Name, &[6, 0], b"").1));
    assert_eq!(ask(Operation::Name, &[6, 1], b"").1, name);
    assert_eq!(
        ask(Operation::GetOption, &[6, SocketOption::Error as u64], b""),
        done()
    );

    let sent = vec![7; PAYLOAD_SIZE];
    let (mut count, _) = ask(Operation::Send, &[6], &sent);
    assert!(count > 0);
    while count > 0 {
        let (received, bytes) = ask(Operation::Receive, &[7, u64::MAX], b"");
        assert_eq!(received, bytes.len() as i64);
        count -= received;
    }
    assert_eq!(ask(Operation::Receive, &[7, 1], b""), error(libc::EAGAIN));
    assert_eq!(ask(Operation::Shutdown, &[6, 1], b""), done());
    assert_eq!(ask(Operation::Receive, &[7, 1], b""), done());
    assert_eq!(ask(Operation::Close, &[6], b""), done());
    let gone = error(libc::EBADF);
    for operation in [Operation::Send, Operation::Name, Operation::Close] {
        assert_eq!(ask(operation, &[6], b""), gone);
    }
}

#[test]
fn datagrams_have_senders_and_lengths() {
    let keep = Asked::plain();
    for number in [5, 6] {
        let made = keep.ask(Operation::Socket, &[number, INTERNET, DATAGRAM], b"");
        assert_eq!(made, done());
        assert_eq!(keep.ask(Operation::Bind, &[number], &loopback()), done());
    }
    let names = [5, 6].map(|number| keep.ask(Operation::Name, &[number, 0], b"").1);
    let message = [&names[1][..], b"datagram"].concat();
    for (most, expected) in [(100, &b"datagram"[..]), (4, b"data")] {
        assert_eq!(keep.ask(Operation::SendTo, &[5], &message), (8, vec![]));
        let (length, answer) = keep.ask(Operation::ReceiveFrom, &[6, most], b"");
        assert_eq!(length, expected.len() as i64);
        let (sender, bytes) = answer.split_at(ADDRESS_SIZE);
        assert_eq!(sender, names[0]);
        assert_eq!(bytes, expected);
        assert!(decode_address(sender.try_into().unwrap()).is_some());
    }
    let nothing = keep.ask(Operation::ReceiveFrom, &[6, 100], b"");
    assert_eq!(nothing, error(libc::EAGAIN));
    for malformed in [&b""[..], &message[..27], &[9; ADDRESS_SIZE]] {
        let (result, _) = keep.ask(Operation::SendTo, &[5], malformed);
        assert!(result < 0);
    }
}

#[test]
fn no_keep_gets_other_sockets_or_more_than_it_may() {
    let keep = Asked::plain();
    let ask = |operation, arguments: &[u64]| keep.ask(operation, arguments, b"").0;
    let make = |number, family, kind| ask(Operation::Socket, &[number, family, kind]);
    let refused = |number: i32| -i64::from(number);
    for family in [
        libc::AF_UNIX,
        libc::AF_NETLINK,
        libc::AF_PACKET,
        libc::AF_VSOCK,
    ] {
        let family = family as u64;
        assert_eq!(make(5, family, STREAM), refused(libc::EAFNOSUPPORT));
    }
    assert_eq!(
        make(5, INTERNET | 1 << 32, STREAM),
        refused(libc::EAFNOSUPPORT)
    );
    for kind in [
        libc::SOCK_RAW,
        libc::SOCK_SEQPACKET,
        libc::SOCK_STREAM | libc::O_NONBLOCK,
    ] {
        assert_eq!(
            make(5, INTERNET, kind as u64),
            refused(libc::EPROTONOSUPPORT)
        );
    }
    // Numbers of other streams, or of none.
    for number in [0, 3, 4, 1 << 31, 1 << 32, u64::MAX] {
        assert_eq!(make(number, INTERNET, DATAGRAM), refused(libc::EINVAL));
    }
    assert_eq!(make(5, INTERNET, DATAGRAM), 0);
    assert_eq!(make(5, INTERNET, DATAGRAM), refused(libc::EINVAL));
    for option in [0, 14, 1 << 32 | 2, u64::MAX] {
        let expected = refused(libc::ENOPROTOOPT);
        assert_eq!(ask(Operation::SetOption, &[5, option, 1]), expected);
        assert_eq!(ask(Operation::GetOption, &[5, option]), expected);
    }
    let option = SocketOption::TimeToLive as u64;
    assert_eq!(
        ask(Operation::SetOption, &[5, option, 1 << 32]),
        refused(libc::EINVAL)
    );
    assert_eq!(ask(Operation::SetOption, &[5, option, 9]), 0);
    assert_eq!(ask(Operation::GetOption, &[5, option]), 9);
    assert_eq!(ask(Operation::Shutdown, &[5, 3]), refused(libc::EINVAL));
    assert_eq!(ask(Operation::Name, &[5, 2]), refused(libc::EINVAL));

    let without = Sockets::new(false);
    assert_eq!(without.make(5, INTERNET, STREAM), Err(Errno::ACCESS));
}

#[test]
fn numbers_of_the_machine() {
    let keep = Asked::plain();
    let (result, payload) = keep.ask(Operation::Clock, &[], b"");
    let words: Vec<u64> = payload
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    assert_eq!((result, words.len()), (0, 2));
    assert!(
        words[0] > 1_700_000_000_000_000_000 && words[1] > 100_000_000,
        "{words:?}"
    );

    let (result, payload) = keep.ask(Operation::Cpuid, &[0, 0], b"");
    assert_eq!((result, payload.len()), (0, 16));
    let vendor = [&payload[4..8], &payload[12..16], &payload[8..12]].concat();
    assert!(vendor.is_ascii(), "{vendor:?}");
    assert_eq!(
        keep.ask(Operation::Cpuid, &[1 << 32, 0], b""),
        error(libc::EINVAL)
    );
}

#[test]
fn diagnostics_are_bounded() {
    let keep = Asked::plain();
    let line = [b'x'; 1000];
    for _ in 0..50 {
        assert_eq!(keep.ask(Operation::Diagnose, &[], &line), (0, vec![]));
    }
    let mut seen = keep.outside.diagnostics().len();
    for _ in 0..50 {
        assert_eq!(keep.ask(Operation::Diagnose, &[], &line), (0, vec![]));
    }
    seen += keep.outside.diagnostics().len();
    assert_eq!(seen, MAX_DIAGNOSTICS);
}

#[test]
fn the_end_has_a_status() {
    let keep = Asked::plain();
    for (status, expected) in [(0, 1000), (7, 1007), (0x1_0107, 1007), (u64::MAX, 1255)] {
        assert_eq!(keep.ask(Operation::Exit, &[status], b"").0, expected);
    }
}
