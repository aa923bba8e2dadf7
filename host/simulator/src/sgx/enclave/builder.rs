//! ECREATE, EADD, EEXTEND and EINIT.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{InitError, LeafError};
use super::hardware::Hardware;
use super::measurement::{CHUNK_SIZE, Measurement};
use super::memory::Memory;
use super::page::{PAGE_SIZE, Page, PageType, SECINFO_SIZE, SecInfo};
use super::paging::Paging;
use super::secs::Secs;
use super::sigstruct::{self, SIGSTRUCT_SIZE};
use super::thread_control::ThreadControl;
use super::{Counters, Enclave, Running, machine, signal, thread};

/// Whether this process has an enclave.
static OCCUPIED: AtomicBool = AtomicBool::new(false);

/// An enclave under construction.
///
/// There is at most one enclave in a process. Dropping a builder makes room for another; an
/// initialised enclave stays for the life of the process.
pub struct Builder {
    memory: Memory,
    secs: Secs,
    measurement: Measurement,
    /// Where pages were added.
    added: Vec<u64>,
    threads: Vec<ThreadControl>,
    is_fast: bool,
    // Dropped last: the room is free when the memory is.
    occupation: Occupation,
}

impl Builder {
    /// ECREATE (SDM volume 3D, 41.3): an enclave as `secs` describes it, where nothing
    /// else may be mapped.
    ///
    /// # Errors
    ///
    /// [`LeafError::GeneralProtection`] for a SECS that hardware would refuse,
    /// [`LeafError::Occupied`], [`LeafError::Memory`].
    pub fn create(secs: &[u8; PAGE_SIZE]) -> Result<Self, LeafError> {
        let secs = Secs::parse(secs)?;
        let occupation = Occupation::take()?;
        let memory = Memory::reserve(secs.base, secs.size).map_err(LeafError::Memory)?;
        Ok(Self {
            memory,
            measurement: Measurement::of_creation(secs.ssa_frame_pages, secs.size),
            secs,
            added: Vec::new(),
            threads: Vec::new(),
            is_fast: false,
            occupation,
        })
    }

    /// An enclave that is quicker, and less like hardware: each ENCLU in its code is replaced
    /// when it is first executed, by an instruction whose exception costs less. The enclave
    /// is measured before.
    #[must_use]
    pub fn fast(self) -> Self {
        Self {
            is_fast: true,
            ..self
        }
    }

