//! A host that interrupts the shim where the stack and GS may be the runtime's: the Keep stops, and not
//! a word of the runtime's memory has changed. What the runtime causes itself is a signal.

use std::arch::global_asm;
use std::io::Write as _;

use enarx_wire_launch::Platform;
use enarx_wire_launch::vm::layout;

use super::debugger::Debugger;
use super::{End, Guest, KEEP_MEMORY};
use crate::kvm::elf::{Part, static_pie};

const PATTERN: u64 = 0x0123_4567_89AB_CDEF;

// Has its stack and the base of GS in a page that is full of a pattern, and makes system calls.
global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "enarx_interrupted_program:",
    "lea rbx, [rsp - 0x3000]",
    "and rbx, -4096",
    "mov rdi, rbx",
    "mov rax, {PATTERN}",
    "mov ecx, 512",
    "rep stosq",
    "wrgsbase rbx",
    "lea rsp, [rbx + 2048]",
    // getpid
    "2: mov eax, 39",
    "syscall",
    "jmp 2b",
    "enarx_interrupted_program_end:",
    ".popsection",
    PATTERN = const PATTERN,
);

// Causes the exception that a byte of the channel names. (The emulator has neither alignment checks nor
// exceptions of SSE.)
global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "enarx_excepted_program:",
    "push 0",
    "xor eax, eax",
    "mov edi, 3",
    "mov rsi, rsp",
    "mov edx, 1",
    "syscall",
    "pop rax",
    ".irp name, d, i, n, b, t, f, g, h, s",
    "cmp al, '\\name'",
    "je enarx_excepted_\\name",
    ".endr",
    "enarx_excepted_d: xor ecx, ecx",
    "div ecx",
    "enarx_excepted_i: ud2",
    "enarx_excepted_n: mov eax, [rdx * 8 + 0x1000]",
    "enarx_excepted_b: int3",
    "enarx_excepted_t: pushfq",
    "or dword ptr [rsp], 0x100",
    "popfq",
    "nop",
    // All exceptions of x87 but for inexact results; then 1 is divided by 0.
    "enarx_excepted_f: push 0x360",
    "fldcw [rsp]",
    "fld1",
    "fldz",
    "fdivp",
    "fwait",
    "enarx_excepted_g: int 0x80",
    "enarx_excepted_h: hlt",
    "enarx_excepted_s: bts rbp, 63",
    "mov eax, [rbp]",
    "enarx_excepted_program_end:",
    ".popsection",
);

unsafe extern "C" {
    static enarx_interrupted_program: u8;
    static enarx_interrupted_program_end: u8;
    static enarx_excepted_program: u8;
    static enarx_excepted_program_end: u8;
}

fn program() -> Vec<u8> {
    file(
        &raw const enarx_interrupted_program,
        &raw const enarx_interrupted_program_end,
    )
}

/// A file with the code between two of the symbols above.
fn file(start: *const u8, end: *const u8) -> Vec<u8> {
    // SAFETY: around bytes that never change, all of them.
    let code = unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) };
    let size = code.len() as u64;
    static_pie(code, &[Part { access: 5, size }])
}

#[test]
fn what_the_runtime_causes_is_a_signal() {
    const ILLEGAL: i32 = 4;
    const TRAP: i32 = 5;
    const ARITHMETIC: i32 = 8;
    const SEGMENT: i32 = 11;
    let program = file(
        &raw const enarx_excepted_program,
        &raw const enarx_excepted_program_end,
    );
    for (name, signal) in [
        (b'd', ARITHMETIC),
        (b'i', ILLEGAL),
        (b'n', SEGMENT),
        (b'b', TRAP),
        (b't', TRAP),
        (b'f', ARITHMETIC),
        (b'g', SEGMENT),
        (b'h', SEGMENT),
        (b's', SEGMENT),
    ] {
        let mut guest = Guest::start(Platform::Kvm, &program, &program);
        guest.outside.channel.write_all(&[name]).unwrap();
        let end = guest.serve();
        assert_eq!(end, End::Exit(128 + signal), "{}", char::from(name));
    }
}

/// Where the shim is interrupted: so many instructions after the first one of a system call, or after the
/// last but one of its end.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Call(u32),
    End(u32),
}

