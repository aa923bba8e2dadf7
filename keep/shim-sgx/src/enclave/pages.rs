//! Pages that are added and changed while the enclave runs (EDMM).

use core::{ops::Range, ptr};

use enarx_keep_shim::{
    Platform as _, Stop,
    memory::{Access, PAGE, Pages},
};
use enarx_wire_hostcall::call::Operation;
use enarx_wire_launch::sgx::SecInfo;

use super::{entry, leaf, platform::Enclave, stop};

/// Accepts new pages, which the host adds when they are first spoken of.
pub fn add(range: Range<u64>) {
    let new = SecInfo::regular(SecInfo::READ | SecInfo::WRITE).flags() | SecInfo::PENDING;
    each(range, |page| leaf::accept(page, new));
}

fn each(range: Range<u64>, act: impl FnMut(u64)) {
    range.step_by(PAGE as usize).for_each(act);
}

/// Has the host change pages of the enclave.
fn change(operation: Operation, range: &Range<u64>, access: u64) {
    let count = (range.end - range.start) / PAGE;
    let arguments = [range.start - entry::base(), count, access, 0];
    if Enclave.ask(operation, arguments) != 0 {
        stop(Stop::Page);
    }
}

impl Pages for Enclave {
    fn add(&self, range: Range<u64>) {
        add(range);
    }

    fn remove(&self, range: Range<u64>) {
        change(Operation::Trim, &range, 0);
        // Once they are accepted as trimmed nobody can use them, whether the host removes
        // them or not: a page that comes in the place of one is accepted like every other.
        let trimmed = SecInfo::TRIMMED | SecInfo::MODIFIED;
        each(range.clone(), |page| leaf::accept(page, trimmed));
        change(Operation::Remove, &range, 0);
    }

    fn restrict(&self, range: Range<u64>, access: Access) {
        let access = u64::from(access.bits());
        change(Operation::Restrict, &range, access);
        // The host may not have done it: accepting tells.
        let restricted = SecInfo::regular(access).flags() | SecInfo::PERMISSION_RESTRICTED;
        each(range, |page| leaf::accept(page, restricted));
    }

    fn extend(&self, range: Range<u64>, access: Access) {
        each(range, |page| leaf::extend(page, access.bits().into()));
    }

    fn zero(&self, range: Range<u64>) {
        let length = (range.end - range.start) as usize;
        // SAFETY: pages that exist and can be written, which hold nothing of the shim's, by
        // the contract of `Pages`.
        unsafe { ptr::write_bytes(range.start as *mut u8, 0, length) };
    }
}
