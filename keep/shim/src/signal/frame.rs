//! The frame that a handler finds on its stack, and returns through.
//!
//! `struct rt_sigframe` of Linux on x86-64 (arch/x86/include/asm/sigframe.h,
//! arch/x86/include/uapi/asm/sigcontext.h): the address that the handler returns to,
//! `ucontext`, `siginfo_t`, and above them the extended state.

use linux_raw_sys::general;

use super::{Action, Signal, SignalState};
use crate::{
    UserMemory,
    registers::{
        EXTENDED_STATE_SIZE, ExtendedState, GENERAL_REGISTERS, INITIAL_EXTENDED_STATE, Registers,
        sanitize,
    },
};

/// Puts a frame for `action` onto the stack of its choice, and lets `registers` go on in
/// its handler.
///
/// # Errors
///
/// [`FrameError`] when the stack is not there: the program cannot go on.
pub fn push(
    memory: &impl UserMemory,
    signal: &Signal,
    action: &Action,
    state: &mut SignalState,
    registers: &mut Registers,
    extended: &mut ExtendedState,
) -> Result<(), FrameError> {
    let stack = state.stack;
    let wants_alternate = action.flags & u64::from(general::SA_ONSTACK) != 0;
    let top = if wants_alternate && stack.size != 0 && !stack.contains(registers.rsp) {
        stack.base + stack.size
    } else {
        registers.rsp.wrapping_sub(RED_ZONE)
    };
    let extended_at = top.wrapping_sub(EXTENDED_SIZE as u64) & !63;
    let frame_at = (extended_at.wrapping_sub(8 * FRAME as u64) & !15).wrapping_sub(8);
    if wants_alternate && stack.contains(top) && !stack.contains(frame_at) {
        return Err(FrameError);
    }

    let mut frame = [0; FRAME];
    frame[RESTORER] = action.restorer;
    frame[CONTEXT] = CONTEXT_FLAGS;
    frame[STACK..MACHINE].copy_from_slice(&stack.encode(registers.rsp));
    let general = registers.general();
    for (index, place) in IN_CONTEXT.into_iter().enumerate() {
        frame[MACHINE + index] = general[place];
    }
    frame[SEGMENTS] = SEGMENT_SELECTORS;
    frame[FAULT_CODE] = signal.cause.code.into();
    frame[FAULT_VECTOR] = signal.cause.vector.into();
    frame[FAULT_ADDRESS] = signal.cause.address;
    frame[EXTENDED_POINTER] = extended_at;
    frame[MASK] = state.mask;
    frame[INFO] = signal.number.into();
    frame[INFO + 1] = signal.code.cast_unsigned().into();
    frame[INFO + 2] = signal.address;
    memory
        .write_longs(frame_at, frame)
        .map_err(|_| FrameError)?;

    let mut image = [0; EXTENDED_SIZE];
    image[..EXTENDED_STATE_SIZE].copy_from_slice(extended);
    let sizes = (EXTENDED_SIZE as u64, EXTENDED_STATE_SIZE as u64);
    let software = [FP_XSTATE_MAGIC1 | sizes.0 << 32, COMPONENTS, sizes.1];
    image[SOFTWARE..SOFTWARE + size_of_val(&software)]
        .copy_from_slice(software.map(u64::to_le_bytes).as_flattened());
    image[EXTENDED_STATE_SIZE..].copy_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    memory.write(extended_at, &image).map_err(|_| FrameError)?;

    state.mask |= action.mask;
    if action.flags & u64::from(general::SA_NODEFER) == 0 {
        state.mask |= 1 << (signal.number - 1);
    }
    // As Linux does: an exception of the floating-point units must not meet the handler again.
    *extended = INITIAL_EXTENDED_STATE;
    registers.rip = action.handler;
    registers.rsp = frame_at;
    registers.rdi = signal.number.into();
    registers.rsi = frame_at + 8 * INFO as u64;
    registers.rdx = frame_at + 8 * CONTEXT as u64;
    registers.rax = 0;
    registers.rflags &= !(DIRECTION | TRAP | RESUME);
    Ok(())
}

/// Takes the frame off the stack again (`rt_sigreturn`): the stack pointer is behind the
/// address that the handler returned to.
///
/// # Errors
///
/// [`FrameError`] when there is no frame.
pub fn pop(
    memory: &impl UserMemory,
    state: &mut SignalState,
    registers: &mut Registers,
    extended: &mut ExtendedState,
) -> Result<(), FrameError> {
    let frame_at = registers.rsp.wrapping_sub(8);
    let frame: [u64; FRAME] = memory.longs(frame_at).map_err(|_| FrameError)?;
    let mut general = [0; GENERAL_REGISTERS];
    for (index, place) in IN_CONTEXT.into_iter().enumerate() {
        general[place] = frame[MACHINE + index];
    }
    let extended_at = frame[EXTENDED_POINTER];
    if extended_at != 0 {
        let mut image = [0; EXTENDED_STATE_SIZE];
        memory
            .read(extended_at, &mut image)
            .map_err(|_| FrameError)?;
        image[SOFTWARE..SOFTWARE + SOFTWARE_SIZE].fill(0);
        sanitize(&mut image);
        *extended = image;
    } else {
        *extended = INITIAL_EXTENDED_STATE;
    }
    state.mask = frame[MASK];
    *registers = Registers::new(general, registers.fs_base);
    registers.rflags = registers.rflags & USER_FLAGS | ALWAYS_SET_FLAGS;
    Ok(())
}

/// The stack that a frame should be on is not there, or too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError;

/// Below the stack pointer, functions keep what no signal may overwrite (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

// Places in the frame, which is all 64-bit numbers.
const RESTORER: usize = 0;
const CONTEXT: usize = 1;
const STACK: usize = CONTEXT + 2;
const MACHINE: usize = STACK + 3;
const SEGMENTS: usize = MACHINE + GENERAL_REGISTERS;
const FAULT_CODE: usize = SEGMENTS + 1;
const FAULT_VECTOR: usize = SEGMENTS + 2;
const FAULT_ADDRESS: usize = SEGMENTS + 4;
const EXTENDED_POINTER: usize = SEGMENTS + 5;
const MASK: usize = MACHINE + 32;
const INFO: usize = MASK + 1;
const FRAME: usize = INFO + 16;

/// The registers in `sigcontext`, by their places in [`Registers::general`]: R8 to R15, RDI,
/// RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, RFLAGS.
const IN_CONTEXT: [usize; GENERAL_REGISTERS] =
    [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1, 4, 17, 16];

/// UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
const CONTEXT_FLAGS: u64 = 0b111;
/// CS 0x33, GS 0, FS 0, SS 0x2b, as user programs have them on Linux.
const SEGMENT_SELECTORS: u64 = 0x002B_0000_0000_0033;

/// The extended state and the mark behind it.
const EXTENDED_SIZE: usize = EXTENDED_STATE_SIZE + 4;
/// Where the image of XSAVE has room for software.
const SOFTWARE: usize = 464;
const SOFTWARE_SIZE: usize = 48;
const FP_XSTATE_MAGIC1: u64 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
const COMPONENTS: u64 = 0b111;

const DIRECTION: u64 = 1 << 10;
const TRAP: u64 = 1 << 8;
const RESUME: u64 = 1 << 16;
/// What a program may set: CF PF AF ZF SF TF DF OF AC.
const USER_FLAGS: u64 = 0x4_0DD5;
/// Bit 1 and IF.
const ALWAYS_SET_FLAGS: u64 = 0x202;
