//! Signals: how everything that ends an enclave's execution reaches the simulator.
//!
//! On hardware an exception in an enclave becomes an asynchronous exit before the
//! kernel sees it. Here the kernel sees it first and sends a signal, `syscall` included,
//! which Syscall User Dispatch refuses for code in enclave mode.

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::OnceLock;

use super::context::Context;
use super::exception::{
    self, BREAKPOINT, DEBUG, Exception, FAULT_FETCH, FAULT_PRESENT, FAULT_SGX, GENERAL_PROTECTION,
    INVALID_OPCODE, PAGE_FAULT,
};
use super::exit::Cause;
use super::memory::page_start;
use super::registers::{R11, RAX, RCX, Registers, TRAP_FLAG};
use super::{Running, entry, host_cpuid, system_failed, thread, transition};

/// The signals that exceptions and refused system calls make.
pub(super) const SYNCHRONOUS: [c_int; 6] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
];

/// `SYS_USER_DISPATCH`: the code of a SIGSYS that Syscall User Dispatch sends.
const SYS_USER_DISPATCH: c_int = 2;

/// Length of `syscall` and of `int 0x80` in bytes.
const SYSTEM_CALL_LENGTH: u64 = 2;

const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// What `syscall` leaves in RCX and R11 in place of what they held, which is lost.
const LOST: u64 = 0x8000_0000_0000_0000;

/// Where what handled a signal before is remembered.
static EARLIER: [OnceLock<KernelAction>; 32] = [const { OnceLock::new() }; 32];

/// `struct sigaction` of the kernel.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Makes the simulator the first to handle each of [`SYNCHRONOUS`]. What is not its own, it
/// passes on to what handled the signal before.
pub(super) fn install() -> io::Result<()> {
    const SA_RESTORER: u64 = 0x0400_0000;
    let asynchronous = SYNCHRONOUS
        .into_iter()
        .fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1)));
    let action = KernelAction {
        handler: transition::on_signal(),
        flags: (libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER) as u64 | SA_RESTORER,
        restorer: transition::return_from_signal(),
        mask: asynchronous,
    };
    for signal in SYNCHRONOUS {
        let earlier = exchange(signal, Some(&action))?;
        // There is one enclave in a process, and its end is the process's.
        let _ = EARLIER[signal as usize].set(earlier);
    }
    Ok(())
}

