//! How each thing is looked for.

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use enarx_wire_launch::Platform;
use rustix::fs::{MemfdFlags, Mode, OFlags};

use super::Finding;

/// Whether this version has the backend.
pub(super) fn built(platform: Platform) -> Finding {
    if crate::backend(platform, crate::Directories::default()).is_some() {
        Ok(format!("the backend `{platform}` is in this version"))
    } else {
        Err(format!("the backend `{platform}` is not in this version"))
    }
}

/// Whether a device can be opened for reading and writing.
pub(super) fn device(path: &CStr) -> Finding {
    let name = path.to_string_lossy();
    match rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => Ok(format!("{name} can be opened")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

pub(super) fn directory(path: &str) -> Finding {
    if Path::new(path).is_dir() {
        Ok(format!("{path} is there"))
    } else {
        Err(format!("{path} is not there"))
    }
}

/// Whether Intel's quoting enclave can be reached, without which an enclave proves nothing.
pub(super) fn quotes_of_enclaves() -> Finding {
    Err("Intel's quoting service (AESM) is not spoken to in this version".to_owned())
}

/// Whether a switch of a kernel module is on.
pub(super) fn module_parameter(path: &str) -> Finding {
    match fs::read_to_string(path) {
        Ok(value) if matches!(value.trim(), "Y" | "1") => Ok(format!("{path} is on")),
        Ok(value) => Err(format!("{path} is {}", value.trim())),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// Whether the kernel can kill a process for a system call.
pub(super) fn seccomp() -> Finding {
    let path = "/proc/sys/kernel/seccomp/actions_avail";
    match fs::read_to_string(path) {
        Ok(actions)
            if actions
                .split_whitespace()
                .any(|action| action == "kill_process") =>
        {
            Ok("the kernel has filters that can kill a process".to_owned())
        }
        Ok(actions) => Err(format!("the kernel only has: {}", actions.trim())),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

pub(super) fn executable_memory() -> Finding {
    let flags = MemfdFlags::CLOEXEC;
    match rustix::fs::memfd_create(c"enarx-probe", flags | MemfdFlags::EXEC) {
        Ok(_) => Ok("executable files in memory can be made".to_owned()),
        // A kernel before 6.3 has no switch that could forbid them.
        Err(rustix::io::Errno::INVAL) => Ok("the kernel does not restrict them".to_owned()),
        Err(error) => Err(format!("memfd_create: {error}")),
    }
}

/// Tries what a launch does.
pub(super) fn namespaces() -> Finding {
    match crate::child::try_namespaces() {
        Ok(()) => Ok("a Keep gets namespaces and a root directory of its own".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// `KVM_GET_API_VERSION`, which has been 12 since Linux 2.6.22 (kernel
/// documentation, "The Definitive KVM API Documentation", 4.1).
pub(super) fn kvm_version() -> Finding {
    const KVM_GET_API_VERSION: libc::Ioctl = 0xAE00;
    const EXPECTED: i32 = 12;
    let device = rustix::fs::open(c"/dev/kvm", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("/dev/kvm: {error}"))?;
    // SAFETY: the request takes no argument and returns a number.
    let version = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&device),
            KVM_GET_API_VERSION,
            0,
        )
    };
    if version == EXPECTED {
        Ok(format!("version {version}"))
    } else {
        Err(format!("version {version} instead of {EXPECTED}"))
    }
}

/// CPUID leaf 7, subleaf 0, EBX bit 2 (Intel SDM, volume 2A, CPUID).
#[cfg(target_arch = "x86_64")]
pub(super) fn sgx_processor() -> Finding {
    processor_bit(7, |leaf| leaf.ebx, 2)
}

/// CPUID leaf 0x8000001F, EAX bit 4 (AMD64 APM, volume 3, E.4.17).
#[cfg(target_arch = "x86_64")]
pub(super) fn snp_processor() -> Finding {
    processor_bit(0x8000_001F, |leaf| leaf.eax, 4)
}

#[cfg(target_arch = "x86_64")]
fn processor_bit(
    leaf: u32,
    register: fn(std::arch::x86_64::CpuidResult) -> u32,
    bit: u32,
) -> Finding {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    let highest = __cpuid(leaf & 0x8000_0000).eax;
    if highest >= leaf && register(__cpuid_count(leaf, 0)) & (1 << bit) != 0 {
        Ok("the processor has it".to_owned())
    } else {
        Err("the processor does not have it, or it is switched off".to_owned())
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn sgx_processor() -> Finding {
    Err("not an x86-64 processor".to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn snp_processor() -> Finding {
    Err("not an x86-64 processor".to_owned())
}
