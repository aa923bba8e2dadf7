//! TDX, played: the functions of the TDX module that trust domains call (*Intel TDX Module Architecture
//! Specification: Application Binary Interface Reference*, "TDG"), and the host's end of their protocol
//! (*Guest-Host Communication Interface for Intel TDX*).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::{hmac, rand};
use enarx_wire_hostcall::attestation::{DIGEST_SIZE, REPORT_DATA_SIZE};
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::GuestPageKind;
use enarx_wire_launch::vm::layout::{self, LARGE_PAGE, played};
use kvm_bindings::CpuId;

use super::{Marks, PageStates, Playable, Played, Refusal};
use crate::kvm::memory::Memory;
use crate::kvm::quote_buffer::{self, REPORT_SIZE};
use crate::kvm::services::DeviceEvidence;
use crate::kvm::shared_memory::SharedMemory;

/// TDX before there is a machine.
pub(in crate::kvm) struct PlayableTdx {
    report_key: hmac::Key,
    evidence: DeviceEvidence,
}

/// TDX of one machine.
pub(in crate::kvm) struct PlayedTdx {
    pages: Arc<PageStates>,
    shared: SharedMemory,
    /// What authenticates reports until they are quoted.
    report_key: hmac::Key,
    evidence: DeviceEvidence,
    /// Whether the host has had a large page as small ones: it does so once, so that guests have
    /// that to deal with.
    has_split: AtomicBool,
}

impl PlayableTdx {
    /// TDX with quotes that `evidence` has.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub(in crate::kvm) fn new(evidence: DeviceEvidence) -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        Ok(Self {
            report_key: key.map_err(|_| io::Error::other("no random bytes"))?,
            evidence,
        })
    }
}

impl Playable for PlayableTdx {
    fn marks(&self) -> Marks {
        Marks {
            private: 0,
            shared: layout::TDX_SHARED_PLAYED,
        }
    }

    fn contents(&self, _: GuestPageKind, _: &CpuId) -> Option<[u8; PAGE_SIZE]> {
        None
    }

    fn resets(&self) -> bool {
        true
    }

    fn play(self: Box<Self>, pages: Arc<PageStates>, shared: &Memory) -> Arc<dyn Played> {
        Arc::new(PlayedTdx {
            pages,
            shared: SharedMemory::new(shared),
            report_key: self.report_key,
            evidence: self.evidence,
            has_split: AtomicBool::new(false),
        })
    }
}

impl PlayedTdx {
    /// Runs one function; gives what it shows to the host.
    fn call(&self, processor: u32, registers: &mut Registers) -> Result<Option<u32>, String> {
        let (rcx, rdx) = (registers.rcx, registers.rdx);
        let mut shown = None;
        registers.rax = match registers.rax {
            leaf::HOST => {
                shown = self.ask_host(registers)?;
                0
            }
            leaf::INFO => {
                registers.rcx = u64::from(layout::TDX_SHARED_PLAYED.trailing_zeros()) + 1;
                registers.rdx = SEPT_VE_DISABLE;
                let processors = u64::from(layout::PROCESSORS);
                registers.r8 = processors | processors << 32;
                registers.r9 = processor.into();
                0
            }
            leaf::EXTEND => self.extend(rcx, rdx)?,
            leaf::EXCEPTION => status::NO_EXCEPTION,
            leaf::REPORT => self.report(rcx, rdx, registers.r8)?,
            leaf::ACCEPT => self.accept(rcx)?,
            _ => status::OPERAND_INVALID,
        };
        Ok(shown)
    }

    /// `TDG.MEM.PAGE.ACCEPT`.
    fn accept(&self, address_and_level: u64) -> Result<u64, String> {
        let (address, level) = (address_and_level & !0xFFF, address_and_level & 0xFFF);
        let pages = match level {
            0 => 1,
            1 if address.is_multiple_of(LARGE_PAGE) => LARGE_PAGE / PAGE,
            _ => return Ok(status::OPERAND_INVALID),
        };
        if pages > 1 && !self.has_split.swap(true, Ordering::Relaxed) {
            return Ok(status::SIZE_MISMATCH);
        }
        match self.pages.accept(address, pages) {
            Ok(()) => Ok(0),
            Err(Refusal::Accepted) => Ok(status::ALREADY_ACCEPTED),
            // The host is told that the page is not there, and gives none.
            Err(refusal) => Err(format!("accepting {address:#x}, which is {refusal:?}")),
        }
    }

