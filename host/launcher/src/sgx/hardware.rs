//! Enclaves of the processor, through Linux's driver.
//!
//! **This has never run on hardware.** It is written to the kernel's documents: UAPI
//! `asm/sgx.h`, `Documentation/arch/x86/sgx.rst`, and the self-tests of the driver. The pages of
//! an enclave's memory are added as they are touched, which takes SGX2 and Linux 6.0.

use std::any::Any;
use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use elf::ElfBytes;
use elf::endian::NativeEndian;
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::sgx::{PageType, SecInfo, Secs, Section, Sigstruct, layout};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::enclave::{Enclave, EnclaveBuilder, EnterFunction};

/// The driver's device.
const DEVICE: &str = "/dev/sgx_enclave";

/// Whether this machine has the driver and its device can be opened.
pub(super) fn is_there() -> bool {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .is_ok()
}

/// Whether the kernel can enter enclaves.
///
/// # Errors
///
/// What is missing.
pub(crate) fn can_enter() -> io::Result<()> {
    enter_function().map(drop)
}

/// An enclave that the driver is making.
pub(super) struct HardwareBuilder {
    device: File,
    enter: EnterFunction,
    addresses: Option<Addresses>,
    /// Where pages are and what may be done with them, for the mappings at the end.
    mappings: Vec<(u64, u64, ProtFlags)>,
}

impl HardwareBuilder {
    /// Opens the device, and finds the function that enters enclaves.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            device: OpenOptions::new().read(true).write(true).open(DEVICE)?,
            enter: enter_function()?,
            addresses: None,
            mappings: vec![
                (
                    layout::SHIM_HEAP,
                    layout::SHIM_HEAP_END,
                    ProtFlags::READ | ProtFlags::WRITE,
                ),
                // Whether code can run there is decided by the enclave, page by page.
                (
                    layout::USER,
                    layout::USER_END,
                    ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC,
                ),
            ],
        })
    }
}

impl EnclaveBuilder for HardwareBuilder {
    fn create(&mut self, secs: Secs) -> io::Result<()> {
        let addresses = Addresses::reserve()?;
        let page = AlignedPages::new(&secs.encode()[..]);
        let mut argument = page.address();
        // SAFETY: the structure is one number, the address of a page that is only read.
        unsafe { ioctl(&self.device, CREATE, &mut argument) }?;
        self.addresses = Some(addresses);
        Ok(())
    }

    fn add(&mut self, section: &Section<'_>) -> io::Result<()> {
        let contents: Vec<u8> = (0..section.pages)
            .flat_map(|index| section.page(index))
            .collect();
        let contents = AlignedPages::new(&contents);
        let info = AlignedPages::new(&section.info.encode());
        let mut done = 0;
        while done < contents.size() {
            let mut argument = AddPages {
                source: contents.address() + done,
                offset: section.offset + done,
                length: contents.size() - done,
                secinfo: info.address(),
                flags: if section.measured { MEASURE } else { 0 },
                count: 0,
            };
            // SAFETY: the structure is the driver's, and the memory it names is only read.
            let added = unsafe { ioctl(&self.device, ADD_PAGES, &mut argument) };
            done += argument.count;
            match added {
                Err(error) if is_to_be_repeated(&error) => {}
                added => added?,
            }
        }
        let protection = match section.info.page_type {
            PageType::Tcs => ProtFlags::READ | ProtFlags::WRITE,
            PageType::Regular => protection(section.info.access),
        };
        self.mappings
            .push((section.offset, section.end(), protection));
        Ok(())
    }

    fn initialize(self: Box<Self>, sigstruct: &Sigstruct) -> io::Result<Box<dyn Enclave>> {
        let addresses = self
            .addresses
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let page = AlignedPages::new(sigstruct.as_bytes());
        let mut argument = page.address();
        loop {
            // SAFETY: the structure is one number, the address of SIGSTRUCT, which is only
            // read.
            match unsafe { ioctl(&self.device, INIT, &mut argument) } {
                Err(error) if is_to_be_repeated(&error) => {}
                initialized => break initialized?,
            }
        }
        for (start, end, protection) in &self.mappings {
            addresses.map(&self.device, *start, *end, *protection)?;
        }
        Ok(Box::new(HardwareEnclave {
            device: self.device,
            enter: self.enter,
            _addresses: addresses,
        }))
    }
}

/// An enclave of the processor.
struct HardwareEnclave {
    device: File,
    enter: EnterFunction,
    _addresses: Addresses,
}

impl Enclave for HardwareEnclave {
    fn base(&self) -> u64 {
        layout::BASE
    }

    fn enter_function(&self) -> EnterFunction {
        self.enter
    }

    fn attach_thread(&self) -> io::Result<Box<dyn Any>> {
        Ok(Box::new(()))
    }

    fn restrict(&self, offset: u64, pages: u64, access: u64) -> io::Result<()> {
        each_part(pages, |done, left| {
            let mut argument = RestrictPermissions {
                offset: offset + done,
                length: left,
                permissions: access,
                result: 0,
                count: 0,
            };
            // SAFETY: the structure is the driver's; the enclave has asked for the change, and
            // accepts it page by page.
            let restricted = unsafe { ioctl(&self.device, RESTRICT_PERMISSIONS, &mut argument) };
            (argument.count, restricted)
        })
    }

