//! What the embedded image is, and what it must not contain.

use enarx_host_image::{RUNTIME_DIGEST, RUNTIME_PAGES_DIGEST, runtime, shim_sgx};
use enarx_wire_launch::{
    KeepImage, SgxImage, VmImage,
    sgx::{EnclaveOptions, EnclavePages, runtime_pages_digest},
};
use sha2::{Digest as _, Sha384};

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
#[test]
fn an_enclave_has_few_measured_pages() {
    const MOST: u64 = 64;
    let image = KeepImage {
        runtime: runtime(),
        runtime_digest: RUNTIME_DIGEST,
        sgx: SgxImage {
            shim: shim_sgx(),
            runtime_pages_digest: RUNTIME_PAGES_DIGEST,
        },
        vm: VmImage::default(),
    };
    let options = EnclaveOptions {
        memory_bytes: 1 << 30,
        threads: EnclaveOptions::THREADS,
        debug: false,
    };
    let pages = EnclavePages::new(&image, options).unwrap();
    let measured = pages.measured_pages();
    assert!(measured <= MOST, "{measured}");
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
    [runtime(), shim_sgx()].into_iter().any(|image| {
        image
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == first)
            .any(|(index, _)| image[index..].starts_with(text))
    })
}
