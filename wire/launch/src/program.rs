//! ELF files of programs, as far as a launch has to know them.

use alloc::vec::Vec;

use elf::{ElfBytes, abi, endian::LittleEndian};

use crate::PAGE_SIZE;

/// Segments that a program can have.
pub const MAX_SEGMENTS: usize = 8;

/// A program in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program<'a> {
    /// Entry point.
    pub entry: u64,
    /// Where the program headers lie when the program is loaded, if they are.
    pub program_headers: Option<u64>,
    pub program_header_count: u32,
    /// Loadable segments in the order of their addresses; no two share a page.
    pub segments: Vec<ProgramSegment<'a>>,
}

/// A loadable segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramSegment<'a> {
    /// Where its first byte is loaded.
    pub address: u64,
    /// Its bytes in the file; zeros follow in memory.
    pub bytes: &'a [u8],
    /// Where those lie in the file.
    pub file_offset: u64,
    /// Its size in memory, in bytes.
    pub memory_size: u64,
    /// Bits of [`access`]: what may be done with it.
    pub access: u64,
}

/// What may be done with a segment, as the bits of SGX and `PROT_*` have it.
pub(crate) mod access {
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 1 << 1;
    pub const EXECUTE: u64 = 1 << 2;
}

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// It can be loaded anywhere.
    PositionIndependent,
    /// It has its addresses already.
    Fixed,
}

impl<'a> Program<'a> {
    /// Reads a static program for x86-64.
    pub(crate) fn read(file: &'a [u8], linking: Linking) -> Result<Self, ElfError> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| ElfError::Malformed)?;
        let kind = match linking {
            Linking::PositionIndependent => abi::ET_DYN,
            Linking::Fixed => abi::ET_EXEC,
        };
        if elf.ehdr.e_type != kind || elf.ehdr.e_machine != abi::EM_X86_64 {
            return Err(ElfError::Kind);
        }
        let headers = elf.segments().ok_or(ElfError::Malformed)?;
        let mut segments: Vec<ProgramSegment<'a>> = Vec::new();
        let mut program_headers = None;
        for header in headers.iter() {
            if header.p_type == abi::PT_INTERP {
                return Err(ElfError::Kind);
            }
            if header.p_type != abi::PT_LOAD {
                continue;
            }
            let bytes = elf.segment_data(&header).map_err(|_| ElfError::Malformed)?;
            if header.p_filesz > header.p_memsz {
                return Err(ElfError::Range);
            }
            let segment = ProgramSegment {
                address: header.p_vaddr,
                bytes,
                file_offset: header.p_offset,
                memory_size: header.p_memsz,
                access: access_of(header.p_flags)?,
            };
            segment.end()?;
            if let Some(previous) = segments.last()
                && previous.end()? > segment.first_page()
            {
                return Err(ElfError::SharedPage);
            }
            let in_file = header.p_offset..header.p_offset + header.p_filesz;
            if in_file.contains(&elf.ehdr.e_phoff) {
                program_headers = Some(header.p_vaddr + (elf.ehdr.e_phoff - header.p_offset));
            }
            segments.push(segment);
        }
        if segments.is_empty() || segments.len() > MAX_SEGMENTS {
            return Err(ElfError::Segments(segments.len()));
        }
        Ok(Self {
            entry: elf.ehdr.e_entry,
            program_headers,
            program_header_count: u32::from(elf.ehdr.e_phnum),
            segments,
        })
    }
}

impl ProgramSegment<'_> {
    /// Zeros before its first byte in its first page.
    pub(crate) const fn lead(&self) -> u64 {
        self.address % PAGE
    }

    /// Where its first page begins.
    pub(crate) const fn first_page(&self) -> u64 {
        self.address - self.lead()
    }

    /// Where its last page ends.
    pub(crate) fn end(&self) -> Result<u64, ElfError> {
        let end = self.address.checked_add(self.memory_size);
        end.and_then(|end| end.checked_next_multiple_of(PAGE))
            .ok_or(ElfError::Range)
    }
}

/// Why a file cannot be made into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The file is not ELF, or its headers contradict each other.
    #[error("not a well-formed ELF file")]
    Malformed,
    /// Another kind of ELF file.
    #[error("not a static program for x86-64 of the kind that is loaded here")]
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

pub(crate) const PAGE: u64 = PAGE_SIZE as u64;

fn access_of(flags: u32) -> Result<u64, ElfError> {
    const READ_WRITE: u32 = abi::PF_R | abi::PF_W;
    const READ_EXECUTE: u32 = abi::PF_R | abi::PF_X;
    match flags & (abi::PF_R | abi::PF_W | abi::PF_X) {
        abi::PF_R => Ok(access::READ),
        READ_WRITE => Ok(access::READ | access::WRITE),
        READ_EXECUTE => Ok(access::READ | access::EXECUTE),
        other => Err(ElfError::Access(other)),
    }
}