    /// `TDG.MR.REPORT`. Of a report there is here only what the guest can tell and the quoting enclave
    /// wants to know.
    fn report(&self, to: u64, data: u64, kind: u64) -> Result<u64, String> {
        let aligned = to.is_multiple_of(REPORT_SIZE as u64) && data.is_multiple_of(64);
        if kind != 0 || !aligned {
            return Ok(status::OPERAND_INVALID);
        }
        let mut report_data = [0; REPORT_DATA_SIZE];
        let unreadable = |refusal: Refusal| format!("by a report at {to:#x}, which is {refusal:?}");
        self.pages
            .read(data, &mut report_data)
            .map_err(unreadable)?;
        let mut report = [0; REPORT_SIZE];
        report[0] = TRUST_DOMAIN;
        report[offset::DATA..offset::DATA + REPORT_DATA_SIZE].copy_from_slice(&report_data);
        let mac = hmac::sign(&self.report_key, &report[..offset::MAC]);
        report[offset::MAC..offset::MAC + mac.as_ref().len()].copy_from_slice(mac.as_ref());
        self.pages.write(to, &report).map_err(unreadable)?;
        Ok(0)
    }

    /// `TDG.MR.RTMR.EXTEND`, of the one register that Keeps use.
    fn extend(&self, data: u64, register: u64) -> Result<u64, String> {
        const APPLICATION: u64 = 3;
        if register != APPLICATION || !data.is_multiple_of(64) {
            return Ok(status::OPERAND_INVALID);
        }
        let mut digest = [0; DIGEST_SIZE];
        self.pages
            .read(data, &mut digest)
            .map_err(|refusal| format!("by a digest at {data:#x}, which is {refusal:?}"))?;
        // Where it is not kept, nobody must believe that it is.
        let extended = self.evidence.extend(&digest);
        extended.map(|()| 0).map_err(|error| error.to_string())
    }

    /// `TDG.VP.VMCALL`: what the host does, by its number in R11.
    fn ask_host(&self, registers: &mut Registers) -> Result<Option<u32>, String> {
        const R10_TO_R15: u64 = 0xFC00;
        if registers.rcx != R10_TO_R15 || registers.r10 != 0 {
            return Err(format!("showing registers {:#x}", registers.rcx));
        }
        let [r12, r13, r14, r15] = registers.arguments;
        let mut shown = None;
        registers.r10 = match registers.r11 {
            host::PORT => {
                if (r12, r13, r14) != (4, 1, layout::DOORBELL_PORT.into()) {
                    return Err(format!("by a port that is no doorbell ({r14:#x})"));
                }
                shown = Some(r15 as u32);
                0
            }
            host::MAP_PAGES => {
                let (status, next) = self.map(r12, r13)?;
                registers.r11 = next;
                status
            }
            host::GET_QUOTE => self.get_quote(r12, r13)?,
            other => return Err(format!("by an unknown request {other:#x}")),
        };
        Ok(shown)
    }

    /// Makes pages private, or shared if their addresses say so, no more than 2 MiB at once: as Linux does.
    fn map(&self, address: u64, size: u64) -> Result<(u64, u64), String> {
        const RETRY: u64 = 1;
        if !(address | size).is_multiple_of(PAGE) || size == 0 {
            return Err(format!("by mapping {size:#x} bytes at {address:#x}"));
        }
        let now = size.min(LARGE_PAGE);
        let pages = now / PAGE;
        let changed = match address & layout::TDX_SHARED_PLAYED {
            0 => self.pages.make_private(address, pages),
            mark => {
                let address = address & !mark;
                let taken = self.pages.rescind(address, pages);
                taken.and_then(|()| self.pages.make_shared(address, pages))
            }
        };
        changed.map_err(|refusal| format!("by mapping {address:#x}, which is {refusal:?}"))?;
        let next = address + now;
        Ok(if now == size { (0, 0) } else { (RETRY, next) })
    }

