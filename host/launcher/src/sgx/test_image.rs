//! A Keep image for tests: two ELF files of one segment each, with nothing to run.

use enarx_wire_launch::sgx::{EnclaveOptions, runtime_pages_digest};
use enarx_wire_launch::{KeepImage, KeepMemory, MemoryStrategy, SgxImage, VmImage};

pub const OPTIONS: EnclaveOptions = EnclaveOptions {
    memory: KeepMemory {
        bytes: 64 << 20,
        strategy: MemoryStrategy::GuardPages,
    },
    threads: 2,
    debug: false,
};

pub struct TestImage {
    shim: Vec<u8>,
    runtime: Vec<u8>,
}

impl TestImage {
    pub fn new() -> Self {
        Self {
            shim: elf(0x3000),
            runtime: elf(0x5000),
        }
    }

    pub fn keep_image(&self) -> KeepImage<'_> {
        KeepImage {
            runtime: &self.runtime,
            runtime_digest: [1; 48],
            sgx: SgxImage {
                shim: &self.shim,
                runtime_pages_digest: runtime_pages_digest(&self.runtime).unwrap(),
            },
            vm: VmImage::default(),
        }
    }
}

/// A static-PIE file of one readable segment.
fn elf(size: u64) -> Vec<u8> {
    let mut file = vec![0; 120];
    let mut put =
        |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    // ET_DYN for x86-64; program headers behind this header, one of them.
    put(16, &[3, 0, 62, 0, 1]);
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0, 64]);
    // PT_LOAD, readable.
    put(64, &[1, 0, 0, 0, 4]);
    put(96, &120u64.to_le_bytes());
    put(104, &size.to_le_bytes());
    file
}
