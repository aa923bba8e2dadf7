//! What this machine could run, and what is missing for the rest.

mod look;

use enarx_wire_launch::Platform;
use serde::Serialize;

use crate::cvm::TsmReports;

/// What one backend needs and what of it this machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendProbe {
    /// The backend's name, as commands take it.
    pub backend: &'static str,
    /// Whether a Keep can be launched here: all required checks found what they
    /// look for.
    pub works: bool,
    /// What its Keeps prove themselves with.
    pub evidence: &'static str,
    /// Whether this backend has ever run on the hardware that it is for.
    pub hardware_proof: &'static str,
    /// What was looked for.
    pub checks: Vec<Probe>,
}

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was looked for.
    pub name: &'static str,
    /// Whether it is there and usable.
    pub found: bool,
    /// Whether the backend works without it, with less.
    pub required: bool,
    /// What was seen.
    pub detail: String,
    /// What to do if it was not found; empty if it was.
    pub remedy: &'static str,
}

/// Looks for everything that any backend needs. Takes a few milliseconds and
/// leaves nothing changed.
#[must_use]
pub fn probes() -> Vec<BackendProbe> {
    TABLE.iter().map(Row::probe).collect()
}

/// How a host's operator permits user namespaces.
pub(crate) const NAMESPACES_REMEDY: &str = "permit them with `sysctl user.max_user_namespaces=10000` (on Ubuntu also `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container permit unshare and mount)";

struct Row {
    platform: Platform,
    evidence: &'static str,
    hardware_proof: &'static str,
    checks: &'static [Check],
}

struct Check {
    name: &'static str,
    required: bool,
    look: fn() -> Finding,
    remedy: &'static str,
}

/// What a check saw: `Ok` if that is what the backend needs.
type Finding = Result<String, String>;

const RUN_WITHOUT_TEE: &str =
    "to run without a TEE and without protection, use `--backend process` or `--simulate`";

const KVM_REMEDY: &str =
    "switch virtualization on in the firmware, `modprobe kvm`, and add the user to the group `kvm`";

const KVM_DEVICE: Check = Check {
    name: "KVM device",
    required: true,
    look: || look::device(c"/dev/kvm"),
    remedy: KVM_REMEDY,
};

const SECCOMP: Check = Check {
    name: "seccomp filters",
    required: true,
    look: look::seccomp,
    remedy: "use a kernel with CONFIG_SECCOMP_FILTER, outside of containers that forbid it",
};

const EXECUTABLE_MEMORY: Check = Check {
    name: "executable files in memory",
    required: true,
    look: look::executable_memory,
    remedy: "permit them with `sysctl vm.memfd_noexec=0`",
};

