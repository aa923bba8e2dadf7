//! EENTER and ERESUME.

use std::ffi::c_int;

use super::bytes::is_zero;
use super::context::{Context, ResumedRegisters};
use super::exception::{Exception, FAULT_WRITE};
use super::memory::Pages;
use super::page::{PAGE_SIZE, PageType, READ, WRITE};
use super::registers::{ALIGNMENT_FLAG, DIRECTION_FLAG, IDENTIFICATION_FLAG, RSP, STATUS_FLAGS};
use super::state_save::{Frame, GENERAL_SIZE, General, XSAVE_SIZE, XsaveImage, xsave_size};
use super::thread;
use super::thread_control::ThreadControl;
use super::{Running, system_failed};

/// Leaf functions of ENCLU (SDM volume 3D, 36.2) that the host executes or sees.
pub(super) const EENTER: u32 = 2;
/// As above.
pub(super) const ERESUME: u32 = 3;
/// As above.
pub(super) const EEXIT: u32 = 4;

/// `struct sgx_enclave_run` of the kernel's `arch/x86/include/uapi/asm/sgx.h`.
#[derive(Debug)]
#[repr(C)]
pub struct SgxEnclaveRun {
    /// Address of the TCS.
    pub tcs: u64,
    /// Why the function returned: 4 (EEXIT), or the leaf function at which an exception
    /// happened: 2 or 3.
    pub function: u32,
    /// The exception's vector.
    pub exception_vector: u16,
    /// The exception's error code.
    pub exception_error_code: u16,
    /// The address of a page fault, rounded down to a page.
    pub exception_addr: u64,
    /// Must be 0: the simulator calls no handler.
    pub user_handler: u64,
    /// The caller's.
    pub user_data: u64,
    /// Must be 0.
    pub reserved: [u8; 216],
}

impl SgxEnclaveRun {
    /// To enter with the TCS at `tcs`.
    #[must_use]
    pub fn new(tcs: u64) -> Self {
        Self {
            tcs,
            function: 0,
            exception_vector: 0,
            exception_error_code: 0,
            exception_addr: 0,
            user_handler: 0,
            user_data: 0,
            reserved: [0; 216],
        }
    }
}

const _: () = assert!(size_of::<SgxEnclaveRun>() == 256);

/// Where the untrusted stack pointer is at ENCLU: the entering function has pushed
/// RBX below its frame pointer.
const STACK_BELOW_FRAME: u64 = 8;

/// RFLAGS that ERESUME takes from the SSA. NT, IOPL and the like stay the host's, and TF is
/// suppressed in enclaves that are not debugged.
const RESUMED_FLAGS: u64 = STATUS_FLAGS | DIRECTION_FLAG | ALIGNMENT_FLAG | IDENTIFICATION_FLAG;
/// Bit 1, which is always set, and IF.
const FIXED_FLAGS: u64 = 1 << 1 | 1 << 9;

/// What `prepare` answers to the assembly, in RAX and RDX.
#[repr(C)]
pub(super) struct Prepared {
    /// What to enter with, or null if there will be no entry.
    context: *mut Context,
    /// What to return then.
    status: i64,
}

/// Does all of EENTER or ERESUME but the jump.
///
/// # Safety
///
/// `run` is what the vDSO's function requires: a structure that nobody else uses.
/// `frame_pointer` is RBP of the entering function.
pub(super) unsafe extern "C" fn prepare(
    leaf: u32,
    run: *mut SgxEnclaveRun,
    frame_pointer: u64,
) -> Prepared {
    let refuse = |status: c_int| Prepared {
        context: std::ptr::null_mut(),
        status: status.into(),
    };
    // SAFETY: valid and unshared, as the caller promises.
    let Some(run) = (unsafe { run.as_mut() }) else {
        return refuse(-libc::EINVAL);
    };
    let (Some(running), Some(context)) = (Running::get(), thread::context()) else {
        return refuse(-libc::EINVAL);
    };
    if !matches!(leaf, EENTER | ERESUME) || run.user_handler != 0 || !is_zero(&run.reserved) {
        return refuse(-libc::EINVAL);
    }
    // SAFETY: this thread's, and only used while a signal or an entry is handled: one at a
    // time, since the thread is outside now.
    let entry = running.enter(leaf, run.tcs, frame_pointer, unsafe { &mut *context });
    match entry {
        Ok(()) => Prepared { context, status: 0 },
        Err(exception) => {
            run.function = leaf;
            run.exception_vector = exception.vector.into();
            run.exception_error_code = exception.error_code as u16;
            run.exception_addr = exception.address & !(PAGE_SIZE as u64 - 1);
            refuse(0)
        }
    }
}

impl Running {
    fn enter(
        &self,
        leaf: u32,
        tcs_address: u64,
        frame_pointer: u64,
        context: &mut Context,
    ) -> Result<(), Exception> {
        let (index, tcs) = self.thread_control(tcs_address)?;
        if !tcs.acquire() {
            return Err(Exception::GENERAL_PROTECTION);
        }
        let entered = self.prepare_entry(leaf, tcs, frame_pointer, context);
        if entered.is_err() {
            tcs.release();
            return entered;
        }
        context.tcs_address = tcs_address;
        context.tcs_index = index;
        context.xfrm = self.secs.xfrm;
        context.is_resuming = u8::from(leaf == ERESUME);
        (context.host_fs_base, context.host_gs_base) = thread::segment_bases();
        match leaf {
            EENTER => self.counters.eenter.count(),
            _ => self.counters.eresume.count(),
        }
        entered
    }

