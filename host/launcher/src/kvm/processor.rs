//! A virtual processor: what it offers, and how it starts.

use std::cell::RefCell;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::{BodyRing, layout};
use kvm_bindings::{CpuId, kvm_regs, kvm_run__bindgen_ty_1, kvm_segment, kvm_xcrs};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};

use super::hardware::{Hardware, TDX_EXIT, TdxCall};
use super::played::Played;

/// A virtual processor.
pub(super) struct Processor {
    vcpu: RefCell<VcpuFd>,
    index: u32,
    tee: Tee,
}

/// What a processor leaves the machine for beside its host.
enum Tee {
    None,
    Played(Arc<dyn Played>),
    Hardware(Arc<Hardware>),
}

/// Why a processor has left the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// Something was written to the doorbell.
    Doorbell(u32),
    /// Something else, which no shim does.
    Other(String),
}

impl Processor {
    /// Makes processor `index` of `vm`.
    pub(super) fn new(vm: &VmFd, offered: &Offered, index: u32) -> io::Result<Self> {
        let vcpu = vm.create_vcpu(index.into())?;
        vcpu.set_cpuid2(&offered.cpuid)?;
        let mut special = vcpu.get_sregs()?;
        // As a PVH guest begins: 32-bit protected mode without paging, flat segments.
        let segment = |selector, type_| kvm_segment {
            base: 0,
            limit: u32::MAX,
            selector,
            type_,
            present: 1,
            db: 1,
            s: 1,
            g: 1,
            ..kvm_segment::default()
        };
        let (code, data) = (segment(0x10, 0b1011), segment(0x18, 0b0011));
        special.cs = code;
        special.ds = data;
        special.es = data;
        special.fs = data;
        special.gs = data;
        special.ss = data;
        special.tr.type_ = 0b1011;
        special.tr.limit = 0x67;
        special.cr0 = PROTECTION | EXTENSION_TYPE;
        special.cr4 = 0;
        special.efer = 0;
        vcpu.set_sregs(&special)?;
        let entry = match index {
            // In TDX, all at the end of a page.
            _ if offered.resets => layout::RESET_PAGE + PAGE_SIZE as u64 - 16,
            0 => layout::ENTRY,
            _ => layout::THREAD_ENTRY,
        };
        vcpu.set_regs(&kvm_regs {
            rip: entry,
            rsi: index.into(),
            rflags: 2,
            ..kvm_regs::default()
        })?;
        if offered.ring == BodyRing::Supervisor {
            let mut states = kvm_xcrs {
                nr_xcrs: 1,
                ..kvm_xcrs::default()
            };
            states.xcrs[0].value = EXTENDED_STATES;
            vcpu.set_xcrs(&states)?;
        }
        Ok(Self {
            vcpu: RefCell::new(vcpu),
            index,
            tee: match &offered.played {
                Some(played) => Tee::Played(Arc::clone(played)),
                None => Tee::None,
            },
        })
    }

    /// A processor that was made in a TEE of its own.
    pub(super) fn of_hardware(vcpu: VcpuFd, index: u32, hardware: Arc<Hardware>) -> Self {
        Self {
            vcpu: RefCell::new(vcpu),
            index,
            tee: Tee::Hardware(hardware),
        }
    }

    /// Has it begin with another index than its own: what a hostile host can do.
    #[cfg(test)]
    pub(super) fn pretend(&self, index: u32) {
        let vcpu = self.vcpu.borrow();
        let mut registers = vcpu.get_regs().unwrap();
        registers.rsi = index.into();
        vcpu.set_regs(&registers).unwrap();
    }

