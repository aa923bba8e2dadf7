//! Sockets, and hosts that lie about them.

use std::net::SocketAddr;

use enarx_wire_hostcall::call::{ADDRESS_SIZE, encode_address};
use linux_raw_sys::net::*;

use super::*;

const PORT: [u8; 2] = 8080u16.to_be_bytes();

/// `struct sockaddr_in` of 10.0.0.1:8080.
const PEER: [u8; 16] = [2, 0, PORT[0], PORT[1], 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

fn peer() -> [u8; ADDRESS_SIZE] {
    encode_address("10.0.0.1:8080".parse::<SocketAddr>().unwrap())
}

impl Fixture {
    fn socket(&self, kind: u32) -> u64 {
        let arguments = [AF_INET.into(), kind.into(), 0, 0, 0, 0];
        self.call(__NR_socket, arguments).unwrap()
    }

    fn stream(&self) -> u64 {
        self.socket(SOCK_STREAM | O_NONBLOCK)
    }

    fn datagrams(&self) -> u64 {
        self.socket(SOCK_DGRAM | O_NONBLOCK)
    }

    /// Why the Keep stops when the host answers an operation like this.
    fn lied_to(operation: Operation, result: i64, payload: &[u8], act: impl FnOnce(&Self)) -> Stop {
        let fixture = Self::new();
        fixture.machine.reply(operation, result, payload);
        fixture.stopped(act)
    }
}

#[test]
fn sockets_are_the_hosts_under_numbers_of_ours() {
    let fixture = Fixture::new();
    let socket = fixture.stream();
    let seen = fixture.machine.seen(Operation::Socket);
    let [number, family, kind, _] = seen[0].0;
    assert_eq!((number, family, kind), (5, 2, 1));

    let address = fixture.put(0, &PEER);
    fixture.machine.reply(Operation::Connect, -115, &[]);
    let connect = [socket, address, 16, 0, 0, 0];
    assert_eq!(fixture.call(__NR_connect, connect), Err(-115));
    assert_eq!(
        fixture.machine.seen(Operation::Connect),
        [([number, 0, 0, 0], peer().to_vec())]
    );

    // One call for all parts.
    let parts = [fixture.put(64, b"one"), 3, fixture.put(80, b"two"), 3];
    let parts = fixture.put(128, parts.map(u64::to_le_bytes).as_flattened());
    fixture.machine.reply(Operation::Send, 6, &[]);
    let write = [socket, parts, 2, 0, 0, 0];
    assert_eq!(fixture.call(__NR_writev, write), Ok(6));
    assert_eq!(fixture.machine.seen(Operation::Send)[0].1, b"onetwo");

    let room = fixture.put(512, &[0xEE; 32]);
    let length = fixture.put(600, &16u32.to_le_bytes());
    fixture.machine.reply(Operation::Name, 0, &peer());
    let name = [socket, room, length, 0, 0, 0];
    assert_eq!(fixture.call(__NR_getpeername, name), Ok(0));
    assert_eq!(fixture.get(room), PEER);
    assert_eq!(fixture.get(length), 16u32.to_le_bytes());

    // The host hears of the end when the last descriptor is closed.
    let other = fixture.call(__NR_dup, [socket, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(fixture.call(__NR_close, [socket, 0, 0, 0, 0, 0]), Ok(0));
    assert!(fixture.machine.seen(Operation::Close).is_empty());
    assert_eq!(fixture.call(__NR_close, [other, 0, 0, 0, 0, 0]), Ok(0));
    assert_eq!(fixture.machine.seen(Operation::Close)[0].0[0], number);
    assert_eq!(fixture.stream(), socket);
    let numbers = fixture.machine.seen(Operation::Socket);
    assert_ne!(
        numbers[1].0[0], number,
        "a number is not given twice so soon"
    );
}

#[test]
fn datagrams_come_with_their_senders() {
    let fixture = Fixture::new();
    let socket = fixture.datagrams();
    let (buffer, room) = (fixture.put(0, &[0; 64]), fixture.put(128, &[0; 32]));
    let length = fixture.put(256, &28u32.to_le_bytes());
    let answer = [&peer()[..], b"abcd"].concat();
    fixture.machine.reply(Operation::ReceiveFrom, 4, &answer);
    let receive = [socket, buffer, 4, 0, room, length];
    assert_eq!(fixture.call(__NR_recvfrom, receive), Ok(4));
    assert_eq!(fixture.get(room), PEER);
    assert_eq!(fixture.get(length), 16u32.to_le_bytes());
    assert_eq!(&fixture.get(buffer), b"abcd\0");
    let peek = [socket, buffer, 4, MSG_PEEK.into(), room, length];
    assert_eq!(fixture.call(__NR_recvfrom, peek), Err(-95));
    let to = fixture.put(300, &PEER);
    fixture.machine.reply(Operation::SendTo, 4, &[]);
    let send = [socket, buffer, 4, 0, to, 16];
    assert_eq!(fixture.call(__NR_sendto, send), Ok(4));
    assert_eq!(fixture.machine.seen(Operation::SendTo)[0].1, answer);
    // Unspecified: from now on it is connected to nobody.
    let nobody = fixture.put(400, &[0; 16]);
    let connect = [socket, nobody, 16, 0, 0, 0];
    assert_eq!(fixture.call(__NR_connect, connect), Ok(0));
    assert!(fixture.machine.seen(Operation::Connect)[0].1.is_empty());
    let long = [socket, buffer, 0x1_0000, 0, 0, 0];
    assert_eq!(fixture.call(__NR_sendto, long), Err(-90));
}

#[test]
fn what_is_no_socket_or_not_permitted_is_refused() {
    let fixture = Fixture::new();
    fixture.machine.reply(Operation::Socket, -13, &[]);
    let call = |number, arguments: [u64; 6]| fixture.call(number, arguments);
    let make = |family: u32, kind: u32, protocol: u64| {
        call(__NR_socket, [family.into(), kind.into(), protocol, 0, 0, 0])
    };
    assert_eq!(make(AF_INET, SOCK_STREAM, 0), Err(-13));
    assert_eq!(make(AF_UNIX, SOCK_STREAM, 0), Err(-97));
    assert_eq!(make(AF_INET, SOCK_RAW, 0), Err(-94));
    assert_eq!(make(AF_INET, SOCK_STREAM, 17), Err(-93));
    for number in [__NR_bind, __NR_connect, __NR_listen, __NR_shutdown] {
        // A file, the channel's end inside, and nothing at all.
        assert_eq!(call(number, [0, 0, 0, 0, 0, 0]), Err(-88));
        assert_eq!(call(number, [4, 0, 0, 0, 0, 0]), Err(-88));
        assert_eq!(call(number, [9, 0, 0, 0, 0, 0]), Err(-9));
    }
    let socket = fixture.stream();
    let address = fixture.put(0, &PEER);
    assert_eq!(call(__NR_bind, [socket, address, 15, 0, 0, 0]), Err(-22));
    assert_eq!(call(__NR_bind, [socket, 8, 16, 0, 0, 0]), Err(-14));
    let other_family = fixture.put(0, &[10, 0]);
    let bind = [socket, other_family, 28, 0, 0, 0];
    assert_eq!(call(__NR_bind, bind), Err(-97));
    let value = fixture.put(64, &1u32.to_le_bytes());
    for (level, name) in [(1, 4), (1, 13), (1, 25), (6, 13), (41, 99)] {
        let set = [socket, level, name, value, 4, 0];
        assert_eq!(call(__NR_setsockopt, set), Err(-92), "{level} {name}");
    }
    assert_eq!(call(__NR_setsockopt, [socket, 6, 1, value, 4, 0]), Ok(0));
    assert_eq!(call(__NR_setsockopt, [socket, 6, 1, value, 2, 0]), Err(-22));
    assert!(fixture.machine.seen(Operation::Bind).is_empty());
}

/// Each answer that cannot be stops the Keep.
#[test]
fn every_lie_about_a_socket_stops_the_keep() {
    let wrong_family = encode_address("[::1]:1".parse().unwrap());
    let mut malformed = peer();
    malformed[20] = 1;
    for (payload, reason) in [
        (&peer()[..27], Stop::AnswerLength),
        (&[], Stop::AnswerLength),
        (&wrong_family, Stop::AnswerResult),
        (&malformed, Stop::AnswerResult),
        (&[0; ADDRESS_SIZE], Stop::AnswerResult),
    ] {
        let stopped = Fixture::lied_to(Operation::Accept, 0, payload, |fixture| {
            let listener = fixture.stream();
            let _ = fixture.call(__NR_accept4, [listener, 0, 0, 0, 0, 0]);
        });
        assert_eq!(stopped, reason);
        let stopped = Fixture::lied_to(Operation::Name, 0, payload, |fixture| {
            let socket = fixture.stream();
            let _ = fixture.call(__NR_getsockname, [socket, 0, 0, 0, 0, 0]);
        });
        assert_eq!(stopped, reason);
    }

    let datagram = |bytes: usize| [&peer()[..], &vec![7; bytes]].concat();
    for (result, payload, reason) in [
        (4, datagram(3), Stop::AnswerLength),
        (3, datagram(4), Stop::AnswerLength),
        (8, datagram(5), Stop::AnswerLength),
        (8, datagram(9)[1..].to_vec(), Stop::AnswerResult),
        (0, Vec::new(), Stop::AnswerLength),
        (0, wrong_family.to_vec(), Stop::AnswerResult),
    ] {
        let stopped = Fixture::lied_to(Operation::ReceiveFrom, result, &payload, |fixture| {
            let socket = fixture.datagrams();
            let at = fixture.page;
            let _ = fixture.call(__NR_recvfrom, [socket, at, 8, 0, 0, 0]);
        });
        assert_eq!(stopped, reason, "{result} {}", payload.len());
    }
    // A part of a datagram.
    let stopped = Fixture::lied_to(Operation::Send, 3, &[], |fixture| {
        let socket = fixture.datagrams();
        let at = fixture.page;
        let _ = fixture.call(__NR_sendto, [socket, at, 8, 0, 0, 0]);
    });
    assert_eq!(stopped, Stop::AnswerResult);
    let stopped = Fixture::lied_to(Operation::Receive, 5, b"four", |fixture| {
        let socket = fixture.stream();
        let at = fixture.page;
        let _ = fixture.call(__NR_recvfrom, [socket, at, 8, 0, 0, 0]);
    });
    assert_eq!(stopped, Stop::AnswerLength);
}

/// Errors that none of these calls has: what a program would do then, nobody has thought of.
#[test]
fn errors_that_sockets_do_not_have_stop_the_keep() {
    const LIES: [i64; 7] = [-2, -4, -14, -38, -110 - 1000, -4095, -512];
    type Act = fn(&Fixture, u64) -> Result<u64, i64>;
    let acts: [(Operation, Act); 10] = [
        (Operation::Bind, |fixture, socket| {
            let at = fixture.put(0, &PEER);
            fixture.call(__NR_bind, [socket, at, 16, 0, 0, 0])
        }),
        (Operation::Connect, |fixture, socket| {
            let at = fixture.put(0, &PEER);
            fixture.call(__NR_connect, [socket, at, 16, 0, 0, 0])
        }),
        (Operation::Listen, |fixture, socket| {
            fixture.call(__NR_listen, [socket, 1, 0, 0, 0, 0])
        }),
        (Operation::Accept, |fixture, socket| {
            fixture.call(__NR_accept4, [socket, 0, 0, 0, 0, 0])
        }),
        (Operation::Shutdown, |fixture, socket| {
            fixture.call(__NR_shutdown, [socket, 1, 0, 0, 0, 0])
        }),
        (Operation::Name, |fixture, socket| {
            fixture.call(__NR_getpeername, [socket, 0, 0, 0, 0, 0])
        }),
        (Operation::Send, |fixture, socket| {
            fixture.call(__NR_write, [socket, fixture.page, 1, 0, 0, 0])
        }),
        (Operation::Receive, |fixture, socket| {
            fixture.call(__NR_read, [socket, fixture.page, 1, 0, 0, 0])
        }),
        (Operation::SetOption, |fixture, socket| {
            fixture.call(__NR_setsockopt, [socket, 6, 1, fixture.page, 4, 0])
        }),
        (Operation::GetOption, |fixture, socket| {
            let length = fixture.put(8, &4u32.to_le_bytes());
            let arguments = [socket, 1, 4, fixture.page, length, 0];
            fixture.call(__NR_getsockopt, arguments)
        }),
    ];
    for (operation, act) in acts {
        for lie in LIES {
            let stopped = Fixture::lied_to(operation, lie, &[], |fixture| {
                let _ = act(fixture, fixture.stream());
            });
            assert_eq!(stopped, Stop::AnswerResult, "{operation:?} {lie}");
        }
        // One that they have is told.
        let fixture = Fixture::new();
        let socket = fixture.stream();
        fixture.machine.reply(operation, -104, &[]);
        assert_eq!(act(&fixture, socket), Err(-104), "{operation:?}");
    }
    // What a connection is said to have ended with.
    for lie in [4, 1000, 0x1_0000 + 104] {
        let stopped = Fixture::lied_to(Operation::GetOption, lie, &[], |fixture| {
            let length = fixture.put(8, &4u32.to_le_bytes());
            let arguments = [fixture.stream(), 1, 4, fixture.page, length, 0];
            let _ = fixture.call(__NR_getsockopt, arguments);
        });
        assert_eq!(stopped, Stop::AnswerResult, "{lie}");
    }
}