    /// The TCS at `address`, which EENTER and ERESUME demand to be one.
    fn thread_control(&self, address: u64) -> Result<(usize, &ThreadControl), Exception> {
        if !address.is_multiple_of(PAGE_SIZE as u64) {
            return Err(Exception::GENERAL_PROTECTION);
        }
        let fault = Exception::epcm_fault(address, 0);
        let offset = self.memory.offset_of(address, 1).ok_or(fault)?;
        let page = self.memory.pages().get(offset).ok_or(fault)?;
        if page.page_type() != Some(PageType::ThreadControl) || page.is_unaccepted() {
            return Err(fault);
        }
        let index = self
            .threads
            .binary_search_by_key(&offset, |tcs| tcs.offset)
            .map_err(|_| fault)?;
        Ok((index, &self.threads[index]))
    }

    fn prepare_entry(
        &self,
        leaf: u32,
        tcs: &ThreadControl,
        frame_pointer: u64,
        context: &mut Context,
    ) -> Result<(), Exception> {
        let is_aligned = |value: u64| value.is_multiple_of(PAGE_SIZE as u64);
        let is_wellformed = tcs.flags == 0
            && is_aligned(tcs.ossa)
            && is_aligned(tcs.ofs_base)
            && is_aligned(tcs.ogs_base);
        let current = tcs.current_frame();
        let frame_number = match leaf {
            EENTER if current < tcs.nssa => current,
            ERESUME if current > 0 => current - 1,
            _ => return Err(Exception::GENERAL_PROTECTION),
        };
        if !is_wellformed {
            return Err(Exception::GENERAL_PROTECTION);
        }
        let pages = self.memory.pages();
        let frame = self.frame(&pages, tcs, frame_number)?;

        if leaf == EENTER {
            let base = self.memory.base();
            let target = base.wrapping_add(tcs.oentry);
            // The first fetch outside ELRANGE would raise it.
            if self.memory.offset_of(target, 1).is_none() {
                return Err(Exception::GENERAL_PROTECTION);
            }
            context.target = target;
            context.current_frame = current.into();
            context.next_fs_base = canonical(base.wrapping_add(tcs.ofs_base))?;
            context.next_gs_base = canonical(base.wrapping_add(tcs.ogs_base))?;
        } else {
            self.load(&pages, frame, context)?;
            tcs.set_current_frame(frame_number);
        }

        let mut untrusted = [0; 16];
        untrusted[..8].copy_from_slice(&(frame_pointer - STACK_BELOW_FRAME).to_le_bytes());
        untrusted[8..].copy_from_slice(&frame_pointer.to_le_bytes());
        pages
            .write(frame.general() + General::URSP, &untrusted)
            .unwrap_or_else(system_failed);
        Ok(())
    }

    /// Finds an SSA frame and checks that all of it is ordinary writable memory.
    fn frame(
        &self,
        pages: &Pages<'_>,
        tcs: &ThreadControl,
        number: u32,
    ) -> Result<Frame, Exception> {
        let frame = Frame::locate(
            tcs.ossa,
            self.secs.ssa_frame_pages,
            number,
            self.memory.size(),
        )
        .ok_or(Exception::GENERAL_PROTECTION)?;
        let unusable = frame.pages().find(|offset| {
            !pages
                .get(*offset)
                .is_some_and(|page| page.allows(READ | WRITE))
        });
        match unusable {
            None => Ok(frame),
            Some(offset) => Err(Exception::epcm_fault(
                self.memory.base() + offset,
                FAULT_WRITE,
            )),
        }
    }

    /// Takes an interrupted state out of its frame. It is copied before it is checked, since
    /// other threads of the enclave may write there.
    fn load(
        &self,
        pages: &Pages<'_>,
        frame: Frame,
        context: &mut Context,
    ) -> Result<(), Exception> {
        let mut bytes = [0; GENERAL_SIZE];
        let mut image = XsaveImage([0; XSAVE_SIZE]);
        pages
            .read_always(frame.general(), &mut bytes)
            .and_then(|()| {
                let size = xsave_size(self.secs.xfrm);
                pages.read_always(frame.start, &mut image.0[..size])
            })
            .unwrap_or_else(system_failed);
        let general = General::parse(&bytes);
        if !image.is_restorable(self.secs.xfrm) {
            return Err(Exception::GENERAL_PROTECTION);
        }
        context.xsave = image;
        context.next_fs_base = canonical(general.fs_base)?;
        context.next_gs_base = canonical(general.gs_base)?;
        let [
            rax,
            rcx,
            rdx,
            rbx,
            _,
            rbp,
            rsi,
            rdi,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
        ] = general.registers;
        context.resumed = ResumedRegisters {
            general: [
                r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax,
            ],
            rip: canonical(general.rip)?,
            code_selector: context.code_selector.into(),
            rflags: general.rflags & RESUMED_FLAGS | FIXED_FLAGS | context.trap_flag(),
            rsp: general.registers[RSP],
            stack_selector: context.stack_selector.into(),
        };
        Ok(())
    }
}

/// Addresses of programs have this many bits.
pub(super) const USER_ADDRESS_BITS: u32 = 47;

/// `address`, if it is one that a program can have: loading another into RIP or a
/// segment base raises a general protection exception.
pub(super) fn canonical(address: u64) -> Result<u64, Exception> {
    if address >> USER_ADDRESS_BITS == 0 {
        Ok(address)
    } else {
        Err(Exception::GENERAL_PROTECTION)
    }
}
