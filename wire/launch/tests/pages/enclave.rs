//! MRENCLAVE against another implementation: Fortanix' crate `sgxs`, which writes the stream
//! that a measurement is the SHA-256 of, and reads it back as a canonical one.

use enarx_wire_launch::{
    ElfError, KeepImage, KeepMemory, MemoryStrategy, PAGE_SIZE, SgxImage, VmImage,
    sgx::{
        EnclaveInfo, EnclaveOptions, EnclavePages, PageType, SSA_FRAME_PAGES, layout,
        runtime_pages_digest,
    },
};
use sgxs::sgxs::{Meas, MeasECreate, PageReader, SecinfoTruncated, SgxsWrite as _, copy_measured};
use sha2::{Digest as _, Sha256};

use crate::elf::{EXECUTE, READ, Segment, WRITE, elf, program};

struct Files {
    shim: Vec<u8>,
    runtime: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        Self {
            shim: program(3),
            runtime: program(5),
        }
    }

    fn image(&self) -> KeepImage<'_> {
        KeepImage {
            runtime: &self.runtime,
            runtime_digest: [0x44; 48],
            sgx: SgxImage {
                shim: &self.shim,
                runtime_pages_digest: runtime_pages_digest(&self.runtime).unwrap(),
            },
            vm: VmImage::default(),
        }
    }
}

const OPTIONS: EnclaveOptions = EnclaveOptions {
    memory: KeepMemory {
        bytes: 1 << 30,
        strategy: MemoryStrategy::GuardPages,
    },
    threads: 3,
    debug: false,
};

/// The stream of an enclave's pages, written by the other implementation.
fn stream(pages: &EnclavePages<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    stream
        .write_meas(&Meas::ECreate(MeasECreate {
            ssaframesize: SSA_FRAME_PAGES,
            size: layout::ENCLAVE_SIZE,
        }))
        .unwrap();
    for section in pages.sections() {
        for index in 0..section.pages {
            let access = u8::try_from(section.info.access).unwrap();
            let kind = match section.info.page_type {
                PageType::Tcs => sgx_isa::PageType::Tcs,
                PageType::Regular => sgx_isa::PageType::Reg,
            };
            let flags = sgx_isa::SecinfoFlags::from_bits(u64::from(access)).unwrap();
            let info = SecinfoTruncated {
                flags: flags | kind.into(),
            };
            let offset = section.offset + index * PAGE_SIZE as u64;
            let page = section.page(index);
            let mut contents = &page[..];
            let contents = section.measured.then_some(&mut contents);
            stream.write_page(contents, offset, info).unwrap();
        }
    }
    stream
}

#[test]
fn the_measurement_is_that_of_another_implementation() {
    let files = Files::new();
    let pages = EnclavePages::new(&files.image(), OPTIONS).unwrap();
    let stream = stream(&pages);

    let mut measured = Vec::new();
    copy_measured(&mut &stream[..], &mut measured).unwrap();
    let expected: [u8; 32] = Sha256::digest(&measured).into();
    assert_eq!(pages.measure(), expected);

    // Its reader takes only streams of pages in order, each once.
    let mut input = &stream[..];
    let (_, mut reader) = PageReader::new(&mut input).unwrap();
    let (mut count, mut measured) = (0, 0);
    while let Some((_, chunks, _)) = reader.read_page().unwrap() {
        count += 1;
        measured += u64::from(chunks.0 == 0xffff);
    }
    let all: u64 = pages.sections().iter().map(|section| section.pages).sum();
    assert_eq!((count, measured), (all, pages.measured_pages()));
}

