//! SGX leaf functions in software: runs an unmodified enclave in this process.
//!
//! The enclave's pages lie in memory whose protection always equals what the
//! EPCM allows, so that the processor's page tables do the checking. Its code runs
//! natively. It leaves by signals: `ENCLU` raises an exception on processors without
//! SGX, `syscall` is refused by Syscall User Dispatch, and other exceptions come by
//! themselves; each becomes what SGX makes of it, an asynchronous exit with the
//! state in the SSA frame for most. EENTER and ERESUME need no signal.
//!
//! Numbers of sections are those of the "Intel 64 and IA-32 Architectures Software
//! Developer's Manual" (SDM), volume 3D unless another is named.
//!
//! # What is stricter on hardware
//!
//! It protects nothing, and code that behaves sees no difference but these:
//!
//! - Code outside ELRANGE can be executed in enclave mode until it raises an exception,
//!   which is then a general protection exception.
//! - Where the processor cannot make CPUID fault, CPUID is answered.
//! - `syscall` destroys RCX and R11 before the simulator sees it: they are saved with a
//!   value that nobody put there. `int 0x80` keeps the lower half of RAX only.
//!   `sysenter` loses the place where it was.
//! - Segment loads, far transfers, `iret`, `xgetbv`, the instructions that UMIP
//!   covers, and AVX-512 work as they do outside.
//! - A page that can be executed can be read.
//! - Nothing is paged out by itself: a host that wants it calls [`Enclave::page_out`], which is
//!   EBLOCK, ETRACK and EWB at once, for pages of memory alone. EMODT, EREMOVE and so trimming
//!   are missing.

mod builder;
mod bytes;
mod context;
mod entry;
mod error;
mod exception;
mod exit;
mod hardware;
mod host_cpuid;
mod interference;
mod leaf;
mod machine;
mod measurement;
mod memory;
mod page;
mod paging;
mod registers;
mod secs;
mod signal;
mod sigstruct;
mod state_save;
mod statistics;
mod thread;
mod thread_control;
mod transition;

use std::io;
use std::sync::OnceLock;

pub use builder::Builder;
pub use entry::SgxEnclaveRun;
pub use error::{InitError, LeafError};
pub use hardware::{Hardware, REPORT_DATA_SIZE, Refusal};
pub use interference::{INTERRUPT_VECTOR, Interference};
pub use paging::PagedOut;
pub use sigstruct::SIGSTRUCT_SIZE;
pub use statistics::Statistics;
pub use thread::ThreadAttachment;
pub use transition::EnterFunction;

use super::EnclaveIdentity;
use memory::{Memory, Pages};
use page::{PAGE_SIZE, Page, PageType, READ, WRITE};
use paging::Paging;
use secs::Secs;
use statistics::Counters;
use thread_control::ThreadControl;

/// An initialised enclave. It stays for the life of the process.
#[derive(Clone, Copy)]
pub struct Enclave {
    running: &'static Running,
}

