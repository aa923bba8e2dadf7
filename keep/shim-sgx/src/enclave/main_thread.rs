//! How threads begin.

use core::slice;

use enarx_keep_shim::{
    Beginning, Hashing, Kernel, Program, Registers, Stop, begin_program,
    memory::{Access, AddressSpace, Bounds, PAGE},
};
use enarx_wire_launch::{
    LaunchPage, PAGE_SIZE, Platform,
    sgx::{self, Attributes, EnclaveInfo, layout},
};

use super::{
    KERNEL,
    entry::{self, enclave_go, enclave_thread_ended},
    leaf::{self, TargetInfo},
    platform::Enclave,
    save_area::SaveArea,
    stop, thread_page,
};

static HASHING: Hashing = Hashing::new();

/// A thread begins: the first one starts the runtime, and others must have been asked for.
pub extern "C" fn begin() -> ! {
    // SAFETY: called by the entry code with CSSA 0, before anything is interrupted.
    unsafe { SaveArea::clear_all() };
    let mut registers = match KERNEL.get() {
        None if thread_page::index() == 0 => start(),
        kernel => kernel.and_then(Kernel::begin_thread).unwrap_or_else(|| {
            HASHING.help(&Enclave);
            enclave_thread_ended()
        }),
    };
    // SAFETY: the registers are those of a program whose pages were verified, or of a
    // thread that it made, and its stack is its own.
    unsafe { enclave_go(&mut registers) }
}

/// Size of the first thread's stack, as Linux has it.
const STACK_SIZE: u64 = 8 << 20;

/// Room for the heap that `brk` moves the end of.
const HEAP_SIZE: u64 = 4 << 30;

/// Verifies the runtime, and gives the registers that it begins with.
fn start() -> Registers {
    // The first thread runs this once: a host that enters it again finds that it has begun.
    let base = entry::base();
    // Not measured, and what lies at address zero must be the enclave's.
    if base != layout::BASE {
        stop(Stop::Launch);
    }
    check_own_attributes();
    let (launch_page, info) = launched(base);
    verify(base, &info);

    let platform = Enclave;
    let user = base + layout::USER..base + layout::USER_END;
    let stack_end = user.end - PAGE;
    let stack = stack_end - STACK_SIZE..stack_end;
    let mut space = AddressSpace::new(Bounds {
        heap: user.start,
        map: user.start + HEAP_SIZE..stack.start - PAGE,
        accessible_bytes: launch_page.0.memory_bytes,
    });
    for segment in info.segments() {
        let access = Access::from_protection(segment.access).unwrap_or_else(|_| stop(Stop::Launch));
        let start = base + segment.offset;
        space.register(start..start + segment.size, access);
    }
    let registers = begin_program(
        &platform,
        &mut space,
        stack,
        &Program {
            entry: base + info.entry,
            program_headers: base + info.program_headers,
            program_header_count: info.program_header_count.into(),
        },
    );

    KERNEL.call_once(|| {
        Kernel::new(
            platform,
            Beginning {
                space,
                threads: info.threads,
                memory_bytes: launch_page.0.memory_bytes,
                launch_page: launch_page.1,
            },
        )
    });
    registers
}

/// The shim's own report says with which attributes the enclave was made. MRENCLAVE does not, and
/// whoever signs the enclave may choose others: of the state of features that the shim does
/// not know, it would clear nothing on the way in and out.
fn check_own_attributes() {
    const MISC_SELECT: usize = 16;
    const ATTRIBUTES: usize = 48;
    let report = leaf::report(&TargetInfo([0; 512]), &[0; 64]).0;
    let as_made = |debug| {
        let mut attributes = Attributes::of_keep(debug);
        attributes.flags |= Attributes::INIT;
        attributes.encode()
    };
    // Whether a debugger may look in is for the owner's policy to judge.
    let known = |debug| report[ATTRIBUTES..].starts_with(&as_made(debug));
    let misc_select = sgx::MISC_SELECT.to_le_bytes();
    if !(known(false) || known(true)) || !report[MISC_SELECT..].starts_with(&misc_select) {
        stop(Stop::Launch);
    }
}

/// What the measured pages say.
fn launched(base: u64) -> ((LaunchPage, &'static [u8; PAGE_SIZE]), EnclaveInfo) {
    // SAFETY: both pages are part of every enclave of this shim, measured, and read-only.
    let page = |offset: u64| unsafe { &*((base + offset) as *const [u8; PAGE_SIZE]) };
    let launch = page(layout::LAUNCH_PAGE);
    let decoded = LaunchPage::decode(launch).unwrap_or_else(|_| stop(Stop::Launch));
    let info = page(layout::INFO_PAGE);
    let info = EnclaveInfo::decode(info).unwrap_or_else(|_| stop(Stop::Launch));
    if decoded.platform != Platform::Sgx || info.threads > layout::MAX_THREADS {
        stop(Stop::Launch);
    }
    ((decoded, launch), info)
}

/// Compares the runtime's pages with what was measured. Where they lie and what may be done
/// with them was measured page by page.
fn verify(base: u64, info: &EnclaveInfo) {
    let room = layout::RUNTIME..=layout::RUNTIME_END;
    let segments = info.segments().map(|segment| {
        let end = segment.offset.saturating_add(segment.size);
        if !room.contains(&segment.offset) || !room.contains(&end) {
            stop(Stop::Launch);
        }
        // SAFETY: pages of the enclave, which nobody writes before the runtime runs. They are looked at until
        // the digest is there.
        unsafe {
            slice::from_raw_parts((base + segment.offset) as *const u8, segment.size as usize)
        }
    });
    if HASHING.digest(&Enclave, segments) != info.runtime_digest {
        stop(Stop::Runtime);
    }
}