#[test]
fn everything_that_counts_is_measured() {
    let files = Files::new();
    let measure =
        |image: &KeepImage<'_>, options| EnclavePages::new(image, options).unwrap().measure();
    let image = files.image();
    let other_shim = program(7);
    let other_runtime_digest = KeepImage {
        sgx: SgxImage {
            runtime_pages_digest: [1; 32],
            ..image.sgx
        },
        ..image
    };
    let mut other_file = image;
    other_file.sgx.shim = &other_shim;
    let found = [
        measure(&image, OPTIONS),
        measure(&other_file, OPTIONS),
        measure(&other_runtime_digest, OPTIONS),
        measure(
            &KeepImage {
                runtime_digest: [0; 48],
                ..image
            },
            OPTIONS,
        ),
        measure(
            &image,
            EnclaveOptions {
                memory: (2 << 30).into(),
                ..OPTIONS
            },
        ),
        measure(
            &image,
            EnclaveOptions {
                memory: KeepMemory {
                    strategy: MemoryStrategy::Bounded,
                    ..OPTIONS.memory
                },
                ..OPTIONS
            },
        ),
        measure(
            &image,
            EnclaveOptions {
                threads: 4,
                ..OPTIONS
            },
        ),
        measure(
            &image,
            EnclaveOptions {
                debug: true,
                ..OPTIONS
            },
        ),
    ];
    for (index, measurement) in found.iter().enumerate() {
        assert!(!found[..index].contains(measurement), "{index}");
    }
}

/// The contents of the runtime are not in the measurement but in the page that is.
#[test]
fn the_measured_page_says_which_runtime_it_is() {
    let files = Files::new();
    let image = files.image();
    let pages = EnclavePages::new(&image, OPTIONS).unwrap();
    let section = |offset| {
        let mut sections = pages.sections().iter();
        sections.find(|section| section.offset == offset).unwrap()
    };
    assert!(section(layout::INFO_PAGE).measured);
    let info = EnclaveInfo::decode(&section(layout::INFO_PAGE).page(0)).unwrap();
    assert_eq!(info.threads, 3);
    assert_eq!(info.entry, layout::RUNTIME + 0x1010);
    assert_eq!(info.program_headers, layout::RUNTIME + 64);
    assert_eq!(info.program_header_count, 3);
    let mut digests = Vec::new();
    for segment in info.segments() {
        let section = section(segment.offset);
        assert!(!section.measured);
        assert_eq!(section.info.access, segment.access);
        assert_eq!(section.pages * PAGE_SIZE as u64, segment.size);
        // Each fits into one piece.
        let pages: Vec<u8> = (0..section.pages)
            .flat_map(|index| section.page(index))
            .collect();
        digests.extend(Sha256::digest(pages));
    }
    assert_eq!(info.segments().count(), 3);
    assert_eq!(info.runtime_digest[..], Sha256::digest(digests)[..]);
}

#[test]
fn what_is_no_program_is_refused() {
    let files = Files::new();
    let pages = |shim: &[u8]| {
        let mut image = files.image();
        image.sgx.shim = shim;
        EnclavePages::new(&image, OPTIONS).map(drop)
    };
    assert_eq!(pages(&[]), Err(ElfError::Malformed));
    let segment = |flags, address, size_in_memory| Segment {
        flags,
        address,
        contents: vec![1; 8],
        size_in_memory,
    };
    let first = || segment(READ, 0, 0);
    let writable_code = elf(&[first(), segment(READ | WRITE | EXECUTE, 0x1000, 0)]);
    assert_eq!(pages(&writable_code), Err(ElfError::Access(7)));
    let shared = elf(&[first(), segment(READ | WRITE, 0x800, 0)]);
    assert_eq!(pages(&shared), Err(ElfError::SharedPage));
    let into_the_launch_page = elf(&[first(), segment(READ, 0x00ff_f000, 0x2000)]);
    assert_eq!(pages(&into_the_launch_page), Err(ElfError::Range));
    let past_the_end_of_numbers = elf(&[first(), segment(READ, u64::MAX - 0xfff, 0)]);
    assert_eq!(pages(&past_the_end_of_numbers), Err(ElfError::Range));
    for entry in [0x0100_0000, u64::MAX] {
        let mut begins_elsewhere = files.shim.clone();
        begins_elsewhere[24..32].copy_from_slice(&entry.to_le_bytes());
        assert_eq!(pages(&begins_elsewhere), Err(ElfError::Range));
    }
    let mut executable = files.shim.clone();
    executable[16] = 2;
    assert_eq!(pages(&executable), Err(ElfError::Kind));
}
