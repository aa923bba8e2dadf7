//! The handler of exceptions.

use enarx_keep_shim::{Next, Registers, Stop, vector};
use enarx_wire_hostcall::call::Operation;

use super::{KERNEL, entry, host, save_area::SaveArea, stop};
use crate::cpuid;

/// Handles the exception in this thread's first save area, if there is one.
pub extern "C" fn handle() {
    // SAFETY: called by the entry code with CSSA 1, and there is one handler a thread.
    let mut save_area = unsafe { SaveArea::first() };
    let Some(exception) = save_area.take_exception() else {
        return;
    };
    let mut registers = save_area.registers();
    let own = entry::is_own_code(registers.rip);
    let opcode = if exception.vector == vector::INVALID_OPCODE {
        instruction(&registers)
    } else {
        [0; 2]
    };
    match (opcode, KERNEL.get()) {
        (CPUID, _) => answer_cpuid(&mut registers),
        (SYSCALL, Some(kernel)) if !own => {
            registers.rip += SYSCALL.len() as u64;
            registers.rcx = registers.rip;
            registers.r11 = registers.rflags;
            let mut extended = *save_area.extended();
            let next = kernel.system_call(&mut registers, &mut extended);
            *save_area.extended() = extended;
            if next == Next::End {
                save_area.set_instruction_pointer(entry::thread_ended());
                return;
            }
        }
        (_, Some(kernel)) if !own => {
            let mut extended = *save_area.extended();
            kernel.exception(exception, &mut registers, &mut extended);
            *save_area.extended() = extended;
        }
        _ => stop(Stop::Exception),
    }
    save_area.set_registers(&registers);
}

const SYSCALL: [u8; 2] = [0x0F, 0x05];
const CPUID: [u8; 2] = [0x0F, 0xA2];

/// The instruction that was interrupted.
fn instruction(registers: &Registers) -> [u8; 2] {
    // SAFETY: the processor has just read an instruction from there: the address is in the
    // enclave, for it runs nothing outside, and its page is there. Of an instruction that
    // crosses into the next page, as one of two bytes may, that page was read too; one of a
    // single byte that is invalid in 64-bit mode at the very end of a page faults here, and
    // that fault stops the Keep.
    unsafe { (registers.rip as *const [u8; 2]).read_unaligned() }
}

fn answer_cpuid(registers: &mut Registers) {
    let (leaf, subleaf) = (registers.rax as u32, registers.rcx as u32);
    let mut answer = [0; 16];
    if cpuid::is_known(leaf) {
        let arguments = [leaf.into(), subleaf.into(), 0, 0];
        let answered = host::call(Operation::Cpuid, arguments, &[], 0, &mut answer);
        if answered.result != 0 || answered.length != answer.len() {
            answer = [0; 16];
        }
    }
    let word = |index: usize| {
        let mut word = [0; 4];
        word.copy_from_slice(&answer[4 * index..4 * index + 4]);
        u32::from_le_bytes(word)
    };
    let [a, b, c, d] = cpuid::filter(leaf, subleaf, [word(0), word(1), word(2), word(3)]);
    registers.rax = a.into();
    registers.rbx = b.into();
    registers.rcx = c.into();
    registers.rdx = d.into();
    registers.rip += CPUID.len() as u64;
}