    /// Where the enclave lies.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.memory.base()
    }

    /// EADD: a page at `offset` with these contents.
    ///
    /// # Errors
    ///
    /// [`LeafError::GeneralProtection`] for a SECINFO, an offset or a TCS that hardware would
    /// refuse, [`LeafError::PageFault`] where there is a page already.
    pub fn add(
        &mut self,
        offset: u64,
        secinfo: &[u8; SECINFO_SIZE],
        contents: &[u8; PAGE_SIZE],
    ) -> Result<(), LeafError> {
        let secinfo = parsed(secinfo)?;
        self.check_place(offset)?;
        let pages = self.memory.pages();
        let page = match secinfo.page_type() {
            Some(PageType::ThreadControl) => {
                let mut contents = *contents;
                ThreadControl::reset(&mut contents);
                let tcs = ThreadControl::parse(offset, &contents).ok_or(
                    LeafError::GeneralProtection("a reserved field of the TCS is not zero"),
                )?;
                self.threads.push(tcs);
                pages.fill(offset, &contents);
                Page::added(PageType::ThreadControl, 0)
            }
            Some(PageType::Regular) => {
                let page = regular(secinfo)?;
                pages.fill(offset, contents);
                page
            }
            Some(PageType::Trimmed) | None => {
                return Err(LeafError::GeneralProtection(
                    "the page's type is neither PT_TCS nor PT_REG",
                ));
            }
        };
        drop(pages);
        self.enter(offset, page, secinfo);
        Ok(())
    }

    /// EADD of `count` pages from `offset`, whose contents lie in `file` one behind the other, from
    /// `position` on. The system copies what the enclave writes to; nobody may change the file.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and [`LeafError::Memory`] if the system cannot map the file there. Only
    /// pages of memory can be added like this.
    pub fn add_from_file(
        &mut self,
        offset: u64,
        secinfo: &[u8; SECINFO_SIZE],
        count: u64,
        file: BorrowedFd<'_>,
        position: u64,
    ) -> Result<(), LeafError> {
        let secinfo = parsed(secinfo)?;
        if secinfo.page_type() != Some(PageType::Regular) {
            return Err(LeafError::GeneralProtection(
                "the page's type is not PT_REG",
            ));
        }
        let page = regular(secinfo)?;
        let offsets = (0..count).map(|index| offset + index * PAGE_SIZE as u64);
        for offset in offsets.clone() {
            self.check_place(offset)?;
        }
        self.memory
            .map_file(offset, count * PAGE_SIZE as u64, file, position)
            .map_err(LeafError::Memory)?;
        for offset in offsets {
            self.enter(offset, page, secinfo);
        }
        Ok(())
    }

    /// Whether there can be a page at `offset`, and is none.
    fn check_place(&self, offset: u64) -> Result<(), LeafError> {
        if !offset.is_multiple_of(PAGE_SIZE as u64) {
            return Err(LeafError::GeneralProtection("the page is not aligned"));
        }
        if offset >= self.secs.size {
            return Err(LeafError::GeneralProtection(
                "the page is outside the enclave",
            ));
        }
        if !self.memory.can_have_page(offset) {
            return Err(LeafError::PageFault {
                offset,
                reason: "the kernel keeps the lowest addresses free",
            });
        }
        if self.memory.pages().get(offset).is_some() {
            return Err(LeafError::PageFault {
                offset,
                reason: "there is a page already",
            });
        }
        Ok(())
    }

    /// Enters a page whose contents are there into the EPCM, and measures that.
    fn enter(&mut self, offset: u64, page: Page, secinfo: SecInfo) {
        self.memory.pages().record(offset, page);
        self.added.push(offset);
        self.measurement.add(offset, page.secinfo_flags(secinfo));
    }

    /// EEXTEND of all 16 chunks of the page at `offset`.
    ///
    /// # Errors
    ///
    /// [`LeafError::GeneralProtection`] for an offset that is not aligned,
    /// [`LeafError::PageFault`] where there is no page.
    pub fn extend(&mut self, offset: u64) -> Result<(), LeafError> {
        if !offset.is_multiple_of(PAGE_SIZE as u64) {
            return Err(LeafError::GeneralProtection("the page is not aligned"));
        }
        let pages = self.memory.pages();
        if offset >= self.secs.size || pages.get(offset).is_none() {
            return Err(LeafError::PageFault {
                offset,
                reason: "there is no page",
            });
        }
        for start in (offset..offset + PAGE_SIZE as u64).step_by(CHUNK_SIZE) {
            let chunk = pages.read_under_construction(start);
            self.measurement.extend(start, &chunk);
        }
        Ok(())
    }

    /// EINIT: ends construction, if the enclave is the one that was signed.
    ///
    /// It installs handlers for the signals that exceptions make. Handlers that are
    /// installed later must pass on what they do not know.
    ///
    /// # Errors
    ///
    /// See [`InitError`].
    pub fn init(
        mut self,
        sigstruct: &[u8; SIGSTRUCT_SIZE],
        hardware: Box<dyn Hardware>,
    ) -> Result<Enclave, InitError> {
        machine::check()?;
        let identity = sigstruct::initialise(sigstruct, &self.secs, self.measurement.finish())?;
        self.added.sort_unstable();
        self.memory.protect(&self.added)?;
        self.threads.sort_by_key(|tcs| tcs.offset);
        thread::reserve_stacks()?;
        signal::install()?;
        self.occupation.keep();
        Ok(Enclave {
            running: Running::start(Running {
                memory: self.memory,
                secs: self.secs,
                identity,
                threads: self.threads,
                hardware,
                paging: Paging::start().map_err(io::Error::other)?,
                is_fast: self.is_fast,
                counters: Counters::default(),
            }),
        })
    }
}

fn parsed(secinfo: &[u8; SECINFO_SIZE]) -> Result<SecInfo, LeafError> {
    SecInfo::parse(secinfo).ok_or(LeafError::GeneralProtection(
        "a reserved field of SECINFO is not zero",
    ))
}

/// A page of memory.
fn regular(secinfo: SecInfo) -> Result<Page, LeafError> {
    if secinfo.is_write_only() {
        return Err(LeafError::GeneralProtection(
            "the page can be written and not read",
        ));
    }
    Ok(Page::added(PageType::Regular, secinfo.access()))
}

/// The process's only place for an enclave.
struct Occupation;

impl Occupation {
    fn take() -> Result<Self, LeafError> {
        if OCCUPIED.swap(true, Ordering::Acquire) {
            Err(LeafError::Occupied)
        } else {
            Ok(Self)
        }
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Occupation {
    fn drop(&mut self) {
        OCCUPIED.store(false, Ordering::Release);
    }
}
