//! What the shim keeps for each virtual processor, at the base of GS.

use core::{arch::asm, mem::offset_of};

use enarx_keep_shim::{
    EXTENDED_STATE_SIZE, Exception, ExtendedState, INITIAL_EXTENDED_STATE, Registers,
};
use enarx_wire_launch::vm::layout::{self, window};

/// The beginning of a processor's page. Not measured: the entry code, the handlers and
/// [`ProcessorPage::begin`] write all of it that anybody reads.
#[repr(C, align(64))]
pub struct ProcessorPage {
    /// What the runtime had in the floating-point and vector registers.
    pub extended: ExtendedState,
    /// What it had in the others.
    pub registers: Registers,
    /// The stack on which the shim serves this processor.
    stack: u64,
    /// Where an access of the shim itself faulted last.
    faulted: u64,
    /// The runtime's latest exception.
    cause: Cause,
    /// What the latest exception left, be it the runtime's or the shim's own. The processor itself pushes
    /// all from `code` on.
    frame: ExceptionFrame,
    /// Where the handlers for a body in ring 3 go on: what IRETQ takes.
    body: ReturnFrame,
    task_state: [u32; TASK_STATE_SIZE / 4],
}

#[repr(C)]
struct Cause {
    address: u64,
    vector: u32,
    code: u32,
}

#[repr(C)]
struct ExceptionFrame {
    address: u64,
    rax: u64,
    vector: u64,
    code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// What IRETQ takes from the stack.
#[repr(C)]
struct ReturnFrame {
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Size of a task state in bytes, without a map of ports (Intel SDM volume 3A, 8.7).
pub const TASK_STATE_SIZE: usize = 104;

// Offsets for code in assembly.
pub const EXTENDED: usize = offset_of!(ProcessorPage, extended);
pub const REGISTERS: usize = offset_of!(ProcessorPage, registers);
pub const STACK: usize = offset_of!(ProcessorPage, stack);
pub const FRAME: usize = offset_of!(ProcessorPage, frame);
pub const FRAME_ADDRESS: usize = FRAME + offset_of!(ExceptionFrame, address);
pub const FRAME_VECTOR: usize = FRAME + offset_of!(ExceptionFrame, vector);
pub const FRAME_CODE: usize = FRAME + offset_of!(ExceptionFrame, code);
pub const FRAME_RAX: usize = FRAME + offset_of!(ExceptionFrame, rax);
pub const FRAME_RIP: usize = FRAME + offset_of!(ExceptionFrame, rip);
pub const FRAME_RFLAGS: usize = FRAME + offset_of!(ExceptionFrame, rflags);
pub const FRAME_RSP: usize = FRAME + offset_of!(ExceptionFrame, rsp);
pub const FRAME_SIZE: usize = size_of::<ExceptionFrame>();
/// The processor's stack for exceptions begins here.
pub const FRAME_END: usize = FRAME + FRAME_SIZE;
pub const BODY: usize = offset_of!(ProcessorPage, body);
pub const TASK_STATE: usize = offset_of!(ProcessorPage, task_state);
pub const FAULTED: usize = offset_of!(ProcessorPage, faulted);
pub const ADDRESS: usize = offset_of!(ProcessorPage, cause) + offset_of!(Cause, address);
pub const VECTOR: usize = offset_of!(ProcessorPage, cause) + offset_of!(Cause, vector);
pub const CODE: usize = offset_of!(ProcessorPage, cause) + offset_of!(Cause, code);

const _: () = {
    // For the shim's own exceptions, that cannot go on, the page's base is the end of a stack.
    assert!(window::FAULT_STACK_END == window::PROCESSOR_PAGE);
    // The processor aligns its stack, and the handlers find the frames one behind the other.
    assert!(FRAME_END.is_multiple_of(16));
    assert!(BODY == FRAME_END);
    assert!(EXTENDED.is_multiple_of(64) && EXTENDED_STATE_SIZE.is_multiple_of(64));
    assert!(size_of::<ProcessorPage>() <= enarx_wire_launch::PAGE_SIZE);
};

impl ProcessorPage {
    /// This processor's page.
    ///
    /// # Safety
    ///
    /// The caller is the one function that serves this processor now, and uses one of these at
    /// a time.
    pub unsafe fn current() -> &'static mut Self {
        // SAFETY: the entry code points GS to the page, which is of this type and used by its
        // processor alone; by this function's own contract nobody else has a reference.
        unsafe { &mut *(address() as *mut Self) }
    }

    /// The exception that the handler found.
    pub fn exception(&self) -> Exception {
        Exception {
            vector: self.cause.vector as u8,
            code: self.cause.code,
            address: self.cause.address,
        }
    }

    /// Lets the runtime go on with these registers and a fresh extended state.
    pub fn begin(&mut self, registers: Registers) {
        self.registers = registers;
        self.extended = INITIAL_EXTENDED_STATE;
    }

    /// Forgets where an access of the shim faulted, before it serves anew.
    pub fn forget_fault(&mut self) {
        self.faulted = 0;
    }
}

/// Where this processor's page lies.
fn address() -> u64 {
    let base: u64;
    // SAFETY: reads a register, which the entry code has set and the runtime has no use for.
    unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// This processor's index.
pub fn index() -> u32 {
    ((address() - window::PROCESSOR_PAGE - layout::WINDOWS) / layout::WINDOW_SIZE) as u32
}
