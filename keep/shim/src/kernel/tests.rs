//! The kernel on ordinary memory, with a host that does what each test wants.

use std::{
    boxed::Box,
    cell::Cell,
    collections::VecDeque,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex as StdMutex,
    vec::Vec,
};

use enarx_wire_hostcall::{
    attestation::{self, REPORT_DATA_SIZE, RequestHeader},
    call::{Operation, PollEntry},
};
use enarx_wire_launch::PAGE_SIZE;
use linux_raw_sys::general::*;

mod hashing;
mod sockets;
mod waiting;

use super::{Beginning, Kernel, Next};
use crate::{
    Error,
    memory::{Access, AddressSpace, Bounds, PAGE, Pages},
    platform::{Answer, Platform, Stop},
    registers::{EXTENDED_STATE_SIZE, INITIAL_EXTENDED_STATE, Registers},
    signal::{Exception, vector},
};

/// What the host answers: a result and a payload.
type Reply = (i64, Vec<u8>);

/// What the host saw of a call.
type Seen = (Operation, [u64; 4], Vec<u8>);

#[derive(Default)]
struct Machine {
    /// Answers for the next calls of an operation, by its code.
    script: StdMutex<Vec<(Operation, VecDeque<Reply>)>>,
    /// What the host saw.
    seen: StdMutex<Vec<Seen>>,
    counter: Cell<u64>,
    thread: Cell<u32>,
}

// SAFETY: tests use a machine from one thread.
unsafe impl Sync for Machine {}

/// Size of the memory that tests have.
const MEMORY: u64 = 64 << 20;

impl Machine {
    fn reply(&self, operation: Operation, result: i64, payload: &[u8]) {
        let mut script = self.script.lock().unwrap();
        let reply = (result, payload.to_vec());
        match script.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, replies)) => replies.push_back(reply),
            None => script.push((operation, VecDeque::from([reply]))),
        }
    }

    fn seen(&self, operation: Operation) -> Vec<([u64; 4], Vec<u8>)> {
        let seen = self.seen.lock().unwrap();
        let matching = seen.iter().filter(|(known, ..)| *known == operation);
        matching
            .map(|(_, arguments, payload)| (*arguments, payload.clone()))
            .collect()
    }

    fn protect(range: Range<u64>, access: Access) {
        let length = (range.end - range.start) as usize;
        // SAFETY: part of the reservation that `kernel` made.
        let result = unsafe { libc::mprotect(range.start as *mut _, length, access.bits().into()) };
        assert_eq!(result, 0);
    }
}

impl Pages for &'static Machine {
    fn add(&self, range: Range<u64>) {
        Machine::protect(range, Access::READ_WRITE);
    }

    fn remove(&self, range: Range<u64>) {
        let length = (range.end - range.start) as usize;
        // SAFETY: part of the reservation that `kernel` made, which nobody uses any more.
        let result = unsafe { libc::madvise(range.start as *mut _, length, libc::MADV_DONTNEED) };
        assert_eq!(result, 0);
        Machine::protect(range, Access::NONE);
    }

    fn restrict(&self, range: Range<u64>, access: Access) {
        Machine::protect(range, access);
    }

    fn extend(&self, range: Range<u64>, access: Access) {
        Machine::protect(range, access);
    }

    fn zero(&self, range: Range<u64>) {
        // SAFETY: writable, by the contract of `Pages`.
        unsafe {
            core::ptr::write_bytes(
                range.start as *mut u8,
                0,
                (range.end - range.start) as usize,
            );
        }
    }
}

