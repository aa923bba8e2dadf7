//! The frame that a handler finds on its stack, and returns through.
//!
//! `struct rt_sigframe` of Linux on x86-64 (arch/x86/include/asm/sigframe.h,
//! arch/x86/include/uapi/asm/sigcontext.h): the address that the handler returns to,
//! `ucontext`, `siginfo_t`, and above them the extended state.

use linux_raw_sys::general;

use super::{Action, Signal, SignalState, longs};
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
    let frame_at = (extended_at.wrapping_sub(FRAME_SIZE as u64) & !15).wrapping_sub(8);
    if wants_alternate && stack.contains(top) && !stack.contains(frame_at) {
        return Err(FrameError);
    }

    let mut frame = [0; FRAME_SIZE];
    put(&mut frame, 0, action.restorer);
    put(&mut frame, CONTEXT, CONTEXT_FLAGS);
    frame[CONTEXT + 16..CONTEXT + 40].copy_from_slice(&stack.encode(registers.rsp));
    let general = registers.general();
    for (index, place) in IN_CONTEXT.into_iter().enumerate() {
        put(&mut frame, MACHINE + 8 * index, general[place]);
    }
    put(&mut frame, SEGMENTS, SEGMENT_SELECTORS);
    put(&mut frame, FAULT_CODE, signal.cause.code.into());
    put(&mut frame, FAULT_VECTOR, signal.cause.vector.into());
    put(&mut frame, FAULT_ADDRESS, signal.cause.address);
    put(&mut frame, EXTENDED_POINTER, extended_at);
    put(&mut frame, MASK, state.mask);
    frame[INFO..INFO + 4].copy_from_slice(&signal.number.to_le_bytes());
    frame[INFO + 8..INFO + 12].copy_from_slice(&signal.code.to_le_bytes());
    put(&mut frame, INFO + 16, signal.address);
    memory.write(frame_at, &frame).map_err(|_| FrameError)?;

    let mut image = [0; EXTENDED_SIZE];
    image[..EXTENDED_STATE_SIZE].copy_from_slice(extended);
    image[SOFTWARE..SOFTWARE + 4].copy_from_slice(&FP_XSTATE_MAGIC1.to_le_bytes());
    image[SOFTWARE + 4..SOFTWARE + 8].copy_from_slice(&(EXTENDED_SIZE as u32).to_le_bytes());
    put(&mut image, SOFTWARE + 8, COMPONENTS);
    image[SOFTWARE + 16..SOFTWARE + 20]
        .copy_from_slice(&(EXTENDED_STATE_SIZE as u32).to_le_bytes());
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
    registers.rsi = frame_at + INFO as u64;
    registers.rdx = frame_at + CONTEXT as u64;
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
    let mut frame = [0; FRAME_SIZE];
    let frame_at = registers.rsp.wrapping_sub(8);
    memory.read(frame_at, &mut frame).map_err(|_| FrameError)?;
    let mut machine = [0; GENERAL_REGISTERS * 8];
    machine.copy_from_slice(&frame[MACHINE..MACHINE + GENERAL_REGISTERS * 8]);
    let mut general = [0; GENERAL_REGISTERS];
    let found: [u64; GENERAL_REGISTERS] = longs(&machine);
    for (place, register) in IN_CONTEXT.into_iter().zip(found) {
        general[place] = register;
    }
    let [extended_at, mask] = [EXTENDED_POINTER, MASK].map(|at| {
        let mut long = [0; 8];
        long.copy_from_slice(&frame[at..at + 8]);
        u64::from_le_bytes(long)
    });
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
    state.mask = mask;
    *registers = Registers::new(general, registers.fs_base);
    registers.rflags = registers.rflags & USER_FLAGS | ALWAYS_SET_FLAGS;
    Ok(())
}

/// The stack that a frame should be on is not there, or too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError;

/// Below the stack pointer, functions keep what no signal may overwrite (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

// Offsets in the frame.
const CONTEXT: usize = 8;
const MACHINE: usize = CONTEXT + 40;
const SEGMENTS: usize = MACHINE + 8 * GENERAL_REGISTERS;
const FAULT_CODE: usize = SEGMENTS + 8;
const FAULT_VECTOR: usize = SEGMENTS + 16;
const FAULT_ADDRESS: usize = SEGMENTS + 32;
const EXTENDED_POINTER: usize = SEGMENTS + 40;
const MASK: usize = MACHINE + 256;
const INFO: usize = MASK + 8;
const FRAME_SIZE: usize = INFO + 128;

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
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
const COMPONENTS: u64 = 0b111;

const DIRECTION: u64 = 1 << 10;
const TRAP: u64 = 1 << 8;
const RESUME: u64 = 1 << 16;
/// What a program may set: CF PF AF ZF SF TF DF OF AC.
const USER_FLAGS: u64 = 0x4_0DD5;
/// Bit 1 and IF.
const ALWAYS_SET_FLAGS: u64 = 0x202;

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
