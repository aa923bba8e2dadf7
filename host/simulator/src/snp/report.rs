//! Layout of the attestation report, version 3 (56860, 7.3, table "ATTESTATION_REPORT
//! Structure"). All integers are little-endian.

use super::CHIP_ID_SIZE;
use super::tcb::TcbVersion;

/// Size of an attestation report with its signature in bytes.
pub const REPORT_SIZE: usize = 0x4A0;

/// Size of the part of a report that the signature covers in bytes.
pub(super) const SIGNED_SIZE: usize = 0x2A0;

/// What a guest and its launch put into a report.
#[derive(Clone, Debug)]
pub struct ReportRequest {
    /// The 64 bytes that the guest chose (`REPORT_DATA`).
    pub report_data: [u8; 64],
    /// The launch digest (`MEASUREMENT`).
    pub measurement: [u8; 48],
    /// What the host said at launch (`HOST_DATA`).
    pub host_data: [u8; 32],
    /// The guest's policy (`POLICY`).
    pub policy: GuestPolicy,
    /// The privilege level that asks (`VMPL`).
    pub vmpl: Vmpl,
    /// Identity of the guest (`REPORT_ID`): drawn at launch, the same in all
    /// of one guest's reports.
    pub report_id: [u8; 32],
    /// What was signed of the guest at its launch, if anything was.
    pub identity: Option<GuestIdentity>,
}

/// What a guest's owner has signed of it, and with which keys (56860, 8.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestIdentity {
    /// `FAMILY_ID`.
    pub family: [u8; 16],
    /// `IMAGE_ID`.
    pub image: [u8; 16],
    /// `GUEST_SVN`.
    pub security_version: u32,
    /// `ID_KEY_DIGEST`.
    pub key_digest: [u8; 48],
    /// `AUTHOR_KEY_DIGEST`, if a second key vouches for the first.
    pub author_key_digest: Option<[u8; 48]>,
}

/// A guest policy (56860, 4.3, table "Guest Policy").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestPolicy(u64);

impl GuestPolicy {
    const SMT_ALLOWED: u64 = 1 << 16;
    const RESERVED_ONE: u64 = 1 << 17;
    const DEBUG_ALLOWED: u64 = 1 << 19;

    /// Any firmware version, simultaneous multithreading allowed, no
    /// migration, no debugging.
    pub const STANDARD: Self = Self(Self::SMT_ALLOWED | Self::RESERVED_ONE);

    /// The same policy, with the host allowed to read and write the guest's
    /// memory.
    #[must_use]
    pub const fn with_debug(self) -> Self {
        Self(self.0 | Self::DEBUG_ALLOWED)
    }

    /// The policy's bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A virtual machine privilege level; zero is the most privileged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Vmpl {
    /// Level 0.
    Zero = 0,
    /// Level 1.
    One = 1,
    /// Level 2.
    Two = 2,
    /// Level 3.
    Three = 3,
}

/// Offsets of the fields that are not zero in a simulated report.
mod offset {
    pub const VERSION: usize = 0x000;
    pub const SECURITY_VERSION: usize = 0x004;
    pub const POLICY: usize = 0x008;
    pub const FAMILY: usize = 0x010;
    pub const IMAGE: usize = 0x020;
    pub const VMPL: usize = 0x030;
    pub const SIGNATURE_ALGORITHM: usize = 0x034;
    pub const CURRENT_TCB: usize = 0x038;
    pub const PLATFORM_INFO: usize = 0x040;
    pub const FLAGS: usize = 0x048;
    pub const REPORT_DATA: usize = 0x050;
    pub const MEASUREMENT: usize = 0x090;
    pub const HOST_DATA: usize = 0x0C0;
    pub const KEY_DIGEST: usize = 0x0E0;
    pub const AUTHOR_KEY_DIGEST: usize = 0x110;
    pub const REPORT_ID: usize = 0x140;
    pub const REPORT_ID_MIGRATION_AGENT: usize = 0x160;
    pub const REPORTED_TCB: usize = 0x180;
    pub const CPUID_FAMILY_MODEL_STEPPING: usize = 0x188;
    pub const CHIP_ID: usize = 0x1A0;
    pub const COMMITTED_TCB: usize = 0x1E0;
    pub const CURRENT_FIRMWARE: usize = 0x1E8;
    pub const COMMITTED_FIRMWARE: usize = 0x1EC;
    pub const LAUNCH_TCB: usize = 0x1F0;
    pub const SIGNATURE_R: usize = 0x2A0;
    pub const SIGNATURE_S: usize = 0x2A0 + 72;
}

