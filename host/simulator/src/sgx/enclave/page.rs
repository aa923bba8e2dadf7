//! EPCM entries and SECINFO.

use super::bytes::{is_zero, u64_at};

/// Size of a page in bytes.
pub(super) const PAGE_SIZE: usize = 4096;
/// Size of a SECINFO in bytes (SDM volume 3D, 38.11).
pub(super) const SECINFO_SIZE: usize = 64;

/// Bits of SECINFO.FLAGS (38.11.1), which an EPCM entry shares.
pub(super) const READ: u16 = 1 << 0;
pub(super) const WRITE: u16 = 1 << 1;
pub(super) const EXECUTE: u16 = 1 << 2;
pub(super) const PENDING: u16 = 1 << 3;
pub(super) const MODIFIED: u16 = 1 << 4;
pub(super) const RESTRICTED: u16 = 1 << 5;
const TYPE: u16 = 0xff << 8;

/// Bit 6 is reserved in SECINFO; here it says that the EPCM entry is valid.
const VALID: u16 = 1 << 6;

const ACCESS: u16 = READ | WRITE | EXECUTE;

/// PT of a SECINFO or an EPCM entry (38.11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageType {
    ThreadControl = 1,
    Regular = 2,
    Trimmed = 4,
}

impl PageType {
    fn of(flags: u16) -> Option<Self> {
        [Self::ThreadControl, Self::Regular, Self::Trimmed]
            .into_iter()
            .find(|page_type| *page_type as u16 == flags >> 8)
    }
}

/// A SECINFO whose reserved fields are zero.
#[derive(Clone, Copy)]
pub(super) struct SecInfo(u16);

impl SecInfo {
    /// `None` if a reserved field is not zero.
    pub(super) fn parse(bytes: &[u8; SECINFO_SIZE]) -> Option<Self> {
        let flags = u16::try_from(u64_at(bytes, 0)).ok()?;
        let defined = ACCESS | PENDING | MODIFIED | RESTRICTED | TYPE;
        (flags & !defined == 0 && is_zero(&bytes[8..])).then_some(Self(flags))
    }

    pub(super) fn page_type(self) -> Option<PageType> {
        PageType::of(self.0)
    }

    pub(super) fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    pub(super) fn has_any(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    /// The R, W and X bits.
    pub(super) fn access(self) -> u16 {
        self.0 & ACCESS
    }

    /// Whether it allows writing without reading, which nothing can.
    pub(super) fn is_write_only(self) -> bool {
        self.has(WRITE) && !self.has(READ)
    }
}

/// A valid entry of the EPCM (38.20): what a page of the enclave is.
///
/// BLOCKED is missing: it serves paging, and the simulator pages nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page(u16);

impl Page {
    /// What EADD makes.
    pub(super) fn added(page_type: PageType, access: u16) -> Self {
        Self(VALID | (page_type as u16) << 8 | access & ACCESS)
    }

    /// What EAUG makes.
    pub(super) fn augmented() -> Self {
        Self(VALID | (PageType::Regular as u16) << 8 | PENDING | READ | WRITE)
    }

    /// What EADD measures: SECINFO.FLAGS, with the permissions that the page really gets.
    pub(super) fn secinfo_flags(self, secinfo: SecInfo) -> u64 {
        u64::from(secinfo.0 & !ACCESS | self.0 & ACCESS)
    }

    /// `None` for an entry that is not valid.
    pub(super) fn from_entry(entry: u16) -> Option<Self> {
        (entry & VALID != 0).then_some(Self(entry))
    }

    pub(super) fn entry(self) -> u16 {
        self.0
    }

    pub(super) fn page_type(self) -> Option<PageType> {
        PageType::of(self.0)
    }

    /// Whether it is in use as an ordinary page.
    pub(super) fn is_regular(self) -> bool {
        self.page_type() == Some(PageType::Regular) && !self.is_unaccepted()
    }

    /// Whether the enclave may use the page in all the ways of `access`.
    pub(super) fn allows(self, access: u16) -> bool {
        self.is_regular() && self.0 & access == access
    }

    /// What the enclave may do with the page now.
    pub(super) fn access(self) -> u16 {
        if self.is_regular() {
            self.0 & ACCESS
        } else {
            0
        }
    }

    /// Whether it waits for EACCEPT in a way that makes it unusable.
    pub(super) fn is_unaccepted(self) -> bool {
        self.0 & (PENDING | MODIFIED) != 0
    }

    /// Whether it is what an EACCEPT with `expected` demands. PR is not compared.
    pub(super) fn matches(self, expected: SecInfo) -> bool {
        let compared = ACCESS | PENDING | MODIFIED | TYPE;
        (self.0 ^ expected.0) & compared == 0
    }

    /// After EACCEPT.
    pub(super) fn accepted(self) -> Self {
        Self(self.0 & !(PENDING | MODIFIED | RESTRICTED))
    }

    /// After EACCEPTCOPY with these permissions.
    pub(super) fn accepted_with(self, access: u16) -> Self {
        Self(self.0 & !(PENDING | ACCESS) | access & ACCESS)
    }

    /// After EMODPE.
    pub(super) fn extended(self, access: u16) -> Self {
        Self(self.0 | access & ACCESS)
    }

    /// After EMODT to PT_TRIM.
    pub(super) fn trimmed() -> Self {
        Self(VALID | (PageType::Trimmed as u16) << 8 | MODIFIED)
    }

    /// Whether the enclave has accepted that it is trimmed.
    pub(super) fn can_be_removed(self) -> bool {
        self.page_type() == Some(PageType::Trimmed) && !self.is_unaccepted()
    }

    /// After EMODPR.
    pub(super) fn restricted(self, access: u16) -> Self {
        Self(self.0 & !(ACCESS & !access) | RESTRICTED)
    }
}