impl Platform for &'static Machine {
    fn call(
        &self,
        operation: Operation,
        arguments: [u64; 4],
        payload: &[&[u8]],
        most: u64,
        into: &mut [u8],
    ) -> Answer {
        self.seen
            .lock()
            .unwrap()
            .push((operation, arguments, payload.concat()));
        let mut script = self.script.lock().unwrap();
        let scripted = script
            .iter_mut()
            .find(|(known, _)| *known == operation)
            .and_then(|(_, replies)| replies.pop_front());
        let (result, payload) = match (scripted, operation) {
            (Some(reply), _) => reply,
            (None, Operation::Clock) => (
                0,
                [1_700_000_000_000_000_000u64, 1_000_000_000]
                    .map(u64::to_le_bytes)
                    .concat(),
            ),
            (None, Operation::Exit) => std::panic::panic_any(arguments[0]),
            // Nothing is found.
            (None, Operation::Poll) => (0, payload.concat()),
            (None, _) => (0, Vec::new()),
        };
        assert!(result <= most.cast_signed(), "the platform itself refuses");
        assert!(payload.len() <= into.len(), "the platform itself refuses");
        into[..payload.len()].copy_from_slice(&payload);
        Answer {
            result,
            length: payload.len(),
        }
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        (report_data[0] != 0).then(|| report_data.to_vec())
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0x5A);
    }

    fn counter(&self) -> u64 {
        self.counter.set(self.counter.get() + 10);
        self.counter.get()
    }

    fn thread(&self) -> u32 {
        self.thread.get()
    }

    fn stop(&self, reason: Stop) -> ! {
        std::panic::panic_any(reason)
    }
}

/// A kernel over a reservation of real addresses, and a page of memory for arguments.
struct Fixture {
    kernel: Kernel<&'static Machine>,
    machine: &'static Machine,
    page: u64,
}

impl Fixture {
    fn new() -> Self {
        // SAFETY: a new mapping.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                2 * MEMORY as usize,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        } as u64;
        assert_ne!(base, u64::MAX);
        let machine: &'static Machine = Box::leak(Box::default());
        let space = AddressSpace::new(Bounds {
            heap: base,
            map: base + MEMORY..base + 2 * MEMORY,
            accessible_bytes: MEMORY / 2,
        });
        let kernel = Kernel::new(
            machine,
            Beginning {
                space,
                threads: 3,
                memory_bytes: MEMORY / 2,
                launch_page: Box::leak(Box::new([9; PAGE_SIZE])),
            },
        );
        let mut fixture = Self {
            kernel,
            machine,
            page: 0,
        };
        fixture.page = fixture.map(16 * PAGE);
        fixture
    }

    fn map(&self, length: u64) -> u64 {
        let flags = u64::from(MAP_PRIVATE | MAP_ANONYMOUS);
        self.call(__NR_mmap, [0, length, 3, flags, u64::MAX, 0])
            .unwrap()
    }

    fn call(&self, number: u32, arguments: [u64; 6]) -> Result<u64, i64> {
        let mut registers = registers(number, arguments);
        let mut extended = [0; EXTENDED_STATE_SIZE];
        let next = self.kernel.system_call(&mut registers, &mut extended);
        assert_eq!(next, Next::Continue);
        match registers.rax.cast_signed() {
            error @ -4095..0 => Err(error),
            value => Ok(value.cast_unsigned()),
        }
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> u64 {
        crate::UserMemory::write(&self.kernel, self.page + offset, bytes).unwrap();
        self.page + offset
    }

    fn get<const N: usize>(&self, address: u64) -> [u8; N] {
        crate::UserMemory::array(&self.kernel, address).unwrap()
    }

    /// What an act that must not return throws instead.
    fn stopped<T: 'static>(&self, act: impl FnOnce(&Self)) -> T {
        let thrown = catch_unwind(AssertUnwindSafe(|| act(self))).unwrap_err();
        *thrown.downcast().expect("another reason")
    }
}

/// What the host has found of one of its descriptors.
fn found_entry(descriptor: i32, events: u16, found: u16) -> [u8; 8] {
    // Errors and ends are always waited for.
    let events = events | 0x18;
    PollEntry {
        descriptor,
        events,
        found,
    }
    .encode()
}

fn registers(number: u32, [rdi, rsi, rdx, r10, r8, r9]: [u64; 6]) -> Registers {
    Registers {
        rax: number.into(),
        rdi,
        rsi,
        rdx,
        r10,
        r8,
        r9,
        ..Registers::default()
    }
}

const NOTHING: [u64; 6] = [0; 6];