/// Reads the action of a signal, and replaces it.
fn exchange(signal: c_int, new: Option<&KernelAction>) -> io::Result<KernelAction> {
    let mut earlier = KernelAction::default();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or an action whose handler is one for signals and whose restorer
    // returns from them; `earlier` can be written to; 8 is the size of the mask. The C
    // library's function would put a restorer of its own in.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            new,
            &raw mut earlier,
            size_of::<u64>(),
        )
    };
    if result == 0 {
        Ok(earlier)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Handles a signal that found its thread in enclave mode. The assembly has
/// brought back the host's segment bases. Returns 1 to go on in the enclave, 0 to go on
/// in the host.
///
/// # Safety
///
/// The arguments are those of a signal handler, this thread's context, and the segment bases
/// of the interrupted code.
pub(super) unsafe extern "C" fn in_enclave(
    signal: c_int,
    info: *mut libc::siginfo_t,
    frame: *mut c_void,
    context: *mut Context,
    fs_base: u64,
    gs_base: u64,
) -> u64 {
    // SAFETY: all of them are valid until the handler returns.
    let (code, context, mut registers) = unsafe {
        (
            (*info).si_code,
            &mut *context,
            Registers::new(frame.cast(), fs_base, gs_base),
        )
    };
    let Some(running) = Running::get() else {
        // Enclave mode is entered through the running enclave alone.
        std::process::abort();
    };
    // The host's trap flag is none of the enclave's; on the way in it is not set yet.
    let trap_flag = if transition::contains(registers.rip()) {
        0
    } else {
        context.trap_flag()
    };
    registers.set_rflags(registers.rflags() & !trap_flag);
    let pass_on = || {
        // SAFETY: as for this function, and the host's segment bases are in place.
        unsafe { pass_on(signal, info, frame) }
    };
    match running.signalled(signal, code, &mut *context, &mut registers, pass_on) {
        Way::Inside => {
            registers.set_rflags(registers.rflags() | trap_flag);
            1
        }
        Way::Outside => {
            // Those that were set for the enclave alone.
            registers.set_rflags(registers.rflags() & !context.entry_flags);
            0
        }
    }
}

/// Where a thread goes on.
enum Way {
    Inside,
    Outside,
}

/// Handles a signal that found its thread outside the enclave.
///
/// # Safety
///
/// The arguments are those of a signal handler.
pub(super) unsafe extern "C" fn in_host(
    signal: c_int,
    info: *mut libc::siginfo_t,
    frame: *mut c_void,
) {
    let (fs_base, gs_base) = thread::segment_bases();
    // SAFETY: valid until the handler returns.
    let mut registers = unsafe { Registers::new(frame.cast(), fs_base, gs_base) };
    let is_general_protection =
        signal == libc::SIGSEGV && registers.vector() == u64::from(GENERAL_PROTECTION);
    if is_general_protection && host_cpuid::answer(&mut registers) {
        return;
    }
    // SAFETY: as for this function.
    unsafe { pass_on(signal, info, frame) }
}

/// Does what would have been done about a signal without the simulator.
///
/// # Safety
///
/// The arguments are those of a signal handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, frame: *mut c_void) {
    let earlier = EARLIER[signal as usize].get().copied().unwrap_or_default();
    // SAFETY: valid until the handler returns.
    let is_sent = unsafe { (*info).si_code } <= 0;
    match earlier.handler {
        libc::SIG_IGN if is_sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let default = KernelAction::default();
            if exchange(signal, Some(&default)).is_err() {
                std::process::abort();
            }
            if is_sent {
                // SAFETY: has no preconditions. An exception would just happen again.
                unsafe { libc::raise(signal) };
            }
        }
        handler if earlier.flags & libc::SA_SIGINFO as u64 != 0 => {
            // SAFETY: the kernel would have called it like this.
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, frame);
        }
        handler => {
            // SAFETY: as above.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// What a signal means that found its thread in enclave mode.
enum Event {
    /// ENCLU.
    Leaf,
    /// An exception.
    Exception(Exception),
    /// Nothing of the enclave's doing.
    Interrupt,
    /// As above, before the enclave's first instruction or after its last.
    InterruptOnTheWay,
    /// One more instruction, by the host's own trap flag.
    Step,
    /// The enclave had set TF, which has no effect there (SDM volume 3D, 43.2.5).
    TrapSuppressed,
}

impl Running {
    /// Does about a signal what it means. `pass_on` does what would have been done without
    /// the simulator.
    fn signalled(
        &self,
        signal: c_int,
        code: c_int,
        context: &mut Context,
        registers: &mut Registers<'_>,
        pass_on: impl FnOnce(),
    ) -> Way {
        let mut may_be_interrupted = false;
        let left = match self.event(signal, code, context, registers) {
            Event::TrapSuppressed => Ok(Way::Inside),
            Event::Step => {
                may_be_interrupted = true;
                Ok(Way::Inside)
            }
            Event::InterruptOnTheWay => {
                pass_on();
                Ok(Way::Inside)
            }
            Event::Interrupt => {
                self.asynchronous_exit(Cause::Interrupt, context, registers);
                // The thread is outside now.
                pass_on();
                Ok(Way::Outside)
            }
            Event::Leaf => {
                if self.is_fast {
                    self.quicken(registers.rip());
                }
                if registers.get(RAX) as u32 == entry::EEXIT {
                    self.exit(context, registers).map(|()| Way::Outside)
                } else {
                    may_be_interrupted = true;
                    self.execute(registers).map(|()| Way::Inside)
                }
            }
            Event::Exception(exception) => Err(exception),
        };
        let cause = match left {
            Err(exception) => Cause::Exception(exception),
            Ok(Way::Inside) if may_be_interrupted && context.is_interrupted(registers) => {
                Cause::ReportedInterrupt
            }
            Ok(way) => return way,
        };
        self.asynchronous_exit(cause, context, registers);
        Way::Outside
    }

    fn event(
        &self,
        signal: c_int,
        code: c_int,
        context: &Context,
        registers: &mut Registers<'_>,
    ) -> Event {
        if code <= 0 {
            return if transition::contains(registers.rip()) {
                Event::InterruptOnTheWay
            } else {
                Event::Interrupt
            };
        }
        if signal == libc::SIGSYS {
            if code != SYS_USER_DISPATCH {
                return Event::Interrupt;
            }
            registers.set_rip(registers.rip().wrapping_sub(SYSTEM_CALL_LENGTH));
        }
        let Some(offset) = self.memory.offset_of(registers.rip(), 1) else {
            // The fetch outside ELRANGE would have raised it.
            return Event::Exception(Exception::GENERAL_PROTECTION);
        };
        if signal == libc::SIGSYS {
            if self.code(offset) == SYSCALL {
                registers.set(RCX, LOST);
                registers.set(R11, LOST);
            }
            return Event::Exception(Exception::of(INVALID_OPCODE));
        }
        let raised = Exception {
            vector: registers.vector() as u8,
            error_code: registers.error_code(),
            address: 0,
        };
        match raised.vector {
            DEBUG if context.trap_flag() != 0 => Event::Step,
            DEBUG if registers.rflags() & TRAP_FLAG != 0 => {
                registers.set_rflags(registers.rflags() & !TRAP_FLAG);
                Event::TrapSuppressed
            }
            BREAKPOINT => self.breakpoint(offset, registers),
            INVALID_OPCODE | GENERAL_PROTECTION | PAGE_FAULT
                if raised.error_code & FAULT_FETCH == 0 && self.is_leaf(self.code(offset)) =>
            {
                // An invalid opcode on processors without SGX. Those that have it refuse most
                // leaf functions outside of their own enclaves with a general protection
                // exception, and EENTER and ERESUME with a page fault.
                Event::Leaf
            }
            GENERAL_PROTECTION if self.is_illegal(offset) => {
                Event::Exception(Exception::of(INVALID_OPCODE))
            }
            PAGE_FAULT => Event::Exception(self.page_fault(registers)),
            _ => Event::Exception(raised),
        }
    }

    /// Whether an instruction is ENCLU, or stands for it.
    fn is_leaf(&self, code: [u8; 3]) -> bool {
        code == ENCLU || self.is_fast && code == QUICK_ENCLU
    }

    /// Replaces the ENCLU at `address`, which was just executed, so that there is no doubt that
    /// it is one.
    fn quicken(&self, address: u64) {
        let Some(offset) = self.memory.offset_of(address, ENCLU.len() as u64) else {
            return;
        };
        if self.code(offset) == ENCLU {
            self.memory
                .pages()
                .patch(offset, QUICK_ENCLU[0])
                .unwrap_or_else(system_failed);
        }
    }

    /// `int3` is reported as a fault: at itself, unlike outside (43.2.4). The two-byte
    /// `int 3` is illegal, like all `int n`.
    fn breakpoint(&self, offset: u64, registers: &mut Registers<'_>) -> Event {
        const INT3: u8 = 0xcc;
        let is_int3 = offset
            .checked_sub(1)
            .is_some_and(|before| self.code(before) == [INT3]);
        let (length, vector) = if is_int3 {
            (1, BREAKPOINT)
        } else {
            (2, INVALID_OPCODE)
        };
        registers.set_rip(registers.rip() - length);
        Event::Exception(Exception::of(vector))
    }

    fn page_fault(&self, registers: &Registers<'_>) -> Exception {
        let address = registers.fault_address();
        let mut error_code = registers.error_code();
        if let Some(offset) = self.memory.offset_of(address, 1)
            && self.memory.can_have_page(offset)
        {
            self.augment_if_absent(&self.memory.pages(), page_start(offset));
            error_code |= FAULT_PRESENT | FAULT_SGX;
        }
        Exception {
            vector: exception::PAGE_FAULT,
            error_code,
            address,
        }
    }

    /// Whether the instruction at `offset` raised a general protection exception for the
    /// want of privilege, or of CPUID, and would raise an invalid opcode
    /// exception in an enclave (36.6.1).
    fn is_illegal(&self, offset: u64) -> bool {
        // ins, outs; int n; in, out with a constant; in, out with DX.
        let is_short = matches!(
            self.code(offset),
            [0x6c..=0x6f | 0xcd | 0xe4..=0xe7 | 0xec..=0xef]
        );
        // cpuid; rdpmc.
        is_short || matches!(self.code(offset), [0x0f, 0xa2 | 0x33])
    }

    /// `N` bytes of code, or zeroes if they are not all accessible.
    fn code<const N: usize>(&self, offset: u64) -> [u8; N] {
        let pages = self.memory.pages();
        let mut bytes = [0; N];
        for (byte, offset) in bytes.iter_mut().zip(offset..) {
            if offset >= self.memory.size() {
                return [0; N];
            }
            match pages.read::<1>(offset) {
                Some([found]) => *byte = found,
                None => return [0; N],
            }
        }
        bytes
    }
}

const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];

/// `hlt`, which programs may not execute, and what is left of ENCLU. Invalid opcodes are
/// intercepted by some hypervisors, which takes several times as long.
const QUICK_ENCLU: [u8; 3] = [0xf4, 0x01, 0xd7];
