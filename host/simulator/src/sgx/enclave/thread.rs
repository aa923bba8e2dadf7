//! Threads that can enter the enclave.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::context::{ALLOW, Context};
use super::host_cpuid;
use super::memory;
use super::page::PAGE_SIZE;
use super::signal::SYNCHRONOUS;
use super::transition::{self, STACKS_START};

/// Size, and alignment, of one thread's context and signal stack in bytes.
pub(super) const STACK_SIZE: usize = 256 * 1024;
/// Size of all of them in bytes: address space, not memory.
pub(super) const STACKS_SIZE: usize = STACK_SIZE * MOST_THREADS;
/// How many threads can be attached at once.
const MOST_THREADS: usize = 1024;

/// The context, and a page that catches a stack that grew too long.
const BELOW_STACK: usize = 2 * PAGE_SIZE;
const _: () = assert!(size_of::<Context>() <= PAGE_SIZE);

/// `PR_SET_SYSCALL_USER_DISPATCH` and its modes.
const SET_SYSCALL_USER_DISPATCH: c_int = 59;
const DISPATCH_OFF: usize = 0;
const DISPATCH_ON: usize = 1;

/// `SS_AUTODISARM`: the whole stack for every signal, even one that an enclave gets whose
/// stack pointer points there.
const AUTODISARM: c_int = 1 << 31;

/// Which of the stacks are taken.
static TAKEN: Mutex<[bool; MOST_THREADS]> = Mutex::new([false; MOST_THREADS]);

thread_local! {
    static CONTEXT: Cell<*mut Context> = const { Cell::new(null_mut()) };
}

/// This thread's context, if it is attached.
pub(super) fn context() -> Option<*mut Context> {
    let context = CONTEXT.get();
    (!context.is_null()).then_some(context)
}

/// Bases of FS and GS.
pub(super) fn segment_bases() -> (u64, u64) {
    let (fs, gs): (u64, u64);
    // SAFETY: the instructions are there, which EINIT has checked, and change nothing.
    unsafe {
        asm!(
            "rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs,
            options(nomem, nostack, preserves_flags)
        );
    }
    (fs, gs)
}

/// What lets the current thread enter the enclave, until it is dropped.
///
/// Meanwhile all signals but those that exceptions make are blocked, and the thread's
/// system calls are slower by a few dozen nanoseconds. Threads that it starts inherit the
/// blocked signals.
#[derive(Debug)]
pub struct ThreadAttachment {
    stack: usize,
    earlier_mask: libc::sigset_t,
    earlier_stack: libc::stack_t,
    /// It is about the thread that made it.
    not_send: PhantomData<*mut ()>,
}

impl ThreadAttachment {
    pub(super) fn new() -> io::Result<Self> {
        if context().is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "this thread is attached to the enclave already",
            ));
        }
        let stack = take_stack()?;
        let start = stack_address(stack);
        let context = start as *mut Context;
        let mut attachment = Self {
            stack,
            earlier_mask: block_asynchronous_signals(),
            earlier_stack: libc::stack_t {
                ss_sp: null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            },
            not_send: PhantomData,
        };
        make_accessible(start, PAGE_SIZE)?;
        make_accessible(start + BELOW_STACK, STACK_SIZE - BELOW_STACK)?;
        let (code_selector, stack_selector) = selectors();
        // SAFETY: the page has just been made accessible, belongs to this thread, and reads
        // as zero, which is valid for all fields.
        unsafe {
            (*context).code_selector = code_selector;
            (*context).stack_selector = stack_selector;
            (*context).selector = ALLOW;
        }
        CONTEXT.set(context);

        let signal_stack = libc::stack_t {
            ss_sp: (start + BELOW_STACK) as *mut _,
            ss_flags: AUTODISARM,
            ss_size: STACK_SIZE - BELOW_STACK,
        };
        // SAFETY: the stack is accessible and used for nothing else.
        check(unsafe { libc::sigaltstack(&signal_stack, &mut attachment.earlier_stack) })?;
        let (always_allowed, length) = transition::always_allowed();
        // SAFETY: the selector stays accessible until dispatch is switched off, and
        // says that system calls are allowed whenever the host's code runs.
        check(unsafe {
            libc::prctl(
                SET_SYSCALL_USER_DISPATCH,
                DISPATCH_ON,
                always_allowed,
                length,
                &raw mut (*context).selector,
            )
        })?;
        host_cpuid::set_faulting(true);
        Ok(attachment)
    }
}

