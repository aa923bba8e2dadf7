//! Where the checks come from: the documents that say what a field means.

use enarx_wire_launch::EvidenceFormat;

/// The document and section behind each check, for one evidence format.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) signature: &'static str,
    pub(crate) anchor: &'static str,
    pub(crate) report_data: &'static str,
    pub(crate) measurement: &'static str,
    pub(crate) debug: &'static str,
    pub(crate) migration_agent: &'static str,
    pub(crate) tcb: &'static str,
    pub(crate) privilege: &'static str,
    pub(crate) machine: &'static str,
    pub(crate) host_data: &'static str,
}

/// The checks that are the project's own, not a format's.
pub(crate) const PLATFORM_POLICY: &str = "policy, key platforms";
/// See [`PLATFORM_POLICY`].
pub(crate) const PLATFORM_EVIDENCE: &str = "RFC 9334, section 4.2: claims are the attester's own";

/// The sources for `format`.
pub(crate) fn of(format: EvidenceFormat) -> &'static Sources {
    match format {
        EvidenceFormat::SnpReport => &SNP,
    }
}

const SNP: Sources = Sources {
    signature: "AMD #56860, section 7.3, SIGNATURE at 0x2a0; AMD #57230, certificate chain",
    anchor: "AMD #57230, ARK certificates",
    report_data: "AMD #56860, section 7.3, REPORT_DATA at 0x050",
    measurement: "AMD #56860, section 7.3, MEASUREMENT at 0x090; section 8.17.2",
    debug: "AMD #56860, section 4.3, guest policy bit 19",
    migration_agent: "AMD #56860, section 4.3, guest policy bit 18",
    tcb: "AMD #56860, section 7.3, REPORTED_TCB at 0x180 and LAUNCH_TCB at 0x1f0",
    privilege: "AMD #56860, section 7.3, VMPL at 0x030",
    machine: "AMD #56860, section 7.3, CHIP_ID at 0x1a0; AMD #57230, extension hwID",
    host_data: "AMD #56860, section 7.3, HOST_DATA at 0x0c0",
};
