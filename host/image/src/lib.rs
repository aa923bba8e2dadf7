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

/// SHA-256 of [`runtime`].
pub const RUNTIME_FILE_DIGEST: [u8; 32] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/runtime_file_digest"));

/// The enclave beneath the runtime: a static-PIE ELF file for SGX.
#[must_use]
pub const fn shim_sgx() -> &'static [u8] {
    SHIM_SGX
}

/// The virtual machine beneath the runtime: an ELF file with fixed addresses.
#[must_use]
pub const fn shim_vm() -> &'static [u8] {
    SHIM_VM
}

/// A folder of this project with code that runs inside Keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedFolder {
    /// Its path in the source.
    pub folder: &'static str,
    /// The packages whose programs have it inside.
    pub programs: &'static [&'static str],
    /// Lines of code: without empty lines, comments, and tests.
    pub lines: usize,
}

/// A program that runs inside Keeps.
#[derive(Debug, Clone, Copy)]
pub struct TrustedProgram {
    /// The package that it is built from.
    pub name: &'static str,
    /// The program, an ELF file.
    pub file: &'static &'static [u8],
    /// Crates inside that are not of this project.
    pub other_crates: usize,
}

// Counted when the image was built.
include!(concat!(env!("OUT_DIR"), "/trusted_code.rs"));

static SHIM_SGX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim_sgx"));

static SHIM_VM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim_vm"));

/// From a page's beginning on, so that virtual machines can have these very bytes as their memory.
static RUNTIME: &[u8] = &PAGE_ALIGNED.0;

static PAGE_ALIGNED: &PageAligned<[u8]> =
    &PageAligned(*include_bytes!(concat!(env!("OUT_DIR"), "/runtime")));

#[repr(C, align(4096))]
struct PageAligned<T: ?Sized>(T);
