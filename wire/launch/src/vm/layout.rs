//! Where things lie in a Keep's virtual machine: guest physical addresses, in bytes. The shim maps
//! all of these to addresses of the same value.
//!
//! ```text
//! 0x0000_0000  nothing, so that null pointers fault
//! 0x0020_0000  the shim: code, constants, data
//! 0x0030_0000  the launch page, then the information page
//! 0x0030_2000  SEV-SNP: the secrets page, then the CPUID page
//! 0x0032_0000  a window for each virtual processor
//! 0x00C0_0000  the doorbell, where there is no memory
//! 0x0100_0000  shared: the boot page, then a block for each virtual processor
//! 0x0400_0000  shared: the runtime's file
//! 0x0800_0000  private memory
//! 0xFFFF_F000  TDX: the page with the first instruction
//! ```

use core::ops::Range;

use crate::PAGE_SIZE;

/// The shim, whose code begins here.
pub const SHIM: u64 = 0x0020_0000;

/// Where the first virtual processor starts, in the state of a PVH guest: 32-bit protected mode
/// without paging (Xen, "x86/HVM direct boot ABI").
pub const ENTRY: u64 = SHIM;

/// Where every other virtual processor starts, in the same state and with its index in ESI.
pub const THREAD_ENTRY: u64 = SHIM + 0x10;

/// The shim's constants; its code ends here at the latest.
pub const SHIM_CONSTANTS: u64 = 0x0024_0000;

/// The shim's data; its constants end here at the latest.
pub const SHIM_DATA: u64 = 0x0026_0000;

/// The end of the room for the shim.
pub const SHIM_END: u64 = LAUNCH_PAGE;

/// The launch page.
pub const LAUNCH_PAGE: u64 = 0x0030_0000;

/// The information page.
pub const INFO_PAGE: u64 = 0x0030_1000;

/// The page that SEV-SNP's firmware fills with the guest's secrets.
pub const SECRETS_PAGE: u64 = 0x0030_2000;

/// The page with what SEV-SNP's firmware has found right about the processor.
pub const CPUID_PAGE: u64 = 0x0030_3000;

/// The page in which the processors of a TDX machine start ([`reset_page`](super::reset_page)).
pub const RESET_PAGE: u64 = 0xFFFF_F000;

/// The first virtual processor's window.
pub const WINDOWS: u64 = 0x0032_0000;

/// Distance from one window to the next.
pub const WINDOW_SIZE: u64 = 0x1_8000;

/// Virtual processors for which there is room, and which every Keep has: one for each thread.
pub const PROCESSORS: u32 = 8;

/// What lies in a processor's window: offsets from its start. Pages that are not named are
/// not mapped, so that a stack that overflows faults.
pub mod window {
    /// The stack on which the shim runs.
    pub const STACK: u64 = 0x1000;
    /// Its end.
    pub const STACK_END: u64 = 0x1_4000;
    /// The stack on which the shim stops after an exception of its own.
    pub const FAULT_STACK: u64 = 0x1_5000;
    /// Its end.
    pub const FAULT_STACK_END: u64 = 0x1_6000;
    /// The page that the shim's segment registers point to.
    pub const PROCESSOR_PAGE: u64 = 0x1_6000;
}

/// What of the first processor's window is there at the launch of a TEE: the end of its stack, the other
/// stack, and its page, with the page between the stacks. The shim accepts the rest itself.
pub const FIRST_STACK: Range<u64> = WINDOWS + window::STACK_END - 4 * PAGE_SIZE as u64
    ..WINDOWS + window::PROCESSOR_PAGE + PAGE_SIZE as u64;

/// The bit of an address by which SEV-SNP's page tables name private memory: that of all processors
/// that have it. The shim compares it with what the firmware says (AMD #24594, volume 3, appendix E,
/// function 8000_001Fh).
pub const SNP_PRIVATE: u64 = 1 << 51;

/// The same where the host plays SEV-SNP: a bit that addresses of every processor have. Memory ends below
/// it.
pub const SNP_PRIVATE_PLAYED: u64 = 1 << 38;

/// The bit of an address by which page tables of a TDX machine name shared memory where the host plays
/// TDX. (The TDX module says which one it is otherwise: the uppermost of 48 or 52.)
pub const TDX_SHARED_PLAYED: u64 = 1 << 38;

/// The doorbell. There is no memory: writing here leaves the machine.
pub const DOORBELL: u64 = 0x00C0_0000;

/// Where the host plays a TEE: registers of eight bytes that stand for instructions. There is no memory
/// either.
pub mod played {
    /// A write is WRMSR to the register `GHCB`, then VMGEXIT; a read is RDMSR.
    pub const GHCB: u64 = super::DOORBELL + 0x10;
    /// A write is PVALIDATE of the page at an address, and of as many behind it as the lowest eleven bits
    /// say; with [`RESCIND`] in it, one that rescinds. A read gives what it came to: in the lower half EAX, in the
    /// upper one the carry flag.
    pub const PVALIDATE: u64 = super::DOORBELL + 0x20;
    /// The bit that says so.
    pub const RESCIND: u64 = 1 << 11;
    /// A write is TDCALL, by the registers at [`TDX_CALL`](super::TDX_CALL) in the processor's block.
    pub const TDCALL: u64 = super::DOORBELL + 0x30;
}

