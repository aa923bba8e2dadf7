//! The Keep images, built reproducibly and embedded.
//!
//! The host loads them, and the owner computes reference values from them: both
//! get the same bytes from here. Building this crate builds the runtime
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

static RUNTIME: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runtime"));