const VERSION: u32 = 3;
/// ECDSA P-384 with SHA-384 (56860, chapter 10, "Digital Signatures").
const SIGNATURE_ALGORITHM: u32 = 1;
/// Simultaneous multithreading and ECC memory on, aliasing of memory checked since
/// the last reset (`SMT_EN`, `ECC_EN`, `ALIAS_CHECK_COMPLETE`).
const PLATFORM_INFO: u64 = 1 << 0 | 1 << 2 | 1 << 5;
/// A guest without a migration agent (`REPORT_ID_MA`).
const NO_MIGRATION_AGENT: [u8; 32] = [0xFF; 32];
/// EPYC 7003 "Milan", stepping B1: combined family 0x19, model 1, stepping 1.
const CPUID_FAMILY_MODEL_STEPPING: [u8; 3] = [0x19, 0x01, 0x01];
/// Build, minor and major of the firmware: 1.55.29.
const FIRMWARE: [u8; 3] = [29, 55, 1];
/// Size of one scalar of an ECDSA P-384 signature in bytes.
const SCALAR_SIZE: usize = 48;

/// A report with everything but its signature. Of `FLAGS` all but the first bit stay zero: the
/// chip key is not masked, and the signing key is the VCEK.
pub(super) fn unsigned(request: &ReportRequest, chip_id: &[u8; CHIP_ID_SIZE]) -> [u8; REPORT_SIZE] {
    let tcb = TcbVersion::SIMULATED.to_bytes();
    let mut report = [0; REPORT_SIZE];
    let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);

    put(offset::VERSION, &VERSION.to_le_bytes());
    put(offset::POLICY, &request.policy.bits().to_le_bytes());
    put(offset::VMPL, &(request.vmpl as u32).to_le_bytes());
    put(
        offset::SIGNATURE_ALGORITHM,
        &SIGNATURE_ALGORITHM.to_le_bytes(),
    );
    put(offset::CURRENT_TCB, &tcb);
    put(offset::PLATFORM_INFO, &PLATFORM_INFO.to_le_bytes());
    put(offset::REPORT_DATA, &request.report_data);
    put(offset::MEASUREMENT, &request.measurement);
    put(offset::HOST_DATA, &request.host_data);
    put(offset::REPORT_ID, &request.report_id);
    put(offset::REPORT_ID_MIGRATION_AGENT, &NO_MIGRATION_AGENT);
    put(offset::REPORTED_TCB, &tcb);
    put(
        offset::CPUID_FAMILY_MODEL_STEPPING,
        &CPUID_FAMILY_MODEL_STEPPING,
    );
    put(offset::CHIP_ID, chip_id);
    put(offset::COMMITTED_TCB, &tcb);
    put(offset::CURRENT_FIRMWARE, &FIRMWARE);
    put(offset::COMMITTED_FIRMWARE, &FIRMWARE);
    put(offset::LAUNCH_TCB, &tcb);
    if let Some(identity) = &request.identity {
        put(
            offset::SECURITY_VERSION,
            &identity.security_version.to_le_bytes(),
        );
        put(offset::FAMILY, &identity.family);
        put(offset::IMAGE, &identity.image);
        put(offset::KEY_DIGEST, &identity.key_digest);
        if let Some(author) = &identity.author_key_digest {
            put(offset::FLAGS, &[1]);
            put(offset::AUTHOR_KEY_DIGEST, author);
        }
    }
    report
}

