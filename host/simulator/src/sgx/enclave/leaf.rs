//! The leaf functions that an enclave executes (SDM volume 3D, chapter 41), but EEXIT.

use super::Running;
use super::exception::{Exception, FAULT_WRITE};
use crate::sgx::{KeyRequest, Report, TargetInfo};

use super::hardware::{REPORT_DATA_SIZE, Refusal};
use super::memory::Pages;
use super::page::{
    MODIFIED, PAGE_SIZE, PENDING, Page, PageType, READ, RESTRICTED, SECINFO_SIZE, SecInfo, WRITE,
};
use super::registers::{RAX, RBX, RCX, RDX, Registers, STATUS_FLAGS, ZERO_FLAG};
use super::system_failed;

/// Leaf functions of ENCLU (36.2).
const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;
const EACCEPT: u64 = 5;
const EMODPE: u64 = 6;
const EACCEPTCOPY: u64 = 7;

/// Length of ENCLU in bytes.
const ENCLU_LENGTH: u64 = 3;

/// `SGX_PAGE_ATTRIBUTES_MISMATCH`.
const PAGE_ATTRIBUTES_MISMATCH: u64 = 19;

/// Result of a leaf function that has one: what RAX and ZF say.
type Completion = Result<(), u64>;

impl Running {
    /// Executes the leaf function in EAX and goes on after it, or raises its exception.
    pub(super) fn execute(&self, registers: &mut Registers<'_>) -> Result<(), Exception> {
        let leaf = registers.get(RAX) & 0xffff_ffff;
        let (rbx, rcx, rdx) = (registers.get(RBX), registers.get(RCX), registers.get(RDX));
        let completion = match leaf {
            EREPORT => {
                self.report(rbx, rcx, rdx)?;
                None
            }
            EGETKEY => Some(self.get_key(rbx, rcx)?),
            EACCEPT => Some(self.accept(rbx, rcx)?),
            EMODPE => {
                self.extend_permissions(rbx, rcx)?;
                None
            }
            EACCEPTCOPY => Some(self.accept_copy(rbx, rcx, rdx)?),
            _ => return Err(Exception::GENERAL_PROTECTION),
        };
        if let Some(completion) = completion {
            let (status, zero) = match completion {
                Ok(()) => (0, 0),
                Err(status) => (status, ZERO_FLAG),
            };
            registers.set(RAX, status);
            registers.set_rflags(registers.rflags() & !STATUS_FLAGS | zero);
        }
        registers.set_rip(registers.rip() + ENCLU_LENGTH);
        Ok(())
    }

    fn report(&self, target_info: u64, report_data: u64, output: u64) -> Result<(), Exception> {
        let target_info = self.operand(target_info, TargetInfo::SIZE, 512)?;
        let report_data = self.operand(report_data, REPORT_DATA_SIZE, 128)?;
        let output = self.operand(output, Report::SIZE, 512)?;
        let (target_info, report_data) = {
            let pages = self.memory.pages();
            self.require(&pages, output, READ | WRITE)?;
            (
                self.read(&pages, target_info)?,
                self.read(&pages, report_data)?,
            )
        };
        let report = self
            .hardware
            .report(&self.identity, &target_info, &report_data)
            .map_err(|_| Exception::GENERAL_PROTECTION)?;
        self.write(output, &report)?;
        self.counters.ereport.count();
        Ok(())
    }

    fn get_key(&self, request: u64, output: u64) -> Result<Completion, Exception> {
        let request = self.operand(request, KeyRequest::SIZE, 512)?;
        let output = self.operand(output, 16, 16)?;
        let request = {
            let pages = self.memory.pages();
            self.require(&pages, output, READ | WRITE)?;
            self.read(&pages, request)?
        };
        match self.hardware.key(&self.identity, &request) {
            Ok(key) => {
                self.write(output, &key)?;
                self.counters.egetkey.count();
                Ok(Ok(()))
            }
            Err(Refusal::Status(status)) => Ok(Err(status)),
            Err(Refusal::GeneralProtection) => Err(Exception::GENERAL_PROTECTION),
        }
    }

    fn accept(&self, secinfo: u64, target: u64) -> Result<Completion, Exception> {
        let secinfo = self.operand(secinfo, SECINFO_SIZE, SECINFO_SIZE as u64)?;
        let pages = self.memory.pages();
        let expected = self.secinfo(&pages, secinfo)?;
        let offset = self.operand(target, PAGE_SIZE, PAGE_SIZE as u64)?;
        let is_legal = match expected.page_type() {
            Some(PageType::Regular) => {
                expected.has_any(RESTRICTED | PENDING) && !expected.has(MODIFIED)
            }
            Some(PageType::ThreadControl | PageType::Trimmed) => {
                expected.has(MODIFIED) && !expected.has_any(RESTRICTED | PENDING)
            }
            None => false,
        };
        if !is_legal {
            return Err(Exception::GENERAL_PROTECTION);
        }
        let page = self.augment_if_absent(&pages, offset);
        if !page.matches(expected) {
            return Ok(Err(PAGE_ATTRIBUTES_MISMATCH));
        }
        pages
            .set(offset, page.accepted())
            .unwrap_or_else(system_failed);
        self.counters.eaccept.count();
        Ok(Ok(()))
    }

