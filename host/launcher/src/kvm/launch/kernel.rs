//! The kernel itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use kvm_bindings::{
    CpuId, kvm_create_guest_memfd, kvm_enable_cap, kvm_memory_attributes, kvm_regs, kvm_sev_cmd,
    kvm_sregs, kvm_userspace_memory_region2,
};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

use super::Hypervisor;
use super::uapi::kvm_tdx_cmd;

/// A machine that the kernel is making.
pub(in crate::kvm) struct Kernel {
    kvm: Kvm,
    machine: Option<VmFd>,
    processors: Vec<VcpuFd>,
    secure_processor: Option<File>,
    memory: Vec<OwnedFd>,
}

/// A machine that the kernel has made.
pub(in crate::kvm) struct Made {
    pub machine: VmFd,
    /// In the order of their indices.
    pub processors: Vec<VcpuFd>,
    /// What the private memory comes from, in the order in which it was asked for.
    pub memory: Vec<OwnedFd>,
}

impl Kernel {
    pub(in crate::kvm) fn new(kvm: Kvm) -> Self {
        Self {
            kvm,
            machine: None,
            processors: Vec::new(),
            secure_processor: None,
            memory: Vec::new(),
        }
    }

    /// What was made.
    ///
    /// # Errors
    ///
    /// When there is no machine yet.
    pub(in crate::kvm) fn made(self) -> io::Result<Made> {
        Ok(Made {
            machine: self.machine.ok_or_else(out_of_order)?,
            processors: self.processors,
            memory: self.memory,
        })
    }

    fn machine(&self) -> io::Result<&VmFd> {
        self.machine.as_ref().ok_or_else(out_of_order)
    }

    fn processor(&self, index: u32) -> io::Result<&VcpuFd> {
        self.processors.get(index as usize).ok_or_else(out_of_order)
    }
}

impl Hypervisor for Kernel {
    fn create_machine(&mut self, kind: u64) -> io::Result<()> {
        self.machine = Some(self.kvm.create_vm_with_type(kind)?);
        Ok(())
    }

    fn enable(&mut self, capability: &kvm_enable_cap) -> io::Result<()> {
        Ok(self.machine()?.enable_cap(capability)?)
    }

    fn create_guest_memory(&mut self, memory: &kvm_create_guest_memfd) -> io::Result<u32> {
        let raw = self.machine()?.create_guest_memfd(*memory)?;
        // SAFETY: a descriptor that was just made and that nobody else has.
        self.memory.push(unsafe { OwnedFd::from_raw_fd(raw) });
        u32::try_from(raw).map_err(io::Error::other)
    }

    fn set_region(&mut self, region: &kvm_userspace_memory_region2) -> io::Result<()> {
        // SAFETY: whoever launches keeps the memory for as long as the machine.
        Ok(unsafe { self.machine()?.set_user_memory_region2(*region) }?)
    }

    fn set_attributes(&mut self, attributes: &kvm_memory_attributes) -> io::Result<()> {
        Ok(self.machine()?.set_memory_attributes(*attributes)?)
    }

    fn create_processor(&mut self, index: u32) -> io::Result<()> {
        let processor = self.machine()?.create_vcpu(index.into())?;
        self.processors.push(processor);
        Ok(())
    }

    fn set_cpuid(&mut self, index: u32, cpuid: &CpuId) -> io::Result<()> {
        Ok(self.processor(index)?.set_cpuid2(cpuid)?)
    }

    fn special_registers(&mut self, index: u32) -> io::Result<kvm_sregs> {
        Ok(self.processor(index)?.get_sregs()?)
    }

    fn set_registers(
        &mut self,
        index: u32,
        special: &kvm_sregs,
        regs: &kvm_regs,
    ) -> io::Result<()> {
        let processor = self.processor(index)?;
        processor.set_sregs(special)?;
        Ok(processor.set_regs(regs)?)
    }

    // SAFETY: `Hypervisor::sev` says what the caller vouches for.
    unsafe fn sev(&mut self, command: &mut kvm_sev_cmd) -> io::Result<()> {
        if self.secure_processor.is_none() {
            let device = OpenOptions::new().read(true).write(true).open(DEVICE)?;
            self.secure_processor = Some(device);
        }
        let device = self.secure_processor.as_ref().ok_or_else(out_of_order)?;
        command.sev_fd = u32::try_from(device.as_raw_fd()).map_err(io::Error::other)?;
        // SAFETY: the caller vouches for the command.
        unsafe { encrypt_op(self.machine()?, command) }
    }

    // SAFETY: `Hypervisor::tdx` says what the caller vouches for.
    unsafe fn tdx(&mut self, processor: Option<u32>, command: &mut kvm_tdx_cmd) -> io::Result<()> {
        // SAFETY: the caller vouches for the command.
        unsafe {
            match processor {
                Some(index) => encrypt_op(self.processor(index)?, command),
                None => encrypt_op(self.machine()?, command),
            }
        }
    }
}

/// The secure processor's device.
const DEVICE: &str = "/dev/sev";

/// `KVM_MEMORY_ENCRYPT_OP` (`uapi/linux/kvm.h`): `_IOWR(KVMIO, 0xba, unsigned long)`.
const MEMORY_ENCRYPT_OP: libc::c_ulong = 0xC008_AEBA;

/// # Safety
///
/// `command` is one of the TEE that `target` is of, and what it names is as that command wants it.
unsafe fn encrypt_op<T>(target: &impl AsRawFd, command: &mut T) -> io::Result<()> {
    // SAFETY: the request takes the address of a command; the rest is the caller's part.
    let result = unsafe { libc::ioctl(target.as_raw_fd(), MEMORY_ENCRYPT_OP, &raw mut *command) };
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn out_of_order() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}