#[test]
fn a_shim_that_is_interrupted_stops_and_writes_nowhere_else() {
    // The runtime's stack and GS; its stack; neither; what is compiled. Both the shim's; GS the runtime's;
    // the runtime itself.
    let calls = [0, 1, 2, 25, 60].map(Moment::Call);
    let ends = [0, 1, 2].map(Moment::End);
    for moment in calls.into_iter().chain(ends) {
        let (mut guest, mut debugger) = in_a_system_call();
        let steps = match moment {
            Moment::Call(steps) => steps,
            Moment::End(steps) => {
                debugger.run_to(find(&guest, END));
                steps
            }
        };
        for _ in 0..steps {
            debugger.step();
        }
        let at = debugger.next();
        let is_runtime = (layout::RUNTIME..layout::RUNTIME_END).contains(&at);
        assert_eq!(is_runtime, matches!(moment, Moment::End(2)), "{at:#x}");
        debugger.interrupt();
        assert_eq!(guest.serve(), End::Abort(EXCEPTION), "{moment:?}");
        assert_eq!(patterned_pages(&guest), 1, "{moment:?}");
    }
}

/// A page fault without a code, of which the shim would make that the runtime's register is another one.
#[test]
fn an_exception_without_its_code_stops_the_keep() {
    // MOV AL, 14; INT 14.
    const CAUSE: &[u8] = b"\xB0\x0E\xCD\x0E";
    let (mut guest, mut debugger) = in_a_system_call();
    debugger.run_to(find(&guest, END));
    debugger.step();
    debugger.step();
    // The runtime itself may cause it now.
    const PRESENT_GATE_FOR_ALL: u8 = 0xEE;
    debugger.write(page_fault_gate(&guest) + 5, &[PRESENT_GATE_FOR_ALL]);
    let at = debugger.next();
    debugger.write(at, CAUSE);
    debugger.go_on();
    assert_eq!(guest.serve(), End::Abort(EXCEPTION));
}

/// Why the Keep stops.
const EXCEPTION: u8 = 13;

/// The first instructions of a system call: SWAPGS, then the stack pointer is saved.
const CALL: &[u8] = b"\x0F\x01\xF8\x65\x48\x89\x24\x25";

/// The last ones: SWAPGS, IRETQ.
const END: &[u8] = b"\x0F\x01\xF8\x48\xCF";

/// A machine that stands still before the first instruction of a system call.
fn in_a_system_call() -> (Guest, Debugger) {
    let program = program();
    let mut guest = Guest::start_with(Platform::Kvm, &program, &program, |directory| {
        let mut arguments = Debugger::arguments(directory);
        // Without SMAP writes that must not be succeed; with a controller in the way NMIs would be masked.
        arguments.extend(["-cpu", "max,-smap,-apic"].map(str::to_owned));
        arguments
    });
    let mut debugger = Debugger::connect(guest.directory.path());
    let call = find(&guest, CALL);
    debugger.set_out_for(call);
    // Nobody helps it to hash.
    assert_eq!(guest.serve_call(), None);
    debugger.arrive(call);
    (guest, debugger)
}

/// Where the gate of page faults is: the 14th of those that have a stack of their own.
fn page_fault_gate(guest: &Guest) -> u64 {
    const SIZE: usize = 16;
    let constants = memory(
        guest,
        layout::SHIM_CONSTANTS,
        layout::SHIM_CONSTANTS + (64 << 10),
    );
    let mut tables = constants.windows(32 * SIZE).enumerate().step_by(SIZE);
    let is_gate =
        |gate: &[u8]| gate[4] == 1 && matches!(gate[5], 0x8E | 0xEE) && gate[12..] == [0; 4];
    let (offset, _) = tables
        .find(|(_, table)| table.chunks(SIZE).all(is_gate))
        .unwrap();
    layout::SHIM_CONSTANTS + (offset + 14 * SIZE) as u64
}

/// The address of the one place in the shim's code that has these bytes.
fn find(guest: &Guest, bytes: &[u8]) -> u64 {
    let code = memory(guest, layout::SHIM, layout::SHIM_CONSTANTS);
    let mut found = code.windows(bytes.len()).enumerate();
    let mut next = || found.find(|(_, window)| *window == bytes);
    let (offset, _) = next().unwrap();
    assert!(next().is_none());
    layout::SHIM + offset as u64
}

/// Pages of the runtime's memory that have nothing but the pattern.
fn patterned_pages(guest: &Guest) -> usize {
    const LOOKED_AT: u64 = 4 << 20;
    let file = program().len() as u64;
    let end = layout::PRIVATE + layout::private_bytes(KEEP_MEMORY, file);
    let pages = memory(guest, end - LOOKED_AT, end);
    let pattern = PATTERN.to_le_bytes().repeat(512);
    pages.chunks(4096).filter(|page| *page == pattern).count()
}

fn memory(guest: &Guest, from: u64, to: u64) -> &[u8] {
    // SAFETY: within the memory, which stays mapped; nothing that the machine still does writes there.
    unsafe {
        let start = guest.memory.as_ptr().add(from as usize);
        std::slice::from_raw_parts(start, (to - from) as usize)
    }
}
