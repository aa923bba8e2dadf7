//! Reports as bytes.

use crate::bytes::Bytes;

use super::Error;

/// Largest report looked at; real ones have some 4 KiB.
const MAX_REPORT_BYTES: usize = 64 * 1024;
/// SPDM version 1.1.
const SPDM_1_1: u8 = 0x11;
/// The codes of the two messages.
const GET_MEASUREMENTS: u8 = 0xe0;
/// See [`GET_MEASUREMENTS`].
const MEASUREMENTS: u8 = 0x60;
/// Bytes of a signature with ECDSA on P-384.
const SIGNATURE_BYTES: usize = 96;

/// Types of the opaque data that NVIDIA puts beside the measurements.
mod opaque {
    pub(super) const DRIVER_VERSION: u16 = 3;
    pub(super) const VBIOS_VERSION: u16 = 6;
    pub(super) const VIDEO_DECODER: u16 = 11;
    pub(super) const CHIP: u16 = 15;
    pub(super) const PROJECT: u16 = 17;
    pub(super) const PROJECT_SKU: u16 = 18;
    pub(super) const FIRMWARE_IDENTITY: u16 = 20;
}

/// A request for measurements with the answer to it, read but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The nonce of whoever asked, 32 bytes.
    pub nonce: [u8; 32],
    /// The measurements.
    pub blocks: Vec<Block>,
    /// Version of the driver, where the device knows it.
    pub driver_version: Option<Vec<u8>>,
    /// Version of the VBIOS, in NVIDIA's form.
    pub vbios_version: Option<Vec<u8>>,
    /// The chip's SKU.
    pub chip: Option<Vec<u8>>,
    /// The project of the board, and its SKU.
    pub project: Option<Vec<u8>>,
    /// See [`Report::project`].
    pub project_sku: Option<Vec<u8>>,
    /// Whether the first video decoder is on (`0xaa`) or off (`0x55`).
    pub(super) video_decoder: Option<Vec<u8>>,
    /// Digest of the firmware that has the key (FWID), where the device tells it.
    pub firmware_identity: Option<Vec<u8>>,
    /// The measurement record as it was signed.
    pub(super) record: Vec<u8>,
    pub(super) signature: [u8; SIGNATURE_BYTES],
    signed_bytes: usize,
}

/// One measurement (DMTF DSP0274, measurement block and DMTF measurement specification).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its number, from 1.
    pub index: u8,
    /// What it is of; bit 7 says that the value is not hashed.
    pub kind: u8,
    /// The value, a digest in most blocks.
    pub value: Vec<u8>,
}

impl Report {
    /// Reads the request and the answer, one behind the other.
    ///
    /// # Errors
    ///
    /// The first thing that is not as specified.
    pub fn parse(report: &[u8]) -> Result<Self, Error> {
        if report.len() > MAX_REPORT_BYTES {
            return Err(Error::TooLarge(report.len()));
        }
        let mut bytes = Bytes(report);
        let [version, code, _, _] = bytes.array()?;
        if (version, code) != (SPDM_1_1, GET_MEASUREMENTS) {
            return Err(Error::Field("request"));
        }
        let nonce = bytes.array()?;
        bytes.take(1)?;
        let [version, code, _, _] = bytes.array()?;
        if (version, code) != (SPDM_1_1, MEASUREMENTS) {
            return Err(Error::Field("response"));
        }
        let [count, low, middle, high] = bytes.array()?;
        let record_bytes = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let record = bytes.take(record_bytes)?;
        bytes.take(32)?;
        let opaque_bytes = bytes.u16()?;
        let opaque = bytes.take(opaque_bytes.into())?;
        let signed_bytes = report.len().saturating_sub(bytes.0.len());
        let signature = bytes.array()?;
        // The buffers that reports come in may be longer.
        if bytes.0.iter().any(|byte| *byte != 0) {
            return Err(Error::Field("end"));
        }
        let mut read = Self {
            nonce,
            blocks: blocks(record, count)?,
            driver_version: None,
            vbios_version: None,
            chip: None,
            project: None,
            project_sku: None,
            video_decoder: None,
            firmware_identity: None,
            record: record.to_vec(),
            signature,
            signed_bytes,
        };
        read.opaque(opaque)?;
        Ok(read)
    }

    /// The bytes of `report` that its signature covers: request and answer without it.
    pub(super) fn signed<'a>(&self, report: &'a [u8]) -> Result<&'a [u8], Error> {
        report.get(..self.signed_bytes).ok_or(Error::Truncated)
    }

    fn opaque(&mut self, data: &[u8]) -> Result<(), Error> {
        let mut bytes = Bytes(data);
        while !bytes.is_empty() {
            let kind = bytes.u16()?;
            let size = bytes.u16()?;
            let value = bytes.take(size.into())?;
            let field = match kind {
                opaque::DRIVER_VERSION => &mut self.driver_version,
                opaque::VBIOS_VERSION => &mut self.vbios_version,
                opaque::CHIP => &mut self.chip,
                opaque::PROJECT => &mut self.project,
                opaque::PROJECT_SKU => &mut self.project_sku,
                opaque::VIDEO_DECODER => &mut self.video_decoder,
                opaque::FIRMWARE_IDENTITY => &mut self.firmware_identity,
                _ => continue,
            };
            if field.replace(value.to_vec()).is_some() {
                return Err(Error::Field("opaque data, which has a type twice,"));
            }
        }
        Ok(())
    }
}

fn blocks(record: &[u8], count: u8) -> Result<Vec<Block>, Error> {
    let wrong = || Error::Field("measurement record");
    let mut bytes = Bytes(record);
    let mut blocks = Vec::new();
    for _ in 0..count {
        let [index, specification] = bytes.array()?;
        let size = bytes.u16()?;
        let mut contents = Bytes(bytes.take(size.into())?);
        // Bit 0 is the DMTF's own specification, the only one in use.
        if specification != 1 {
            return Err(wrong());
        }
        let [kind] = contents.array()?;
        let value_bytes = contents.u16()?;
        let value = contents.take(value_bytes.into())?.to_vec();
        if !contents.is_empty() || blocks.iter().any(|block: &Block| block.index == index) {
            return Err(wrong());
        }
        blocks.push(Block { index, kind, value });
    }
    if bytes.is_empty() {
        Ok(blocks)
    } else {
        Err(wrong())
    }
}
