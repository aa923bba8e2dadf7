//! Calls of the TDX module (TDCALL; *Intel TDX Module Architecture Specification: Application Binary
//! Interface Reference*, "TDG" functions), or of the host that plays it.

use core::arch::asm;

use enarx_wire_hostcall::attestation::{DIGEST_SIZE, REPORT_DATA_SIZE};
use enarx_wire_launch::vm::layout::{self, played};

use super::super::{super::processor_page, is_played};
use crate::tdx::{Domain, VirtualizationException};

/// Size of a report (`TDREPORT_STRUCT`) in bytes.
pub const REPORT_SIZE: usize = 1024;

/// Where a report and what goes into it lie.
#[repr(C, align(1024))]
pub struct ReportPlace {
    report: [u8; REPORT_SIZE],
    data: [u8; REPORT_DATA_SIZE],
}

impl ReportPlace {
    pub const EMPTY: Self = Self {
        report: [0; REPORT_SIZE],
        data: [0; REPORT_DATA_SIZE],
    };
}

/// What the domain is (`TDG.VP.INFO`).
pub fn information() -> Domain {
    let [_, rcx, rdx, ..] = call(leaf::INFO, [0; 8]);
    Domain {
        width: rcx as u32 & 0x3F,
        attributes: rdx,
    }
}

/// What the latest exception of this kind was about (`TDG.VP.VEINFO.GET`); another one can come then.
pub fn exception() -> VirtualizationException {
    let [status, reason, _, _, _, length, ..] = call(leaf::EXCEPTION, [0; 8]);
    VirtualizationException {
        known: status == 0,
        reason: reason as u32,
        length: length as u32,
    }
}

/// A report over `data` (`TDG.MR.REPORT`), if the module makes one.
pub fn report<'a>(
    place: &'a mut ReportPlace,
    data: &[u8; REPORT_DATA_SIZE],
) -> Option<&'a [u8; REPORT_SIZE]> {
    place.data = *data;
    // The shim's data lie where their addresses say, in private memory.
    let report = (&raw mut place.report).expose_provenance() as u64;
    let data = (&raw const place.data).expose_provenance() as u64;
    let [status, ..] = call(leaf::REPORT, [report, data, 0, 0, 0, 0, 0, 0]);
    (status == 0).then_some(&place.report)
}

/// Folds a digest into RTMR3 (`TDG.MR.RTMR.EXTEND`). Whether the module did so.
pub fn extend(place: &mut ReportPlace, digest: &[u8; DIGEST_SIZE]) -> bool {
    const APPLICATION: u64 = 3;
    place.data[..DIGEST_SIZE].copy_from_slice(digest);
    let data = (&raw const place.data).expose_provenance() as u64;
    let [status, ..] = call(leaf::EXTEND, [data, APPLICATION, 0, 0, 0, 0, 0, 0]);
    status == 0
}

/// A page's size.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// 4 KiB.
    Small = 0,
    /// 2 MiB.
    Large = 1,
}

/// What came of accepting a page.
pub enum Accepted {
    Yes,
    /// The host has it in another size.
    OtherSize,
    /// It was accepted before, or is not the domain's.
    No,
}

/// Accepts a page (`TDG.MEM.PAGE.ACCEPT`), which is zeros then.
pub fn accept(address: u64, size: Size) -> Accepted {
    const SIZE_MISMATCH: u64 = 0xC000_0B0B;
    let [status, ..] = call(leaf::ACCEPT, [address | size as u64, 0, 0, 0, 0, 0, 0, 0]);
    match status >> 32 {
        0 => Accepted::Yes,
        SIZE_MISMATCH => Accepted::OtherSize,
        _ => Accepted::No,
    }
}

/// What the host is asked for (GHCI, table "TDG.VP.VMCALL sub-functions").
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum HostCall {
    /// Access to a port: size, direction, port, value.
    Port = 30,
    /// Changes who has pages: address, size.
    MapPages = 0x1_0001,
    /// A quote: address and size of a shared buffer.
    GetQuote = 0x1_0002,
}

/// Leaves for the host (`TDG.VP.VMCALL`), which sees and changes R10 to R15 alone. Gives its status, and its
/// first result.
pub fn ask(function: HostCall, arguments: [u64; 4]) -> (u64, u64) {
    const R10_TO_R15: u64 = 0xFC00;
    let [r12, r13, r14, r15] = arguments;
    let shown = [R10_TO_R15, 0, 0, 0, 0, function as u64, r12, r13];
    let [status, _, _, _, _, r10, r11, ..] = call_with(leaf::HOST, shown, [r14, r15]);
    // The module refuses what makes no sense.
    (if status == 0 { r10 } else { u64::MAX }, r11)
}

/// Numbers of functions.
mod leaf {
    pub const HOST: u64 = 0;
    pub const INFO: u64 = 1;
    pub const EXTEND: u64 = 2;
    pub const EXCEPTION: u64 = 3;
    pub const REPORT: u64 = 4;
    pub const ACCEPT: u64 = 6;
}

/// Calls the module with RCX, RDX, R8, R9, R10, R11, R12 and R13; gives RAX and then these.
fn call(leaf: u64, registers: [u64; 8]) -> [u64; 9] {
    call_with(leaf, registers, [0; 2])
}

fn call_with(leaf: u64, registers: [u64; 8], [mut r14, mut r15]: [u64; 2]) -> [u64; 9] {
    let [
        mut rcx,
        mut rdx,
        mut r8,
        mut r9,
        mut r10,
        mut r11,
        mut r12,
        mut r13,
    ] = registers;
    let mut rax = leaf;
    if is_played() {
        let page = layout::block(processor_page::index()) + layout::TDX_CALL;
        let place = |index: u64| (page + 8 * index) as *mut u64;
        let words = [rax, rcx, rdx, r8, r9, r10, r11, r12, r13, r14, r15];
        for (index, word) in (0..).zip(words) {
            // SAFETY: shared memory, mapped where it lies, and this processor's alone.
            unsafe { place(index).write_volatile(word) };
        }
        // SAFETY: a register of the host's, and no memory.
        unsafe { (played::TDCALL as *mut u64).write_volatile(0) };
        // SAFETY: as for the writes.
        return core::array::from_fn(|index| unsafe { place(index as u64).read_volatile() });
    }
    // SAFETY: the module writes no memory of this program's but what it is given for that, and lets the
    // host change no register but those named here.
    unsafe {
        asm!(
            // TDCALL
            ".byte 0x66, 0x0F, 0x01, 0xCC",
            inout("rax") rax,
            inout("rcx") rcx,
            inout("rdx") rdx,
            inout("r8") r8,
            inout("r9") r9,
            inout("r10") r10,
            inout("r11") r11,
            inout("r12") r12,
            inout("r13") r13,
            inout("r14") r14,
            inout("r15") r15,
            options(nostack),
        );
    }
    let _ = (r14, r15);
    [rax, rcx, rdx, r8, r9, r10, r11, r12, r13]
}
