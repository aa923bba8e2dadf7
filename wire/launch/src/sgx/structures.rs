//! The structures that the processor reads: SECS, TCS, SECINFO.

use alloc::boxed::Box;

use super::layout;
use crate::PAGE_SIZE;

/// Pages of a state save area (`SECS.SSAFRAMESIZE`). One holds the state of x87, SSE and
/// AVX beside the registers.
pub const SSA_FRAME_PAGES: u32 = 1;

/// `SECS.MISCSELECT`: EXINFO, the address and error code of page faults and general
/// protection faults (SDM, "MISCSELECT Field").
pub const MISC_SELECT: u32 = 1;

/// The processor's extended features in an enclave (XFRM): x87, SSE, AVX.
pub const EXTENDED_FEATURES: u64 = 0b111;

/// Flags of `SECS.ATTRIBUTES` that every Keep has: 64-bit mode, and key separation and
/// sharing, which brings CONFIGID.
pub const ENCLAVE_ATTRIBUTES: u64 = Attributes::MODE64BIT | Attributes::KSS;

/// Flags of ATTRIBUTES (SDM, "ATTRIBUTES").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The flags.
    pub flags: u64,
    /// XFRM.
    pub extended_features: u64,
}

impl Attributes {
    /// The enclave is initialised.
    pub const INIT: u64 = 1;
    /// A debugger may read and write the enclave: it keeps nothing secret.
    pub const DEBUG: u64 = 1 << 1;
    /// The enclave runs in 64-bit mode.
    pub const MODE64BIT: u64 = 1 << 2;
    /// The enclave may have the provisioning key.
    pub const PROVISIONKEY: u64 = 1 << 4;
    /// The enclave may have the key of launch tokens.
    pub const EINITTOKEN_KEY: u64 = 1 << 5;
    /// Key separation and sharing.
    pub const KSS: u64 = 1 << 7;

    /// The attributes of a Keep.
    #[must_use]
    pub const fn of_keep(debug: bool) -> Self {
        Self {
            flags: ENCLAVE_ATTRIBUTES | if debug { Self::DEBUG } else { 0 },
            extended_features: EXTENDED_FEATURES,
        }
    }

    /// As they lie in SECS, SIGSTRUCT and REPORT: 16 bytes.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..].copy_from_slice(&self.extended_features.to_le_bytes());
        bytes
    }
}

/// What makes an enclave (SDM, "SGX Enclave Control Structure (SECS)").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secs {
    /// Where the enclave lies, a multiple of its size.
    pub base: u64,
    /// Its attributes.
    pub attributes: Attributes,
    /// Said by whoever launches it, and in its evidence.
    pub config_id: [u8; 64],
}

impl Secs {
    /// The page that ECREATE takes.
    #[must_use]
    pub fn encode(&self) -> Box<[u8; PAGE_SIZE]> {
        let mut page = Box::new([0; PAGE_SIZE]);
        page[0..8].copy_from_slice(&layout::ENCLAVE_SIZE.to_le_bytes());
        page[8..16].copy_from_slice(&self.base.to_le_bytes());
        page[16..20].copy_from_slice(&SSA_FRAME_PAGES.to_le_bytes());
        page[20..24].copy_from_slice(&MISC_SELECT.to_le_bytes());
        page[48..64].copy_from_slice(&self.attributes.encode());
        page[192..256].copy_from_slice(&self.config_id);
        page
    }
}

/// One thread's control structure (SDM, "Thread Control Structure (TCS)").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcs {
    /// Where the thread's window begins.
    pub window: u64,
    /// Where it is entered: an offset from the enclave's base.
    pub entry: u64,
    /// Whether a debugger may look into it (DBGOPTIN).
    pub debug: bool,
}

impl Tcs {
    /// The page that EADD takes.
    #[must_use]
    pub fn encode(&self) -> Box<[u8; PAGE_SIZE]> {
        /// Segment limits cover the whole address space; they count in 32-bit mode alone.
        const LIMIT: u32 = u32::MAX;
        let thread_page = self.window + layout::thread::THREAD_PAGE;
        let mut page = Box::new([0; PAGE_SIZE]);
        page[8..16].copy_from_slice(&u64::from(self.debug).to_le_bytes());
        page[16..24].copy_from_slice(&(self.window + layout::thread::SSA).to_le_bytes());
        page[28..32].copy_from_slice(&layout::thread::SSA_COUNT.to_le_bytes());
        page[32..40].copy_from_slice(&self.entry.to_le_bytes());
        page[48..56].copy_from_slice(&thread_page.to_le_bytes());
        page[56..64].copy_from_slice(&thread_page.to_le_bytes());
        page[64..68].copy_from_slice(&LIMIT.to_le_bytes());
        page[68..72].copy_from_slice(&LIMIT.to_le_bytes());
        page
    }
}

/// The type and access of a page (SDM, "SECINFO.FLAGS").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecInfo {
    /// What the page is.
    pub page_type: PageType,
    /// Access: [`SecInfo::READ`], [`SecInfo::WRITE`], [`SecInfo::EXECUTE`].
    pub access: u64,
}

impl SecInfo {
    /// The page can be read.
    pub const READ: u64 = 1;
    /// The page can be written.
    pub const WRITE: u64 = 1 << 1;
    /// The page can be executed.
    pub const EXECUTE: u64 = 1 << 2;
    /// The page was added at run time and not yet accepted.
    pub const PENDING: u64 = 1 << 3;
    /// The page's type was changed and not yet accepted.
    pub const MODIFIED: u64 = 1 << 4;
    /// The page's access was restricted and that not yet accepted.
    pub const PERMISSION_RESTRICTED: u64 = 1 << 5;

    /// The page was trimmed: the flags of its type, without access.
    pub const TRIMMED: u64 = 4 << 8;

    /// A page of memory.
    #[must_use]
    pub const fn regular(access: u64) -> Self {
        Self {
            page_type: PageType::Regular,
            access,
        }
    }

    /// The flags.
    #[must_use]
    pub const fn flags(self) -> u64 {
        self.access | (self.page_type as u64) << 8
    }

    /// The structure of 64 bytes.
    #[must_use]
    pub fn encode(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&self.flags().to_le_bytes());
        bytes
    }
}

/// Types of pages (SDM, "Page Type").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageType {
    /// A thread control structure.
    Tcs = 1,
    /// Memory.
    Regular = 2,
}
