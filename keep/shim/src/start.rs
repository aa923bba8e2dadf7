//! What a program finds on its stack when it starts.
//!
//! System V ABI, AMD64 supplement, 3.4.1 "Initial Stack and Register State": the number of
//! arguments, their addresses, the addresses of variables, the auxiliary vector.

use alloc::vec::Vec;
use core::{ops::Range, slice};

use linux_raw_sys::auxvec;

use crate::{
    Platform, Registers, Stop,
    kernel::RETURN_ROOM,
    memory::{Access, AddressSpace},
};

/// A program that lies in memory and was not started yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Where it starts.
    pub entry: u64,
    /// Where its program headers lie.
    pub program_headers: u64,
    /// How many there are.
    pub program_header_count: u64,
}

/// Gives the registers that `program` begins with, and puts what it finds on its stack there. It has
/// `stack` of `space` to itself, which ends at a multiple of 16. Without memory the Keep stops.
pub fn begin_program<P: Platform>(
    platform: &P,
    space: &mut AddressSpace,
    stack: Range<u64>,
    program: &Program,
) -> Registers {
    const INTERRUPTS: u64 = 0x202;
    space.reserve(stack.clone(), Access::READ_WRITE);
    let mut random = [0; 16];
    platform.random(&mut random);
    let initial = initial_stack(program, &random, stack.end);
    let needed = initial.pointer - RETURN_ROOM;
    let length = stack.end - needed;
    let prepared = space.prepare(platform, needed, length, Access::READ_WRITE);
    if prepared.is_err() {
        platform.stop(Stop::Memory);
    }
    // SAFETY: pages that were just added, for the program's stack alone.
    let place =
        unsafe { slice::from_raw_parts_mut(initial.pointer as *mut u8, initial.contents.len()) };
    place.copy_from_slice(&initial.contents);
    Registers {
        rip: program.entry,
        rsp: initial.pointer,
        rflags: INTERRUPTS,
        ..Registers::default()
    }
}

/// The stack of a program.
struct InitialStack {
    /// The stack pointer, and where the contents belong.
    pointer: u64,
    /// What lies from there up to the stack's end.
    contents: Vec<u8>,
}

/// What lies on the stack that ends at `end`, a multiple of 16, when `program` starts with its
/// own name as the one argument and without variables. The C library makes its canaries of
/// `random`.
fn initial_stack(program: &Program, random: &[u8; 16], end: u64) -> InitialStack {
    const NAME: [u8; 16] = *b"enarx-keep\0\0\0\0\0\0";
    const PROGRAM_HEADER_SIZE: u64 = 56;
    const PAGE_SIZE: u64 = 4096;
    /// Instructions for the bases of FS and GS (HWCAP2_FSGSBASE).
    const HWCAP2: u64 = 1 << 1;
    /// Room for a signal's frame.
    const SIGNAL_STACK: u64 = 2048;
    let name_at = end - NAME.len() as u64;
    let random_at = name_at - random.len() as u64;
    let vector = [
        (auxvec::AT_PHDR, program.program_headers),
        (auxvec::AT_PHENT, PROGRAM_HEADER_SIZE),
        (auxvec::AT_PHNUM, program.program_header_count),
        (auxvec::AT_PAGESZ, PAGE_SIZE),
        (auxvec::AT_ENTRY, program.entry),
        (auxvec::AT_SECURE, 0),
        (auxvec::AT_HWCAP2, HWCAP2),
        (auxvec::AT_MINSIGSTKSZ, SIGNAL_STACK),
        (auxvec::AT_RANDOM, random_at),
        (auxvec::AT_EXECFN, name_at),
        (auxvec::AT_NULL, 0),
    ];
    // One argument, the end of the arguments, the end of the variables.
    let head = [1, name_at, 0, 0];
    let words = head.into_iter().chain(
        vector
            .into_iter()
            .flat_map(|(key, value)| [key.into(), value]),
    );
    let mut contents: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    contents.extend_from_slice(random);
    contents.extend_from_slice(&NAME);
    InitialStack {
        pointer: end - contents.len() as u64,
        contents,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_aligned_and_its_pointers_lead_where_they_should() {
        let end = 0x8000;
        let stack = initial_stack(
            &Program {
                entry: 0x1234,
                program_headers: 0x40,
                program_header_count: 9,
            },
            &[7; 16],
            end,
        );
        assert!(stack.pointer.is_multiple_of(16));
        let words: Vec<u64> = stack
            .contents
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        let at = |address: u64| &stack.contents[(address - stack.pointer) as usize..];
        assert_eq!(words[0], 1);
        assert!(at(words[1]).starts_with(b"enarx-keep\0"));
        assert_eq!(words[2..4], [0, 0]);
        let pairs = words[4..].chunks(2);
        let value = |key: u32| {
            let found = pairs.clone().find(|pair| pair[0] == u64::from(key));
            found.map(|pair| pair[1])
        };
        assert_eq!(value(auxvec::AT_ENTRY), Some(0x1234));
        assert_eq!(value(auxvec::AT_PHNUM), Some(9));
        assert!(at(value(auxvec::AT_RANDOM).unwrap()).starts_with(&[7; 16]));
    }
}