#[test]
fn unknown_calls_are_counted_and_refused() {
    let fixture = Fixture::new();
    for number in [__NR_ptrace, __NR_execve, 9999, u32::MAX] {
        assert_eq!(
            fixture.call(number, NOTHING),
            Err(Error::ENOSYS.as_result())
        );
    }
    // These are known, and refused all the same.
    for number in [__NR_clone3, __NR_mremap, __NR_prctl, __NR_rseq] {
        assert_eq!(
            fixture.call(number, NOTHING),
            Err(Error::ENOSYS.as_result())
        );
    }
    let counted = &fixture.kernel.unknown_calls;
    assert_eq!(counted.load(core::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn pointers_outside_the_programs_memory_are_refused() {
    let fixture = Fixture::new();
    let unreadable = fixture.page + 16 * PAGE - 4;
    for address in [1, 64, unreadable, u64::MAX - 3, 1 << 63] {
        for (number, arguments) in [
            (__NR_write, [3, address, 16, 0, 0, 0]),
            (__NR_read, [3, address, 16, 0, 0, 0]),
            (__NR_clock_gettime, [1, address, 0, 0, 0, 0]),
            (__NR_rt_sigaction, [11, address, 0, 8, 0, 0]),
            (__NR_getrandom, [address, 16, 0, 0, 0, 0]),
            (__NR_poll, [address, 1, 0, 0, 0, 0]),
            (__NR_uname, [address, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(
                fixture.call(number, arguments),
                Err(Error::EFAULT.as_result()),
                "{number} at {address:#x}"
            );
        }
    }
    assert!(fixture.machine.seen(Operation::Send).is_empty());
}

#[test]
fn the_channel_is_the_hosts_and_its_lies_are_found_out() {
    let fixture = Fixture::new();
    let machine = fixture.machine;
    machine.reply(Operation::Receive, 5, b"hello");
    let at = fixture.page;
    assert_eq!(fixture.call(__NR_read, [3, at, 16, 0, 0, 0]), Ok(5));
    assert_eq!(&fixture.get::<5>(at), b"hello");

    machine.reply(Operation::Send, 3, &[]);
    assert_eq!(fixture.call(__NR_write, [3, at, 5, 0, 0, 0]), Ok(3));
    assert_eq!(machine.seen(Operation::Send)[0].1, b"hello");

    // More or less bytes than the result says.
    machine.reply(Operation::Receive, 5, b"four");
    let reason: Stop = fixture.stopped(|fixture| {
        let _ = fixture.call(__NR_read, [3, at, 16, 0, 0, 0]);
    });
    assert_eq!(reason, Stop::AnswerLength);

    // Any error is the end of the stream, but that it is not ready.
    let fixture = Fixture::new();
    let at = fixture.page;
    for (answer, expected) in [(-11, -11), (-1, -32), (-4095, -32), (-14, -32)] {
        fixture.machine.reply(Operation::Receive, answer, &[]);
        assert_eq!(fixture.call(__NR_read, [3, at, 16, 0, 0, 0]), Err(expected));
    }
}

#[test]
fn vectors_are_written_in_order() {
    let fixture = Fixture::new();
    let text = fixture.put(0, b"onetwo");
    let vector: Vec<u8> = [text, 3, 0, 0, text + 3, 3]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let vector = fixture.put(64, &vector);
    assert_eq!(fixture.call(__NR_writev, [2, vector, 3, 0, 0, 0]), Ok(6));
    let shown = fixture.machine.seen(Operation::Diagnose);
    let shown: Vec<_> = shown.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(shown, b"onetwo");
}

#[test]
fn the_device_describes_and_gives_evidence() {
    let fixture = Fixture::new();
    let header = |operation| RequestHeader { operation }.encode();
    let at = fixture.put(0, &header(attestation::Operation::Describe));
    assert_eq!(fixture.call(__NR_write, [4, at, 8, 0, 0, 0]), Ok(8));
    assert_eq!(fixture.call(__NR_read, [4, at + PAGE, 8, 0, 0, 0]), Ok(8));
    assert_eq!(fixture.get(at + PAGE), [0, 0, 0, 0, 0, 16, 0, 0]);
    assert_eq!(
        fixture.call(__NR_read, [4, at + PAGE, 9000, 0, 0, 0]),
        Ok(4096)
    );
    assert_eq!(fixture.get(at + PAGE), [9; 8]);

    for (first, answer) in [
        (7, [0, 0, 0, 0, 64, 0, 0, 0]),
        (0, [1, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut request = header(attestation::Operation::Evidence).to_vec();
        request.extend([first; 64]);
        let at = fixture.put(0, &request);
        assert_eq!(fixture.call(__NR_write, [4, at, 72, 0, 0, 0]), Ok(72));
        assert_eq!(fixture.call(__NR_read, [4, at + PAGE, 8, 0, 0, 0]), Ok(8));
        assert_eq!(fixture.get(at + PAGE), answer);
        if first != 0 {
            assert_eq!(fixture.call(__NR_read, [4, at + PAGE, 64, 0, 0, 0]), Ok(64));
        }
    }
    // This platform has no keys.
    let mut request = header(attestation::Operation::SealingKey).to_vec();
    request.extend([5; attestation::SEALING_REQUEST_SIZE]);
    let at = fixture.put(0, &request);
    assert_eq!(fixture.call(__NR_write, [4, at, 56, 0, 0, 0]), Ok(56));
    assert_eq!(fixture.call(__NR_read, [4, at + PAGE, 99, 0, 0, 0]), Ok(8));
    assert_eq!(fixture.get(at + PAGE), [1, 0, 0, 0, 0, 0, 0, 0]);

    // Without a register for it, a digest is taken and goes nowhere.
    let mut request = header(attestation::Operation::Extend).to_vec();
    request.extend([3; 48]);
    let at = fixture.put(0, &request);
    assert_eq!(fixture.call(__NR_write, [4, at, 56, 0, 0, 0]), Ok(56));
    assert_eq!(fixture.call(__NR_read, [4, at + PAGE, 9, 0, 0, 0]), Ok(8));
    assert_eq!(fixture.get(at + PAGE), [0; 8]);
    let at = fixture.put(0, &[9, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        fixture.call(__NR_write, [4, at, 8, 0, 0, 0]),
        Err(Error::EINVAL.as_result())
    );
}

#[test]
fn a_clock_that_cannot_be_stops_the_keep() {
    for (result, payload) in [
        (0, [[0; 8], 0u64.to_le_bytes()].concat()),
        (0, [[0; 8], u64::MAX.to_le_bytes()].concat()),
        (0, [0; 8].to_vec()),
        (-1, Vec::new()),
    ] {
        let fixture = Fixture::new();
        fixture.machine.reply(Operation::Clock, result, &payload);
        let reason: Stop = fixture.stopped(|fixture| {
            let _ = fixture.call(__NR_clock_gettime, [1, fixture.page, 0, 0, 0, 0]);
        });
        assert_eq!(reason, Stop::Clock);
    }
}

#[test]
fn time_never_goes_backwards() {
    let fixture = Fixture::new();
    let now = || {
        let at = fixture.page;
        let got = fixture.call(__NR_clock_gettime, [1, at, 0, 0, 0, 0]);
        assert_eq!(got, Ok(0));
        let (seconds, nanoseconds) = (fixture.get(at), fixture.get(at + 8));
        u64::from_le_bytes(seconds) * 1_000_000_000 + u64::from_le_bytes(nanoseconds)
    };
    fixture.machine.counter.set(1_000_000);
    let mut latest = now();
    for counter in [5_000_000, 0, 3, u64::MAX - 100, 17] {
        fixture.machine.counter.set(counter);
        let next = now();
        assert!(next >= latest, "{counter}");
        latest = next;
    }
}

#[test]
fn a_futex_waits_for_its_wake_up_and_not_for_the_host() {
    let fixture = Fixture::new();
    let at = fixture.put(0, &7u32.to_le_bytes());
    let wait = u64::from(FUTEX_WAIT | FUTEX_PRIVATE_FLAG);
    // Another value.
    assert_eq!(
        fixture.call(__NR_futex, [at, wait, 8, 0, 0, 0]),
        Err(Error::EAGAIN.as_result())
    );
    // Nobody wakes, however often the host returns: the time passes.
    let timeout = fixture.put(64, &[0u64.to_le_bytes(), 1000u64.to_le_bytes()].concat());
    assert_eq!(
        fixture.call(__NR_futex, [at, wait, 7, timeout, 0, 0]),
        Err(Error::ETIMEDOUT.as_result())
    );
    assert!(fixture.machine.seen(Operation::Park).len() > 5);
    // A waiter that gave up is not woken.
    let wake = u64::from(FUTEX_WAKE | FUTEX_PRIVATE_FLAG);
    assert_eq!(fixture.call(__NR_futex, [at, wake, 1, 0, 0, 0]), Ok(0));
    assert!(fixture.machine.seen(Operation::Unpark).is_empty());
    let odd = [at + 1, wake, 1, 0, 0, 0];
    assert_eq!(
        fixture.call(__NR_futex, odd),
        Err(Error::EINVAL.as_result())
    );
}

#[test]
fn threads_begin_when_asked_for_and_leave_their_address_cleared() {
    let fixture = Fixture::new();
    let flags = CLONE_VM
        | CLONE_FS
        | CLONE_FILES
        | CLONE_SIGHAND
        | CLONE_THREAD
        | CLONE_SYSVSEM
        | CLONE_SETTLS
        | CLONE_PARENT_SETTID
        | CLONE_CHILD_CLEARTID;
    let (stack, id) = (fixture.page + PAGE, fixture.put(0, &[0xFF; 4]));
    let clone = [flags.into(), stack, id, id, 0x7000, 0];
    assert_eq!(fixture.call(__NR_clone, clone), Ok(2));
    assert_eq!(fixture.get(id), [2, 0, 0, 0]);
    assert_eq!(
        fixture.machine.seen(Operation::StartThread)[0].0,
        [1, 0, 0, 0]
    );
    fixture.machine.thread.set(1);
    let registers = fixture.kernel.begin_thread().unwrap();
    assert_eq!(
        (registers.rax, registers.rsp, registers.fs_base),
        (0, stack, 0x7000)
    );
    let mut registers = super::tests::registers(__NR_exit, NOTHING);
    let mut extended = [0; EXTENDED_STATE_SIZE];
    let next = fixture.kernel.system_call(&mut registers, &mut extended);
    assert_eq!(next, Next::End);
    assert_eq!(fixture.get(id), [0; 4]);
    // The host enters it once more.
    assert!(fixture.kernel.begin_thread().is_none());
    // A process, and more threads than there are.
    fixture.machine.thread.set(0);
    let fork = [17, stack, id, id, 0, 0];
    assert_eq!(
        fixture.call(__NR_clone, fork),
        Err(Error::EINVAL.as_result())
    );
    // A base of FS that no processor takes.
    let nowhere = [flags.into(), stack, id, id, 1 << 47, 0];
    assert_eq!(
        fixture.call(__NR_clone, nowhere),
        Err(Error::EPERM.as_result())
    );
    assert_eq!(fixture.call(__NR_clone, clone), Ok(2));
    assert_eq!(fixture.call(__NR_clone, clone), Ok(3));
    assert_eq!(
        fixture.call(__NR_clone, clone),
        Err(Error::EAGAIN.as_result())
    );
}

#[test]
fn a_fault_is_resolved_or_becomes_a_signal_that_returns() {
    const HANDLER: u64 = 0x1234;
    let fixture = Fixture::new();
    let flags = u64::from(SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
    let action: Vec<u8> = [HANDLER, flags, 0x5678, 0]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let action = fixture.put(0, &action);
    let set = [u64::from(SIGSEGV), action, 0, 8, 0, 0];
    assert_eq!(fixture.call(__NR_rt_sigaction, set), Ok(0));
    let alternate = fixture.map(16 * PAGE);
    let stack: Vec<u8> = [alternate, 0, 16 * PAGE]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let stack = fixture.put(64, &stack);
    assert_eq!(
        fixture.call(__NR_sigaltstack, [stack, 0, 0, 0, 0, 0]),
        Ok(0)
    );

    let lazily = fixture.map(PAGE);
    let fault = |address| Exception {
        vector: vector::PAGE_FAULT,
        code: 6,
        address,
    };
    let before = Registers {
        rip: 0x40_0000,
        rsp: fixture.page + 4 * PAGE,
        rbx: 42,
        rflags: 0x602,
        fs_base: 77,
        ..Registers::default()
    };
    let mut registers = before;
    let mut extended = [3; EXTENDED_STATE_SIZE];
    crate::registers::sanitize(&mut extended);
    extended[464..512].fill(0);
    let state = extended;
    fixture
        .kernel
        .exception(fault(lazily), &mut registers, &mut extended);
    assert_eq!(registers, before);

    let wild = lazily + 64 * PAGE;
    fixture
        .kernel
        .exception(fault(wild), &mut registers, &mut extended);
    assert_eq!(registers.rip, HANDLER);
    assert_eq!(extended, INITIAL_EXTENDED_STATE);
    assert_eq!(registers.rdi, SIGSEGV.into());
    assert_eq!(registers.rflags & 0x400, 0);
    assert!((alternate..alternate + 16 * PAGE).contains(&registers.rsp));
    assert_eq!(registers.rsp % 16, 8);
    assert_eq!(fixture.get(registers.rsp), 0x5678u64.to_le_bytes());
    // si_signo, si_code (SEGV_MAPERR), si_addr.
    let info = registers.rsi;
    assert_eq!(fixture.get(info), 11u32.to_le_bytes());
    assert_eq!(fixture.get(info + 8), 1u32.to_le_bytes());
    assert_eq!(fixture.get(info + 16), wild.to_le_bytes());

    // The handler returns, with whatever is in its registers.
    let mut returning = super::tests::registers(__NR_rt_sigreturn, [1; 6]);
    returning.rsp = registers.rsp + 8;
    returning.fs_base = before.fs_base;
    let mut other = [0xFF; EXTENDED_STATE_SIZE];
    fixture.kernel.system_call(&mut returning, &mut other);
    assert_eq!(
        returning,
        Registers {
            rflags: before.rflags | 0x202,
            ..before
        }
    );
    assert_eq!(other, state);

    // One that nobody handles ends the Keep, with the status that a shell would show.
    let status: u64 = fixture.stopped(|fixture| {
        let division = Exception {
            vector: vector::DIVIDE,
            code: 0,
            address: 0,
        };
        let mut registers = before;
        fixture
            .kernel
            .exception(division, &mut registers, &mut [0; EXTENDED_STATE_SIZE]);
    });
    assert_eq!(status, 128 + 8);
}

#[test]
fn a_program_that_aborts_ends_the_keep() {
    let fixture = Fixture::new();
    let status: u64 = fixture.stopped(|fixture| {
        let _ = fixture.call(__NR_tgkill, [1, 1, SIGABRT.into(), 0, 0, 0]);
    });
    assert_eq!(status, 128 + 6);
}

#[test]
fn code_is_never_writable() {
    let fixture = Fixture::new();
    let flags = u64::from(MAP_PRIVATE | MAP_ANONYMOUS);
    assert_eq!(
        fixture.call(__NR_mmap, [0, PAGE, 7, flags, 0, 0]),
        Err(Error::EACCES.as_result())
    );
    let code = fixture.map(PAGE);
    assert_eq!(fixture.call(__NR_mprotect, [code, PAGE, 5, 0, 0, 0]), Ok(0));
    assert_eq!(
        fixture.call(__NR_getrandom, [code, 8, 0, 0, 0, 0]),
        Err(Error::EFAULT.as_result())
    );
    assert_eq!(
        fixture.call(__NR_mprotect, [code, PAGE, 7, 0, 0, 0]),
        Err(Error::EACCES.as_result())
    );
}

#[test]
fn files_are_inside_and_polled_with_the_channel() {
    let fixture = Fixture::new();
    let path = fixture.put(0, b"note\0");
    let flags = u64::from(O_CREAT | O_RDWR);
    let here = i64::from(AT_FDCWD).cast_unsigned();
    let file = fixture
        .call(__NR_openat, [here, path, flags, 0o600, 0, 0])
        .unwrap();
    let text = fixture.put(64, b"secret");
    assert_eq!(fixture.call(__NR_write, [file, text, 6, 0, 0, 0]), Ok(6));
    let entries: Vec<u8> = [3u64 | 1 << 32, file | 1 << 32]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let entries = fixture.put(128, &entries);
    assert_eq!(fixture.call(__NR_poll, [entries, 2, 1000, 0, 0, 0]), Ok(1));
    assert_eq!(fixture.get(entries + 14), [1, 0]);
    let seen = fixture.machine.seen.lock().unwrap();
    assert!(!seen.is_empty());
    for (operation, _, payload) in &*seen {
        let told = payload.windows(6).any(|window| window == b"secret");
        assert!(!told, "{operation:?}");
    }
}
