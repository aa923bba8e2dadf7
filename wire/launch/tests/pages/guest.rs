//! The pages of virtual machines.

use enarx_wire_launch::{
    AddedPage, ElfError, KeepImage, LaunchPage, MeasuredPage, PAGE_SIZE, PageKind, Platform,
    SAVE_AREA_ADDRESS, SgxImage, VmImage, snp_launch_digest, tdx_launch_digest,
    vm::{GuestInfo, GuestPageKind, GuestPages, SnpProcessors, file_digest, layout},
};

use crate::elf::{EXECUTE, READ, Segment, WRITE, elf, program};

const MEMORY: u64 = 1 << 30;

struct Files {
    shim: Vec<u8>,
    runtime: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        Self {
            shim: shim(&[
                segment(READ | EXECUTE, layout::SHIM, 5000, 0),
                segment(READ, layout::SHIM_CONSTANTS, 100, 0),
                segment(READ | WRITE, layout::SHIM_DATA, 300, 0x2800),
            ]),
            runtime: program(5),
        }
    }

    fn image(&self) -> KeepImage<'_> {
        KeepImage {
            runtime: &self.runtime,
            runtime_digest: [0x44; 48],
            sgx: SgxImage::default(),
            vm: VmImage {
                shim: &self.shim,
                runtime_file_digest: file_digest(&self.runtime),
            },
        }
    }
}

fn segment(flags: u32, address: u64, length: usize, size_in_memory: u64) -> Segment {
    Segment {
        flags,
        address,
        contents: (0..length).map(|n| n as u8 | 1).collect(),
        size_in_memory,
    }
}

/// A file that is linked to its addresses.
fn shim(segments: &[Segment]) -> Vec<u8> {
    let mut file = elf(segments);
    file[16] = 2;
    file
}

#[test]
fn every_page_is_listed_once_and_measured() {
    let files = Files::new();
    let pages = GuestPages::new(Platform::Kvm, &files.image(), MEMORY).unwrap();
    let each: Vec<_> = pages.each().collect();
    let addresses: Vec<u64> = each.iter().map(|(address, _)| *address).collect();
    assert_eq!(
        addresses,
        [
            layout::SHIM,
            layout::SHIM + 0x1000,
            layout::SHIM_CONSTANTS,
            layout::SHIM_DATA,
            layout::SHIM_DATA + 0x1000,
            layout::SHIM_DATA + 0x2000,
            layout::LAUNCH_PAGE,
            layout::INFO_PAGE,
        ]
    );
    assert_eq!(pages.count(), 8);
    // Of the shim's data, one page has bytes.
    assert!(each[3].1.is_some() && each[4].1.is_none() && each[5].1.is_none());
    let launch_page = LaunchPage::decode(&each[6].1.unwrap()).unwrap();
    assert_eq!(launch_page.platform, Platform::Kvm);
    assert_eq!(launch_page.memory_bytes, MEMORY);

    let measured = each.iter().map(|(address, contents)| MeasuredPage {
        guest_address: *address,
        kind: match contents {
            Some(contents) => PageKind::Normal(contents),
            None => PageKind::Zero,
        },
    });
    assert_eq!(pages.launch_digest(), snp_launch_digest(measured));
}

#[test]
fn the_measured_page_says_which_runtime_it_is_and_where_it_goes() {
    let files = Files::new();
    let pages = GuestPages::new(Platform::Kvm, &files.image(), MEMORY).unwrap();
    let (_, page) = pages.each().last().unwrap();
    let info = GuestInfo::decode(&page.unwrap()).unwrap();
    assert_eq!(info.file_size, files.runtime.len() as u64);
    assert_eq!(info.runtime_digest, file_digest(&files.runtime));
    assert_eq!(info.entry, layout::RUNTIME + 0x1010);
    assert_eq!(info.program_headers, layout::RUNTIME + 64);
    assert_eq!(info.program_header_count, 3);
    let found: Vec<_> = info
        .segments()
        .map(|segment| (segment.address - layout::RUNTIME, segment.access))
        .collect();
    assert_eq!(found, [(0, 1), (0x1000, 5), (0x4123, 3)]);
    let data = info.segments().last().unwrap();
    assert_eq!((data.file_size, data.memory_size), (300, 0x2800));
    assert_eq!(data.file_offset % PAGE_SIZE as u64, 0x123);
    assert_eq!(
        files.runtime[data.file_offset as usize..][..2],
        [0, 5],
        "the segment's own bytes"
    );
}

