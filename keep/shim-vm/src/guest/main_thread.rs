//! How threads begin.

use core::ptr;

use enarx_keep_shim::{
    Beginning, Kernel, Program, Registers, Stop, begin_program,
    memory::{AddressSpace, Bounds, PAGE},
};
use enarx_wire_launch::{
    LaunchPage, PAGE_SIZE,
    vm::{BodyRing, Boot, GuestInfo, layout},
};

use super::{
    KERNEL, access, entry, frames,
    handlers::guest_go,
    host, loader, paging,
    platform::Machine,
    processor_page::{self, ProcessorPage},
    stop,
    tee::{self, tee},
};

/// A processor has come to compiled code: the first one starts the runtime, and for others
/// somebody must have asked.
pub extern "C" fn begin() -> ! {
    let index = processor_page::index();
    if index == 0 {
        choose_tee();
    }
    tee().begin_processor();
    if index == 0 {
        tee().begin();
    }
    let open = access::open();
    let registers = match KERNEL.get() {
        None if index == 0 => start(),
        _ => another(),
    };
    host::come_back();
    drop(open);
    // SAFETY: this processor has begun now and serves nothing yet.
    unsafe { ProcessorPage::current() }.begin(registers);
    // SAFETY: the registers are those of a program that was verified, or of a thread that it made.
    unsafe { guest_go() }
}

/// Waits until the runtime has asked for this processor, and gives the registers that it begins with.
pub fn another() -> Registers {
    loop {
        host::come_back();
        if let Some(registers) = KERNEL.get().and_then(Kernel::begin_thread) {
            return registers;
        }
        loader::HASHING.help(&Machine);
        host::thread_ended();
    }
}

/// Size of the first thread's stack, as Linux has it.
const STACK_SIZE: u64 = 8 << 20;

/// Room for the heap that `brk` moves the end of.
const HEAP_SIZE: u64 = 4 << 30;

/// Finds out what machine this is.
fn choose_tee() {
    let boot = boot();
    host::begin(boot.doorbell);
    let (launch_page, info) = launched();
    if entry::body_in_ring_3() != (boot.ring == BodyRing::User) {
        stop(Stop::Launch);
    }
    tee::choose(launch_page.0.platform, info.played);
}

/// Verifies the runtime, and gives the registers that it begins with. Its frame is not to be on a stack
/// that is not accepted yet.
#[inline(never)]
fn start() -> Registers {
    let (launch_page, info) = launched();
    let memory_bytes = launch_page.0.memory_bytes;
    let private = layout::private_bytes(memory_bytes, info.file_size);
    frames::begin(private);
    paging::begin(private);

    let platform = Machine;
    let stack_end = layout::USER_END - PAGE;
    let stack = stack_end - STACK_SIZE..stack_end;
    let mut space = AddressSpace::new(Bounds {
        heap: layout::USER,
        map: layout::USER + HEAP_SIZE..stack.start - PAGE,
        accessible_bytes: memory_bytes,
    });
    loader::load(&info, boot().file, &mut space);
    if !paging::make_tables(stack.clone()) {
        stop(Stop::Memory);
    }
    let registers = begin_program(
        &platform,
        &mut space,
        stack,
        &Program {
            entry: info.entry,
            program_headers: info.program_headers,
            program_header_count: info.program_header_count,
        },
    );
    frames::begin_promises(STACK_SIZE);

    KERNEL.call_once(|| {
        Kernel::new(
            platform,
            Beginning {
                space,
                threads: layout::PROCESSORS,
                memory_bytes,
                launch_page: launch_page.1,
            },
        )
    });
    registers
}

/// What the host wants.
fn boot() -> Boot {
    // SAFETY: shared memory that is mapped where it lies; the host may write it at any time, and
    // so it is read once.
    let bytes = unsafe { ptr::read_volatile(layout::BOOT_PAGE as *const u64) }.to_le_bytes();
    Boot::decode(bytes).unwrap_or_else(|_| stop(Stop::Launch))
}

/// What the measured pages say.
fn launched() -> ((LaunchPage, &'static [u8; PAGE_SIZE]), GuestInfo) {
    // SAFETY: both pages are part of every machine of this shim, measured, and read-only.
    let page = |address: u64| unsafe { &*(address as *const [u8; PAGE_SIZE]) };
    let launch = page(layout::LAUNCH_PAGE);
    match (
        LaunchPage::decode(launch),
        GuestInfo::decode(page(layout::INFO_PAGE)),
    ) {
        (Ok(decoded), Ok(info)) => ((decoded, launch), info),
        _ => stop(Stop::Launch),
    }
}
