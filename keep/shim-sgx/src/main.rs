//! The enclave beneath the runtime. See the library of this crate.
//!
//! Only `host/image` builds it as an enclave, in the profile `keep`. Other builds have a
//! standard library around it and do nothing.

#![cfg_attr(panic = "abort", no_std, no_main)]

/// The library has the entry point and all else.
#[cfg(panic = "abort")]
use enarx_keep_shim_sgx as _;

#[cfg(not(panic = "abort"))]
fn main() {
    println!("{}", enarx_keep_shim_sgx::DESCRIPTION);
}
