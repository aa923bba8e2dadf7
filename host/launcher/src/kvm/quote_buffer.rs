//! What a trust domain wants quoted: a buffer that it shares with its host (*Guest-Host Communication
//! Interface for Intel TDX*, "`TDG.VP.VMCALL<GetQuote>`").

use enarx_wire_launch::PAGE_SIZE;

use super::shared_memory::SharedMemory;

/// Size of a report (`TDREPORT_STRUCT`) in bytes.
pub(super) const REPORT_SIZE: usize = 1024;

/// What the domain is told if there is no such buffer (`TDG.VP.VMCALL_INVALID_OPERAND`).
pub(super) const INVALID_OPERAND: u64 = 1 << 63;

/// Has the report in the buffer at guest physical address `buffer`, its mark for shared memory taken
/// away, turned into a quote by `quote`. Gives what the call comes to; what came of the quote, the
/// buffer says.
///
/// # Errors
///
/// Where nothing is shared.
pub(super) fn serve(
    shared: &SharedMemory,
    buffer: u64,
    size: u64,
    quote: impl FnOnce(&[u8; REPORT_SIZE]) -> Option<Vec<u8>>,
) -> Result<u64, String> {
    const FAILED: u64 = 1 << 63;
    let page = PAGE_SIZE as u64;
    let at = |offset: usize| buffer + offset as u64;
    if !buffer.is_multiple_of(page) || !size.is_multiple_of(page) {
        return Ok(INVALID_OPERAND);
    }
    let given = (shared.read(at(VERSION))?, shared.read(at(LENGTHS))?);
    if given != (1, REPORT_SIZE as u64) {
        return Ok(INVALID_OPERAND);
    }
    let mut report = [0; REPORT_SIZE];
    for (offset, word) in (HEADER..).step_by(8).zip(report.as_chunks_mut().0) {
        *word = shared.read(at(offset))?.to_le_bytes();
    }
    let room = (size as usize).saturating_sub(HEADER);
    match quote(&report).filter(|quote| quote.len() <= room) {
        Some(quote) => {
            for (offset, bytes) in (HEADER..).step_by(8).zip(quote.chunks(8)) {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                shared.write(at(offset), u64::from_le_bytes(word))?;
            }
            let there = (quote.len() as u64) << 32;
            shared.write(at(LENGTHS), REPORT_SIZE as u64 | there)?;
            shared.write(at(STATUS), 0)?;
        }
        None => shared.write(at(STATUS), FAILED)?,
    }
    Ok(0)
}

/// Bytes before a report or a quote.
const HEADER: usize = 24;

/// Offsets in them.
const VERSION: usize = 0;
const STATUS: usize = 8;
/// What was given, and in the upper half what there is.
const LENGTHS: usize = 16;
