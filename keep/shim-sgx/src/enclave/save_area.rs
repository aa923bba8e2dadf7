//! The state save area: what an exception interrupted.
//!
//! Intel SDM volume 3D, "State Save Area (SSA) Frame": the XSAVE image at the start, GPRSGX at
//! the end, and EXINFO below it.

use core::ptr;

use enarx_keep_shim::{
    EXTENDED_STATE_SIZE, Exception, ExtendedState, GENERAL_REGISTERS, Registers, vector,
};
use enarx_wire_launch::{PAGE_SIZE, sgx::layout::thread};

use super::thread_page;

/// The first save area of this thread. The processor writes it when the runtime is
/// interrupted, and reads it when the runtime is resumed; meanwhile the handler has it alone.
pub struct SaveArea(u64);

const GPRSGX: usize = PAGE_SIZE - 184;
const EXINFO: usize = GPRSGX - 16;

// Offsets in GPRSGX.
const RIP: usize = 136;
const EXITINFO: usize = 160;
const FS_BASE: usize = 168;
const GS_BASE: usize = 176;

impl SaveArea {
    /// This thread's first save area.
    ///
    /// # Safety
    ///
    /// The caller handles an exception (CSSA is 1), and uses no other of these.
    pub unsafe fn first() -> Self {
        Self(thread_page::window() + thread::SSA)
    }

    /// Clears the extended states of this thread's save areas: the processor leaves bytes of them
    /// as they are, which are the host's at first. Below the registers, since among those entering
    /// has put the host's stack pointer.
    ///
    /// # Safety
    ///
    /// Nothing is interrupted (CSSA is 0).
    pub unsafe fn clear_all() {
        for index in 0..thread::SSA_COUNT as usize {
            let start = thread_page::window() + thread::SSA + (index * PAGE_SIZE) as u64;
            // SAFETY: memory of the enclave for this alone, which is not in use, by this
            // function's own contract; an interruption now writes its area after it is cleared
            // or is over before.
            unsafe { ptr::write_bytes(start as *mut u8, 0, EXINFO) };
        }
    }

    /// The exception, unless what happened was an interruption alone. It is forgotten now:
    /// a host that enters once more finds nothing to handle.
    pub fn take_exception(&mut self) -> Option<Exception> {
        const VALID: u64 = 1 << 31;
        let info = self.read(GPRSGX + EXITINFO);
        if info & VALID == 0 {
            return None;
        }
        self.write(GPRSGX + EXITINFO, info & !0xFFFF_FFFF);
        let vector = info as u8;
        let has_details = matches!(vector, vector::PAGE_FAULT | vector::PROTECTION);
        Some(Exception {
            vector,
            code: if has_details {
                self.read(EXINFO + 8) as u32
            } else {
                0
            },
            address: if has_details { self.read(EXINFO) } else { 0 },
        })
    }

    /// The registers.
    pub fn registers(&self) -> Registers {
        let mut general = [0; GENERAL_REGISTERS];
        for (index, register) in general.iter_mut().enumerate() {
            *register = self.read(GPRSGX + 8 * index);
        }
        Registers::new(general, self.read(GPRSGX + FS_BASE))
    }

    /// Lets the runtime go on with these registers.
    pub fn set_registers(&mut self, registers: &Registers) {
        for (index, register) in registers.general().into_iter().enumerate() {
            self.write(GPRSGX + 8 * index, register);
        }
        self.write(GPRSGX + FS_BASE, registers.fs_base);
    }

    /// Where whatever is resumed goes on.
    pub fn instruction_pointer(&self) -> u64 {
        self.read(GPRSGX + RIP)
    }

    /// Lets what is resumed go on in the shim's own code at `address`, whatever the runtime has
    /// done to the base of GS.
    pub fn redirect(&mut self, address: u64) {
        self.set_instruction_pointer(address);
        self.write(GPRSGX + GS_BASE, thread_page::address());
    }

    /// Lets whatever is resumed go on at `address`.
    pub fn set_instruction_pointer(&mut self, address: u64) {
        self.write(GPRSGX + RIP, address);
    }

    /// The extended state.
    pub fn extended(&mut self) -> &mut ExtendedState {
        const { assert!(EXTENDED_STATE_SIZE <= EXINFO) };
        // SAFETY: the page is the enclave's own, and nobody else uses it, by `first`.
        unsafe { &mut *(self.0 as *mut ExtendedState) }
    }

    fn read(&self, offset: usize) -> u64 {
        // SAFETY: in the page, aligned, and nobody writes it meanwhile, by `first`.
        unsafe { ptr::read((self.0 as *const u64).byte_add(offset)) }
    }

    fn write(&mut self, offset: usize, value: u64) {
        // SAFETY: as in `read`.
        unsafe { ptr::write((self.0 as *mut u64).byte_add(offset), value) }
    }
}
