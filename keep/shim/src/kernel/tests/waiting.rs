//! Waiting for descriptors, and hosts that lie about them.

use linux_raw_sys::net::{AF_INET, SOCK_STREAM};

use super::*;

/// The descriptor of an event counter.
fn event(fixture: &Fixture, flags: u32) -> u64 {
    let arguments = [0, flags.into(), 0, 0, 0, 0];
    fixture.call(__NR_eventfd2, arguments).unwrap()
}

fn watch(fixture: &Fixture, epoll: u64, descriptor: u64, events: u32) {
    let mut record = events.to_le_bytes().to_vec();
    record.extend(descriptor.to_le_bytes());
    let at = fixture.put(0, &record);
    let add = [epoll, EPOLL_CTL_ADD.into(), descriptor, at, 0, 0];
    assert_eq!(fixture.call(__NR_epoll_ctl, add), Ok(0));
}

/// The events and data that are told without waiting.
fn told(fixture: &Fixture, epoll: u64) -> Vec<(u32, u64)> {
    let into = fixture.page + 64;
    let wait = [epoll, into, 8, 0, 0, 0];
    let count = fixture.call(__NR_epoll_wait, wait).unwrap();
    (0..count)
        .map(|index| {
            let events = u32::from_le_bytes(fixture.get(into + 12 * index));
            let data = u64::from_le_bytes(fixture.get(into + 12 * index + 4));
            (events, data)
        })
        .collect()
}

#[test]
fn what_happens_inside_wakes_threads_that_wait() {
    let fixture = Fixture::new();
    let event = event(&fixture, 0);
    let one = fixture.put(0, &1u64.to_le_bytes());
    let write = [event, one, 8, 0, 0, 0];
    assert_eq!(fixture.call(__NR_write, write), Ok(8));
    assert!(fixture.machine.seen(Operation::Unpark).is_empty());
    // Another thread waits, and is woken once.
    let mut waiters = fixture.kernel.waiters.lock();
    waiters.enqueue(1, super::super::wait::DESCRIPTORS);
    drop(waiters);
    for _ in 0..3 {
        assert_eq!(fixture.call(__NR_write, write), Ok(8));
    }
    let woken = fixture.machine.seen(Operation::Unpark);
    assert_eq!(woken, [([1, 0, 0, 0], Vec::new())]);
    // Who has waited waits no longer.
    let epoll = fixture.call(__NR_epoll_create1, NOTHING).unwrap();
    watch(&fixture, epoll, event, EPOLLIN);
    assert_eq!(told(&fixture, epoll), [(EPOLLIN, event)]);
    assert_eq!(fixture.kernel.waiters.lock().wake(1, 9), [] as [u32; 0]);
}

#[test]
fn waiting_ends_at_its_time() {
    let fixture = Fixture::new();
    let event = event(&fixture, 0);
    let epoll = fixture.call(__NR_epoll_create1, NOTHING).unwrap();
    watch(&fixture, epoll, event, EPOLLIN);
    let wait = [epoll, fixture.page, 8, 2, 0, 0];
    assert_eq!(fixture.call(__NR_epoll_wait, wait), Ok(0));
    let waits = fixture.machine.seen(Operation::Park);
    assert!(!waits.is_empty());
    assert!(waits.iter().all(|(arguments, _)| arguments[0] <= 2_000_000));
}

#[test]
fn the_host_is_asked_of_edges_until_they_were_found_and_again_when_all_was_taken() {
    let fixture = Fixture::new();
    let make = [
        AF_INET.into(),
        (SOCK_STREAM | O_NONBLOCK).into(),
        0,
        0,
        0,
        0,
    ];
    let socket = fixture.call(__NR_socket, make).unwrap();
    let epoll = fixture.call(__NR_epoll_create1, NOTHING).unwrap();
    watch(&fixture, epoll, socket, EPOLLIN | EPOLLOUT | EPOLLET);
    let asked = || fixture.machine.seen(Operation::Poll).len();
    // Both are asked for; one is found.
    let found = fixture.machine;
    found.reply(Operation::Poll, 1, &found_entry(5, 5, 4));
    assert_eq!(told(&fixture, epoll), [(EPOLLOUT, socket)]);
    assert_eq!(told(&fixture, epoll), []);
    found.reply(Operation::Poll, 1, &found_entry(5, 1, 1));
    assert_eq!(told(&fixture, epoll), [(EPOLLIN, socket)]);
    // What is found always would be found again and again.
    let before = asked();
    found.reply(Operation::Receive, 1, b"x");
    let receive = [socket, fixture.page, 1, 0, 0, 0];
    assert_eq!(fixture.call(__NR_read, receive), Ok(1));
    assert_eq!(told(&fixture, epoll), []);
    // All was taken that there was.
    found.reply(Operation::Receive, -11, &[]);
    assert_eq!(fixture.call(__NR_read, receive), Err(-11));
    found.reply(Operation::Poll, 1, &found_entry(5, 1, 0x11));
    assert_eq!(told(&fixture, epoll), [(EPOLLIN | EPOLLHUP, socket)]);
    let after = asked();
    assert!(after > before);
    assert_eq!(told(&fixture, epoll), []);
    assert_eq!(asked(), after, "its end was told of");
}

#[test]
fn every_lie_about_what_was_found_stops_the_keep() {
    let honest = found_entry(3, 1, 1);
    let lies = [
        (0, honest.to_vec(), Stop::AnswerResult),
        (1, found_entry(3, 1, 0).to_vec(), Stop::AnswerResult),
        (1, found_entry(4, 1, 1).to_vec(), Stop::AnswerResult),
        (1, found_entry(-1, 1, 1).to_vec(), Stop::AnswerResult),
        (1, found_entry(3, 5, 1).to_vec(), Stop::AnswerResult),
        (1, found_entry(3, 1, 4).to_vec(), Stop::AnswerResult),
        (1, found_entry(3, 1, 0x4001).to_vec(), Stop::AnswerResult),
        (1, honest[..7].to_vec(), Stop::AnswerLength),
        (0, Vec::new(), Stop::AnswerLength),
        (-22, Vec::new(), Stop::AnswerLength),
        (-22, found_entry(3, 1, 0).to_vec(), Stop::AnswerResult),
    ];
    for (result, payload, reason) in lies {
        let fixture = Fixture::new();
        fixture.machine.reply(Operation::Poll, result, &payload);
        let stopped: Stop = fixture.stopped(|fixture| {
            let entry = fixture.put(0, &[3, 0, 0, 0, 1, 0, 0, 0]);
            let _ = fixture.call(__NR_poll, [entry, 1, 0, 0, 0, 0]);
        });
        assert_eq!(stopped, reason, "{result} {payload:x?}");
    }
}
