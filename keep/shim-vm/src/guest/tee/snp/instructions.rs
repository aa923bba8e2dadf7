//! What only SEV-SNP's instructions do (AMD #24594, volume 3: PVALIDATE, VMGEXIT), or the host
//! that plays it. The instructions themselves have never run.

use core::{arch::asm, ops::Range, sync::atomic::Ordering};

use enarx_wire_launch::{
    PAGE_SIZE,
    vm::layout::{self, played},
};
use spin::Mutex;

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

/// Validates pages of at most 2 MiB that are private, or rescinds that.
///
/// # Errors
///
/// [`Refused`] if a page was validated, or was not, already, or is none of this guest's.
pub fn set_validated(range: Range<u64>, validated: bool) -> Result<(), Refused> {
    if is_played() {
        let pages = (range.end - range.start) / PAGE_SIZE as u64;
        let rescinds = if validated { 0 } else { played::RESCIND };
        // SAFETY: a register of the host's, and no memory.
        let came_to = unsafe {
            let register = played::PVALIDATE as *mut u64;
            register.write_volatile(range.start | rescinds | (pages - 1));
            register.read_volatile()
        };
        return if came_to == 0 { Ok(()) } else { Err(Refused) };
    }
    if range.end - range.start != LARGE_PAGE {
        // The windows of processors, which are mapped where they lie.
        return set_each_validated(range, validated);
    }
    // Mapped for as long as this takes.
    let window = WINDOW.lock();
    let entry = &FIRST_TABLES.large.0[(*window / LARGE_PAGE) as usize];
    let bits = READ_WRITE & !bit::USER | bit::LARGE;
    entry.store(private(range.start, bits), Ordering::Release);
    // While another processor had something else there, this one may have taken note of it.
    // SAFETY: changes nothing but what the processor remembers, in ring 0.
    unsafe { asm!("invlpg [{}]", in(reg) *window, options(nostack)) };
    let changed = match set_page_validated(*window, 1, validated) {
        Err(SIZE_MISMATCH) => set_each_validated(*window..*window + LARGE_PAGE, validated),
        other => other.map_err(|_| Refused),
    };
    entry.store(0, Ordering::Release);
    changed
}

/// A page was not validated, or is still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Number of the register.
const GHCB: u32 = 0xC001_0130;

/// The hypervisor has the 2 MiB as pages of 4 KiB.
const SIZE_MISMATCH: u32 = 6;

/// A place without anything, below the shared memory, for one processor at a time.
static WINDOW: Mutex<u64> = Mutex::new(layout::BOOT_PAGE - LARGE_PAGE);

fn set_each_validated(range: Range<u64>, validated: bool) -> Result<(), Refused> {
    for page in range.step_by(PAGE_SIZE) {
        set_page_validated(page, 0, validated).map_err(|_| Refused)?;
    }
    Ok(())
}

/// Validates the page that is mapped at `address`, 4 KiB if `size` is 0 and 2 MiB if it is 1, or rescinds that.
fn set_page_validated(address: u64, size: u32, validated: bool) -> Result<(), u32> {
    /// What there is no code for: it is as it was before.
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
            in("edx") u32::from(validated),
            options(nostack),
        );
    }
    match (code as u32, unchanged) {
        (0, 0) => Ok(()),
        (0, _) => Err(UNCHANGED),
        (code, _) => Err(code),
    }
}
