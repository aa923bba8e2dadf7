//! An ELF file as pages of an enclave.

use alloc::vec::Vec;

use super::{SecInfo, Section};
use crate::{
    Content, ElfError, PieceDigests,
    program::{self, Linking, PAGE, access},
};

/// What a program needs to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program<'a> {
    /// Entry point: an offset from where the program is loaded.
    pub entry: u64,
    /// Where the program headers lie, likewise.
    pub program_headers: u64,
    pub program_header_count: u32,
    /// Loadable segments in the order of their addresses.
    pub sections: Vec<Section<'a>>,
}

/// Lists the pages of a static-PIE file that is loaded at `at`, before `end`.
pub(super) fn load<'a>(
    file: &'a [u8],
    at: u64,
    end: u64,
    measured: bool,
) -> Result<Program<'a>, ElfError> {
    let program = program::Program::read(file, Linking::PositionIndependent)?;
    let sections = program.segments.iter().map(|segment| {
        let size = segment.end()? - segment.first_page();
        let first = at
            .checked_add(segment.first_page())
            .filter(|first| first.checked_add(size).is_some_and(|last| last <= end))
            .ok_or(ElfError::Range)?;
        Ok(Section {
            offset: first,
            pages: size / PAGE,
            info: SecInfo::regular(segment.access),
            measured,
            content: Content::Bytes {
                bytes: segment.bytes,
                lead: segment.lead() as usize,
            },
        })
    });
    let entry = at.checked_add(program.entry);
    if entry.is_none_or(|entry| entry >= end) {
        return Err(ElfError::Range);
    }
    Ok(Program {
        entry: program.entry,
        sections: sections.collect::<Result<_, _>>()?,
        program_headers: program.program_headers.ok_or(ElfError::Malformed)?,
        program_header_count: program.program_header_count,
    })
}

/// The digest of a runtime's pages in memory ([`PieceDigests`]), each segment of which is a part.
///
/// # Errors
///
/// [`ElfError`] when `file` is no static-PIE program for x86-64.
pub fn runtime_pages_digest(file: &[u8]) -> Result<[u8; 32], ElfError> {
    let program = load(file, 0, u64::MAX, false)?;
    let pages = |section: &Section<'_>| {
        (0..section.pages)
            .flat_map(|index| section.page(index))
            .collect()
    };
    let parts: Vec<Vec<u8>> = program.sections.iter().map(pages).collect();
    Ok(PieceDigests::new(parts.iter().map(Vec::as_slice)).finish())
}

const _: () = assert!(
    SecInfo::READ == access::READ
        && SecInfo::WRITE == access::WRITE
        && SecInfo::EXECUTE == access::EXECUTE
);
