//! Makes the Keep's enclave: once its signature, and in each process the enclave.

use std::fs;
use std::path::Path;

use enarx_host_launcher::sgx::{SigningKey, today};
use enarx_host_simulator::sgx::Machine;
use enarx_host_simulator::sgx::enclave::{Builder, Enclave};
use enarx_wire_launch::sgx::{
    Attributes, EnclaveOptions, EnclavePages, EnclaveStatement, Secs, Section, layout,
    runtime_pages_digest,
};
use enarx_wire_launch::{KeepImage, KeepMemory, MemoryStrategy, PAGE_SIZE, SgxImage, VmImage};

use super::program;

/// Threads of the Keep.
pub const THREADS: u32 = 2;

const OPTIONS: EnclaveOptions = EnclaveOptions {
    memory: KeepMemory {
        bytes: 64 << 20,
        strategy: MemoryStrategy::GuardPages,
    },
    threads: THREADS,
    debug: false,
};

const SIGNATURE: &str = "keep.sigstruct";

/// Makes the simulated machine below `directory`, and a signature for the enclave.
pub fn prepare(directory: &Path) {
    Machine::open(directory).unwrap().prepare();
    let runtime = program::file();
    let measurement = pages(&runtime).measure();
    let statement = EnclaveStatement::of_keep(measurement, OPTIONS.debug, today());
    let signed = SigningKey::generate().unwrap().sign(&statement).unwrap();
    fs::write(directory.join(SIGNATURE), signed.as_bytes()).unwrap();
}

/// Makes the enclave of what [`prepare`] left.
pub fn enclave(directory: &Path) -> (Enclave, Machine) {
    let machine = Machine::open(directory).unwrap();
    let runtime = program::file();
    let secs = Secs {
        base: layout::BASE,
        attributes: Attributes::of_keep(OPTIONS.debug),
        config_id: [0; 64],
    };
    let mut builder = Builder::create(&secs.encode()).unwrap();
    for section in pages(&runtime).sections() {
        add(&mut builder, section);
    }
    let signature = fs::read(directory.join(SIGNATURE)).unwrap();
    let processor = machine.start_processor().unwrap();
    let enclave = builder
        .init(&signature.try_into().unwrap(), Box::new(processor))
        .unwrap();
    (enclave, machine)
}

/// Where the shim is entered: an offset from its start.
pub fn shim_entry() -> u64 {
    const ENTRY: usize = 24;
    let mut entry = [0; 8];
    entry.copy_from_slice(&enarx_host_image::shim_sgx()[ENTRY..ENTRY + 8]);
    u64::from_le_bytes(entry)
}

fn add(builder: &mut Builder, section: &Section<'_>) {
    for index in 0..section.pages {
        let offset = section.offset + index * PAGE_SIZE as u64;
        builder
            .add(offset, &section.info.encode(), &section.page(index))
            .unwrap();
        if section.measured {
            builder.extend(offset).unwrap();
        }
    }
}

fn pages(runtime: &[u8]) -> EnclavePages<'_> {
    let image = KeepImage {
        runtime,
        runtime_digest: [0; 48],
        sgx: SgxImage {
            shim: enarx_host_image::shim_sgx(),
            runtime_pages_digest: runtime_pages_digest(runtime).unwrap(),
        },
        vm: VmImage::default(),
    };
    EnclavePages::new(&image, OPTIONS).unwrap()
}
