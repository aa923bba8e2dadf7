//! Where the checks come from: the documents that say what a field means.

use enarx_owner_evidence::Technology;
use enarx_wire_launch::EvidenceFormat;

/// The document and section behind each check, for one technology.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) signature: &'static str,
    pub(crate) anchor: &'static str,
    pub(crate) report_data: &'static str,
    pub(crate) measurement: &'static str,
    pub(crate) debug: &'static str,
    pub(crate) migration_agent: &'static str,
    pub(crate) product: &'static str,
    pub(crate) tcb: &'static str,
    pub(crate) privilege: &'static str,
    pub(crate) machine: &'static str,
    pub(crate) host_data: &'static str,
    pub(crate) particulars: &'static str,
}

/// The checks that are the project's own, not a technology's.
pub(crate) const PLATFORM_POLICY: &str = "policy, key platforms";
/// See [`PLATFORM_POLICY`].
pub(crate) const PLATFORM_EVIDENCE: &str = "RFC 9334, section 4.2: claims are the attester's own";
/// See [`PLATFORM_POLICY`].
pub(crate) const CONFIDENTIAL_VM: &str =
    "RFC 9334, section 3.2: a layered attester is worth what the layer beneath it is";

/// The technology that makes evidence of `format`.
pub(crate) fn technology(format: EvidenceFormat) -> Technology {
    match format {
        EvidenceFormat::SnpReport => Technology::Snp,
        EvidenceFormat::SgxQuote => Technology::Sgx,
        EvidenceFormat::TdxQuote => Technology::Tdx,
    }
}

/// The sources for `technology`.
pub(crate) fn of(technology: Technology) -> &'static Sources {
    match technology {
        Technology::Snp => &SNP,
        Technology::Sgx => &SGX,
        Technology::Tdx => &TDX,
        Technology::Cca => &CCA,
        Technology::Nitro => &NITRO,
        Technology::Nvidia => &NVIDIA,
    }
}

const SNP: Sources = Sources {
    signature: "AMD #56860, section 7.3, SIGNATURE at 0x2a0; AMD #57230, certificate chain",
    anchor: "AMD #57230, ARK certificates",
    report_data: "AMD #56860, section 7.3, REPORT_DATA at 0x050",
    measurement: "AMD #56860, section 7.3, MEASUREMENT at 0x090; section 8.17.2",
    debug: "AMD #56860, section 4.3, guest policy bit 19",
    migration_agent: "AMD #56860, section 4.3, guest policy bit 18",
    product: "AMD #57230, extension productName; AMD #56860, section 7.3, CPUID at 0x188",
    tcb: "AMD #56860, section 7.3, REPORTED_TCB at 0x180 and LAUNCH_TCB at 0x1f0",
    privilege: "AMD #56860, section 7.3, VMPL at 0x030",
    machine: "AMD #56860, section 7.3, CHIP_ID at 0x1a0; AMD #57230, extension hwID",
    host_data: "AMD #56860, section 7.3, HOST_DATA at 0x0c0",
    particulars: "AMD #56860, section 7.3, ATTESTATION_REPORT; section 4.3, guest policy",
};

const SGX: Sources = Sources {
    signature: "Intel SGX ECDSA QuoteGenReference API, appendix A; Intel SGX PCK Certificate and CRL Profile",
    anchor: "Intel SGX PCK Certificate and CRL Profile, SGX Root CA",
    report_data: "Intel SDM, volume 3D, structure REPORT, REPORTDATA",
    measurement: "Intel SDM, volume 3D, structure REPORT, MRENCLAVE",
    debug: "Intel SDM, volume 3D, structure ATTRIBUTES, DEBUG",
    migration_agent: "Intel SDM, volume 3D: enclaves cannot be moved",
    product: "Intel SGX PCK Certificate and CRL Profile, SGX extensions",
    tcb: "Intel PCS API version 4, TCB info and QE identity",
    privilege: "Intel SDM, volume 3D: enclaves have no levels",
    machine: "Intel SGX PCK Certificate and CRL Profile, SGX extensions, PPID",
    host_data: "Intel SDM, volume 3D, structure REPORT, CONFIGID",
    particulars: "Intel SDM, volume 3D, structure REPORT",
};

