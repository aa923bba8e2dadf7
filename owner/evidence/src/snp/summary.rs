//! What a report says, in words common to all technologies.

use crate::{Flag, Number, TcbComponent, Value};

use super::{Report, Tcb};

/// The report's TCB versions, decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcbVersions {
    pub(super) reported: Tcb,
    pub(super) committed: Tcb,
    pub(super) current: Tcb,
    pub(super) at_launch: Tcb,
}

impl TcbVersions {
    /// One entry for each part that the product has.
    pub(super) fn components(&self) -> Vec<TcbComponent> {
        let component = |name, version: fn(&Tcb) -> Option<u8>| {
            Some(TcbComponent {
                name,
                reported: version(&self.reported)?.into(),
                committed: version(&self.committed)?.into(),
                current: version(&self.current)?.into(),
                at_launch: version(&self.at_launch)?.into(),
            })
        };
        [
            component("fmc", |tcb| tcb.fmc),
            component("bootloader", |tcb| Some(tcb.bootloader)),
            component("tee", |tcb| Some(tcb.tee)),
            component("snp", |tcb| Some(tcb.snp)),
            component("microcode", |tcb| Some(tcb.microcode)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Guest policy and platform information.
pub(super) fn flags(report: &Report) -> Vec<Flag> {
    let (policy, platform) = (report.policy, report.platform_info);
    let flag = |name, on| Flag { name, on };
    vec![
        flag("smt_allowed", policy.smt_allowed()),
        flag("migration_agent_allowed", policy.migration_agent_allowed()),
        flag("debug_allowed", policy.debug_allowed()),
        flag("single_socket", policy.single_socket()),
        flag("cxl_allowed", policy.cxl_allowed()),
        flag("aes_256_xts_required", policy.aes_256_xts_required()),
        flag("rapl_disabled_required", policy.rapl_disabled_required()),
        flag(
            "ciphertext_hiding_required",
            policy.ciphertext_hiding_required(),
        ),
        flag("page_swap_disabled", policy.page_swap_disabled()),
        flag("smt_enabled", platform.smt_enabled()),
        flag("tsme_enabled", platform.tsme_enabled()),
        flag("ecc_enabled", platform.ecc_enabled()),
        flag("rapl_disabled", platform.rapl_disabled()),
        flag(
            "ciphertext_hiding_enabled",
            platform.ciphertext_hiding_enabled(),
        ),
        flag("alias_check_complete", platform.alias_check_complete()),
        flag("iommu_write_safe", platform.iommu_write_safe()),
        flag("tio_enabled", platform.tio_enabled()),
        flag("author_key_enabled", report.author_key_enabled),
    ]
}

/// Security version of the guest, and the firmware interface that it demands.
pub(super) fn numbers(report: &Report) -> Vec<Number> {
    let (major, minor) = report.policy.minimum_abi();
    [
        ("guest_svn", u64::from(report.guest_svn)),
        ("minimum_abi_major", major.into()),
        ("minimum_abi_minor", minor.into()),
    ]
    .map(|(name, value)| Number { name, value })
    .to_vec()
}

/// Whose guest it is.
pub(super) fn values(report: &Report) -> Vec<Value> {
    let value = |name, bytes: &[u8]| Value {
        name,
        bytes: bytes.to_vec(),
    };
    vec![
        value("id_key_digest", &report.id_key_digest),
        value("author_key_digest", &report.author_key_digest),
        value("family_id", &report.family_id),
        value("image_id", &report.image_id),
        value("report_id", &report.report_id),
        value("report_id_ma", &report.report_id_migration_agent),
    ]
}
