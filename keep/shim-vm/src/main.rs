//! The virtual machine beneath the runtime. See the library of this crate.
//!
//! Only `host/image` builds it as a guest, in the profile `keep`. Other builds have a
//! standard library around it and do nothing.

#![cfg_attr(panic = "abort", no_std, no_main)]

/// The library has the entry point and all else.
#[cfg(panic = "abort")]
use enarx_keep_shim_vm as _;

#[cfg(not(panic = "abort"))]
fn main() {
    println!("{}", enarx_keep_shim_vm::DESCRIPTION);
}