const TDX: Sources = Sources {
    signature: "Intel TDX DCAP Quoting Library API, appendix A; Intel SGX PCK Certificate and CRL Profile",
    anchor: "Intel SGX PCK Certificate and CRL Profile, SGX Root CA",
    report_data: "Intel TDX module ABI, structure TDREPORT_STRUCT, REPORTDATA",
    measurement: "Intel TDX module ABI, structure TDINFO_STRUCT, MRTD",
    debug: "Intel TDX module ABI, structure ATTRIBUTES, DEBUG",
    migration_agent: "Intel TDX module ABI, structure ATTRIBUTES, MIGRATABLE",
    product: "Intel SGX PCK Certificate and CRL Profile, SGX extensions",
    tcb: "Intel PCS API version 4, TCB info, TDX module identities and TD QE identity",
    privilege: "Intel TDX module ABI: the report tells no level",
    machine: "Intel SGX PCK Certificate and CRL Profile, SGX extensions, PPID",
    host_data: "Intel TDX module ABI, structure TDINFO_STRUCT, MRCONFIGID",
    particulars: "Intel TDX module ABI, structure TDINFO_STRUCT",
};

const CCA: Sources = Sources {
    signature: "draft-ffm-rats-cca-token; RFC 9052, section 4.4",
    anchor: "draft-ffm-rats-cca-token, CCA platform attestation key",
    report_data: "draft-ffm-rats-cca-token, realm challenge",
    measurement: "draft-ffm-rats-cca-token, realm initial measurement",
    debug: "draft-ffm-rats-cca-token, platform lifecycle",
    migration_agent: "Arm RMM specification: realms cannot be moved",
    product: "draft-ffm-rats-cca-token, implementation ID",
    tcb: "draft-ffm-rats-cca-token, software components",
    privilege: "draft-ffm-rats-cca-token: the token tells no level",
    machine: "draft-ffm-rats-cca-token, instance ID",
    host_data: "draft-ffm-rats-cca-token, realm personalization value",
    particulars: "draft-ffm-rats-cca-token",
};

const NITRO: Sources = Sources {
    signature: "AWS Nitro Enclaves, verifying the root of trust; RFC 9052, section 4.4",
    anchor: "AWS Nitro Enclaves, root certificate G1",
    report_data: "AWS Nitro Enclaves, attestation document, nonce",
    measurement: "AWS Nitro Enclaves, attestation document, PCR0",
    debug: "AWS Nitro Enclaves: a debugged enclave's PCRs are zero",
    migration_agent: "AWS Nitro Enclaves: enclaves cannot be moved",
    product: "AWS Nitro Enclaves, attestation document",
    tcb: "AWS Nitro Enclaves: the document tells no versions",
    privilege: "AWS Nitro Enclaves: the document tells no level",
    machine: "AWS Nitro Enclaves, attestation document, module_id",
    host_data: "AWS Nitro Enclaves, attestation document, user_data",
    particulars: "AWS Nitro Enclaves, attestation document",
};

const NVIDIA: Sources = Sources {
    signature: "DMTF DSP0274, MEASUREMENTS response; NVIDIA device identity certificates",
    anchor: "NVIDIA Device Identity CA",
    report_data: "DMTF DSP0274, GET_MEASUREMENTS request, nonce",
    measurement: "DMTF DSP0274, measurement blocks",
    debug: "DMTF DSP0274: the report tells no debug state",
    migration_agent: "DMTF DSP0274: devices are not moved",
    product: "NVIDIA attestation report, opaque data",
    tcb: "NVIDIA reference integrity manifests",
    privilege: "DMTF DSP0274: the report tells no level",
    machine: "NVIDIA device identity certificates, the device's key",
    host_data: "DMTF DSP0274: the report has none",
    particulars: "NVIDIA attestation report, opaque data",
};