    /// Has the report in a shared buffer quoted.
    fn get_quote(&self, buffer: u64, size: u64) -> Result<u64, String> {
        match buffer & layout::TDX_SHARED_PLAYED {
            0 => Ok(quote_buffer::INVALID_OPERAND),
            mark => quote_buffer::serve(&self.shared, buffer & !mark, size, |report| {
                self.quote(report)
            }),
        }
    }

    /// The quote of a report, if this module made the report.
    fn quote(&self, report: &[u8; REPORT_SIZE]) -> Option<Vec<u8>> {
        let mac = &report[offset::MAC..offset::MAC + MAC_SIZE];
        hmac::verify(&self.report_key, &report[..offset::MAC], mac).ok()?;
        let mut data = [0; REPORT_DATA_SIZE];
        data.copy_from_slice(&report[offset::DATA..offset::DATA + REPORT_DATA_SIZE]);
        self.evidence.evidence(&data).ok()
    }
}

impl Played for PlayedTdx {
    fn write(&self, processor: u32, register: u64, _: u64) -> Result<Option<u32>, String> {
        if layout::DOORBELL + register != played::TDCALL {
            return Err(format!(
                "a write to a register {register:#x} that TDX has not"
            ));
        }
        let page = layout::block(processor) + layout::TDX_CALL;
        let mut words = [0; Registers::COUNT];
        for (at, word) in (page..).step_by(8).zip(&mut words) {
            *word = self.shared.read(at)?;
        }
        let mut registers = Registers::of(words);
        let shown = self.call(processor, &mut registers)?;
        for (at, word) in (page..).step_by(8).zip(registers.words()) {
            self.shared.write(at, word)?;
        }
        Ok(shown)
    }

    fn read(&self, _: u32, register: u64) -> Result<u64, String> {
        Err(format!(
            "a read of a register {register:#x} that TDX has not"
        ))
    }
}

/// The registers of a call.
struct Registers {
    rax: u64,
    rcx: u64,
    rdx: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    /// R12 to R15.
    arguments: [u64; 4],
}

impl Registers {
    const COUNT: usize = 11;

    fn of(words: [u64; Self::COUNT]) -> Self {
        let [rax, rcx, rdx, r8, r9, r10, r11, arguments @ ..] = words;
        Self {
            rax,
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
            arguments,
        }
    }

    fn words(&self) -> [u64; Self::COUNT] {
        let [r12, r13, r14, r15] = self.arguments;
        [
            self.rax, self.rcx, self.rdx, self.r8, self.r9, self.r10, self.r11, r12, r13, r14, r15,
        ]
    }
}

const PAGE: u64 = PAGE_SIZE as u64;
const SEPT_VE_DISABLE: u64 = 1 << 28;
/// `REPORTTYPE`.
const TRUST_DOMAIN: u8 = 0x81;
const MAC_SIZE: usize = 32;
/// Offsets in a report (`REPORTMACSTRUCT`).
mod offset {
    pub const DATA: usize = 128;
    pub const MAC: usize = 224;
}

/// Numbers of functions.
mod leaf {
    pub const HOST: u64 = 0;
    pub const INFO: u64 = 1;
    pub const EXTEND: u64 = 2;
    pub const EXCEPTION: u64 = 3;
    pub const REPORT: u64 = 4;
    pub const ACCEPT: u64 = 6;
}

/// Numbers of what a host does.
mod host {
    pub const PORT: u64 = 30;
    pub const MAP_PAGES: u64 = 0x1_0001;
    pub const GET_QUOTE: u64 = 0x1_0002;
}

/// What functions come to.
mod status {
    pub const ALREADY_ACCEPTED: u64 = 0x0000_0B0A_0000_0000;
    pub const SIZE_MISMATCH: u64 = 0xC000_0B0B_0000_0000;
    pub const OPERAND_INVALID: u64 = 0xC000_0100_0000_0000;
    pub const NO_EXCEPTION: u64 = 0xC000_0704_0000_0000;
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const FIRST: u64 = layout::SHIM;

