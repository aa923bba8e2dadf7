//! What only SEV-SNP's instructions do (AMD #24594, volume 3: PVALIDATE, VMGEXIT), or the host
//! that plays it. The instructions themselves have never run.

use core::{arch::asm, ops::Range, sync::atomic::Ordering};

use enarx_wire_launch::{
    PAGE_SIZE,
    vm::layout::{self, played},
};

use super::super::{
    super::tables::{FIRST_TABLES, LARGE_PAGE, READ_WRITE, bit, private},
    is_played,
};

/// Leaves for the hypervisor with `value` in the register `GHCB`.
pub fn leave(value: u64) {
    if is_played() {
        // SAFETY: a register of the host's, and no memory.
        unsafe { (played::GHCB as *mut u64).write_volatile(value) };
        return;
    }
    // SAFETY: the hypervisor can write no memory but shared one, and no register.
    unsafe {
        asm!(
            "wrmsr",
            "rep vmmcall",
            in("ecx") GHCB,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack),
        );
    }
}

/// What the hypervisor has left in that register.
pub fn answer() -> u64 {
    if is_played() {
        // SAFETY: as in `leave`.
        return unsafe { (played::GHCB as *const u64).read_volatile() };
    }
    let (low, high): (u32, u32);
    // SAFETY: reads a register.
    unsafe {
        asm!("rdmsr", in("ecx") GHCB, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Validates pages of at most 2 MiB that are private, for the first time.
///
/// # Errors
///
/// [`Refused`] if a page was validated before, or is none of this guest's.
pub fn validate(range: Range<u64>) -> Result<(), Refused> {
    if is_played() {
        let pages = (range.end - range.start) / PAGE_SIZE as u64;
        // SAFETY: a register of the host's, and no memory.
        let came_to = unsafe {
            let register = played::PVALIDATE as *mut u64;
            register.write_volatile(range.start | (pages - 1));
            register.read_volatile()
        };
        return if came_to == 0 { Ok(()) } else { Err(Refused) };
    }
    if range.end - range.start != LARGE_PAGE {
        // The windows of processors, which are mapped where they lie.
        return validate_each(range);
    }
    // Mapped for as long as this takes, by a processor that is the only one here.
    let entry = &FIRST_TABLES.large.0[(WINDOW / LARGE_PAGE) as usize];
    let bits = READ_WRITE & !bit::USER | bit::LARGE;
    entry.store(private(range.start, bits), Ordering::Release);
    let validated = match validate_page(WINDOW, 1) {
        Err(SIZE_MISMATCH) => validate_each(WINDOW..WINDOW + LARGE_PAGE),
        other => other.map_err(|_| Refused),
    };
    entry.store(0, Ordering::Release);
    // SAFETY: changes nothing but what the processor remembers, in ring 0.
    unsafe { asm!("invlpg [{}]", in(reg) WINDOW, options(nostack)) };
    validated
}

/// A page was not validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Number of the register.
const GHCB: u32 = 0xC001_0130;

/// The hypervisor has the 2 MiB as pages of 4 KiB.
const SIZE_MISMATCH: u32 = 6;

/// A place without anything, below the shared memory.
const WINDOW: u64 = layout::BOOT_PAGE - LARGE_PAGE;

fn validate_each(range: Range<u64>) -> Result<(), Refused> {
    for page in range.step_by(PAGE_SIZE) {
        validate_page(page, 0).map_err(|_| Refused)?;
    }
    Ok(())
}

/// Validates the page that is mapped at `address`, 4 KiB if `size` is 0 and 2 MiB if it is 1.
fn validate_page(address: u64, size: u32) -> Result<(), u32> {
    /// What there is no code for: it was validated before.
    const UNCHANGED: u32 = u32::MAX;
    let (code, unchanged): (u64, u8);
    // SAFETY: changes no memory of this program's, nor what it may do with it: the page is not in use.
    unsafe {
        asm!(
            // PVALIDATE
            ".byte 0xF2, 0x0F, 0x01, 0xFF",
            "setc {unchanged}",
            unchanged = out(reg_byte) unchanged,
            inout("rax") address => code,
            in("ecx") size,
            in("edx") 1,
            options(nostack),
        );
    }
    match (code as u32, unchanged) {
        (0, 0) => Ok(()),
        (0, _) => Err(UNCHANGED),
        (code, _) => Err(code),
    }
}