    /// Runs until the processor leaves the machine for its host.
    pub(super) fn run(&self) -> Exit {
        let mut vcpu = self.vcpu.borrow_mut();
        loop {
            let other = match vcpu.run() {
                Ok(VcpuExit::MmioWrite(address, data)) => match self.written(address, data) {
                    Ok(None) => continue,
                    Ok(Some(value)) => return Exit::Doorbell(value),
                    Err(other) => other,
                },
                Ok(VcpuExit::MmioRead(address, data)) => match self.read(address, data) {
                    Ok(()) => continue,
                    Err(other) => other,
                },
                Ok(VcpuExit::Unsupported(TDX_EXIT)) => match &self.tee {
                    Tee::Hardware(hardware) => match hardware.serve_tdx(tdx_call(&mut vcpu)) {
                        Ok(()) => continue,
                        Err(other) => other,
                    },
                    Tee::None | Tee::Played(_) => "a request of TDX".to_owned(),
                },
                Ok(exit) => match &self.tee {
                    Tee::Hardware(hardware) => match hardware.serve(exit) {
                        Ok(None) => continue,
                        Ok(Some(value)) => return Exit::Doorbell(value),
                        Err(other) => other,
                    },
                    Tee::None | Tee::Played(_) => format!("{exit:?}"),
                },
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => continue,
                Err(error)
                    if error.errno() == libc::EFAULT && matches!(self.tee, Tee::Played(_)) =>
                {
                    "a touch of private memory that it has not accepted".to_owned()
                }
                Err(error) => error.to_string(),
            };
            let at = vcpu.get_regs().map_or(0, |registers| registers.rip);
            return Exit::Other(format!("{other}, at {at:#x}"));
        }
    }

    /// Takes a write to where there is no memory; gives what it shows to the host.
    fn written(&self, address: u64, data: &[u8]) -> Result<Option<u32>, String> {
        match (
            &self.tee,
            register(address),
            data.try_into(),
            data.try_into(),
        ) {
            (Tee::Played(played), Some(register), _, Ok(bytes)) => {
                played.write(self.index, register, u64::from_le_bytes(bytes))
            }
            (Tee::None, Some(0), Ok(bytes), _) => Ok(Some(u32::from_le_bytes(bytes))),
            _ => Err(format!("a write of {} bytes at {address:#x}", data.len())),
        }
    }

    fn read(&self, address: u64, data: &mut [u8]) -> Result<(), String> {
        let length = data.len();
        match (&self.tee, register(address), data.try_into()) {
            (Tee::Played(played), Some(register), Ok(bytes)) => {
                let bytes: &mut [u8; 8] = bytes;
                *bytes = played.read(self.index, register)?.to_le_bytes();
                Ok(())
            }
            _ => Err(format!("a read of {length} bytes at {address:#x}")),
        }
    }
}

/// What a trust domain asks, after it has left the machine for that.
fn tdx_call(vcpu: &mut VcpuFd) -> &mut TdxCall {
    let what = &raw mut vcpu.get_kvm_run().__bindgen_anon_1;
    const { assert!(size_of::<kvm_run__bindgen_ty_1>() >= size_of::<TdxCall>()) };
    // SAFETY: a member of this union, of numbers alone, by the kernel's interface; the processor does not
    // run while it is borrowed.
    unsafe { &mut *what.cast() }
}

/// The register at `address` as an offset from the doorbell, whatever its mark: of the registers it
/// depends on the TEE which memory they belong to.
fn register(address: u64) -> Option<u64> {
    let offset = (address & u64::from(u32::MAX)).checked_sub(layout::DOORBELL)?;
    (offset < PAGE_SIZE as u64).then_some(offset)
}

/// Bits of CR0.
const PROTECTION: u64 = 1;
const EXTENSION_TYPE: u64 = 1 << 4;

/// The extended state of a Keep: x87, SSE, AVX.
const EXTENDED_STATES: u64 = 0b111;

/// What a machine's processors offer, and in which ring its shim's body runs on them.
pub(super) struct Offered {
    pub cpuid: CpuId,
    pub ring: BodyRing,
    /// Whether processors start in [`layout::RESET_PAGE`].
    pub resets: bool,
    /// What plays the machine's TEE.
    pub played: Option<Arc<dyn Played>>,
}

