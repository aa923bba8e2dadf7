//! The leaf functions that an enclave has (ENCLU).

use core::{arch::asm, ptr};

use enarx_keep_shim::Stop;
use enarx_wire_launch::sgx::SecInfo;

use super::stop;

const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;
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

/// KEYREQUEST: 512 bytes.
#[repr(C, align(512))]
pub struct KeyRequest(pub [u8; 512]);

/// A key.
#[repr(C, align(16))]
struct Key([u8; 16]);

/// Accepts a page that was added, or whose access was restricted, with exactly these flags.
/// A page that is otherwise stops the Keep.
pub fn accept(page: u64, flags: u64) {
    // SAFETY: EACCEPT reads SECINFO and changes no memory, only what is known of the page.
    let result = unsafe { enclu(EACCEPT, &sec_info(flags), page, ptr::null_mut()) };
    if result != 0 {
        stop(Stop::Page);
    }
}

/// Gives a page more access.
pub fn extend(page: u64, access: u64) {
    let info = sec_info(SecInfo::regular(access).flags());
    // SAFETY: as for `accept`; what the page holds stays as it is.
    unsafe { enclu(EMODPE, &info, page, ptr::null_mut()) };
}

/// This enclave's report for another enclave on this machine.
pub fn report(target: &TargetInfo, report_data: &[u8; 64]) -> Report {
    let data = ReportData(*report_data);
    let mut report = Report([0; 432]);
    // SAFETY: all three operands are aligned and have the sizes that EREPORT wants.
    unsafe {
        enclu(
            EREPORT,
            target,
            (&raw const data).addr() as u64,
            &mut report,
        )
    };
    report
}

/// A key of the processor's for this enclave; `None` if the processor gives none to such a
/// request.
pub fn key(request: &KeyRequest) -> Option<[u8; 16]> {
    let mut key = Key([0; 16]);
    let into = (&raw mut key).expose_provenance() as u64;
    // SAFETY: both operands are aligned and have the sizes that EGETKEY wants.
    let result = unsafe { enclu(EGETKEY, request, into, ptr::null_mut()) };
    (result == 0).then_some(key.0)
}

/// Executes a leaf function with its operands in RBX, RCX and RDX; gives what it leaves in RAX.
///
/// # Safety
///
/// The operands are what the leaf function wants.
unsafe fn enclu<T>(leaf: u64, rbx: &T, rcx: u64, rdx: *mut Report) -> u64 {
    let result;
    // SAFETY: by this function's own contract.
    unsafe {
        asm!(
            "xchg r10, rbx",
            ".byte 0x0f, 0x01, 0xd7",
            "xchg r10, rbx",
            inout("rax") leaf => result,
            inout("r10") rbx => _,
            in("rcx") rcx,
            in("rdx") rdx,
        );
    }
    result
}

fn sec_info(flags: u64) -> AlignedSecInfo {
    let mut info = [0; 64];
    info[..8].copy_from_slice(&flags.to_le_bytes());
    AlignedSecInfo(info)
}
