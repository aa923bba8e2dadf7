//! The leaf functions that an enclave has (ENCLU).

use core::arch::asm;

use enarx_keep_shim::Stop;
use enarx_wire_launch::sgx::SecInfo;

use super::stop;

const EREPORT: u64 = 0;
const EACCEPT: u64 = 5;
const EMODPE: u64 = 6;

/// SECINFO as ENCLU wants it: aligned.
#[repr(C, align(64))]
struct AlignedSecInfo([u8; 64]);

/// TARGETINFO: 512 bytes.
#[repr(C, align(512))]
pub struct TargetInfo(pub [u8; 512]);

/// REPORTDATA.
#[repr(C, align(128))]
struct ReportData([u8; 64]);

/// REPORT: 432 bytes.
#[repr(C, align(512))]
pub struct Report(pub [u8; 432]);

/// Accepts a page that was added, or whose access was restricted, with exactly these flags.
/// A page that is otherwise stops the Keep.
pub fn accept(page: u64, flags: u64) {
    let info = sec_info(flags);
    let result: u64;
    // SAFETY: EACCEPT reads SECINFO and changes no memory, only what is known of the page.
    unsafe {
        asm!(
            "xchg r10, rbx",
            ".byte 0x0f, 0x01, 0xd7",
            "xchg r10, rbx",
            inout("rax") EACCEPT => result,
            inout("r10") &info => _,
            in("rcx") page,
        );
    }
    if result != 0 {
        stop(Stop::Page);
    }
}

/// Gives a page more access.
pub fn extend(page: u64, access: u64) {
    let info = sec_info(SecInfo::regular(access).flags());
    // SAFETY: as for `accept`; what the page holds stays as it is.
    unsafe {
        asm!(
            "xchg r10, rbx",
            ".byte 0x0f, 0x01, 0xd7",
            "xchg r10, rbx",
            inout("rax") EMODPE => _,
            inout("r10") &info => _,
            in("rcx") page,
        );
    }
}

/// This enclave's report for another enclave on this machine.
pub fn report(target: &TargetInfo, report_data: &[u8; 64]) -> Report {
    let data = ReportData(*report_data);
    let mut report = Report([0; 432]);
    // SAFETY: all three operands are aligned and have the sizes that EREPORT wants.
    unsafe {
        asm!(
            "xchg r10, rbx",
            ".byte 0x0f, 0x01, 0xd7",
            "xchg r10, rbx",
            inout("rax") EREPORT => _,
            inout("r10") target => _,
            in("rcx") &data,
            in("rdx") &mut report,
        );
    }
    report
}

fn sec_info(flags: u64) -> AlignedSecInfo {
    let mut info = [0; 64];
    info[..8].copy_from_slice(&flags.to_le_bytes());
    AlignedSecInfo(info)
}
