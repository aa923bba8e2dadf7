//! SEV-SNP, played: the hypervisor's end of its protocol with guests (AMD #56421), and the secure
//! processor.

mod launch;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enarx_host_simulator::snp::{GuestMessages, MESSAGE_KEY_SIZE, MESSAGE_SIZE};
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::GuestPageKind;
use enarx_wire_launch::vm::layout::{self, played};
use kvm_bindings::CpuId;
use zeroize::Zeroizing;

use super::{Marks, PageStates, Playable, Played, Refusal};
use crate::kvm::memory::Memory;
use crate::kvm::services::DeviceEvidence;
use crate::kvm::shared_memory::SharedMemory;

use launch::{cpuid_page, secrets_page};

/// SEV-SNP that is to be played.
pub(in crate::kvm) struct PlayableSnp {
    /// The key for messages of level 0.
    key: Zeroizing<[u8; MESSAGE_KEY_SIZE]>,
    evidence: DeviceEvidence,
}

/// SEV-SNP of one machine.
struct PlayedSnp {
    pages: Arc<PageStates>,
    shared: SharedMemory,
    processors: Vec<Mutex<Processor>>,
    firmware: Mutex<GuestMessages>,
    evidence: DeviceEvidence,
}

#[derive(Default)]
struct Processor {
    /// The register `GHCB`.
    register: u64,
    /// Where the page lies that the guest has registered.
    ghcb: Option<u64>,
    /// What the latest PVALIDATE came to.
    validated: u64,
}

impl PlayableSnp {
    /// SEV-SNP with reports that `evidence` has.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub(in crate::kvm) fn new(evidence: DeviceEvidence) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; MESSAGE_KEY_SIZE]);
        aws_lc_rs::rand::fill(&mut *key).map_err(|_| io::Error::other("no random bytes"))?;
        Ok(Self { key, evidence })
    }
}

impl Playable for PlayableSnp {
    fn marks(&self) -> Marks {
        Marks {
            private: layout::SNP_PRIVATE_PLAYED,
            shared: 0,
        }
    }

    fn contents(&self, kind: GuestPageKind, cpuid: &CpuId) -> Option<[u8; PAGE_SIZE]> {
        match kind {
            GuestPageKind::Measured => None,
            GuestPageKind::Secrets => Some(secrets_page(&self.key)),
            GuestPageKind::Cpuid => Some(cpuid_page(cpuid)),
        }
    }

    fn play(self: Box<Self>, pages: Arc<PageStates>, shared: &Memory) -> Arc<dyn Played> {
        Arc::new(PlayedSnp {
            pages,
            shared: SharedMemory::new(shared),
            processors: (0..layout::PROCESSORS).map(|_| Mutex::default()).collect(),
            firmware: Mutex::new(GuestMessages::new(&self.key)),
            evidence: self.evidence,
        })
    }
}

impl PlayedSnp {
    fn processor(&self, index: u32) -> MutexGuard<'_, Processor> {
        let processor = &self.processors[index as usize];
        processor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the hypervisor does at VMGEXIT.
    fn exit(&self, processor: &mut Processor, value: u64) -> Result<Option<u32>, String> {
        const INFORMATION: u64 = 0x002;
        const REGISTER: u64 = 0x012;
        const FEATURES: u64 = 0x080;
        const TERMINATE: u64 = 0x100;
        let (about, page) = (value & 0xFFF, value & !0xFFF);
        processor.register = match about {
            0 if processor.ghcb == Some(page) => return self.exit_by_page(page),
            0 => return Err(format!("by a GHCB at {page:#x}, which it did not register")),
            // Protocol versions 2 to 2, and the bit.
            INFORMATION => {
                let bit = u64::from(layout::SNP_PRIVATE_PLAYED.trailing_zeros());
                0x001 | 2 << 48 | 2 << 32 | bit << 24
            }
            REGISTER => {
                processor.ghcb = Some(page);
                value | 1
            }
            // SEV-SNP alone.
            FEATURES => 0x081 | 1 << 12,
            TERMINATE => return Err(format!("because it terminates ({value:#x})")),
            _ => return Err(format!("by an unknown request {value:#x}")),
        };
        Ok(None)
    }

    fn exit_by_page(&self, ghcb: u64) -> Result<Option<u32>, String> {
        let (shared, at) = (&self.shared, |offset| ghcb + offset);
        let valid = u128::from(shared.read(at(field::VALID))?)
            | u128::from(shared.read(at(field::VALID + 8))?) << 64;
        let read = |field: u64| match valid >> (field / 8) & 1 {
            1 => shared.read(at(field)),
            _ => Err(format!("by a GHCB whose field {field:#x} is not valid")),
        };
        if shared.read(at(field::VERSION))? >> 16 != 2 {
            return Err("by a GHCB of an unknown version".to_owned());
        }
        let (code, first, second) = (
            read(field::CODE)?,
            read(field::FIRST)?,
            read(field::SECOND)?,
        );
        let mut rung = None;
        let mut result = 0;
        match code {
            code::PORT => {
                const OUT_OF_FOUR_BYTES: u64 = 1 << 9 | 1 << 6;
                if first != u64::from(layout::DOORBELL_PORT) << 16 | OUT_OF_FOUR_BYTES {
                    return Err(format!("by a port that is no doorbell ({first:#x})"));
                }
                rung = Some(read(field::RAX)? as u32);
            }
            code::PAGE_STATE_CHANGE => {
                let list = read(field::SCRATCH)?;
                if list != at(field::BUFFER) {
                    return Err(format!("with a list of pages at {list:#x}"));
                }
                result = self.change_pages(list)?;
            }
            code::GUEST_REQUEST => result = self.message(first, second)?,
            _ => return Err(format!("by an unknown exit {code:#x}")),
        }
        shared.write(at(field::FIRST), 0)?;
        shared.write(at(field::SECOND), result)?;
        Ok(rung)
    }

