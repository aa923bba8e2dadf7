//! What a system call costs in a machine before anything serves it.

use std::arch::global_asm;

use anyhow::{Context as _, bail};
use kvm_bindings::{
    KVM_MAX_CPUID_ENTRIES, Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};

use super::{COUNT, processor_nanoseconds};

/// Processor time in seconds of one SYSCALL whose handler goes back at once.
///
/// # Errors
///
/// When KVM does not run such a machine.
pub fn seconds_of_call() -> anyhow::Result<f64> {
    let mut memory = Box::new(Memory([[0; PAGE]; PAGES]));
    memory.fill();
    let kvm = Kvm::new().context("/dev/kvm")?;
    let vm = kvm.create_vm()?;
    let region = kvm_userspace_memory_region {
        memory_size: (PAGES * PAGE) as u64,
        userspace_addr: memory.0.as_ptr().addr() as u64,
        ..kvm_userspace_memory_region::default()
    };
    // SAFETY: the memory outlives the machine, and nothing else uses it as long as that runs.
    unsafe { vm.set_user_memory_region(region) }?;
    let mut processor = vm.create_vcpu(0)?;
    processor.set_cpuid2(&kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?)?;
    prepare(&processor)?;
    // What happens once is not counted.
    until_done(&mut processor)?;
    let before = processor_nanoseconds("thread-self")?;
    until_done(&mut processor)?;
    let after = processor_nanoseconds("thread-self")?;
    Ok((after - before) as f64 / 1e9 / COUNT as f64)
}

const PAGE: usize = 4096;

/// Where things lie. No memory is behind them.
const TOP_TABLE: usize = 1;
const MIDDLE_TABLE: usize = 2;
const LOW_TABLE: usize = 3;
const SEGMENTS: usize = 4;
const CODE: usize = 5;
const PAGES: usize = 6;

/// Within the 2 MiB that are mapped.
const DOORBELL: u32 = 0x10_0000;

#[repr(C, align(4096))]
struct Memory([[u8; PAGE]; PAGES]);

impl Memory {
    fn fill(&mut self) {
        const USER: u64 = 0b111;
        const LARGE: u64 = 1 << 7;
        self.put(TOP_TABLE, 0, (MIDDLE_TABLE * PAGE) as u64 | USER);
        self.put(MIDDLE_TABLE, 0, (LOW_TABLE * PAGE) as u64 | USER);
        self.put(LOW_TABLE, 0, LARGE | USER);
        // Code and data of either ring (AMD64 APM volume 2, 4.8).
        self.put(SEGMENTS, 2, 0x00AF_9B00_0000_FFFF);
        self.put(SEGMENTS, 3, 0x00CF_9300_0000_FFFF);
        self.put(SEGMENTS, 5, 0x00CF_F300_0000_FFFF);
        self.put(SEGMENTS, 6, 0x00AF_FB00_0000_FFFF);
        let (start, end) = (&raw const enarx_bare_loop, &raw const enarx_bare_end);
        // SAFETY: both symbols are defined below, around bytes that never change.
        let code = unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) };
        self.0[CODE][..code.len()].copy_from_slice(code);
    }

    fn put(&mut self, page: usize, index: usize, entry: u64) {
        self.0[page][8 * index..8 * (index + 1)].copy_from_slice(&entry.to_le_bytes());
    }
}

global_asm!(
    ".pushsection .rodata",
    "enarx_bare_loop:",
    "mov ebx, {count}",
    "1: syscall",
    "dec ebx",
    "jnz 1b",
    "mov eax, {doorbell}",
    "mov [rax], eax",
    "jmp enarx_bare_loop",
    "enarx_bare_handler:",
    "jmp rcx",
    "enarx_bare_end:",
    ".popsection",
    count = const COUNT,
    doorbell = const DOORBELL,
);

unsafe extern "C" {
    static enarx_bare_loop: u8;
    static enarx_bare_handler: u8;
    static enarx_bare_end: u8;
}

/// Has the processor begin in ring 3 of 64-bit mode.
fn prepare(processor: &VcpuFd) -> anyhow::Result<()> {
    let segment = |selector, type_, l| kvm_segment {
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: 3,
        db: u8::from(l == 0),
        s: 1,
        l,
        g: 1,
        ..kvm_segment::default()
    };
    let mut special = processor.get_sregs()?;
    special.cs = segment(0x33, 0xB, 1);
    let data = segment(0x2B, 3, 0);
    (special.ss, special.ds, special.es) = (data, data, data);
    (special.fs, special.gs) = (data, data);
    special.gdt.base = (SEGMENTS * PAGE) as u64;
    special.gdt.limit = 7 * 8 - 1;
    special.cr3 = (TOP_TABLE * PAGE) as u64;
    // Long mode with SYSCALL and no-execute, as the shim has it.
    special.cr4 = 0x620;
    special.cr0 = 0x8005_0033;
    special.efer = 0xD01;
    processor.set_sregs(&special)?;
    let code = (CODE * PAGE) as u64;
    let handler = (&raw const enarx_bare_handler).addr() - (&raw const enarx_bare_loop).addr();
    let registers = [
        (0xC000_0081, 0x0023_0010 << 32),
        (0xC000_0082, code + handler as u64),
        (0xC000_0084, 0x4_7700),
    ];
    let registers = registers.map(|(index, data)| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    });
    let written =
        processor.set_msrs(&Msrs::from_entries(&registers).context("too many registers")?)?;
    anyhow::ensure!(written == registers.len(), "KVM has no SYSCALL");
    processor.set_regs(&kvm_regs {
        rip: code,
        rflags: 2,
        ..kvm_regs::default()
    })?;
    Ok(())
}

/// Runs until the loop has been gone through once.
fn until_done(processor: &mut VcpuFd) -> anyhow::Result<()> {
    loop {
        match processor.run() {
            Ok(VcpuExit::MmioWrite(..)) => return Ok(()),
            Ok(other) => bail!("the machine left for {other:?}"),
            Err(error) if error.errno() == libc::EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
}