    fn accept_copy(&self, secinfo: u64, target: u64, source: u64) -> Result<Completion, Exception> {
        let secinfo = self.operand(secinfo, SECINFO_SIZE, SECINFO_SIZE as u64)?;
        let target = self.operand(target, PAGE_SIZE, PAGE_SIZE as u64)?;
        let source = self.operand(source, PAGE_SIZE, PAGE_SIZE as u64)?;
        let pages = self.memory.pages();
        let wanted = self.secinfo(&pages, secinfo)?;
        if wanted.is_write_only() || wanted.page_type() != Some(PageType::Regular) {
            return Err(Exception::GENERAL_PROTECTION);
        }
        let contents = self.read::<PAGE_SIZE>(&pages, source)?;
        let page = self.augment_if_absent(&pages, target);
        if page != Page::augmented() {
            return Ok(Err(PAGE_ATTRIBUTES_MISMATCH));
        }
        pages
            .write(target, &contents)
            .and_then(|()| pages.set(target, page.accepted_with(wanted.access())))
            .unwrap_or_else(system_failed);
        self.counters.eacceptcopy.count();
        Ok(Ok(()))
    }

    fn extend_permissions(&self, secinfo: u64, target: u64) -> Result<(), Exception> {
        let secinfo = self.operand(secinfo, SECINFO_SIZE, SECINFO_SIZE as u64)?;
        let offset = self.operand(target, PAGE_SIZE, PAGE_SIZE as u64)?;
        let pages = self.memory.pages();
        let added = self.secinfo(&pages, secinfo)?;
        self.require(&pages, offset, 0)?;
        let page = self.augment_if_absent(&pages, offset);
        if !page.allows(READ) && added.is_write_only() {
            return Err(Exception::GENERAL_PROTECTION);
        }
        pages
            .set(offset, page.extended(added.access()))
            .unwrap_or_else(system_failed);
        self.counters.emodpe.count();
        Ok(())
    }

    /// The offset of an operand. Operands are aligned to at least their size, so that none
    /// lies in two pages.
    fn operand(&self, address: u64, size: usize, alignment: u64) -> Result<u64, Exception> {
        let offset = self
            .memory
            .offset_of(address, size as u64)
            .filter(|_| address.is_multiple_of(alignment))
            .ok_or(Exception::GENERAL_PROTECTION)?;
        if self.memory.can_have_page(offset) {
            Ok(offset)
        } else {
            Err(Exception::epcm_fault(address, 0))
        }
    }

    fn secinfo(&self, pages: &Pages<'_>, offset: u64) -> Result<SecInfo, Exception> {
        SecInfo::parse(&self.read(pages, offset)?).ok_or(Exception::GENERAL_PROTECTION)
    }

    fn read<const N: usize>(&self, pages: &Pages<'_>, offset: u64) -> Result<[u8; N], Exception> {
        self.require(pages, offset, READ)?;
        let mut bytes = [0; N];
        pages
            .read_always(offset, &mut bytes)
            .unwrap_or_else(system_failed);
        Ok(bytes)
    }

    /// Writes a result, whose page another thread may have changed since the first look.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Exception> {
        let pages = self.memory.pages();
        self.require(&pages, offset, READ | WRITE)?;
        pages.write(offset, bytes).unwrap_or_else(system_failed);
        Ok(())
    }

    /// Demands an ordinary page that allows `access`. One that is absent is augmented first,
    /// as the driver does when the processor reports the fault.
    fn require(&self, pages: &Pages<'_>, offset: u64, access: u16) -> Result<(), Exception> {
        if self.augment_if_absent(pages, offset).allows(access) {
            return Ok(());
        }
        let error = if access & WRITE == 0 { 0 } else { FAULT_WRITE };
        Err(Exception::epcm_fault(self.memory.base() + offset, error))
    }

    /// EAUG by the driver, on demand.
    pub(super) fn augment_if_absent(&self, pages: &Pages<'_>, offset: u64) -> Page {
        pages.get(offset).unwrap_or_else(|| {
            // It allows nothing until it is accepted, like no page at all.
            pages.record(offset, Page::augmented());
            self.counters.eaug.count();
            Page::augmented()
        })
    }
}