/// Writes a signature, given as two big-endian scalars, into a report, where
/// each is little-endian and padded to 72 bytes (56860, table "Signature Format").
pub(super) fn put_signature(report: &mut [u8; REPORT_SIZE], r_and_s: &[u8]) {
    let (r, s) = r_and_s.split_at(SCALAR_SIZE);
    for (at, scalar) in [(offset::SIGNATURE_R, r), (offset::SIGNATURE_S, s)] {
        let field = &mut report[at..at + SCALAR_SIZE];
        field.copy_from_slice(scalar);
        field.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ReportRequest {
        ReportRequest {
            report_data: [0x11; 64],
            measurement: [0x22; 48],
            host_data: [0x33; 32],
            policy: GuestPolicy::STANDARD,
            vmpl: Vmpl::Two,
            report_id: [0x44; 32],
            identity: None,
        }
    }

    #[test]
    fn fields_stand_where_the_specification_puts_them() {
        let report = unsigned(&request(), &[0x55; 64]);
        let tcb = [4, 0, 0, 0, 0, 0, 24, 219];
        let expected: [(usize, &[u8]); 20] = [
            (0x000, &[3, 0, 0, 0, 0, 0, 0, 0]),
            (0x008, &[0, 0, 3, 0, 0, 0, 0, 0]),
            (0x010, &[0; 32]),
            (0x030, &[2, 0, 0, 0, 1, 0, 0, 0]),
            (0x038, &tcb),
            (0x040, &[0x25, 0, 0, 0, 0, 0, 0, 0]),
            (0x048, &[0; 8]),
            (0x050, &[0x11; 64]),
            (0x090, &[0x22; 48]),
            (0x0C0, &[0x33; 32]),
            (0x0E0, &[0; 96]),
            (0x140, &[0x44; 32]),
            (0x160, &[0xFF; 32]),
            (0x180, &tcb),
            (0x188, &[0x19, 1, 1]),
            (0x18B, &[0; 21]),
            (0x1A0, &[0x55; 64]),
            (0x1E0, &tcb),
            (0x1E8, &[29, 55, 1, 0, 29, 55, 1, 0]),
            (0x1F0, &tcb),
        ];
        for (at, bytes) in expected {
            assert_eq!(&report[at..at + bytes.len()], bytes, "at {at:#x}");
        }
        assert!(report[0x1F8..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_signed_of_a_guest_is_told() {
        let identity = GuestIdentity {
            family: [1; 16],
            image: [2; 16],
            security_version: 3,
            key_digest: [4; 48],
            author_key_digest: None,
        };
        let with = |identity| {
            let request = ReportRequest {
                identity: Some(identity),
                ..request()
            };
            unsigned(&request, &[0x55; 64])
        };
        let report = with(identity);
        let expected: [(usize, &[u8]); 6] = [
            (0x004, &[3, 0, 0, 0]),
            (0x010, &[1; 16]),
            (0x020, &[2; 16]),
            (0x048, &[0]),
            (0x0E0, &[4; 48]),
            (0x110, &[0; 48]),
        ];
        for (at, bytes) in expected {
            assert_eq!(&report[at..at + bytes.len()], bytes, "at {at:#x}");
        }
        let report = with(GuestIdentity {
            author_key_digest: Some([5; 48]),
            ..identity
        });
        assert_eq!((report[0x048], &report[0x110..0x140]), (1, &[5; 48][..]));
    }

    #[test]
    fn debugging_is_bit_nineteen() {
        assert_eq!(GuestPolicy::STANDARD.bits(), 0x3_0000);
        assert_eq!(GuestPolicy::STANDARD.with_debug().bits(), 0xB_0000);
    }

    #[test]
    fn signature_scalars_are_reversed_and_padded() {
        let mut report = [0; REPORT_SIZE];
        let scalars: Vec<u8> = (0..96).collect();
        put_signature(&mut report, &scalars);
        let (r, s) = (&report[0x2A0..0x2E8], &report[0x2E8..0x330]);
        assert_eq!((r[0], r[47]), (47, 0));
        assert_eq!((s[0], s[47]), (95, 48));
        assert!(r[48..].iter().chain(&s[48..]).all(|byte| *byte == 0));
    }
}
