//! Reports of trust domains, which the TDX module makes and the quoting enclave takes.

use aws_lc_rs::{digest, hmac};

use super::{MODULE, MODULE_SIGNER, MODULE_SVN, TrustDomain};
use crate::fields::{get, put};

/// Size of a report (`TDREPORT_STRUCT`) in bytes.
pub const TD_REPORT_SIZE: usize = 1024;

/// Size in bytes of what a trust domain itself puts into a report.
pub const REPORT_DATA_SIZE: usize = 64;

/// Size in bytes of what a quote carries of a report.
const QUOTED_SIZE: usize = 584;

/// `TDG.MR.REPORT`: the report of `domain` on a processor whose security version is
/// `cpu_svn`, authenticated with `key`.
pub(crate) fn report(
    domain: &TrustDomain,
    report_data: &[u8; REPORT_DATA_SIZE],
    cpu_svn: &[u8; 16],
    key: &hmac::Key,
) -> [u8; TD_REPORT_SIZE] {
    let mut report = [0; TD_REPORT_SIZE];
    let module: [(usize, &[u8]); 5] = [
        (offset::VALID, &VALID.to_le_bytes()),
        (offset::TEE_TCB_SVN, &MODULE_SVN),
        (offset::MRSEAM, &sha384(MODULE)),
        (offset::MRSIGNERSEAM, &sha384(MODULE_SIGNER)),
        (offset::TEE_TCB_SVN_2, &MODULE_SVN),
    ];
    let info: [(usize, &[u8]); 6] = [
        (offset::ATTRIBUTES, &domain.attributes.to_le_bytes()),
        (offset::XFAM, &domain.xfam.to_le_bytes()),
        (offset::MRTD, &domain.mr_td),
        (offset::MRCONFIGID, &domain.mr_config_id),
        (offset::MROWNER, &domain.mr_owner),
        (offset::MROWNERCONFIG, &domain.mr_owner_config),
    ];
    for (at, field) in module.into_iter().chain(info) {
        put(&mut report, at, field);
    }
    for (rtmr, index) in domain.rtmrs.iter().zip(0..) {
        put(&mut report, offset::RTMR_0 + rtmr.len() * index, rtmr);
    }
    let module = sha384(&report[offset::VALID..offset::MODULE_END]);
    let info = sha384(&report[offset::ATTRIBUTES..]);
    let head: [(usize, &[u8]); 5] = [
        (0, &[TYPE]),
        (offset::CPU_SVN, cpu_svn),
        (offset::MODULE_DIGEST, &module),
        (offset::INFO_DIGEST, &info),
        (offset::REPORT_DATA, report_data),
    ];
    for (at, field) in head {
        put(&mut report, at, field);
    }
    let mac = hmac::sign(key, &report[..offset::MAC]);
    put(&mut report, offset::MAC, mac.as_ref());
    report
}

/// What the quoting enclave puts into a quote of `report` (*Intel TDX DCAP Quoting Library
/// API*, appendix A.3.2), if the report is whole and was authenticated with `key`.
pub(crate) fn quoted(report: &[u8; TD_REPORT_SIZE], key: &hmac::Key) -> Option<[u8; QUOTED_SIZE]> {
    let module = &report[offset::VALID..offset::MODULE_END];
    let info = &report[offset::ATTRIBUTES..];
    let mac = &report[offset::MAC..offset::VALID];
    let genuine = report[0] == TYPE
        && hmac::verify(key, &report[..offset::MAC], mac).is_ok()
        && get(report, offset::MODULE_DIGEST) == sha384(module)
        && get(report, offset::INFO_DIGEST) == sha384(info);
    if !genuine {
        return None;
    }
    let mut body = [0; QUOTED_SIZE];
    let parts = [
        &report[offset::TEE_TCB_SVN..offset::TEE_TCB_SVN_2],
        &report[offset::ATTRIBUTES..offset::SERVTD_HASH],
        &report[offset::REPORT_DATA..offset::REPORT_DATA + REPORT_DATA_SIZE],
    ];
    let mut at = 0;
    for part in parts {
        put(&mut body, at, part);
        at += part.len();
    }
    Some(body)
}

/// A report of a trust domain (`REPORTTYPE`).
const TYPE: u8 = 0x81;

/// Which pieces of eight bytes of the module's part say something: this field itself, the
/// security versions, and the two digests; and the security versions of the module now.
const VALID: u64 = 0x7fff | 0b11 << 16;

mod offset {
    pub const CPU_SVN: usize = 16;
    pub const MODULE_DIGEST: usize = 32;
    pub const INFO_DIGEST: usize = 80;
    pub const REPORT_DATA: usize = 128;
    pub const MAC: usize = 224;
    pub const VALID: usize = 256;
    pub const TEE_TCB_SVN: usize = 264;
    pub const MRSEAM: usize = 280;
    pub const MRSIGNERSEAM: usize = 328;
    pub const TEE_TCB_SVN_2: usize = 384;
    pub const MODULE_END: usize = 495;
    pub const ATTRIBUTES: usize = 512;
    pub const XFAM: usize = 520;
    pub const MRTD: usize = 528;
    pub const MRCONFIGID: usize = 576;
    pub const MROWNER: usize = 624;
    pub const MROWNERCONFIG: usize = 672;
    pub const RTMR_0: usize = 720;
    pub const SERVTD_HASH: usize = 912;
}

pub(crate) fn sha384(bytes: &[u8]) -> [u8; 48] {
    let mut sha384 = [0; 48];
    sha384.copy_from_slice(digest::digest(&digest::SHA384, bytes).as_ref());
    sha384
}
