//! The seam between enclaves of the processor and of the simulator.
//!
//! They differ in how an enclave is made and in the function that enters it, and nowhere
//! else.

use std::any::Any;
use std::io;

use enarx_wire_launch::sgx::{Secs, Section, Sigstruct};

/// An enclave that is being made.
pub trait EnclaveBuilder {
    /// ECREATE.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn create(&mut self, secs: Secs) -> io::Result<()>;

    /// EADD of all pages of `section`, and EEXTEND if they are measured.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn add(&mut self, section: &Section<'_>) -> io::Result<()>;

    /// EINIT.
    ///
    /// # Errors
    ///
    /// What the system said, above all that the pages or attributes are not those that
    /// `sigstruct` is about.
    fn initialize(self: Box<Self>, sigstruct: &Sigstruct) -> io::Result<Box<dyn Enclave>>;
}

/// An enclave that can be entered.
pub trait Enclave: Send + Sync {
    /// Where it lies.
    fn base(&self) -> u64;

    /// The function that enters it.
    fn enter_function(&self) -> EnterFunction;

    /// Prepares the calling thread for entering; undone when the result is dropped.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn attach_thread(&self) -> io::Result<Box<dyn Any>>;

    /// EMODPR: restricts the access of `pages` pages from `offset` to `access`, bits of
    /// [`SecInfo`](enarx_wire_launch::sgx::SecInfo).
    ///
    /// # Errors
    ///
    /// What the system said.
    fn restrict(&self, offset: u64, pages: u64, access: u64) -> io::Result<()>;

    /// EMODT: turns `pages` pages from `offset` into trimmed ones.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn trim(&self, offset: u64, pages: u64) -> io::Result<()>;

    /// EREMOVE: removes `pages` pages from `offset` that were accepted as trimmed.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn remove(&self, offset: u64, pages: u64) -> io::Result<()>;
}

/// A function with the interface of `__vdso_sgx_enter_enclave` (Linux, UAPI
/// `asm/sgx.h`): RDI, RSI and RDX are handed to the enclave, ECX is the leaf of ENCLU, R8 and
/// R9 are handed on too. It returns 0, or a negated error number when it was called wrongly.
pub type EnterFunction = unsafe extern "C" fn(
    rdi: u64,
    rsi: u64,
    rdx: u64,
    leaf: u32,
    r8: u64,
    r9: u64,
    run: *mut Run,
) -> i32;

/// `struct sgx_enclave_run` of the same interface.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Run {
    /// Address of the thread control structure.
    pub tcs: u64,
    /// The leaf of ENCLU that was the last one: [`EEXIT`] after a regular exit.
    pub function: u32,
    /// After another exit, the exception's vector,
    pub exception_vector: u16,
    /// its error code,
    pub exception_error_code: u16,
    /// and for a page fault its address.
    pub exception_address: u64,
    /// A function to be called on exit: none.
    pub user_handler: u64,
    /// What that function would be given.
    pub user_data: u64,
    reserved: [u8; 216],
}

impl Run {
    /// For entering at the thread control structure at `tcs`.
    #[must_use]
    pub const fn new(tcs: u64) -> Self {
        Self {
            tcs,
            function: 0,
            exception_vector: 0,
            exception_error_code: 0,
            exception_address: 0,
            user_handler: 0,
            user_data: 0,
            reserved: [0; 216],
        }
    }
}

/// The leaf of ENCLU that enters an enclave.
pub const EENTER: u32 = 2;
/// The leaf of ENCLU that resumes a thread after an asynchronous exit.
pub const ERESUME: u32 = 3;
/// The leaf of ENCLU that leaves an enclave.
pub const EEXIT: u32 = 4;

const _: () = assert!(size_of::<Run>() == 256);