/// Leaves of what KVM offers only what the shim keeps the state of.
///
/// # Errors
///
/// What the shim cannot do without.
pub(super) fn restrict(cpuid: &mut CpuId, ring: BodyRing) -> Result<(), &'static str> {
    /// Of leaf 1's ECX.
    const NEEDED: [(u32, &str); 5] = [
        (1, "PCLMULQDQ"),
        (25, "AES"),
        (26, "XSAVE"),
        (28, "AVX"),
        (30, "RDRAND"),
    ];
    const FSGSBASE: u32 = 1;
    // Of leaf 7, what works on AVX-512 registers, tiles, or protection keys.
    const HIDDEN_EBX: u32 =
        1 << 14 | 1 << 16 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31;
    const HIDDEN_ECX: u32 =
        1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 11 | 1 << 12 | 1 << 14;
    const HIDDEN_EDX: u32 = 1 << 2 | 1 << 3 | 1 << 8 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 25;
    const HIDDEN_1_EAX: u32 = 1 << 5 | 1 << 21 | 1 << 22;
    // Virtualization in the machine, and what hypervisors have beside a processor.
    const VMX: u32 = 1 << 5;
    const SVM: u32 = 1 << 2;
    const SVM_FEATURES: u32 = 0x8000_000A;
    const OF_HYPERVISORS: RangeInclusive<u32> = 0x4000_0000..=0x4FFF_FFFF;
    cpuid.retain(|entry| {
        entry.function != SVM_FEATURES && !OF_HYPERVISORS.contains(&entry.function)
    });
    for entry in cpuid.as_mut_slice() {
        match (entry.function, entry.index) {
            (1, _) => {
                for (bit, name) in NEEDED {
                    if ring == BodyRing::Supervisor && entry.ecx & 1 << bit == 0 {
                        return Err(name);
                    }
                }
                entry.ecx &= !VMX;
            }
            (0x8000_0001, _) => entry.ecx &= !SVM,
            (7, 0) => {
                entry.ebx &= !HIDDEN_EBX;
                entry.ecx &= !HIDDEN_ECX;
                entry.edx &= !HIDDEN_EDX;
                if ring == BodyRing::User {
                    // Software KVM has the instructions in ring 3, and does not say so.
                    entry.ebx |= FSGSBASE;
                } else if entry.ebx & FSGSBASE == 0 {
                    return Err("FSGSBASE");
                }
            }
            (7, 1) => entry.eax &= !HIDDEN_1_EAX,
            (0xD, 0) => {
                entry.eax &= EXTENDED_STATES as u32;
                entry.edx = 0;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kvm_bindings::kvm_cpuid_entry2;

    use super::*;

    #[test]
    fn machines_have_no_virtualization_and_nothing_of_kvms() {
        let all = |function| kvm_cpuid_entry2 {
            function,
            eax: u32::MAX,
            ebx: u32::MAX,
            ecx: u32::MAX,
            edx: u32::MAX,
            ..kvm_cpuid_entry2::default()
        };
        let functions = [
            1,
            7,
            0xD,
            0x4000_0000,
            0x4000_0001,
            0x8000_0001,
            0x8000_000A,
            0x8000_001F,
        ];
        let mut cpuid = CpuId::from_entries(&functions.map(all)).unwrap();
        restrict(&mut cpuid, BodyRing::Supervisor).unwrap();
        let found = cpuid.as_slice().iter();
        let found: Vec<_> = found.map(|entry| (entry.function, entry.ecx)).collect();
        assert_eq!(found[0], (1, !(1 << 5)));
        assert_eq!(found[3], (0x8000_0001, !(1 << 2)));
        let left: Vec<_> = found.iter().map(|(function, _)| *function).collect();
        assert_eq!(left, [1, 7, 0xD, 0x8000_0001, 0x8000_001F]);
    }

    #[test]
    fn what_the_shim_cannot_do_without_is_named() {
        let mut cpuid = CpuId::from_entries(&[kvm_cpuid_entry2 {
            function: 1,
            ecx: !(1 << 30),
            ..kvm_cpuid_entry2::default()
        }])
        .unwrap();
        assert_eq!(restrict(&mut cpuid, BodyRing::Supervisor), Err("RDRAND"));
        assert_eq!(restrict(&mut cpuid, BodyRing::User), Ok(()));
    }
}
