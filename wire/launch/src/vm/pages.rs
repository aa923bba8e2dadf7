//! Every page that a Keep's machine is launched with.

use alloc::{boxed::Box, vec::Vec};

use sha2::{Digest as _, Sha256};

use super::{GuestInfo, GuestSegment, layout};
use crate::{
    Content, Digest, ElfError, KeepImage, KeepMemory, MAX_SEGMENTS, MeasuredPage, PAGE_SIZE,
    PageKind, Platform, launch_page,
    program::{Linking, PAGE, Program},
    snp_launch_digest,
};

/// The pages of a Keep's machine, in the order in which they are added. All of them are
/// private and measured.
#[derive(Debug, Clone)]
pub struct GuestPages<'a> {
    sections: Vec<GuestSection<'a>>,
}

/// Pages that lie one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSection<'a> {
    /// Guest physical address of the first.
    pub address: u64,
    /// How many there are.
    pub pages: u64,
    /// Their contents.
    pub content: Content<'a>,
}

impl<'a> GuestPages<'a> {
    /// Lists the pages of a Keep of `image` on `platform` with this memory.
    ///
    /// # Errors
    ///
    /// [`ElfError`] when a file of the image is not what it should be.
    pub fn new(
        platform: Platform,
        image: &KeepImage<'a>,
        memory: impl Into<KeepMemory>,
    ) -> Result<Self, ElfError> {
        let mut sections = shim(image.vm.shim)?;
        let launch_page = launch_page(platform, image, memory);
        sections.push(GuestSection::page(
            layout::LAUNCH_PAGE,
            launch_page.encode(),
        ));
        sections.push(GuestSection::page(layout::INFO_PAGE, info(image)?.encode()));
        Ok(Self { sections })
    }

    /// The pages in groups.
    #[must_use]
    pub fn sections(&self) -> &[GuestSection<'a>] {
        &self.sections
    }

    /// How many pages there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sections.iter().map(|section| section.pages).sum()
    }

    /// The SEV-SNP launch digest of these pages.
    #[must_use]
    pub fn launch_digest(&self) -> Digest {
        let pages: Vec<_> = self.each().collect();
        snp_launch_digest(pages.iter().map(|(address, contents)| MeasuredPage {
            guest_address: *address,
            kind: contents.as_ref().map_or(PageKind::Zero, PageKind::Normal),
        }))
    }

    /// Each page: its guest physical address, and its contents unless they are zeros.
    pub fn each(&self) -> impl Iterator<Item = (u64, Option<[u8; PAGE_SIZE]>)> {
        self.sections.iter().flat_map(|section| {
            (0..section.pages).map(|index| {
                let contents = match section.content {
                    Content::Zeros => None,
                    _ => Some(section.content.page(index)),
                };
                (section.address + index * PAGE, contents)
            })
        })
    }
}

impl GuestSection<'_> {
    /// Where the last page ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.pages * PAGE
    }

    fn page(address: u64, contents: [u8; PAGE_SIZE]) -> Self {
        Self {
            address,
            pages: 1,
            content: Content::Page(Box::new(contents)),
        }
    }
}

/// SHA-256 of a runtime's file, as the shim computes it.
#[must_use]
pub fn file_digest(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

/// The shim's pages: those with bytes of the file, and behind them those without.
fn shim(file: &[u8]) -> Result<Vec<GuestSection<'_>>, ElfError> {
    let shim = Program::read(file, Linking::Fixed)?;
    let mut sections = Vec::new();
    for segment in &shim.segments {
        let (first, end) = (segment.first_page(), segment.end()?);
        if first < layout::SHIM || end > layout::SHIM_END {
            return Err(ElfError::Range);
        }
        let filled = segment.lead() + segment.bytes.len() as u64;
        let filled = first + filled.next_multiple_of(PAGE);
        let contents = Content::Bytes {
            bytes: segment.bytes,
            lead: segment.lead() as usize,
        };
        for (range, content) in [(first..filled, contents), (filled..end, Content::Zeros)] {
            if !range.is_empty() {
                sections.push(GuestSection {
                    address: range.start,
                    pages: (range.end - range.start) / PAGE,
                    content,
                });
            }
        }
    }
    Ok(sections)
}

fn info(image: &KeepImage<'_>) -> Result<GuestInfo, ElfError> {
    let runtime = Program::read(image.runtime, Linking::PositionIndependent)?;
    let placed = |address: u64| {
        layout::RUNTIME
            .checked_add(address)
            .filter(|address| *address < layout::RUNTIME_END)
            .ok_or(ElfError::Range)
    };
    let mut segments = [GuestSegment::default(); MAX_SEGMENTS];
    for (place, segment) in segments.iter_mut().zip(&runtime.segments) {
        placed(segment.end()?)?;
        if segment.file_offset % PAGE != segment.lead() {
            return Err(ElfError::Malformed);
        }
        *place = GuestSegment {
            address: placed(segment.address)?,
            memory_size: segment.memory_size,
            file_offset: segment.file_offset,
            file_size: segment.bytes.len() as u64,
            access: segment.access,
        };
    }
    Ok(GuestInfo {
        entry: placed(runtime.entry)?,
        program_headers: placed(runtime.program_headers.ok_or(ElfError::Malformed)?)?,
        program_header_count: runtime.program_header_count.into(),
        file_size: image.runtime.len() as u64,
        runtime_digest: image.vm.runtime_file_digest,
        segments,
    })
}
