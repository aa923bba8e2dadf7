//! Launching machines of TEEs through KVM, as Linux's UAPI says.
//!
//! **This has never run on hardware.** What is asked of the kernel goes through [`Hypervisor`]; beside
//! the kernel itself there is one for tests, which checks every request as kernel and firmware do, and
//! measures what it is given.

mod hypervisor;
mod kernel;
mod snp;
mod tdx;
mod uapi;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::io;

use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::vm::GuestPages;
use kvm_bindings::{
    CpuId, KVM_CAP_EXIT_HYPERCALL, KVM_MEM_GUEST_MEMFD, KVM_MEMORY_ATTRIBUTE_PRIVATE,
    kvm_create_guest_memfd, kvm_enable_cap, kvm_memory_attributes, kvm_userspace_memory_region2,
};

pub(super) use hypervisor::Hypervisor;
pub(super) use kernel::Kernel;
pub(super) use snp::SnpLaunch;
pub(super) use tdx::TdxLaunch;

/// Memory that a machine is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Guest physical address of its first byte.
    pub address: u64,
    /// Its size in bytes, whole pages.
    pub size: u64,
    /// Where this process has it: what the guest shares with its host. Of private memory the guest
    /// uses nothing of this, and the kernel wants it all the same.
    pub userspace: u64,
    /// Whose it is.
    pub kind: RegionKind,
}

/// Whose memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegionKind {
    /// The guest's alone.
    Private,
    /// The host's too. (Machines of TEEs have no memory that is only read.)
    Shared,
}

/// What every machine is made of.
pub(super) struct Contents<'a> {
    /// The pages that are there at the launch.
    pub pages: &'a GuestPages<'a>,
    /// The machine's memory.
    pub regions: &'a [Region],
    /// What its processors offer.
    pub cpuid: &'a CpuId,
    /// How many processors it has.
    pub processors: u32,
}

/// Why a machine was not launched.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfidentialError {
    /// The kernel refused something.
    #[error("KVM could not {0}: {1}")]
    Kernel(&'static str, #[source] io::Error),
    /// The firmware, or the TDX module, refused something.
    #[error("the TEE could not {step}: status {status:#x} ({source})")]
    Tee {
        /// What it was asked for.
        step: &'static str,
        /// Its own status.
        status: u64,
        /// What the kernel made of it.
        source: io::Error,
    },
    /// The kernel takes no more of the pages, and gives no reason.
    #[error("KVM stopped taking pages at {0:#x}")]
    Stalled(u64),
    /// The TDX module does not offer what a Keep needs.
    #[error("the TDX module of this machine does not offer {0}")]
    Offer(&'static str),
}

/// A step of a launch that failed in the kernel.
fn failed(step: &'static str) -> impl Fn(io::Error) -> ConfidentialError {
    move |source| ConfidentialError::Kernel(step, source)
}

/// Lets requests of the guest to change memory's ownership come to this process
/// (`Documentation/virt/kvm/api.rst`, 7.34).
fn take_requests_for_pages(kernel: &mut dyn Hypervisor) -> Result<(), ConfidentialError> {
    /// `KVM_HC_MAP_GPA_RANGE` of `uapi/linux/kvm_para.h`, as a bit.
    const MAP_GPA_RANGE: u64 = 1 << 12;
    let capability = kvm_enable_cap {
        cap: KVM_CAP_EXIT_HYPERCALL,
        args: [MAP_GPA_RANGE, 0, 0, 0],
        ..kvm_enable_cap::default()
    };
    kernel
        .enable(&capability)
        .map_err(failed("pass requests for pages on"))
}

/// Gives the machine its memory. What is private comes from files that this process cannot map.
fn give_memory(kernel: &mut dyn Hypervisor, regions: &[Region]) -> Result<(), ConfidentialError> {
    for (slot, region) in (0..).zip(regions) {
        let mut argument = kvm_userspace_memory_region2 {
            slot,
            guest_phys_addr: region.address,
            memory_size: region.size,
            userspace_addr: region.userspace,
            ..kvm_userspace_memory_region2::default()
        };
        match region.kind {
            RegionKind::Private => {
                let memory = kernel
                    .create_guest_memory(&kvm_create_guest_memfd {
                        size: region.size,
                        ..kvm_create_guest_memfd::default()
                    })
                    .map_err(failed("make private memory"))?;
                argument.flags = KVM_MEM_GUEST_MEMFD;
                argument.guest_memfd = memory;
            }
            RegionKind::Shared => {}
        }
        kernel
            .set_region(&argument)
            .map_err(failed("give memory to the machine"))?;
        if region.kind == RegionKind::Private {
            kernel
                .set_attributes(&kvm_memory_attributes {
                    address: region.address,
                    size: region.size,
                    attributes: KVM_MEMORY_ATTRIBUTE_PRIVATE.into(),
                    flags: 0,
                })
                .map_err(failed("make memory private"))?;
        }
    }
    Ok(())
}

/// A page that begins where a page does: what the kernel takes pages from.
#[repr(C, align(4096))]
struct Source([u8; PAGE_SIZE]);