impl Enclave {
    /// Where the enclave lies.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.running.memory.base()
    }

    /// Size of ELRANGE in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.running.memory.size()
    }

    /// Who the enclave is.
    #[must_use]
    pub fn identity(&self) -> &EnclaveIdentity {
        &self.running.identity
    }

    /// What to call in place of `__vdso_sgx_enter_enclave`, from an
    /// [attached](Self::attach_thread) thread. In others it returns `-EINVAL`.
    #[must_use]
    pub fn enter_function() -> EnterFunction {
        transition::enter_function()
    }

    /// Lets the current thread enter the enclave.
    ///
    /// # Errors
    ///
    /// What the system says, if it refuses a signal stack or Syscall User Dispatch, and
    /// [`io::ErrorKind::AlreadyExists`] for a thread that is attached.
    pub fn attach_thread(&self) -> io::Result<ThreadAttachment> {
        ThreadAttachment::new()
    }

    /// EMODPR of `pages` pages from `offset`, as `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS` does
    /// it: page by page, with `permissions` (1 read, 2 write, 4 execute) as those that
    /// remain at most. Returns how many pages were done: fewer than asked for if a
    /// later one than the first fails.
    ///
    /// # Errors
    ///
    /// Why the first page could not be restricted.
    pub fn restrict(&self, offset: u64, pages: u64, permissions: u8) -> Result<u64, LeafError> {
        let permissions = u16::from(permissions);
        let refuse = |reason| Err(LeafError::GeneralProtection(reason));
        if permissions & !(READ | WRITE | page::EXECUTE) != 0
            || permissions & (READ | WRITE) == WRITE
        {
            return refuse("permissions to write without reading, or unknown ones");
        }
        self.each_page(offset, pages, |page| {
            self.running.restrict_page(page, permissions)
        })
    }

    /// EMODT of `pages` pages from `offset` to PT_TRIM, as `SGX_IOC_ENCLAVE_MODIFY_TYPES` does
    /// it. Returns how many pages were done.
    ///
    /// # Errors
    ///
    /// Why the first page could not be trimmed.
    pub fn trim(&self, offset: u64, pages: u64) -> Result<u64, LeafError> {
        self.each_page(offset, pages, |page| self.running.trim_page(page))
    }

    /// EREMOVE of `pages` pages from `offset` that the enclave has accepted as trimmed, as
    /// `SGX_IOC_ENCLAVE_REMOVE_PAGES` does it. Returns how many pages were done.
    ///
    /// # Errors
    ///
    /// Why the first page could not be removed.
    pub fn remove(&self, offset: u64, pages: u64) -> Result<u64, LeafError> {
        self.each_page(offset, pages, |page| self.running.remove_page(page))
    }

    fn each_page(
        &self,
        offset: u64,
        pages: u64,
        act: impl Fn(u64) -> Result<(), LeafError>,
    ) -> Result<u64, LeafError> {
        let refuse = |reason| Err(LeafError::GeneralProtection(reason));
        if !offset.is_multiple_of(PAGE_SIZE as u64) || pages == 0 {
            return refuse("the range is not aligned or empty");
        }
        let end = pages
            .checked_mul(PAGE_SIZE as u64)
            .and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size()) {
            return refuse("the range is outside the enclave");
        }
        for done in 0..pages {
            match act(offset + done * PAGE_SIZE as u64) {
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
                Ok(()) => {}
            }
        }
        Ok(pages)
    }

    /// What the enclave has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.running.counters.read()
    }
}

impl std::fmt::Debug for Enclave {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Enclave")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}

/// The process's enclave, as signal handlers find it.
struct Running {
    memory: Memory,
    secs: Secs,
    identity: EnclaveIdentity,
    /// Every TCS, by its offset.
    threads: Vec<ThreadControl>,
    hardware: Box<dyn Hardware>,
    paging: Paging,
    /// Whether [`Builder::fast`] was asked for.
    is_fast: bool,
    counters: Counters,
}

static RUNNING: OnceLock<Running> = OnceLock::new();

impl Running {
    /// The builder's occupation of the process's only place allows this once.
    fn start(running: Running) -> &'static Running {
        RUNNING.get_or_init(|| running)
    }

    fn get() -> Option<&'static Running> {
        RUNNING.get()
    }

    fn restrict_page(&self, offset: u64, permissions: u16) -> Result<(), LeafError> {
        let pages = self.memory.pages();
        let page = modifiable(&pages, offset)?;
        pages
            .set(offset, page.restricted(permissions))
            .map_err(LeafError::Memory)?;
        self.counters.emodpr.count();
        Ok(())
    }

    fn trim_page(&self, offset: u64) -> Result<(), LeafError> {
        let pages = self.memory.pages();
        modifiable(&pages, offset)?;
        pages
            .set(offset, Page::trimmed())
            .map_err(LeafError::Memory)?;
        self.counters.emodt.count();
        Ok(())
    }

    fn remove_page(&self, offset: u64) -> Result<(), LeafError> {
        let pages = self.memory.pages();
        // The processor would remove others too, while no thread is in the enclave; the
        // driver does not.
        if !pages.get(offset).is_some_and(Page::can_be_removed) {
            return Err(LeafError::NotModifiable { offset });
        }
        pages.remove(offset).map_err(LeafError::Memory)?;
        self.counters.eremove.count();
        Ok(())
    }
}

/// A page that EMODPR and EMODT can change.
fn modifiable(pages: &Pages<'_>, offset: u64) -> Result<Page, LeafError> {
    let page = pages.get(offset).ok_or(LeafError::PageFault {
        offset,
        reason: "there is no page",
    })?;
    if page.is_unaccepted() {
        return Err(LeafError::NotModifiable { offset });
    }
    if page.page_type() != Some(PageType::Regular) {
        return Err(LeafError::PageFault {
            offset,
            reason: "the page is not of type PT_REG",
        });
    }
    Ok(page)
}

/// The system refused to change the protection of the enclave's memory where a
/// leaf function cannot fail: going on would leave more or less accessible than the
/// EPCM says.
fn system_failed<T>(error: io::Error) -> T {
    panic!("the simulated enclave's memory could not be protected: {error}")
}