    fn change_pages(&self, list: u64) -> Result<u64, String> {
        /// An entry is not what it could be.
        const INVALID_ENTRY: u64 = 0x1_0000_0001;
        let header = self.shared.read(list)?;
        let (next, last) = (header & 0xFFFF, header >> 16 & 0xFFFF);
        if last >= 253 {
            return Err("with too long a list of pages".to_owned());
        }
        for index in next..=last {
            let entry = self.shared.read(list + 8 + 8 * index)?;
            let pages = if entry >> 56 & 1 == 1 { 512 } else { 1 };
            let page = entry & 0x000F_FFFF_FFFF_F000;
            let changed = match entry >> 52 & 0xF {
                1 => self.pages.make_private(page, pages).is_ok(),
                2 => self.pages.make_shared(page, pages).is_ok(),
                _ => false,
            };
            if !changed {
                return Ok(INVALID_ENTRY);
            }
            self.shared.write(list, (index + 1) | last << 16)?;
        }
        Ok(0)
    }

    /// Has the secure processor answer a message.
    fn message(&self, request: u64, response: u64) -> Result<u64, String> {
        /// The firmware's status for messages that it cannot decrypt.
        const BAD_MESSAGE: u64 = 0x16;
        if !request.is_multiple_of(PAGE_SIZE as u64) || !response.is_multiple_of(PAGE_SIZE as u64) {
            return Err("with a message that is no page".to_owned());
        }
        let mut message = [0; MESSAGE_SIZE];
        for (index, word) in message.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.shared.read(request + 8 * index as u64)?.to_le_bytes());
        }
        let mut firmware = self.firmware.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = firmware.answer(&message, |report_data| {
            self.evidence.evidence(report_data).ok()
        });
        let Ok(answer) = answer else {
            return Ok(BAD_MESSAGE);
        };
        for (index, word) in (0..).zip(answer.as_chunks::<8>().0) {
            self.shared
                .write(response + 8 * index, u64::from_le_bytes(*word))?;
        }
        Ok(0)
    }
}

impl Played for PlayedSnp {
    fn write(&self, processor: u32, register: u64, value: u64) -> Result<Option<u32>, String> {
        let mut processor = self.processor(processor);
        match layout::DOORBELL + register {
            played::GHCB => self.exit(&mut processor, value),
            played::PVALIDATE => {
                const NOT_PRIVATE: u64 = 1;
                const UNCHANGED: u64 = 1 << 32;
                let (page, rescinds) = (value & !0xFFF, value & played::RESCIND != 0);
                let pages = (value & (played::RESCIND - 1)) + 1;
                let changed = if rescinds {
                    self.pages.rescind(page, pages)
                } else {
                    self.pages.accept(page, pages)
                };
                processor.validated = match changed {
                    Ok(()) => 0,
                    Err(Refusal::Accepted | Refusal::Private) => UNCHANGED,
                    Err(Refusal::Shared | Refusal::Missing) => NOT_PRIVATE,
                };
                Ok(None)
            }
            _ => Err(format!(
                "by a register {register:#x}, which it does not have"
            )),
        }
    }

    fn read(&self, processor: u32, register: u64) -> Result<u64, String> {
        let processor = self.processor(processor);
        match layout::DOORBELL + register {
            played::GHCB => Ok(processor.register),
            played::PVALIDATE => Ok(processor.validated),
            _ => Err(format!(
                "by a register {register:#x}, which it does not have"
            )),
        }
    }
}

/// Exit codes (AMD #56421, table "List of Supported Non-Automatic Events").
mod code {
    pub const PORT: u64 = 0x7B;
    pub const PAGE_STATE_CHANGE: u64 = 0x8000_0010;
    pub const GUEST_REQUEST: u64 = 0x8000_0011;
}

/// Offsets in a GHCB (AMD #56421, table "GHCB Layout").
mod field {
    pub const RAX: u64 = 0x1F8;
    pub const CODE: u64 = 0x390;
    pub const FIRST: u64 = 0x398;
    pub const SECOND: u64 = 0x3A0;
    pub const SCRATCH: u64 = 0x3A8;
    pub const VALID: u64 = 0x3F0;
    pub const BUFFER: u64 = 0x800;
    pub const VERSION: u64 = 0xFF8;
}
