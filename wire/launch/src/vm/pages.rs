//! Every page that a Keep's machine is launched with.

use alloc::{boxed::Box, vec::Vec};

use super::{GuestInfo, GuestSegment, SnpProcessors, layout, start::reset_page};
use crate::{
    AddedPage, Content, Digest, ElfError, KeepImage, KeepMemory, MAX_SEGMENTS, MeasuredPage,
    PAGE_SIZE, PageKind, PieceDigests, Platform, SAVE_AREA_ADDRESS, launch_page,
    program::{Linking, PAGE, Program},
    snp_launch_digest, tdx_launch_digest,
};

/// The pages of a Keep's machine, in the order in which they are added. All of them are
/// private and measured.
#[derive(Debug, Clone)]
pub struct GuestPages<'a> {
    platform: Platform,
    sections: Vec<GuestSection<'a>>,
}

/// Pages that lie one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSection<'a> {
    /// Guest physical address of the first.
    pub address: u64,
    /// How many there are.
    pub pages: u64,
    /// What they are to a TEE.
    pub kind: GuestPageKind,
    /// Their contents.
    pub content: Content<'a>,
}

/// What a page is to the TEE that launches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestPageKind {
    /// Its contents are measured.
    Measured,
    /// SEV-SNP's firmware writes the guest's secrets into it.
    Secrets,
    /// The host offers a CPUID table, which SEV-SNP's firmware checks.
    Cpuid,
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
        Self::list(platform, image, memory.into(), false)
    }

    /// Lists them for a machine whose host plays `platform`, which is measured
    /// ([`GuestInfo::played`]).
    ///
    /// # Errors
    ///
    /// [`ElfError`] when a file of the image is not what it should be.
    pub fn played(
        platform: Platform,
        image: &KeepImage<'a>,
        memory: impl Into<KeepMemory>,
    ) -> Result<Self, ElfError> {
        Self::list(platform, image, memory.into(), true)
    }

    fn list(
        platform: Platform,
        image: &KeepImage<'a>,
        memory: KeepMemory,
        played: bool,
    ) -> Result<Self, ElfError> {
        let mut sections = shim(image.vm.shim)?;
        let launch_page = launch_page(platform, image, memory);
        let measured = GuestPageKind::Measured;
        let mut add = |address, kind, content| {
            sections.push(GuestSection {
                address,
                pages: 1,
                kind,
                content,
            });
        };
        let page = |contents| Content::Page(Box::new(contents));
        add(layout::LAUNCH_PAGE, measured, page(launch_page.encode()));
        add(
            layout::INFO_PAGE,
            measured,
            page(info(image, played)?.encode()),
        );
        if matches!(platform, Platform::Snp | Platform::Tdx) {
            for address in layout::FIRST_STACK.step_by(PAGE_SIZE) {
                add(address, measured, Content::Zeros);
            }
        }
        match platform {
            Platform::Snp => {
                let empty = Content::Zeros;
                add(layout::SECRETS_PAGE, GuestPageKind::Secrets, empty.clone());
                add(layout::CPUID_PAGE, GuestPageKind::Cpuid, empty);
            }
            Platform::Tdx => add(layout::RESET_PAGE, measured, page(reset_page())),
            _ => {}
        }
        Ok(Self { platform, sections })
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

    /// What a TEE measures of a machine that is launched with these pages by the launcher: MRTD
    /// on TDX, the SEV-SNP launch digest on all others.
    #[must_use]
    pub fn launch_digest(&self) -> Digest {
        match self.platform {
            Platform::Tdx => self.tdx_launch_digest(),
            Platform::Snp => self.snp_launch_digest(&SnpProcessors::default()),
            _ => self.snp_digest(&[]),
        }
    }

    /// The SEV-SNP launch digest of these pages and of `processors`.
    #[must_use]
    pub fn snp_launch_digest(&self, processors: &SnpProcessors) -> Digest {
        self.snp_digest(&processors.save_areas())
    }

    /// MRTD: each page is added, and its contents measured.
    #[must_use]
    pub fn tdx_launch_digest(&self) -> Digest {
        let pages: Vec<_> = self
            .each()
            .map(|(address, contents)| (address, contents.unwrap_or([0; PAGE_SIZE])))
            .collect();
        tdx_launch_digest(pages.iter().map(|(address, contents)| AddedPage {
            guest_address: *address,
            contents: Some(contents),
        }))
    }

    /// The digest of the pages, then of save areas.
    fn snp_digest(&self, save_areas: &[[u8; PAGE_SIZE]]) -> Digest {
        let loads: Vec<_> = self.loads().collect();
        let pages = loads.iter().map(|load| MeasuredPage {
            guest_address: load.address,
            kind: match (load.kind, &load.contents) {
                (GuestPageKind::Measured, Some(contents)) => PageKind::Normal(contents),
                (GuestPageKind::Measured, None) => PageKind::Zero,
                (GuestPageKind::Secrets, _) => PageKind::Secrets,
                (GuestPageKind::Cpuid, _) => PageKind::Cpuid,
            },
        });
        let save_areas = save_areas.iter().map(|contents| MeasuredPage {
            guest_address: SAVE_AREA_ADDRESS,
            kind: PageKind::SaveArea(contents),
        });
        snp_launch_digest(pages.chain(save_areas))
    }

    /// Each page: its guest physical address, and its contents unless they are zeros.
    pub fn each(&self) -> impl Iterator<Item = (u64, Option<[u8; PAGE_SIZE]>)> {
        self.loads().map(|load| (load.address, load.contents))
    }

    /// Each page as a TEE loads it, in the order of the launch.
    pub fn loads(&self) -> impl Iterator<Item = GuestPage> {
        self.sections.iter().flat_map(|section| {
            (0..section.pages).map(|index| GuestPage {
                address: section.address + index * PAGE,
                kind: section.kind,
                contents: match section.content {
                    Content::Zeros => None,
                    _ => Some(section.content.page(index)),
                },
            })
        })
    }
}

/// One page of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPage {
    /// Its guest physical address.
    pub address: u64,
    /// What it is to a TEE.
    pub kind: GuestPageKind,
    /// Its contents unless they are zeros, or not the launcher's to choose.
    pub contents: Option<[u8; PAGE_SIZE]>,
}

impl GuestSection<'_> {
    /// Where the last page ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.pages * PAGE
    }
}

/// The digest of a runtime's file ([`PieceDigests`]), which is one part.
#[must_use]
pub fn file_digest(file: &[u8]) -> [u8; 32] {
    PieceDigests::new([file]).finish()
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
                    kind: GuestPageKind::Measured,
                    content,
                });
            }
        }
    }
    Ok(sections)
}

fn info(image: &KeepImage<'_>, played: bool) -> Result<GuestInfo, ElfError> {
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
        played,
    })
}
