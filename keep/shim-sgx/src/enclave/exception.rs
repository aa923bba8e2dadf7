//! The handler of exceptions.

use alloc::collections::BTreeMap;

use enarx_keep_shim::{Next, Platform as _, Registers, Stop, vector};
use enarx_wire_hostcall::call::Operation;
use spin::Mutex;

use super::{KERNEL, entry, platform::Enclave, save_area::SaveArea, stop};
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
    let opcode = match exception.vector {
        vector::INVALID_OPCODE => instruction(&registers),
        _ => [0; 2],
    };
    let mut extended = *save_area.extended();
    match (opcode, KERNEL.get()) {
        (CPUID, _) => answer_cpuid(&mut registers),
        (SYSCALL, Some(kernel)) if !own => {
            registers.rip += SYSCALL.len() as u64;
            registers.rcx = registers.rip;
            registers.r11 = registers.rflags;
            if kernel.system_call(&mut registers, &mut extended) == Next::End {
                save_area.redirect(entry::thread_ended());
                return;
            }
        }
        (_, Some(kernel)) if !own => {
            if exception.vector == vector::BREAKPOINT {
                // In an enclave it is seen at the instruction, elsewhere behind it.
                registers.rip += BREAKPOINT_SIZE;
            }
            kernel.exception(exception, &mut registers, &mut extended);
        }
        _ => stop(Stop::Exception),
    }
    *save_area.extended() = extended;
    save_area.set_registers(&registers);
}

const SYSCALL: [u8; 2] = [0x0F, 0x05];
const CPUID: [u8; 2] = [0x0F, 0xA2];
const BREAKPOINT_SIZE: u64 = 1;

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
    let leaf = registers.rax as u32;
    let subleaf = match cpuid::has_subleaves(leaf) {
        true => registers.rcx as u32,
        false => 0,
    };
    let known = CPUID_ANSWERS.lock().get(&(leaf, subleaf)).copied();
    let answer = known.unwrap_or_else(|| {
        let answer = cpuid::filter(leaf, subleaf, ask_cpuid(leaf, subleaf));
        *CPUID_ANSWERS
            .lock()
            .entry((leaf, subleaf))
            .or_insert(answer)
    });
    [registers.rax, registers.rbx, registers.rcx, registers.rdx] = answer.map(u64::from);
    registers.rip += CPUID.len() as u64;
}

/// Answers that were given. The host is asked once for each, so that it cannot give two.
static CPUID_ANSWERS: Mutex<BTreeMap<(u32, u32), cpuid::Answer>> = Mutex::new(BTreeMap::new());

fn ask_cpuid(leaf: u32, subleaf: u32) -> cpuid::Answer {
    if !cpuid::is_known(leaf) {
        return [0; 4];
    }
    let mut answer = [[0; 4]; 4];
    let arguments = [leaf.into(), subleaf.into(), 0, 0];
    let into = answer.as_flattened_mut();
    let answered = Enclave.call(Operation::Cpuid, arguments, &[], 0, into);
    if answered.result != 0 || answered.length != size_of_val(&answer) {
        return [0; 4];
    }
    answer.map(u32::from_le_bytes)
}