/// The port that is the doorbell where the host wants that.
pub const DOORBELL_PORT: u16 = 0xE9;

/// The page with which the host says how it wants to be spoken to ([`Boot`](super::Boot)).
pub const BOOT_PAGE: u64 = 0x0100_0000;

/// The first virtual processor's block for calls.
pub const BLOCKS: u64 = 0x0120_0000;

/// Distance from one block to the next.
pub const BLOCK_STRIDE: u64 = 0x0020_0000;

/// Offset from a processor's block of the page with which it speaks to a SEV-SNP hypervisor (GHCB).
pub const GHCB: u64 = BLOCK_STRIDE - PAGE_SIZE as u64;

/// Offset from a processor's block of its requests to SEV-SNP's firmware.
pub const GUEST_REQUEST: u64 = GHCB - PAGE_SIZE as u64;

/// Offset from a processor's block of the answers.
pub const GUEST_RESPONSE: u64 = GUEST_REQUEST - PAGE_SIZE as u64;

/// Offset from a processor's block of what it wants a TDX quote of, and of the quote then.
pub const TDX_QUOTE: u64 = TDX_CALL - TDX_QUOTE_SIZE;

/// Room for that, in bytes.
pub const TDX_QUOTE_SIZE: u64 = 0x4000;

/// Offset from a processor's block, where the host plays TDX, of the registers of a call: RAX, RCX, RDX,
/// and R8 to R15, before it and after.
pub const TDX_CALL: u64 = BLOCK_STRIDE - PAGE_SIZE as u64;

/// The end of the blocks.
pub const BLOCKS_END: u64 = block(PROCESSORS);

/// The room for the runtime's file.
pub const RUNTIME_FILE: u64 = 0x0400_0000;

/// The end of that room.
pub const RUNTIME_FILE_END: u64 = PRIVATE;

/// Private memory that holds nothing at the launch.
pub const PRIVATE: u64 = 0x0800_0000;

/// Where the runtime is mapped.
///
/// Above all that the shim maps for itself; addresses cost nothing, and compiled WebAssembly
/// reserves gigabytes.
pub const RUNTIME: u64 = 1 << 40;

/// The end of the room for the runtime.
pub const RUNTIME_END: u64 = RUNTIME + (1 << 32);

/// What the runtime maps.
pub const USER: u64 = 2 << 40;

/// The end of what the runtime maps.
pub const USER_END: u64 = 1 << 46;

/// The start of virtual processor `index`'s window.
#[must_use]
pub const fn window_of(index: u32) -> u64 {
    WINDOWS + index as u64 * WINDOW_SIZE
}

/// Where virtual processor `index`'s block for calls lies.
#[must_use]
pub const fn block(index: u32) -> u64 {
    BLOCKS + index as u64 * BLOCK_STRIDE
}

/// Bytes in a large page.
pub const LARGE_PAGE: u64 = 2 << 20;

/// Where in private memory the runtime's file is hashed and runs: its end, in whole large pages. `None`
/// if it has no room there.
#[must_use]
pub const fn runtime_copy(memory_bytes: u64, file_bytes: u64) -> Option<u64> {
    let Some(room) = file_bytes.checked_next_multiple_of(LARGE_PAGE) else {
        return None;
    };
    (PRIVATE + private_bytes(memory_bytes, file_bytes)).checked_sub(room)
}

/// Bytes of private memory from [`PRIVATE`] on of a Keep with `memory_bytes` of memory for a
/// runtime whose file has `file_bytes`: the memory and the file, and what the shim needs to
/// map and account for them. A multiple of 2 MiB.
#[must_use]
pub const fn private_bytes(memory_bytes: u64, file_bytes: u64) -> u64 {
    /// The shim's own, whatever the size.
    const LEAST: u64 = 32 << 20;
    // A table of 4 KiB maps 2 MiB at the best; memory that is mapped piece by piece needs more.
    let tables = memory_bytes / 64;
    let bytes = memory_bytes
        .saturating_add(tables)
        .saturating_add(file_bytes)
        .saturating_add(LEAST);
    match bytes.checked_next_multiple_of(LARGE_PAGE) {
        Some(bytes) => bytes,
        None => u64::MAX - (LARGE_PAGE - 1),
    }
}

const _: () = {
    assert!(window_of(PROCESSORS) <= 0x0040_0000);
    assert!(window::PROCESSOR_PAGE + PAGE_SIZE as u64 <= WINDOW_SIZE);
    assert!(BLOCKS_END <= RUNTIME_FILE);
};
