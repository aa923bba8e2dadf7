//! What is waited for: counters, and many at once.

use enarx_keep_shim::Error;
use enarx_keep_shim::file::Object;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, O_CLOEXEC,
    O_CREAT, O_NONBLOCK, O_RDWR,
};

use crate::both::{Both, error};
use crate::isolation::each_isolated;
use crate::isolation::isolated;
use crate::memory::UNMAPPED;
use crate::random::Random;

fn event(both: &mut Both, value: u64) -> i64 {
    both.must(linux::__NR_eventfd2, [value, O_NONBLOCK.into()])
}

fn epoll(both: &mut Both) -> i64 {
    both.must(linux::__NR_epoll_create1, [u64::from(O_CLOEXEC)])
}

fn control(both: &mut Both, epoll: i64, operation: u32, descriptor: i64, events: u32) -> i64 {
    let mut record = events.to_le_bytes().to_vec();
    record.extend((descriptor as u64 * 3).to_le_bytes());
    let at = both.memory.fill(0, &record);
    let arguments = [epoll as u64, operation.into(), descriptor as u64, at];
    both.must(linux::__NR_epoll_ctl, arguments)
}

/// The events of one descriptor.
fn told(both: &mut Both, epoll: i64) -> u32 {
    match both.epoll_wait(epoll).unwrap()[..] {
        [] => 0,
        [event] => u32::from_le_bytes(event[..4].try_into().unwrap()),
        _ => panic!("several events"),
    }
}

#[test]
fn each_write_is_told_of_once_where_edges_are_watched() {
    isolated(|both| {
        let (epoll, event) = (epoll(both), event(both, 0));
        control(both, epoll, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLET);
        assert_eq!(told(both, epoll), 0);
        for _ in 0..3 {
            // It was never read: this is how event loops are woken.
            both.write(event, &1_u64.to_le_bytes());
            assert_eq!(told(both, epoll), EPOLLIN);
            assert_eq!(told(both, epoll), 0);
        }
        assert_eq!(
            both.read(event, 8).unwrap(),
            3_u64.to_le_bytes(),
            "reading is no event"
        );
        assert_eq!(told(both, epoll), 0);
    });
}

#[test]
fn levels_are_told_of_as_long_as_they_last() {
    isolated(|both| {
        let (epoll, event) = (epoll(both), event(both, 1));
        control(both, epoll, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLOUT);
        assert_eq!(told(both, epoll), EPOLLIN | EPOLLOUT);
        assert_eq!(told(both, epoll), EPOLLIN | EPOLLOUT);
        both.read(event, 8).unwrap();
        assert_eq!(told(both, epoll), EPOLLOUT);
    });
}

#[test]
fn what_cannot_be_watched_is_refused() {
    isolated(|both| {
        let (epoll, event) = (epoll(both), event(both, 0));
        let file = both.open("f", O_CREAT | O_RDWR);
        for unwatchable in [file, 0] {
            let refused = control(both, epoll, EPOLL_CTL_ADD, unwatchable, EPOLLIN);
            assert_eq!(refused, error(Error::EPERM));
        }
        for (on, operation, descriptor, expected) in [
            (epoll, EPOLL_CTL_ADD, epoll, Error::EINVAL),
            (event, EPOLL_CTL_ADD, event, Error::EINVAL),
            (epoll, EPOLL_CTL_ADD, 99, Error::EBADF),
            (99, EPOLL_CTL_ADD, event, Error::EBADF),
            (epoll, EPOLL_CTL_MOD, event, Error::ENOENT),
            (epoll, EPOLL_CTL_DEL, event, Error::ENOENT),
            (epoll, 7, event, Error::EINVAL),
        ] {
            let refused = control(both, on, operation, descriptor, EPOLLIN);
            assert_eq!(refused, error(expected), "{on} {operation} {descriptor}");
        }
        assert_eq!(both.epoll_wait(event), Err(error(Error::EINVAL)));
        assert_eq!(both.epoll_wait(99), Err(error(Error::EBADF)));
        let arguments = [epoll as u64, EPOLL_CTL_ADD.into(), event as u64, UNMAPPED];
        assert_eq!(
            both.must(linux::__NR_epoll_ctl, arguments),
            error(Error::EFAULT)
        );
        assert_eq!(
            both.must(linux::__NR_epoll_create1, [1]),
            error(Error::EINVAL)
        );
    });
}

/// Random calls on what is waited for.
fn any(both: &mut Both, random: &mut Random) {
    let descriptor = random.of(&[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    let other = random.of(&[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    match random.below(31) {
        0 => {
            let value = random.of(&[0, 0, 2]);
            both.must(linux::__NR_eventfd2, [value, u64::from(O_NONBLOCK)]);
        }
        1 | 26 => drop(epoll(both)),
        2 | 27 | 28 => drop(both.close(descriptor)),
        3 => drop(both.must(linux::__NR_dup, [descriptor as u64])),
        4..14 => {
            let (on, watched) = (descriptor, other);
            let watched_object = both.files.descriptor(watched as i32);
            let nested = |description: &enarx_keep_shim::file::Description| {
                matches!(description.object(), Object::Epoll(_))
            };
            // Linux has ways of waiting within waiting.
            if !watched_object.is_ok_and(nested) {
                let events = random.of(&[EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLRDHUP, 0]);
                let operation = random.of(&[EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL]);
                control(
                    both,
                    on,
                    operation,
                    watched,
                    events | random.of(&[0, EPOLLET]),
                );
            }
        }
        14..20 => {
            // Linux tells again of what can be written when nothing is added.
            let count = random.of(&[1, 1, 2, u64::MAX - 1, u64::MAX]);
            both.write(descriptor, &count.to_le_bytes());
        }
        20..25 => {
            let _ = both.read(descriptor, random.of(&[7, 8, 8, 100]));
        }
        25 => {
            let kind = both.files.descriptor(descriptor as i32);
            if !kind.is_ok_and(|kind| matches!(kind.object(), Object::Epoll(_))) {
                both.poll(
                    descriptor,
                    random.of(&[EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT]),
                );
            }
        }
        _ => {
            for descriptor in 5..17 {
                let kind = both.files.descriptor(descriptor as i32);
                if kind.is_ok_and(|kind| matches!(kind.object(), Object::Epoll(_))) {
                    let _ = both.epoll_wait(descriptor);
                }
            }
        }
    }
}

#[test]
fn random_waiting_is_as_in_linux() {
    each_isolated(0..100_u64, |both, seed| {
        both.note(format!("sequence {seed}"));
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..2 {
            epoll(both);
            event(both, 0);
        }
        for _ in 0..250 {
            any(both, &mut random);
        }
    });
}
