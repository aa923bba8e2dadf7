//! Every page of a Keep's enclave.

use alloc::{boxed::Box, vec, vec::Vec};

use super::{
    EnclaveInfo, Measurement, MrEnclave, PageType, RuntimeSegment, SecInfo, Tcs, layout, runtime,
};
use crate::{
    Content, ElfError, KeepImage, KeepMemory, MAX_SEGMENTS, PAGE_SIZE, Platform, launch_page,
};

/// What can be chosen about an enclave, and shows in its measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnclaveOptions {
    /// Memory of the Keep.
    pub memory: KeepMemory,
    /// Threads of the Keep, at most [`layout::MAX_THREADS`].
    pub threads: u32,
    /// Whether a debugger may look into the enclave.
    pub debug: bool,
}

impl EnclaveOptions {
    /// Threads of a Keep unless something else is asked for.
    pub const THREADS: u32 = 8;

    /// What a Keep with this memory gets unless something else is asked for.
    #[must_use]
    pub fn of_keep(memory: impl Into<KeepMemory>) -> Self {
        Self {
            memory: memory.into(),
            threads: Self::THREADS,
            debug: false,
        }
    }
}

/// The pages of a Keep's enclave, in the order in which they are added.
#[derive(Debug, Clone)]
pub struct EnclavePages<'a> {
    sections: Vec<Section<'a>>,
}

impl<'a> EnclavePages<'a> {
    /// Lists the pages of a Keep of `image`.
    ///
    /// # Errors
    ///
    /// [`ElfError`] when a file of the image is not what it should be.
    ///
    /// # Panics
    ///
    /// When `options` ask for no or for too many threads.
    pub fn new(image: &KeepImage<'a>, options: EnclaveOptions) -> Result<Self, ElfError> {
        assert!((1..=layout::MAX_THREADS).contains(&options.threads));
        let shim = runtime::load(image.sgx.shim, layout::SHIM, layout::LAUNCH_PAGE, true)?;
        let runtime = runtime::load(image.runtime, layout::RUNTIME, layout::RUNTIME_END, false)?;
        let info = EnclaveInfo {
            threads: options.threads,
            entry: layout::RUNTIME + runtime.entry,
            program_headers: layout::RUNTIME + runtime.program_headers,
            program_header_count: runtime.program_header_count,
            runtime_digest: image.sgx.runtime_pages_digest,
            segments: segments(&runtime.sections),
        };
        let launch_page = launch_page(Platform::Sgx, image, options.memory);
        let mut sections = shim.sections;
        sections.push(Section::described(
            layout::LAUNCH_PAGE,
            launch_page.encode(),
        ));
        sections.push(Section::described(layout::INFO_PAGE, info.encode()));
        for index in 0..options.threads {
            let tcs = Tcs {
                window: layout::thread_window(index),
                entry: layout::SHIM + shim.entry,
                debug: options.debug,
            };
            sections.extend(Section::thread(&tcs));
        }
        sections.extend(runtime.sections);
        Ok(Self { sections })
    }

    /// The pages in groups.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// MRENCLAVE of an enclave that was made of these pages.
    #[must_use]
    pub fn measure(&self) -> MrEnclave {
        let mut measurement = Measurement::create();
        for section in &self.sections {
            for index in 0..section.pages {
                let offset = section.offset + index * PAGE_SIZE as u64;
                measurement.add(offset, section.info);
                if section.measured {
                    measurement.extend(offset, &section.page(index));
                }
            }
        }
        measurement.finish()
    }

    /// Pages whose contents are measured.
    #[must_use]
    pub fn measured_pages(&self) -> u64 {
        let measured = self.sections.iter().filter(|section| section.measured);
        measured.map(|section| section.pages).sum()
    }
}

/// Pages of one kind that lie one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// Where the first begins: an offset from the enclave's base.
    pub offset: u64,
    /// How many there are.
    pub pages: u64,
    /// Their type and access.
    pub info: SecInfo,
    /// Whether their contents are measured (EEXTEND).
    pub measured: bool,
    /// Their contents.
    pub content: Content<'a>,
}

impl Section<'_> {
    /// Where the last page ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.pages * PAGE_SIZE as u64
    }

    /// The contents of page `index` of this section.
    #[must_use]
    pub fn page(&self, index: u64) -> [u8; PAGE_SIZE] {
        self.content.page(index)
    }

    fn described(offset: u64, contents: [u8; PAGE_SIZE]) -> Self {
        Section {
            offset,
            pages: 1,
            info: SecInfo::regular(SecInfo::READ),
            measured: true,
            content: Content::Page(Box::new(contents)),
        }
    }

    /// The pages of one thread. Of what the processor or the shim writes before it is ever
    /// read, the contents are not measured.
    fn thread(tcs: &Tcs) -> Vec<Self> {
        use layout::thread;
        let memory = |start: u64, end: u64, measured| Section {
            offset: tcs.window + start,
            pages: (end - start) / PAGE_SIZE as u64,
            info: SecInfo::regular(SecInfo::READ | SecInfo::WRITE),
            measured,
            content: Content::Zeros,
        };
        let save_areas_end = thread::SSA + u64::from(thread::SSA_COUNT) * PAGE_SIZE as u64;
        vec![
            Section {
                offset: tcs.window + thread::TCS,
                pages: 1,
                info: SecInfo {
                    page_type: PageType::Tcs,
                    access: 0,
                },
                measured: true,
                content: Content::Page(tcs.encode()),
            },
            memory(thread::SSA, save_areas_end, false),
            memory(thread::HANDLER_STACK, thread::HANDLER_STACK_END, false),
            memory(thread::ENTRY_STACK, thread::ENTRY_STACK_END, false),
            memory(
                thread::THREAD_PAGE,
                thread::THREAD_PAGE + PAGE_SIZE as u64,
                true,
            ),
        ]
    }
}

fn segments(sections: &[Section<'_>]) -> [RuntimeSegment; MAX_SEGMENTS] {
    let mut segments = [RuntimeSegment::default(); MAX_SEGMENTS];
    for (segment, section) in segments.iter_mut().zip(sections) {
        *segment = RuntimeSegment {
            offset: section.offset,
            size: section.end() - section.offset,
            access: section.info.access,
        };
    }
    segments
}
