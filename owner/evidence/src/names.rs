//! The names that policies use for what only one technology has.

use crate::Technology;

/// The names of one technology's particulars; [`Summary`](crate::Summary) has no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Of [`Flag`](crate::Flag)s.
    pub flags: &'static [&'static str],
    /// Of [`Number`](crate::Number)s.
    pub numbers: &'static [&'static str],
    /// Of [`Value`](crate::Value)s.
    pub values: &'static [&'static str],
}

impl Technology {
    /// The names of what only this technology has.
    #[must_use]
    pub const fn names(self) -> Names {
        match self {
            Self::Snp => SNP,
            Self::Sgx => SGX,
            Self::Tdx => TDX,
            Self::Cca => CCA,
            Self::Nitro => NITRO,
            Self::Nvidia => NVIDIA,
        }
    }
}

/// The registers of a virtual TPM in front of the hardware, by their numbers.
pub(crate) const TPM_REGISTERS: [&str; 24] = [
    "pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr5", "pcr6", "pcr7", "pcr8", "pcr9", "pcr10",
    "pcr11", "pcr12", "pcr13", "pcr14", "pcr15", "pcr16", "pcr17", "pcr18", "pcr19", "pcr20",
    "pcr21", "pcr22", "pcr23",
];

/// These names, with [`TPM_REGISTERS`] behind them.
const fn with_registers<const OWN: usize, const ALL: usize>(
    own: [&'static str; OWN],
) -> [&'static str; ALL] {
    assert!(OWN + TPM_REGISTERS.len() == ALL);
    let mut all = [""; ALL];
    let mut index = 0;
    while index < ALL {
        all[index] = if index < OWN {
            own[index]
        } else {
            TPM_REGISTERS[index - OWN]
        };
        index += 1;
    }
    all
}

/// Guest policy and platform information (AMD #56860, section 4.3 and structure
/// `ATTESTATION_REPORT`).
const SNP: Names = Names {
    flags: &[
        "smt_allowed",
        "migration_agent_allowed",
        "debug_allowed",
        "single_socket",
        "cxl_allowed",
        "aes_256_xts_required",
        "rapl_disabled_required",
        "ciphertext_hiding_required",
        "page_swap_disabled",
        "smt_enabled",
        "tsme_enabled",
        "ecc_enabled",
        "rapl_disabled",
        "ciphertext_hiding_enabled",
        "alias_check_complete",
        "iommu_write_safe",
        "tio_enabled",
        "author_key_enabled",
    ],
    numbers: &["guest_svn", "minimum_abi_major", "minimum_abi_minor"],
    values: &SNP_VALUES,
};

const SNP_VALUES: [&str; 30] = with_registers([
    "id_key_digest",
    "author_key_digest",
    "family_id",
    "image_id",
    "report_id",
    "report_id_ma",
]);

/// The enclave's report (Intel SDM, volume 3D, structure `REPORT`).
const SGX: Names = Names {
    flags: &[
        "debug",
        "mode64bit",
        "provision_key",
        "einittoken_key",
        "kss",
        "dynamic_platform",
        "cached_keys",
        "smt_enabled",
    ],
    numbers: &[
        "isv_prod_id",
        "isv_svn",
        "config_svn",
        "misc_select",
        "evaluation_number",
    ],
    values: &[
        "mrsigner",
        "config_id",
        "isv_family_id",
        "isv_ext_prod_id",
        "xfrm",
        "fmspc",
    ],
};

/// The TD's report (Intel TDX module specification, structure `TDREPORT_STRUCT`).
const TDX: Names = Names {
    flags: &[
        "debug",
        "sept_ve_disable",
        "migratable",
        "pks",
        "key_locker",
        "perfmon",
        "dynamic_platform",
        "cached_keys",
        "smt_enabled",
    ],
    numbers: &["evaluation_number"],
    values: &TDX_VALUES,
};

const TDX_VALUES: [&str; 37] = with_registers([
    "mrconfigid",
    "mrowner",
    "mrownerconfig",
    "rtmr0",
    "rtmr1",
    "rtmr2",
    "rtmr3",
    "mrseam",
    "mrsignerseam",
    "mrservicetd",
    "td_attributes",
    "xfam",
    "fmspc",
]);

/// The platform's and the realm's claims (draft-ffm-rats-cca-token).
const CCA: Names = Names {
    flags: &["secured"],
    numbers: &["lifecycle"],
    values: &[
        "implementation_id",
        "instance_id",
        "platform_config",
        "personalization_value",
        "rem0",
        "rem1",
        "rem2",
        "rem3",
    ],
};

/// The attestation document (AWS Nitro Enclaves, attestation process).
const NITRO: Names = Names {
    flags: &[],
    numbers: &[],
    values: &[
        "pcr0",
        "pcr1",
        "pcr2",
        "pcr3",
        "pcr4",
        "pcr5",
        "pcr6",
        "pcr7",
        "pcr8",
        "pcr9",
        "pcr10",
        "pcr11",
        "pcr12",
        "pcr13",
        "pcr14",
        "pcr15",
        "user_data",
        "nonce",
    ],
};

/// The SPDM measurements (DMTF DSP0274) and NVIDIA's opaque data beside them.
const NVIDIA: Names = Names {
    flags: &["driver_compared", "vbios_compared"],
    numbers: &[],
    values: &[
        "driver_version",
        "vbios_version",
        "chip",
        "project",
        "project_sku",
        "fwid",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_things() {
        for technology in Technology::ALL {
            let Names {
                flags,
                numbers,
                values,
            } = technology.names();
            let mut all = [flags, numbers, values].concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{technology}");
        }
    }
}
