//! What a machine in a TEE of the processor's own asks of its host.
//!
//! **This has never run on hardware.** It is written to `Documentation/virt/kvm/api.rst` of Linux.

use std::fmt::Display;
use std::sync::Arc;

use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::layout;
use kvm_bindings::{KVM_MEMORY_ATTRIBUTE_PRIVATE, kvm_memory_attributes};
use kvm_ioctls::{VcpuExit, VmFd};

use super::guest_memory::GuestMemory;
use super::memory::Memory;
use super::quote_buffer;
use super::quoting_service::QuotingService;
use super::shared_memory::SharedMemory;

/// A machine whose memory changes hands when its guest asks for that.
pub(super) struct Hardware {
    vm: Arc<VmFd>,
    /// What the guest has for itself alone.
    private: Vec<GuestMemory>,
    /// Where trust domains have what they want quoted.
    shared: SharedMemory,
    /// What quotes trust domains, if it is there.
    quoting: Option<QuotingService>,
}

impl Hardware {
    /// The host's side of `vm`, whose shared memory has to be there for as long.
    pub(super) fn new(
        vm: Arc<VmFd>,
        private: Vec<GuestMemory>,
        shared: &Memory,
        quoting: Option<QuotingService>,
    ) -> Self {
        Self {
            vm,
            private,
            shared: SharedMemory::new(shared),
            quoting,
        }
    }

    /// Serves an exit of TDX (`KVM_EXIT_TDX`): the quotes alone, all else is told to be unknown.
    ///
    /// # Errors
    ///
    /// Where nothing is shared.
    pub(super) fn serve_tdx(&self, call: &mut TdxCall) -> Result<(), String> {
        const GET_QUOTE: u64 = 0x1_0002;
        const UNSUPPORTED: u64 = 3;
        // Whichever bit it is: memory lies below both.
        const MARKS: u64 = 1 << 47 | 1 << 51;
        let [buffer, size, ..] = call.arguments;
        call.result = match (call.number, &self.quoting) {
            (GET_QUOTE, Some(service)) => {
                quote_buffer::serve(&self.shared, buffer & !MARKS, size, |report| {
                    service.quote(report).ok()
                })?
            }
            _ => UNSUPPORTED,
        };
        Ok(())
    }

    /// Serves an exit; gives what is shown to the host, if anything is.
    ///
    /// # Errors
    ///
    /// What the exit was, if no shim has such ones.
    pub(super) fn serve(&self, exit: VcpuExit<'_>) -> Result<Option<u32>, String> {
        match exit {
            VcpuExit::IoOut(layout::DOORBELL_PORT, data) => match data.try_into() {
                Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
                Err(_) => Err(format!("a doorbell of {} bytes", data.len())),
            },
            VcpuExit::Hypercall(call) if call.nr == MAP_GPA_RANGE => {
                let [address, pages, attributes, ..] = call.args;
                let size = pages.saturating_mul(PAGE_SIZE as u64);
                self.give(address, size, attributes & ENCRYPTED != 0)?;
                *call.ret = 0;
                Ok(None)
            }
            VcpuExit::MemoryFault { flags, gpa, size } => {
                self.give(gpa, size, flags & FAULT_PRIVATE != 0)?;
                Ok(None)
            }
            exit => Err(format!("{exit:?}")),
        }
    }

    /// Makes memory the guest's alone, or both's. What the guest had there for itself alone it has not any more
    /// then, nor does the host keep memory for it.
    fn give(&self, address: u64, size: u64, private: bool) -> Result<(), String> {
        let attributes = if private {
            KVM_MEMORY_ATTRIBUTE_PRIVATE.into()
        } else {
            0
        };
        let changed = self.vm.set_memory_attributes(kvm_memory_attributes {
            address,
            size,
            attributes,
            flags: 0,
        });
        let refused = |error: &dyn Display| {
            format!("{size} bytes at {address:#x} cannot change hands: {error}")
        };
        changed.map_err(|error| refused(&error))?;
        if !private {
            for memory in &self.private {
                let given = memory.give_back(address, size);
                given.map_err(|error| refused(&error))?;
            }
        }
        Ok(())
    }
}

/// What a trust domain asks of its host, as the kernel passes it on (`struct kvm_run`, member `tdx`, of
/// `uapi/linux/kvm.h` in Linux 6.16).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TdxCall {
    /// Zero.
    flags: u64,
    /// Which request.
    number: u64,
    /// What the domain is told.
    result: u64,
    /// Of `GetQuote`: address and size.
    arguments: [u64; 5],
}

const _: () = assert!(size_of::<TdxCall>() == 64);

/// `KVM_EXIT_TDX` of the same header.
pub(super) const TDX_EXIT: u32 = 40;

/// `KVM_HC_MAP_GPA_RANGE` of `uapi/linux/kvm_para.h`.
const MAP_GPA_RANGE: u64 = 12;

/// `KVM_MAP_GPA_RANGE_ENCRYPTED` of the same header.
const ENCRYPTED: u64 = 1 << 4;

/// `KVM_MEMORY_EXIT_FLAG_PRIVATE` of `uapi/linux/kvm.h`.
const FAULT_PRIVATE: u64 = 1 << 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_domains_are_told_what_there_is_not() {
        let kvm = match crate::kvm::machine::open_kvm() {
            Ok(kvm) => kvm,
            Err(error) => {
                println!("nothing tried: /dev/kvm: {error}");
                return;
            }
        };
        let vm = Arc::new(kvm.create_vm().unwrap());
        let shared = Memory::new(PAGE_SIZE as u64).unwrap();
        let hardware = Hardware::new(vm, Vec::new(), &shared, None);
        for number in [0x1_0000, 0x1_0002, 0x1_0004] {
            let mut call = TdxCall {
                number,
                ..TdxCall::default()
            };
            hardware.serve_tdx(&mut call).unwrap();
            assert_eq!(call.result, 3, "{number:#x}");
        }
    }
}
