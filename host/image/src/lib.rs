//! The Keep images, built reproducibly and embedded.
//!
//! The host loads them, and the owner computes reference values from them: both
//! get the same bytes from here. Building this crate builds the runtime and the shims
//! (`build/recipe.rs` says how), once for all profiles.
//!
//! The same source, Rust toolchain, C compiler and C library give the same bytes
//! in any directory; `tests/reproducible.rs` shows it.

/// The runtime: a static-PIE ELF file for x86-64 Linux.
#[must_use]
pub const fn runtime() -> &'static [u8] {
    RUNTIME
}

/// SHA-384 of [`runtime`].
pub const RUNTIME_DIGEST: [u8; 48] = *include_bytes!(concat!(env!("OUT_DIR"), "/runtime_digest"));

/// SHA-256 of the pages of [`runtime`].
pub const RUNTIME_PAGES_DIGEST: [u8; 32] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/runtime_pages_digest"));

/// The enclave beneath the runtime: a static-PIE ELF file for SGX.
#[must_use]
pub const fn shim_sgx() -> &'static [u8] {
    SHIM_SGX
}

static SHIM_SGX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim_sgx"));

static RUNTIME: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runtime"));
