//! What the embedded image is, and what it must not contain.

#[path = "../build/lines.rs"]
mod lines;

use enarx_host_image::{
    RUNTIME_DIGEST, RUNTIME_FILE_DIGEST, RUNTIME_PAGES_DIGEST, TRUSTED_FOLDERS, TRUSTED_PROGRAMS,
    runtime, shim_sgx, shim_vm,
};
use enarx_wire_launch::{
    KeepImage, PAGE_SIZE, Platform, SgxImage, VmImage,
    sgx::{EnclaveOptions, EnclavePages, runtime_pages_digest},
    vm::{GuestPages, file_digest},
};
use sha2::{Digest as _, Sha384};
use std::path::Path;

#[test]
fn the_digest_is_the_images() {
    assert_eq!(
        RUNTIME_DIGEST.as_slice(),
        Sha384::digest(runtime()).as_slice()
    );
}

#[test]
fn the_image_is_small() {
    let limit = 12 << 20;
    assert!(runtime().len() <= limit, "{} bytes", runtime().len());
}

#[test]
fn the_digest_of_pages_is_the_images() {
    assert_eq!(runtime_pages_digest(runtime()), Ok(RUNTIME_PAGES_DIGEST));
}

/// Each measured page costs every launch on hardware.
const MOST_PAGES: u64 = 64;

fn image() -> KeepImage<'static> {
    KeepImage {
        runtime: runtime(),
        runtime_digest: RUNTIME_DIGEST,
        sgx: SgxImage {
            shim: shim_sgx(),
            runtime_pages_digest: RUNTIME_PAGES_DIGEST,
        },
        vm: VmImage {
            shim: shim_vm(),
            runtime_file_digest: RUNTIME_FILE_DIGEST,
        },
    }
}

#[test]
fn an_enclave_has_few_measured_pages() {
    let pages = EnclavePages::new(&image(), EnclaveOptions::of_keep(1 << 30)).unwrap();
    let measured = pages.measured_pages();
    assert!(measured <= MOST_PAGES, "{measured}");
}

#[test]
fn a_machine_has_few_measured_pages() {
    for platform in [Platform::Kvm, Platform::Snp, Platform::Tdx] {
        let pages = GuestPages::new(platform, &image(), 1 << 30).unwrap();
        println!("{platform}: {} pages", pages.count());
        assert!(pages.count() <= MOST_PAGES, "{}", pages.count());
    }
}

#[test]
fn the_digest_of_the_file_is_the_images() {
    assert_eq!(file_digest(runtime()), RUNTIME_FILE_DIGEST);
    assert!(runtime().as_ptr().addr().is_multiple_of(PAGE_SIZE));
}

/// A shim is to be read in a day.
#[test]
fn the_shims_stay_small() {
    for (shim, most) in [("keep/shim-sgx", 6_000), ("keep/shim-vm", 8_000)] {
        let lines = lines_of("keep/shim") + lines_of(shim);
        println!("keep/shim and {shim}: {lines} lines");
        assert!(lines <= most, "{shim}: {lines}");
    }
}

fn lines_of(folder: &str) -> usize {
    let found = TRUSTED_FOLDERS.iter().find(|found| found.folder == folder);
    found.unwrap().lines
}

#[test]
fn the_table_of_trusted_code_has_what_is_inside() {
    let names: Vec<_> = TRUSTED_PROGRAMS
        .iter()
        .map(|program| program.name)
        .collect();
    assert_eq!(
        names,
        [
            "enarx-keep-runtime",
            "enarx-keep-shim-sgx",
            "enarx-keep-shim-vm"
        ]
    );
    assert_eq!(*TRUSTED_PROGRAMS[0].file, runtime());
    assert_eq!(*TRUSTED_PROGRAMS[1].file, shim_sgx());
    assert_eq!(*TRUSTED_PROGRAMS[2].file, shim_vm());
    // wasmtime and what it brings; and of the shim's, hardly any.
    assert!(TRUSTED_PROGRAMS[0].other_crates > 50);
    assert!((1..30).contains(&TRUSTED_PROGRAMS[1].other_crates));
    for folder in TRUSTED_FOLDERS {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = source.join(folder.folder).join("src");
        assert_eq!(lines::lines_below(&source).unwrap(), folder.lines);
        assert!(
            folder.folder.starts_with("keep/") || folder.folder.starts_with("wire/"),
            "{}",
            folder.folder
        );
    }
    assert!(lines_of("wire/hostcall") > 300);
}

#[test]
fn comments_and_tests_are_not_counted() {
    let source = "//! About.\n\nuse a;\n#[cfg(test)]\nmod b;\n\n/// Says.\n#[cfg(all(test, x))]\nmod c;\n\
                  fn d() {\n    // why\n    e();\n}\n#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
    assert_eq!(lines::lines_of_code(source), 4);
}

#[test]
fn the_image_names_no_directory_of_this_machine() {
    let directories = [
        Some(env!("CARGO_MANIFEST_DIR").to_owned()),
        std::env::var("HOME").ok(),
        std::env::var("CARGO_HOME").ok(),
        std::env::var("RUSTUP_HOME").ok(),
    ];
    for directory in directories.into_iter().flatten() {
        let directory = format!("{}/", directory.trim_end_matches('/'));
        assert!(
            directory == "/" || !contains(directory.as_bytes()),
            "{directory}"
        );
    }
    for mark in ["/.cargo/", "/.rustup/", "/target/keep-image"] {
        assert!(!contains(mark.as_bytes()), "{mark}");
    }
}

/// ELF-64 object file format, version 1.5: file header, program header, dynamic
/// section.
#[test]
fn the_image_is_a_static_pie() {
    const ET_DYN: u16 = 3;
    const PT_DYNAMIC: u32 = 2;
    const PT_INTERP: u32 = 3;
    const DT_NEEDED: u64 = 1;
    const DT_FLAGS_1: u64 = 0x6fff_fffb;
    const DF_1_PIE: u64 = 0x0800_0000;

    let image = runtime();
    assert_eq!(image[..4], *b"\x7fELF");
    assert_eq!(number(image, 16, 2), u64::from(ET_DYN));
    let (table, size, count) = (
        number(image, 32, 8),
        number(image, 54, 2),
        number(image, 56, 2),
    );
    let mut pie = false;
    for index in 0..count {
        let header = &image[(table + index * size) as usize..];
        match number(header, 0, 4) as u32 {
            PT_INTERP => panic!("the image asks for an interpreter"),
            PT_DYNAMIC => {
                let (start, length) = (number(header, 8, 8), number(header, 32, 8));
                let section = &image[start as usize..][..length as usize];
                for entry in section.chunks_exact(16) {
                    let (tag, value) = (number(entry, 0, 8), number(entry, 8, 8));
                    assert_ne!(tag, DT_NEEDED, "the image needs a library");
                    pie |= tag == DT_FLAGS_1 && value & DF_1_PIE != 0;
                }
            }
            _ => {}
        }
    }
    assert!(pie);
}

fn number(bytes: &[u8], offset: usize, size: usize) -> u64 {
    let mut value = [0; 8];
    value[..size].copy_from_slice(&bytes[offset..offset + size]);
    u64::from_le_bytes(value)
}

fn contains(text: &[u8]) -> bool {
    let first = text[0];
    [runtime(), shim_sgx(), shim_vm()].into_iter().any(|image| {
        image
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == first)
            .any(|(index, _)| image[index..].starts_with(text))
    })
}