    fn trim(&self, offset: u64, pages: u64) -> io::Result<()> {
        const TRIMMED: u64 = 4;
        each_part(pages, |done, left| {
            let mut argument = ModifyTypes {
                offset: offset + done,
                length: left,
                page_type: TRIMMED,
                result: 0,
                count: 0,
            };
            // SAFETY: as for `restrict`.
            let trimmed = unsafe { ioctl(&self.device, MODIFY_TYPES, &mut argument) };
            (argument.count, trimmed)
        })
    }

    fn remove(&self, offset: u64, pages: u64) -> io::Result<()> {
        each_part(pages, |done, left| {
            let mut argument = RemovePages {
                offset: offset + done,
                length: left,
                count: 0,
            };
            // SAFETY: the structure is the driver's, which removes nothing but pages that the
            // enclave has accepted as trimmed.
            let removed = unsafe { ioctl(&self.device, REMOVE_PAGES, &mut argument) };
            (argument.count, removed)
        })
    }
}

/// Has so many pages changed, in as many parts as the driver likes: `change` is told the bytes
/// before and behind, and says how many more were done.
fn each_part(
    pages: u64,
    mut change: impl FnMut(u64, u64) -> (u64, io::Result<()>),
) -> io::Result<()> {
    let size = pages * PAGE_SIZE as u64;
    let mut done = 0;
    while done < size {
        let (count, changed) = change(done, size - done);
        done += count;
        match changed {
            Err(error) if is_to_be_repeated(&error) => {}
            changed => changed?,
        }
    }
    Ok(())
}

/// The enclave's range of addresses, but the lowest, at which the kernel lets nobody map anything
/// and the enclave has no pages.
struct Addresses {
    reservation: *mut c_void,
}

// SAFETY: addresses are numbers; nothing is read or written through them here.
unsafe impl Send for Addresses {}
// SAFETY: as above.
unsafe impl Sync for Addresses {}

/// Where the reservation begins: an offset.
const RESERVATION: u64 = layout::SHIM;
const RESERVED: usize = (layout::ENCLAVE_SIZE - RESERVATION) as usize;

impl Addresses {
    fn reserve() -> io::Result<Self> {
        // SAFETY: a new mapping that replaces none, without any access.
        let reservation = unsafe {
            mmap_anonymous(
                (layout::BASE + RESERVATION) as *mut c_void,
                RESERVED,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE,
            )
        }?;
        Ok(Self { reservation })
    }

    /// Maps the enclave's pages from `start` to `end`.
    fn map(&self, device: &File, start: u64, end: u64, access: ProtFlags) -> io::Result<()> {
        // SAFETY: replaces a part of the reservation, in which nothing else lies.
        unsafe {
            mmap(
                (layout::BASE + start) as *mut c_void,
                (end - start) as usize,
                access,
                MapFlags::SHARED | MapFlags::FIXED,
                device.as_fd(),
                0,
            )
        }?;
        Ok(())
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        // SAFETY: the reservation with all that was mapped into it; no thread is in the enclave
        // when the last that could enter it is gone. If it fails, addresses stay taken.
        let _ = unsafe { munmap(self.reservation, RESERVED) };
    }
}

/// Bytes at a multiple of the page size, filled up with zeros to one.
struct AlignedPages {
    pages: Vec<AlignedPage>,
}

#[derive(Clone)]
#[repr(C, align(4096))]
struct AlignedPage([u8; PAGE_SIZE]);

impl AlignedPages {
    fn new(bytes: &[u8]) -> Self {
        let pages = bytes
            .chunks(PAGE_SIZE)
            .map(|chunk| {
                let mut page = AlignedPage([0; PAGE_SIZE]);
                page.0[..chunk.len()].copy_from_slice(chunk);
                page
            })
            .collect();
        Self { pages }
    }

    fn address(&self) -> u64 {
        self.pages.as_ptr() as u64
    }

    fn size(&self) -> u64 {
        (self.pages.len() * PAGE_SIZE) as u64
    }
}

/// `struct sgx_enclave_add_pages`.
#[repr(C)]
struct AddPages {
    source: u64,
    offset: u64,
    length: u64,
    secinfo: u64,
    flags: u64,
    count: u64,
}

/// `struct sgx_enclave_restrict_permissions`.
#[repr(C)]
struct RestrictPermissions {
    offset: u64,
    length: u64,
    permissions: u64,
    result: u64,
    count: u64,
}

/// `struct sgx_enclave_modify_types`.
#[repr(C)]
struct ModifyTypes {
    offset: u64,
    length: u64,
    page_type: u64,
    result: u64,
    count: u64,
}

/// `struct sgx_enclave_remove_pages`.
#[repr(C)]
struct RemovePages {
    offset: u64,
    length: u64,
    count: u64,
}

/// `SGX_PAGE_MEASURE`.
const MEASURE: u64 = 1;

