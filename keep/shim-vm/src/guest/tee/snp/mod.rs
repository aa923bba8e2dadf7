//! A machine in AMD SEV-SNP (AMD #24593, volume 2, 15.36; AMD #56421).
//!
//! Nothing here has run on hardware: what has run is all but the instructions, against a host that
//! plays the secure processor.

mod ghcb;
mod instructions;

use alloc::vec::Vec;
use core::ops::Range;

use enarx_keep_shim::{Exception, Registers, Stop};
use enarx_wire_hostcall::attestation::REPORT_DATA_SIZE;
use enarx_wire_launch::{PAGE_SIZE, vm::layout};
use spin::Mutex;

use super::{
    super::{entry::private_bit, processor_page, stop, tables::LARGE_PAGE},
    Tee, accept_windows,
};
use crate::snp::{
    cpuid::{self, CpuidPage},
    message::{Broken, Channel, Kind, PAYLOAD, Page},
    secrets,
};
use ghcb::{Ghcb, PageState};

/// That machine.
pub struct Snp;

impl Tee for Snp {
    fn begin_processor(&self) {
        if processor_page::index() == 0 {
            ghcb::negotiate(private_bit());
        }
        Ghcb::current().register();
    }

    fn begin(&self) {
        accept_windows(self);
        cpuid_page();
        // SAFETY: the page is part of every machine of this kind, mapped where it lies, and nobody
        // else's.
        let page = unsafe { &mut *(layout::SECRETS_PAGE as *mut Page) };
        let Some(key) = secrets::take_key(page) else {
            stop(Stop::Tee)
        };
        *CHANNEL.lock() = Some(Channel::new(&key));
    }

    /// First the hypervisor makes the pages the guest's, then the guest does. What was validated before is
    /// refused: the page in that place could be another one by now.
    fn accept(&self, range: Range<u64>) {
        Ghcb::current().change_pages(range.clone(), PageState::Private);
        set_validated(range, true);
    }

    /// What is in a page that is validated is what its ciphertext comes to.
    fn gives_zeros(&self) -> bool {
        false
    }

    /// First the guest gives the pages up, then the hypervisor takes them: what it reads there is ciphertext, as it
    /// was before. A page that was not validated is refused: it could be in the place of one that would stay so,
    /// beside the one that is validated next.
    fn give_back(&self, range: Range<u64>) {
        for block in range.clone().step_by(LARGE_PAGE as usize) {
            set_validated(block..block + LARGE_PAGE, false);
        }
        Ghcb::current().change_pages(range, PageState::Shared);
    }

    fn ring(&self, value: u32) {
        Ghcb::current().write_to_port(layout::DOORBELL_PORT, value);
    }

    fn evidence(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Option<Vec<u8>> {
        // Of the rest, all is zero: level 0, and a report signed by the chip's own key.
        const REQUEST_SIZE: usize = 96;
        const HEADER_SIZE: usize = 32;
        let mut request = [0; REQUEST_SIZE];
        request[..REPORT_DATA_SIZE].copy_from_slice(report_data);
        let mut answer = [0; PAGE_SIZE];
        let mut channel = CHANNEL.lock();
        let length = channel.as_mut()?.ask(
            Kind::ReportRequest,
            &request,
            Kind::ReportResponse,
            &mut answer,
            carry,
        );
        let payload = &answer[PAYLOAD..PAYLOAD + length.ok()?];
        let (header, report) = payload.split_at_checked(HEADER_SIZE)?;
        let word = |at| u32::from_le_bytes([0, 1, 2, 3].map(|byte: usize| header[at + byte]));
        let (status, size) = (word(0), word(4) as usize);
        (status == 0 && size != 0).then_some(report.get(..size)?.to_vec())
    }

    /// Of the runtime's instructions, CPUID alone is the shim's to do. The host can raise the exception at
    /// any time: so it has to be that instruction.
    fn exception(&self, exception: &Exception, registers: &mut Registers) -> bool {
        const INSTRUCTION: [u8; 2] = [0x0F, 0xA2];
        if exception.vector != COMMUNICATION {
            return false;
        }
        let at = registers.rip;
        if exception.code != cpuid::EXIT || !(layout::RUNTIME..layout::USER_END - 1).contains(&at) {
            stop(Stop::Exception);
        }
        // SAFETY: in the runtime's memory, which is open. If nothing is there, the shim stops.
        if unsafe { (at as *const [u8; 2]).read_volatile() } != INSTRUCTION {
            stop(Stop::Exception);
        }
        let found = cpuid_page().lookup(registers.rax as u32, registers.rcx as u32);
        let [eax, ebx, ecx, edx] = found.map(u64::from);
        *registers = Registers {
            rax: eax,
            rbx: ebx,
            rcx: ecx,
            rdx: edx,
            rip: at + INSTRUCTION.len() as u64,
            ..*registers
        };
        true
    }
}

/// The exception by which SEV-ES and SEV-SNP have a guest do what its host would do otherwise (#VC).
const COMMUNICATION: u8 = 29;

static CHANNEL: Mutex<Option<Channel>> = Mutex::new(None);

fn set_validated(range: Range<u64>, validated: bool) {
    if instructions::set_validated(range, validated).is_err() {
        stop(Stop::Page);
    }
}

fn cpuid_page() -> CpuidPage<'static> {
    // SAFETY: the page is part of every machine of this kind, mapped where it lies, and only read.
    let page = unsafe { &*(layout::CPUID_PAGE as *const Page) };
    CpuidPage::read(page, private_bit()).unwrap_or_else(|_| stop(Stop::Tee))
}

/// Carries a message to the firmware, and its answer back.
fn carry(request: &Page, answer: &mut Page) -> Result<(), Broken> {
    /// The firmware has other things to do, and the same request may be made again.
    const BUSY: u64 = 2 << 32;
    const TRIES: u32 = 1000;
    let ghcb = Ghcb::current();
    for _ in 0..TRIES {
        match ghcb.guest_request(request, answer) {
            0 => return Ok(()),
            BUSY => {}
            _ => return Err(Broken),
        }
    }
    Err(Broken)
}