    /// A machine of 1024 pages, the first two of which were loaded.
    fn machine() -> (PlayedTdx, Memory) {
        let mut pages = PageStates::default();
        let memory = Memory::new(1024 * PAGE).unwrap();
        pages.add(FIRST, memory, [FIRST, FIRST + PAGE]).unwrap();
        let shared = Memory::new(layout::BLOCKS_END - layout::BOOT_PAGE).unwrap();
        let (device, _) = UnixStream::pair().unwrap();
        let playable = PlayableTdx::new(DeviceEvidence::new(device)).unwrap();
        let played = PlayedTdx {
            pages: Arc::new(pages),
            shared: SharedMemory::new(&shared),
            report_key: playable.report_key,
            evidence: playable.evidence,
            has_split: AtomicBool::new(false),
        };
        (played, shared)
    }

    fn call(tdx: &PlayedTdx, words: [u64; 11]) -> Result<(u64, u64, Option<u32>), String> {
        let page = layout::block(1) + layout::TDX_CALL;
        for (at, word) in (page..).step_by(8).zip(words) {
            tdx.shared.write(at, word).unwrap();
        }
        let shown = tdx.write(1, played::TDCALL - layout::DOORBELL, 0)?;
        let after = |index: u64| tdx.shared.read(page + 8 * index).unwrap();
        Ok((after(0), after(5), shown))
    }

    fn accept(tdx: &PlayedTdx, address_and_level: u64) -> Result<u64, String> {
        call(tdx, [6, address_and_level, 0, 0, 0, 0, 0, 0, 0, 0, 0]).map(|(status, ..)| status)
    }

    fn ask(
        tdx: &PlayedTdx,
        function: u64,
        arguments: [u64; 4],
    ) -> Result<(u64, Option<u32>), String> {
        let [r12, r13, r14, r15] = arguments;
        let words = [0, 0xFC00, 0, 0, 0, 0, function, r12, r13, r14, r15];
        call(tdx, words).map(|(_, r10, shown)| (r10, shown))
    }

    #[test]
    fn pages_are_accepted_once_and_only_when_they_are_the_guests() {
        let (tdx, _shared) = machine();
        assert!(accept(&tdx, FIRST + 2 * PAGE).is_err(), "still the host's");
        assert_eq!(accept(&tdx, FIRST), Ok(status::ALREADY_ACCEPTED));
        let map = |at, size| ask(&tdx, host::MAP_PAGES, [at, size, 0, 0]);
        assert_eq!(map(FIRST + 2 * PAGE, 2 * PAGE), Ok((0, None)));
        assert_eq!(accept(&tdx, FIRST + 2 * PAGE), Ok(0));
        assert_eq!(accept(&tdx, FIRST + 2 * PAGE), Ok(status::ALREADY_ACCEPTED));
        let second = FIRST + LARGE_PAGE;
        // More than 2 MiB at once is done in goes, and a large page is split at first.
        assert_eq!(map(FIRST + 4 * PAGE, LARGE_PAGE - 4 * PAGE), Ok((0, None)));
        assert_eq!(map(second, LARGE_PAGE), Ok((0, None)));
        assert_eq!(accept(&tdx, second | 1), Ok(status::SIZE_MISMATCH));
        assert_eq!(accept(&tdx, second | 1), Ok(0));
        assert_eq!(accept(&tdx, second | 1), Ok(status::ALREADY_ACCEPTED));
        assert_eq!(accept(&tdx, second | 2), Ok(status::OPERAND_INVALID));
        for (at, size) in [(FIRST, 1), (FIRST + 1, PAGE), (FIRST, 0), (0, PAGE)] {
            assert!(map(at, size).is_err(), "{at:#x}");
        }
    }

