//! An ELF file as pages.

use alloc::vec::Vec;

use elf::{ElfBytes, abi, endian::LittleEndian};
use sha2::{Digest as _, Sha256};

use super::{Content, MAX_SEGMENTS, SecInfo, Section};
use crate::PAGE_SIZE;

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
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| ElfError::Malformed)?;
    if elf.ehdr.e_type != abi::ET_DYN || elf.ehdr.e_machine != abi::EM_X86_64 {
        return Err(ElfError::Kind);
    }
    let headers = elf.segments().ok_or(ElfError::Malformed)?;
    let mut sections: Vec<Section<'a>> = Vec::new();
    let mut program_headers = None;
    for header in headers.iter() {
        if header.p_type == abi::PT_INTERP {
            return Err(ElfError::Kind);
        }
        if header.p_type != abi::PT_LOAD {
            continue;
        }
        let bytes = elf.segment_data(&header).map_err(|_| ElfError::Malformed)?;
        let lead = header.p_vaddr % PAGE;
        let first = at
            .checked_add(header.p_vaddr - lead)
            .ok_or(ElfError::Range)?;
        let size = header
            .p_memsz
            .checked_add(lead)
            .filter(|_| header.p_filesz <= header.p_memsz)
            .and_then(|size| size.checked_next_multiple_of(PAGE))
            .ok_or(ElfError::Range)?;
        if first.checked_add(size).is_none_or(|last| last > end) {
            return Err(ElfError::Range);
        }
        if let Some(previous) = sections.last()
            && previous.end() > first
        {
            return Err(ElfError::SharedPage);
        }
        let in_file = header.p_offset..header.p_offset + header.p_filesz;
        if in_file.contains(&elf.ehdr.e_phoff) {
            program_headers = Some(header.p_vaddr + (elf.ehdr.e_phoff - header.p_offset));
        }
        sections.push(Section {
            offset: first,
            pages: size / PAGE,
            info: SecInfo::regular(access(header.p_flags)?),
            measured,
            content: Content::Bytes {
                bytes,
                lead: lead as usize,
            },
        });
    }
    if sections.is_empty() || sections.len() > MAX_SEGMENTS {
        return Err(ElfError::Segments(sections.len()));
    }
    Ok(Program {
        entry: elf.ehdr.e_entry,
        program_headers: program_headers.ok_or(ElfError::Malformed)?,
        program_header_count: u32::from(elf.ehdr.e_phnum),
        sections,
    })
}

/// SHA-256 of the contents of a runtime's pages, in their order.
///
/// # Errors
///
/// [`ElfError`] when `file` is no static-PIE program for x86-64.
pub fn runtime_pages_digest(file: &[u8]) -> Result<[u8; 32], ElfError> {
    let program = load(file, 0, u64::MAX, false)?;
    let mut digest = Sha256::new();
    for section in &program.sections {
        for index in 0..section.pages {
            digest.update(section.page(index));
        }
    }
    Ok(digest.finalize().into())
}

/// Why a file cannot be made into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The file is not ELF, or its headers contradict each other.
    #[error("not a well-formed ELF file")]
    Malformed,
    /// Another kind of ELF file.
    #[error("not a static-PIE program for x86-64")]
    Kind,
    /// A segment lies outside the room that there is.
    #[error("a segment of the ELF file is out of range")]
    Range,
    /// Segments of different access share a page or are out of order.
    #[error("segments of the ELF file share a page")]
    SharedPage,
    /// A segment that can be written and executed, or not be read.
    #[error("a segment of the ELF file has access {0:#x}, which no Keep permits")]
    Access(u32),
    /// No or too many segments.
    #[error("the ELF file has {0} loadable segments")]
    Segments(usize),
}

const PAGE: u64 = PAGE_SIZE as u64;

fn access(flags: u32) -> Result<u64, ElfError> {
    const READ_WRITE: u32 = abi::PF_R | abi::PF_W;
    const READ_EXECUTE: u32 = abi::PF_R | abi::PF_X;
    match flags & (abi::PF_R | abi::PF_W | abi::PF_X) {
        abi::PF_R => Ok(SecInfo::READ),
        READ_WRITE => Ok(SecInfo::READ | SecInfo::WRITE),
        READ_EXECUTE => Ok(SecInfo::READ | SecInfo::EXECUTE),
        other => Err(ElfError::Access(other)),
    }
}
