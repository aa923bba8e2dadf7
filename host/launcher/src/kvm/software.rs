//! KVM without virtualization in the processor.
//!
//! A kernel that is a guest itself can have KVM by a module that needs no VMX or SVM. A guest's
//! ring 3 runs at full speed there; its ring 0 is emulated, slowly and without vector
//! instructions. So the shim's body runs in ring 3.

use std::path::Path;

use enarx_wire_launch::vm::BodyRing;

/// Modules of hardware KVM.
const HARDWARE: [&str; 2] = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];

/// Modules of software KVM.
const SOFTWARE: [&str; 1] = ["/sys/module/kvm_pvm"];

/// In which ring a shim's body runs on this machine.
pub(super) fn body_ring() -> BodyRing {
    if is_software() {
        BodyRing::User
    } else {
        BodyRing::Supervisor
    }
}

/// Whether this machine's KVM is software.
pub(crate) fn is_software() -> bool {
    let any = |modules: &[&str]| modules.iter().any(|module| Path::new(module).exists());
    any(&SOFTWARE) && !any(&HARDWARE)
}