#[test]
fn a_tee_gets_what_it_wants_beside_them() {
    let files = Files::new();
    let image = files.image();
    let beside = |platform| {
        let pages = GuestPages::new(platform, &image, MEMORY).unwrap();
        let found: Vec<_> = pages.loads().skip(8).collect();
        let found: Vec<_> = found.iter().map(|page| (page.address, page.kind)).collect();
        (pages, found)
    };
    let stack = || {
        let addresses = layout::FIRST_STACK.step_by(PAGE_SIZE);
        addresses.map(|address| (address, GuestPageKind::Measured))
    };
    let (snp, found) = beside(Platform::Snp);
    let secrets = (layout::SECRETS_PAGE, GuestPageKind::Secrets);
    let cpuid = (layout::CPUID_PAGE, GuestPageKind::Cpuid);
    assert!(found.into_iter().eq(stack().chain([secrets, cpuid])));
    let (tdx, found) = beside(Platform::Tdx);
    let reset = (layout::RESET_PAGE, GuestPageKind::Measured);
    assert!(found.into_iter().eq(stack().chain([reset])));
    assert_eq!(beside(Platform::Kvm).1, []);

    // The launch measures the pages, then the processors.
    let each: Vec<_> = snp.each().collect();
    let pages = each.iter().map(|(address, contents)| MeasuredPage {
        guest_address: *address,
        kind: match (*address, contents) {
            (layout::SECRETS_PAGE, _) => PageKind::Secrets,
            (layout::CPUID_PAGE, _) => PageKind::Cpuid,
            (_, Some(contents)) => PageKind::Normal(contents),
            (_, None) => PageKind::Zero,
        },
    });
    let processors = SnpProcessors::default();
    let areas: Vec<_> = (0..layout::PROCESSORS)
        .map(|index| processors.save_area(index).encode())
        .collect();
    let areas = areas.iter().map(|area| MeasuredPage {
        guest_address: SAVE_AREA_ADDRESS,
        kind: PageKind::SaveArea(area),
    });
    assert_eq!(snp.launch_digest(), snp_launch_digest(pages.chain(areas)));

    // All of TDX's pages are measured, those without bytes too: the host could fill them.
    let each: Vec<_> = tdx
        .each()
        .map(|(address, contents)| (address, contents.unwrap_or([0; PAGE_SIZE])))
        .collect();
    let pages = each.iter().map(|(address, contents)| AddedPage {
        guest_address: *address,
        contents: Some(contents),
    });
    assert_eq!(tdx.launch_digest(), tdx_launch_digest(pages));
}

#[test]
fn what_is_chosen_of_processors_is_measured() {
    let files = Files::new();
    let pages = GuestPages::new(Platform::Snp, &files.image(), MEMORY).unwrap();
    let launcher = SnpProcessors::default();
    let digests = [
        launcher,
        SnpProcessors {
            count: 1,
            ..launcher
        },
        SnpProcessors {
            signature: 0x00A0_0F11,
            ..launcher
        },
        SnpProcessors {
            features: 0x21,
            ..launcher
        },
    ]
    .map(|processors| pages.snp_launch_digest(&processors));
    assert_eq!(digests[0], pages.launch_digest());
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
}

#[test]
fn everything_that_counts_is_measured() {
    let files = Files::new();
    let image = files.image();
    let measure = |platform, image: &KeepImage<'_>, bytes| {
        GuestPages::new(platform, image, bytes)
            .unwrap()
            .launch_digest()
    };
    let mut other_shim = files.shim.clone();
    let last = other_shim.len() - 1;
    other_shim[last] ^= 1;
    let mut changed = image;
    changed.vm.shim = &other_shim;
    let mut other_digest = image;
    other_digest.vm.runtime_file_digest = [0; 32];
    let found = [
        measure(Platform::Kvm, &image, MEMORY),
        measure(Platform::Snp, &image, MEMORY),
        GuestPages::played(Platform::Snp, &image, MEMORY)
            .unwrap()
            .launch_digest(),
        measure(Platform::Kvm, &image, 2 * MEMORY),
        measure(Platform::Kvm, &changed, MEMORY),
        measure(Platform::Kvm, &other_digest, MEMORY),
        measure(
            Platform::Kvm,
            &KeepImage {
                runtime_digest: [0; 48],
                ..image
            },
            MEMORY,
        ),
    ];
    for (index, digest) in found.iter().enumerate() {
        assert!(!found[..index].contains(digest), "{index}");
    }
}

#[test]
fn what_is_no_shim_or_no_runtime_is_refused() {
    let files = Files::new();
    let pages = |change: &dyn Fn(&mut KeepImage<'_>)| {
        let mut image = files.image();
        change(&mut image);
        GuestPages::new(Platform::Kvm, &image, MEMORY).map(drop)
    };
    let position_independent = program(3);
    let of_shim = |shim: &[u8]| {
        let mut image = files.image();
        image.vm.shim = shim;
        GuestPages::new(Platform::Kvm, &image, MEMORY).map(drop)
    };
    assert_eq!(of_shim(&[]), Err(ElfError::Malformed));
    assert_eq!(of_shim(&position_independent), Err(ElfError::Kind));
    let too_low = shim(&[segment(READ, layout::SHIM - 0x1000, 10, 0)]);
    assert_eq!(of_shim(&too_low), Err(ElfError::Range));
    let too_high = shim(&[segment(READ, layout::SHIM_END - 0x1000, 10, 0x1001)]);
    assert_eq!(of_shim(&too_high), Err(ElfError::Range));
    let code = READ | WRITE | EXECUTE;
    let writable_code = shim(&[segment(code, layout::SHIM, 10, 0)]);
    assert_eq!(of_shim(&writable_code), Err(ElfError::Access(7)));
    assert_eq!(
        pages(&|image| image.runtime = b"nothing"),
        Err(ElfError::Malformed)
    );
    let far = elf(&[segment(READ, 0, 10, 0), segment(READ, 1 << 33, 10, 0)]);
    let mut image = files.image();
    image.runtime = &far;
    let refused = GuestPages::new(Platform::Kvm, &image, MEMORY).map(drop);
    assert_eq!(refused, Err(ElfError::Range));
}

#[test]
fn there_is_more_private_memory_than_the_keep_may_use() {
    for memory in [16 << 20, MEMORY, 1 << 40] {
        let private = layout::private_bytes(memory, 11 << 20);
        assert!(private > memory && private.is_multiple_of(2 << 20));
    }
    assert!(layout::private_bytes(u64::MAX, u64::MAX).is_multiple_of(2 << 20));
}
