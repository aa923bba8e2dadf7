//! How each thing is looked for.

use std::ffi::CStr;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use enarx_wire_launch::Platform;
use rustix::fs::{MemfdFlags, Mode, OFlags};

use super::Finding;
use crate::cvm::{TsmProvider, TsmReports};
use crate::sgx::{self, aesm};

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

/// Whether the kernel has its function that enters enclaves.
pub(super) fn sgx_entry() -> Finding {
    sgx::can_enter()
        .map(|()| "the kernel enters enclaves".to_owned())
        .map_err(|error| error.to_string())
}

/// Whether the service of Intel's quoting enclave listens, without which an enclave proves
/// nothing.
pub(super) fn quoting_service() -> Finding {
    match UnixStream::connect(aesm::SOCKET) {
        Ok(_) => Ok(format!("{} can be reached", aesm::SOCKET)),
        Err(error) => Err(format!("{}: {error}", aesm::SOCKET)),
    }
}

/// Whether somebody makes reports of the confidential VM that this machine is.
pub(super) fn report_provider() -> Finding {
    match TsmReports::of_this_machine().provider() {
        Ok(TsmProvider::SevGuest) => Ok("sev_guest makes SEV-SNP reports".to_owned()),
        Ok(TsmProvider::TdxGuest) => Ok("tdx_guest makes TDX quotes".to_owned()),
        Err(error) => Err(error.to_string()),
    }
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

/// Whether KVM uses the processor's own virtualization.
pub(super) fn hardware_kvm() -> Finding {
    if crate::kvm::is_software() {
        Err("KVM is a module that does without it, and emulates ring 0".to_owned())
    } else {
        Ok("KVM uses it".to_owned())
    }
}

/// CPUID leaf 7, subleaf 0, EBX bit 2 (Intel SDM, volume 2A, CPUID).
#[cfg(target_arch = "x86_64")]
pub(super) fn sgx_processor() -> Finding {
    processor_bit(7, |leaf| leaf.ebx, 2)
}

/// Whether the processor has what the enclaves of Keeps use beyond the first SGX (Intel SDM,
/// volume 3D, "Discovering Support for Intel SGX"): pages that are added at run time (CPUID leaf 0x12,
/// subleaf 0, EAX bit 1), fault addresses (EBX bit 0), and CONFIGID (subleaf 1, EAX bit 7).
#[cfg(target_arch = "x86_64")]
pub(super) fn sgx_features() -> Finding {
    use std::arch::x86_64::__cpuid_count;

    sgx_processor()?;
    let (first, second) = (__cpuid_count(0x12, 0), __cpuid_count(0x12, 1));
    let missing: Vec<_> = [
        ("SGX2", first.eax >> 1),
        ("EXINFO", first.ebx),
        ("KSS", second.eax >> 7),
    ]
    .iter()
    .filter(|(_, register)| register & 1 == 0)
    .map(|(name, _)| *name)
    .collect();
    if missing.is_empty() {
        Ok("SGX2, EXINFO, KSS".to_owned())
    } else {
        Err(format!("the processor lacks {}", missing.join(", ")))
    }
}

/// CPUID leaf 7, subleaf 0, ECX bit 30 (Intel SDM, volume 2A, CPUID): the kernel chooses who
/// may launch enclaves.
#[cfg(target_arch = "x86_64")]
pub(super) fn sgx_launch_control() -> Finding {
    sgx_processor()?;
    processor_bit(7, |leaf| leaf.ecx, 30)
}

/// The sections of enclave memory (CPUID leaf 0x12, subleaves from 2 on, of type 1).
#[cfg(target_arch = "x86_64")]
pub(super) fn sgx_memory() -> Finding {
    const SECTIONS: std::ops::Range<u32> = 2..34;
    sgx_processor()?;
    let sections = SECTIONS
        .map(|subleaf| std::arch::x86_64::__cpuid_count(0x12, subleaf))
        .take_while(|leaf| leaf.eax & 0xF == 1);
    let bytes: u64 = sections
        .map(|leaf| u64::from(leaf.ecx & 0xFFFF_F000) | u64::from(leaf.edx & 0xF_FFFF) << 32)
        .sum();
    match bytes >> 20 {
        0 => Err("the firmware has set none aside".to_owned()),
        mebibytes => Ok(format!("{mebibytes} MiB")),
    }
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
pub(super) use sgx_processor as sgx_features;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use sgx_processor as sgx_launch_control;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use sgx_processor as sgx_memory;

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn snp_processor() -> Finding {
    Err("not an x86-64 processor".to_owned())
}
