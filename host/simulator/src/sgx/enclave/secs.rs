//! SECS: what ECREATE accepts.

use super::bytes::{array, is_zero, u16_at, u32_at, u64_at};
use super::entry::USER_ADDRESS_BITS;
use super::error::LeafError;
use super::page::PAGE_SIZE;
use super::state_save;

/// Bits of ATTRIBUTES (SDM volume 3D, 38.7.1).
const INIT: u64 = 1 << 0;
const DEBUG: u64 = 1 << 1;
const MODE64BIT: u64 = 1 << 2;
const PROVISION_KEY: u64 = 1 << 4;
const EINITTOKEN_KEY: u64 = 1 << 5;
const KSS: u64 = 1 << 7;
const SUPPORTED_ATTRIBUTES: u64 = DEBUG | MODE64BIT | PROVISION_KEY | EINITTOKEN_KEY | KSS;

/// x87, SSE and AVX.
const SUPPORTED_XFRM: u64 = 0b111;
/// x87 and SSE are not optional.
const REQUIRED_XFRM: u64 = 0b011;

/// MISCSELECT.EXINFO: details of page faults and general protection exceptions
/// (38.7.2).
pub(super) const EXINFO: u32 = 1 << 0;

const SMALLEST_SIZE: u64 = 8192;
/// As SGX-capable processors report in bits 15 to 8 of EDX, CPUID leaf 12H, subleaf 0.
const LARGEST_SIZE: u64 = 1 << 36;

/// A checked SECS.
#[derive(Clone)]
pub(super) struct Secs {
    pub size: u64,
    pub base: u64,
    pub ssa_frame_pages: u32,
    pub misc_select: u32,
    pub attributes: u64,
    pub xfrm: u64,
    pub config_id: [u8; 64],
    pub config_svn: u16,
}

impl Secs {
    /// Checks a SECS as ECREATE does.
    pub(super) fn parse(secs: &[u8; PAGE_SIZE]) -> Result<Self, LeafError> {
        let parsed = Self {
            size: u64_at(secs, 0),
            base: u64_at(secs, 8),
            ssa_frame_pages: u32_at(secs, 16),
            misc_select: u32_at(secs, 20),
            attributes: u64_at(secs, 48),
            xfrm: u64_at(secs, 56),
            config_id: array(secs, 192),
            config_svn: u16_at(secs, 260),
        };
        require(
            parsed.xfrm & REQUIRED_XFRM == REQUIRED_XFRM,
            "XFRM without x87 and SSE",
        )?;
        require(
            parsed.xfrm & !SUPPORTED_XFRM == 0,
            "XFRM asks for more than x87, SSE and AVX",
        )?;
        require(
            parsed.misc_select & !EXINFO == 0,
            "MISCSELECT asks for more than EXINFO",
        )?;
        require(
            parsed.size.is_power_of_two(),
            "the enclave's size is not a power of two",
        )?;
        require(
            (SMALLEST_SIZE..=LARGEST_SIZE).contains(&parsed.size),
            "the enclave's size is not between 8 KiB and 64 GiB",
        )?;
        require(
            parsed.base.is_multiple_of(parsed.size) && parsed.base >> USER_ADDRESS_BITS == 0,
            "BASEADDR is not a multiple of the size, or no address of a program's",
        )?;
        require(
            u64::from(parsed.ssa_frame_pages) * PAGE_SIZE as u64
                >= state_save::smallest_frame(parsed.xfrm, parsed.misc_select),
            "SSAFRAMESIZE is too small for the state to be saved",
        )?;
        // A frame larger than the enclave could never be used.
        require(
            u64::from(parsed.ssa_frame_pages) * PAGE_SIZE as u64 <= parsed.size,
            "SSAFRAMESIZE is larger than the enclave",
        )?;
        require(
            parsed.attributes & MODE64BIT != 0,
            "an enclave for 32-bit mode",
        )?;
        require(
            parsed.attributes & !SUPPORTED_ATTRIBUTES == 0,
            "an attribute that is not supported",
        )?;
        // 24: CET, not supported; 64 to 191: MRENCLAVE and MRSIGNER, not the caller's to set;
        // 256: ISVPRODID and ISVSVN likewise; the rest is reserved (38.7).
        require(
            is_zero(&secs[24..48])
                && is_zero(&secs[64..192])
                && is_zero(&secs[256..260])
                && is_zero(&secs[262..]),
            "a reserved field of the SECS is not zero",
        )?;
        require(
            parsed.attributes & KSS != 0 || (is_zero(&parsed.config_id) && parsed.config_svn == 0),
            "CONFIGID or CONFIGSVN without the attribute KSS",
        )?;
        Ok(parsed)
    }

    pub(super) fn has_key_separation(&self) -> bool {
        self.attributes & KSS != 0
    }

    /// ATTRIBUTES and XFRM, as they are compared with SIGSTRUCT's.
    pub(super) fn attribute_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.attributes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.xfrm.to_le_bytes());
        bytes
    }

    /// What EINIT leaves in ATTRIBUTES.
    pub(super) fn initialised_attribute_bytes(&self) -> [u8; 16] {
        let mut bytes = self.attribute_bytes();
        bytes[0] |= INIT as u8;
        bytes
    }
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), LeafError> {
    if holds {
        Ok(())
    } else {
        Err(LeafError::GeneralProtection(otherwise))
    }
}