    #[test]
    fn pages_that_become_shared_leave_the_domain() {
        let (tdx, _shared) = machine();
        let map = |at, size| ask(&tdx, host::MAP_PAGES, [at, size, 0, 0]);
        let shared = layout::TDX_SHARED_PLAYED | FIRST;
        assert_eq!(map(shared, 2 * PAGE), Ok((0, None)));
        assert!(map(shared, PAGE).is_err(), "it is already");
        assert!(accept(&tdx, FIRST).is_err(), "the host's");
        assert_eq!(map(FIRST, 2 * PAGE), Ok((0, None)));
        assert!(map(shared, PAGE).is_err(), "nobody has accepted it");
        assert_eq!(accept(&tdx, FIRST), Ok(0));
        // In goes, each of which says where the next one begins: with the mark.
        let end = FIRST + PAGE + LARGE_PAGE;
        assert_eq!(map(FIRST + 2 * PAGE, LARGE_PAGE - PAGE), Ok((0, None)));
        for page in (FIRST + PAGE..end).step_by(PAGE_SIZE) {
            assert_eq!(accept(&tdx, page), Ok(0));
        }
        assert_eq!(map(shared, LARGE_PAGE + PAGE), Ok((1, None)));
        let page = layout::block(1) + layout::TDX_CALL;
        let next = tdx.shared.read(page + 8 * 6).unwrap();
        assert_eq!(next, shared + LARGE_PAGE);
        assert_eq!(map(next, PAGE), Ok((0, None)));
    }

    #[test]
    fn the_host_sees_its_doorbell_and_no_other_port() {
        let (tdx, _shared) = machine();
        let port = u64::from(layout::DOORBELL_PORT);
        assert_eq!(ask(&tdx, host::PORT, [4, 1, port, 7]), Ok((0, Some(7))));
        assert!(ask(&tdx, host::PORT, [4, 1, port + 1, 7]).is_err());
        assert!(ask(&tdx, host::PORT, [1, 1, port, 7]).is_err());
        assert!(ask(&tdx, 31, [0; 4]).is_err());
        // Registers beside those of the protocol would show secrets.
        let all = [0, 0xFFFC, 0, 0, 0, 0, host::PORT, 4, 1, port, 7];
        assert!(call(&tdx, all).is_err());
        assert_eq!(call(&tdx, [99; 11]).unwrap().0, status::OPERAND_INVALID);
        assert!(tdx.write(0, 0x10, 0).is_err() && tdx.read(0, 0x30).is_err());
    }

    #[test]
    fn reports_are_quoted_if_they_are_this_modules() {
        let (tdx, _shared) = machine();
        let (to, data) = (FIRST, FIRST + PAGE);
        tdx.pages.write(data, &[5; 64]).unwrap();
        let report = |to, data, kind| call(&tdx, [4, to, data, kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(report(to, data, 0).unwrap().0, 0);
        let mut made = [0; REPORT_SIZE];
        tdx.pages.read(to, &mut made).unwrap();
        assert_eq!((made[0], &made[128..192]), (0x81, &[5; 64][..]));
        for (to, data, kind) in [(to + 8, data, 0), (to, data + 8, 0), (to, data, 1)] {
            assert_eq!(report(to, data, kind).unwrap().0, status::OPERAND_INVALID);
        }
        assert!(report(FIRST + 2 * PAGE, data, 0).is_err(), "not accepted");
        // There is nobody to quote it; a changed one does not even get so far.
        assert_eq!(tdx.quote(&made), None);
        made[130] ^= 1;
        assert_eq!(tdx.quote(&made), None);
        let buffer = layout::block(1) + layout::TDX_QUOTE;
        let shared = buffer | layout::TDX_SHARED_PLAYED;
        tdx.shared.write(buffer, 1).unwrap();
        tdx.shared.write(buffer + 16, 1024).unwrap();
        let quoted = ask(
            &tdx,
            host::GET_QUOTE,
            [shared, layout::TDX_QUOTE_SIZE, 0, 0],
        );
        assert_eq!(quoted, Ok((0, None)));
        assert_eq!(tdx.shared.read(buffer + 8), Ok(1 << 63), "it failed");
        let private = ask(
            &tdx,
            host::GET_QUOTE,
            [buffer, layout::TDX_QUOTE_SIZE, 0, 0],
        );
        assert_eq!(private, Ok((1 << 63, None)));
    }
}