const TABLE: &[Row] = &[
    Row {
        platform: Platform::Process,
        evidence: "simulated SEV-SNP report",
        hardware_proof: "needs no special hardware and gives no protection",
        checks: &[
            SECCOMP,
            EXECUTABLE_MEMORY,
            Check {
                name: "user namespaces",
                required: false,
                look: look::namespaces,
                remedy: NAMESPACES_REMEDY,
            },
        ],
    },
    Row {
        platform: Platform::Sgx,
        evidence: "DCAP quote, version 3",
        hardware_proof: "runs in the simulator; has not run on hardware",
        checks: &[
            Check {
                name: "in this version",
                required: true,
                look: || look::built(Platform::Sgx),
                remedy: RUN_WITHOUT_TEE,
            },
            Check {
                name: "SGX in the processor",
                required: true,
                look: look::sgx_processor,
                remedy: "use an Intel Xeon with SGX and switch it on in the firmware",
            },
            Check {
                name: "what Keeps use of SGX",
                required: true,
                look: look::sgx_features,
                remedy: "use a Xeon of the third generation (Ice Lake) or later",
            },
            Check {
                name: "flexible launch control",
                required: true,
                look: look::sgx_launch_control,
                remedy: "switch it on in the firmware (often \"SGX Launch Control: Unlocked\")",
            },
            Check {
                name: "enclave memory",
                required: true,
                look: look::sgx_memory,
                remedy: "set memory aside in the firmware (PRMRR or EPC size)",
            },
            Check {
                name: "enclave device",
                required: true,
                look: || look::device(c"/dev/sgx_enclave"),
                remedy: "use Linux 6.0 or later with CONFIG_X86_SGX and add the user to the device's group",
            },
            Check {
                name: "kernel's way into enclaves",
                required: true,
                look: look::sgx_entry,
                remedy: "use Linux 6.0 or later with CONFIG_X86_SGX",
            },
            Check {
                name: "quoting service",
                required: true,
                look: look::quoting_service,
                remedy: "install Intel's sgx-aesm-service, libsgx-aesm-ecdsa-plugin and libsgx-dcap-default-qpl, start aesmd, and add the user to its group",
            },
        ],
    },
    Row {
        platform: Platform::Kvm,
        evidence: "simulated SEV-SNP report",
        hardware_proof: "protects nothing from the host; runs on software KVM, has not run on hardware KVM",
        checks: &[
            Check {
                name: "in this version",
                required: true,
                look: || look::built(Platform::Kvm),
                remedy: RUN_WITHOUT_TEE,
            },
            KVM_DEVICE,
            Check {
                name: "KVM interface",
                required: true,
                look: look::kvm_version,
                remedy: KVM_REMEDY,
            },
            Check {
                name: "virtualization in the processor",
                required: false,
                look: look::hardware_kvm,
                remedy: "Keeps run here as on software KVM, slower when they call their host; take a machine that is no virtual one, or one with nested virtualization",
            },
        ],
    },
    Row {
        platform: Platform::Snp,
        evidence: "SEV-SNP attestation report",
        hardware_proof: "runs where the host plays SEV-SNP (--simulate); written to Linux's interface, has not run on hardware",
        checks: &[
            Check {
                name: "SEV-SNP in the processor",
                required: true,
                look: look::snp_processor,
                remedy: "use an AMD EPYC of the 7003 series or later and switch SEV-SNP on in the firmware",
            },
            Check {
                name: "SEV-SNP in KVM",
                required: true,
                look: || look::module_parameter("/sys/module/kvm_amd/parameters/sev_snp"),
                remedy: "use Linux 6.11 or later with `kvm_amd.sev_snp=1` and SEV-SNP switched on in the firmware",
            },
            Check {
                name: "secure processor device",
                required: true,
                look: || look::device(c"/dev/sev"),
                remedy: "`modprobe ccp` and give the user access to /dev/sev",
            },
            KVM_DEVICE,
        ],
    },
    Row {
        platform: Platform::Tdx,
        evidence: "TDX quote",
        hardware_proof: "runs where the host plays TDX (--simulate); written to Linux's interface, has not run on hardware",
        checks: &[
            Check {
                name: "TDX in KVM",
                required: true,
                look: || look::module_parameter("/sys/module/kvm_intel/parameters/tdx"),
                remedy: "use an Intel Xeon with TDX, Linux 6.16 or later, `kvm_intel.tdx=1`, and TDX switched on in the firmware",
            },
            KVM_DEVICE,
        ],
    },
    Row {
        platform: Platform::Cvm,
        evidence: "SEV-SNP report or TDX quote of the confidential VM",
        hardware_proof: "runs beside a stand-in for the kernel's interface; has not run on hardware",
        checks: &[
            Check {
                name: "report interface",
                required: true,
                look: || look::directory(TsmReports::DIRECTORY),
                remedy: "run in a confidential VM with Linux 6.7 or later, with configfs mounted at /sys/kernel/config",
            },
            Check {
                name: "report provider",
                required: true,
                look: look::report_provider,
                remedy: "run as root of the confidential VM, with its guest driver loaded (`modprobe sev-guest` or `modprobe tdx-guest`)",
            },
            Check {
                name: "user namespaces",
                required: true,
                look: look::namespaces,
                remedy: NAMESPACES_REMEDY,
            },
            SECCOMP,
            EXECUTABLE_MEMORY,
        ],
    },
];

impl Row {
    fn probe(&self) -> BackendProbe {
        let checks: Vec<_> = self.checks.iter().map(Check::probe).collect();
        BackendProbe {
            backend: self.platform.as_str(),
            works: checks.iter().all(|check| check.found || !check.required),
            evidence: self.evidence,
            hardware_proof: self.hardware_proof,
            checks,
        }
    }
}

impl Check {
    fn probe(&self) -> Probe {
        let (found, detail) = match (self.look)() {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        Probe {
            name: self.name,
            found,
            required: self.required,
            detail,
            remedy: if found { "" } else { self.remedy },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_one_row() {
        let rows: Vec<_> = TABLE.iter().map(|row| row.platform).collect();
        assert_eq!(rows, Platform::ALL);
    }

    #[test]
    fn what_works_has_a_backend_and_what_does_not_names_a_remedy() {
        let found = probes();
        println!("{found:#?}");
        for backend in found {
            let platform = backend.backend.parse().unwrap();
            if backend.works {
                assert!(
                    crate::backend(platform, crate::Directories::default()).is_some(),
                    "{platform}"
                );
            } else {
                assert!(
                    backend
                        .checks
                        .iter()
                        .any(|check| !check.found && !check.remedy.is_empty()),
                    "{platform}"
                );
            }
            if crate::backend(platform, crate::Directories::default()).is_none() {
                let missing = &backend.checks[0];
                assert!(missing.detail.contains("not in this version"));
                assert!(missing.remedy.contains("--backend process"));
                assert!(missing.remedy.contains("--simulate"));
            }
        }
    }
}