const CREATE: libc::Ioctl = 0x4008_A400;
const ADD_PAGES: libc::Ioctl = 0xC030_A401;
const INIT: libc::Ioctl = 0x4008_A402;
const RESTRICT_PERMISSIONS: libc::Ioctl = 0xC028_A405;
const MODIFY_TYPES: libc::Ioctl = 0xC028_A406;
const REMOVE_PAGES: libc::Ioctl = 0xC018_A407;

/// # Safety
///
/// `argument` is the structure of `request`, and the memory that it names is that of the
/// request.
unsafe fn ioctl<T>(device: &File, request: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    // SAFETY: by this function's own contract.
    match unsafe { libc::ioctl(device.as_raw_fd(), request, ptr::from_mut(argument)) } {
        0 => Ok(()),
        1.. => Err(io::Error::other("the processor refused the instruction")),
        _ => Err(io::Error::last_os_error()),
    }
}

fn is_to_be_repeated(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

fn protection(access: u64) -> ProtFlags {
    let mut flags = ProtFlags::empty();
    for (bit, flag) in [
        (SecInfo::READ, ProtFlags::READ),
        (SecInfo::WRITE, ProtFlags::WRITE),
        (SecInfo::EXECUTE, ProtFlags::EXEC),
    ] {
        flags.set(flag, access & bit != 0);
    }
    flags
}

/// The kernel's function that enters enclaves.
fn enter_function() -> io::Result<EnterFunction> {
    let address = vdso_symbol("__vdso_sgx_enter_enclave")?.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel cannot enter enclaves (it needs CONFIG_X86_SGX)",
        )
    })?;
    // SAFETY: the kernel gives the function of this name this interface (UAPI `asm/sgx.h`), and
    // the vDSO stays mapped.
    Ok(unsafe { std::mem::transmute::<*const c_void, EnterFunction>(address as *const c_void) })
}

/// The address of a symbol of the vDSO.
fn vdso_symbol(name: &str) -> io::Result<Option<u64>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let range = maps
        .lines()
        .find(|line| line.ends_with("[vdso]"))
        .and_then(|line| line.split_whitespace().next()?.split_once('-'))
        .and_then(|(start, end)| {
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(start)?, number(end)?))
        });
    let Some((start, end)) = range else {
        return Ok(None);
    };
    // SAFETY: the system says that this is mapped; it is readable and never changes.
    let image = unsafe { std::slice::from_raw_parts(start as *const u8, (end - start) as usize) };
    let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let image = ElfBytes::<NativeEndian>::minimal_parse(image).map_err(malformed)?;
    let Some((symbols, names)) = image.dynamic_symbol_table().map_err(malformed)? else {
        return Ok(None);
    };
    let found = symbols.iter().find(|symbol| {
        !symbol.is_undefined()
            && names
                .get(symbol.st_name as usize)
                .is_ok_and(|found| found == name)
    });
    Ok(found.map(|symbol| start + symbol.st_value))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// `_IOC` of Linux, UAPI `asm-generic/ioctl.h`.
    const fn request(direction: u64, number: u64, size: usize) -> libc::Ioctl {
        (direction << 30 | (size as u64) << 16 | 0xA4 << 8 | number) as libc::Ioctl
    }

    #[test]
    fn requests_are_numbered_by_their_structures() {
        const WRITE: u64 = 1;
        const WRITE_READ: u64 = 3;
        assert_eq!(CREATE, request(WRITE, 0, 8));
        assert_eq!(ADD_PAGES, request(WRITE_READ, 1, size_of::<AddPages>()));
        assert_eq!(INIT, request(WRITE, 2, 8));
        assert_eq!(
            RESTRICT_PERMISSIONS,
            request(WRITE_READ, 5, size_of::<RestrictPermissions>())
        );
        assert_eq!(
            MODIFY_TYPES,
            request(WRITE_READ, 6, size_of::<ModifyTypes>())
        );
        assert_eq!(
            REMOVE_PAGES,
            request(WRITE_READ, 7, size_of::<RemovePages>())
        );
    }

    #[test]
    fn symbols_of_the_vdso_are_found() {
        type GetTime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;
        let address = vdso_symbol("__vdso_clock_gettime").unwrap().unwrap();
        // SAFETY: the kernel's function of this name has this interface.
        let get_time: GetTime = unsafe { std::mem::transmute(address as *const c_void) };
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the structure lives until the call returns.
        assert_eq!(unsafe { get_time(libc::CLOCK_REALTIME, &raw mut time) }, 0);
        assert!(time.tv_sec > 1_700_000_000);
        assert_eq!(vdso_symbol("__vdso_no_such_function").unwrap(), None);
    }

    #[test]
    fn pages_are_aligned_and_addresses_are_taken_once() {
        let addresses = Addresses::reserve().unwrap();
        assert!(Addresses::reserve().is_err());
        drop(addresses);
        assert!(Addresses::reserve().is_ok());
        let pages = AlignedPages::new(&[7; 5000]);
        assert_eq!((pages.address() % 4096, pages.size()), (0, 8192));
        assert_eq!(pages.pages[1].0[903..905], [7, 0]);
    }
}