impl ThreadAttachment {
    /// This thread's context: the attachment is about the thread that made it.
    pub(super) fn context(&self) -> *mut Context {
        stack_address(self.stack) as *mut Context
    }
}

impl Drop for ThreadAttachment {
    fn drop(&mut self) {
        host_cpuid::set_faulting(false);
        stop_dispatch();
        // SAFETY: brings back what was before, while nothing uses what is taken away: the
        // thread is outside the enclave.
        unsafe { libc::sigaltstack(&self.earlier_stack, null_mut()) };
        CONTEXT.set(null_mut());
        let start = stack_address(self.stack);
        // SAFETY: the stack belongs to this thread, which no longer uses it. The next
        // owner finds zeroes.
        unsafe {
            libc::madvise(start as *mut _, STACK_SIZE, libc::MADV_DONTNEED);
            libc::mprotect(start as *mut _, STACK_SIZE, libc::PROT_NONE);
        }
        taken()[self.stack] = false;
        // SAFETY: a mask that the system has given.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.earlier_mask, null_mut()) };
    }
}

/// Lets all system calls of this thread reach the kernel, as they do in every thread that is
/// not attached. Returns whether the kernel knows Syscall User Dispatch.
pub(super) fn stop_dispatch() -> bool {
    // SAFETY: takes away what the simulator alone has set, from a thread that is outside.
    unsafe { libc::prctl(SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0) == 0 }
}

/// Reserves the stacks' address space, once.
pub(super) fn reserve_stacks() -> io::Result<()> {
    let length = STACKS_SIZE + STACK_SIZE;
    // SAFETY: a new mapping.
    let start = unsafe {
        libc::mmap(
            null_mut(),
            length,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // They hold what enclaves had in their registers.
    memory::leave_out_of_dumps(start, length);
    let aligned = (start as usize).next_multiple_of(STACK_SIZE);
    STACKS_START.store(aligned as u64, Ordering::Release);
    Ok(())
}

fn taken() -> std::sync::MutexGuard<'static, [bool; MOST_THREADS]> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_stack() -> io::Result<usize> {
    let mut taken = taken();
    let free = taken.iter().position(|taken| !taken).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::QuotaExceeded,
            "too many threads are attached to the enclave",
        )
    })?;
    taken[free] = true;
    Ok(free)
}

fn stack_address(index: usize) -> usize {
    STACKS_START.load(Ordering::Acquire) as usize + index * STACK_SIZE
}

fn make_accessible(start: usize, length: usize) -> io::Result<()> {
    // SAFETY: part of a stack that this thread has taken.
    check(unsafe { libc::mprotect(start as *mut _, length, libc::PROT_READ | libc::PROT_WRITE) })
}

fn block_asynchronous_signals() -> libc::sigset_t {
    let mut mask = MaybeUninit::uninit();
    let mut earlier = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the mask, and `pthread_sigmask` the earlier one; none
    // of the calls can fail with these arguments.
    unsafe {
        libc::sigfillset(mask.as_mut_ptr());
        for signal in SYNCHRONOUS {
            libc::sigdelset(mask.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, mask.as_ptr(), earlier.as_mut_ptr());
        earlier.assume_init()
    }
}

/// Selectors of code and stack segment.
fn selectors() -> (u16, u16) {
    let (code, stack): (u16, u16);
    // SAFETY: reads two registers.
    unsafe {
        asm!(
            "mov {:x}, cs", "mov {:x}, ss", out(reg) code, out(reg) stack,
            options(nomem, nostack, preserves_flags)
        );
    }
    (code, stack)
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
