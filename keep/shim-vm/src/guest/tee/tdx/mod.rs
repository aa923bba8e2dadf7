//! A machine in Intel TDX: a trust domain (*Intel TDX Module Base Architecture Specification*; *Guest-Host
//! Communication Interface (GHCI) for Intel TDX*).
//!
//! Nothing here has run on hardware: what has run is all but the instruction, against a host that plays
//! the TDX module.

mod calls;

use alloc::vec::Vec;
use core::ops::Range;

use enarx_keep_shim::{Exception, Registers, Stop};
use enarx_wire_hostcall::attestation::{DIGEST_SIZE, REPORT_DATA_SIZE};
use enarx_wire_launch::{
    PAGE_SIZE,
    vm::layout::{self, TDX_QUOTE_SIZE},
};
use spin::Mutex;

use super::{
    super::{entry::shared_bit, processor_page, stop, tables::LARGE_PAGE},
    Tee, accept_windows,
};
use crate::tdx::{QuoteHeader, VirtualizationException, is_right};
use calls::{Accepted, HostCall, REPORT_SIZE, Size};

/// That machine.
pub struct Tdx;

impl Tee for Tdx {
    fn begin(&self) {
        let domain = calls::information();
        if !is_right(&domain, shared_bit()) {
            stop(Stop::Tee);
        }
        accept_windows(self);
    }

    /// First the host makes the pages the domain's, then the domain does. What was accepted before is
    /// refused: the page in that place could be another one by now.
    fn accept(&self, range: Range<u64>) {
        map(range.start, range.end);
        let mut at = range.start;
        while at < range.end {
            let large = at.is_multiple_of(LARGE_PAGE) && range.end - at >= LARGE_PAGE;
            let next = match large.then(|| calls::accept(at, Size::Large)) {
                Some(Accepted::Yes) => at + LARGE_PAGE,
                // The host has it as small pages.
                None | Some(Accepted::OtherSize) => match calls::accept(at, Size::Small) {
                    Accepted::Yes => at + PAGE_SIZE as u64,
                    _ => stop(Stop::Page),
                },
                Some(Accepted::No) => stop(Stop::Page),
            };
            at = next;
        }
    }

    /// The host takes the pages out of the domain. One that stays there is refused when it is to be accepted again.
    fn give_back(&self, range: Range<u64>) {
        map(range.start | shared_bit(), range.end | shared_bit());
    }

    fn ring(&self, value: u32) {
        // A write of four bytes.
        let port = layout::DOORBELL_PORT.into();
        if calls::ask(HostCall::Port, [4, 1, port, value.into()]).0 != 0 {
            stop(Stop::Tee);
        }
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        let mut place = PLACE.lock();
        let report = calls::report(&mut place, report_data)?;
        quote(report)
    }

    /// In the register that is for applications, RTMR3.
    fn record(&self, digest: &[u8; DIGEST_SIZE]) -> bool {
        calls::extend(&mut PLACE.lock(), digest)
    }

    /// What the TDX module leaves to the host of CPUID is answered with zeros, and the host is not asked.
    /// Nothing else of the runtime's is an exception of this kind.
    fn exception(&self, exception: &Exception, registers: &mut Registers) -> bool {
        if exception.vector != VirtualizationException::VECTOR {
            return false;
        }
        let served = calls::exception().serve(registers);
        served.unwrap_or_else(|_| stop(Stop::Exception));
        true
    }
}

/// Where reports are made: private memory at an address that the module takes.
static PLACE: Mutex<calls::ReportPlace> = Mutex::new(calls::ReportPlace::EMPTY);

/// Has the host make pages private, or shared if their addresses say so (GHCI, `TDG.VP.VMCALL<MapGPA>`); it may
/// do so in several goes.
fn map(mut at: u64, end: u64) {
    const DONE: u64 = 0;
    const RETRY: u64 = 1;
    loop {
        match calls::ask(HostCall::MapPages, [at, end - at, 0, 0]) {
            (DONE, _) => return,
            (RETRY, next) if at < next && next < end => at = next,
            _ => stop(Stop::Page),
        }
    }
}

/// Has the host get a quote of `report` (GHCI, `TDG.VP.VMCALL<GetQuote>`). Of what the host writes, each
/// word is read once.
fn quote(report: &[u8; REPORT_SIZE]) -> Option<Vec<u8>> {
    let buffer = layout::block(processor_page::index()) + layout::TDX_QUOTE;
    // SAFETY: shared memory, mapped where it lies, and this processor's alone; the offsets are within.
    let write = |offset: u64, word: u64| unsafe {
        ((buffer + offset) as *mut u64).write_volatile(word);
    };
    // SAFETY: as above.
    let read = |offset: u64| unsafe { ((buffer + offset) as *const u64).read_volatile() };
    for (at, word) in (0..).step_by(8).zip(QuoteHeader::request(REPORT_SIZE)) {
        write(at, word);
    }
    for (at, word) in (QuoteHeader::SIZE..).step_by(8).zip(report.as_chunks().0) {
        write(at, u64::from_le_bytes(*word));
    }
    let shared = buffer | shared_bit();
    if calls::ask(HostCall::GetQuote, [shared, TDX_QUOTE_SIZE, 0, 0]).0 != 0 {
        return None;
    }
    while read(QuoteHeader::STATUS) == QuoteHeader::IN_FLIGHT {
        core::hint::spin_loop();
    }
    let header = QuoteHeader {
        status: read(QuoteHeader::STATUS),
        lengths: read(QuoteHeader::LENGTHS),
    };
    let length = header.quote_length(TDX_QUOTE_SIZE)?;
    let words = (QuoteHeader::SIZE..).step_by(8).map(read);
    let mut quote: Vec<u8> = words
        .take(length.div_ceil(8))
        .flat_map(u64::to_le_bytes)
        .collect();
    quote.truncate(length);
    Some(quote)
}
