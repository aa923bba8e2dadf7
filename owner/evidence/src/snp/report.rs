//! The attestation report.

use core::fmt;

use super::{
    CpuIdentity, FirmwareVersion, GuestPolicy, PlatformInfo, Product, ReportError, SigningKey,
    TcbVersion,
};

/// Length of an attestation report in bytes.
pub const REPORT_BYTES: usize = 0x4a0;
/// The first byte that the signature does not cover.
const SIGNATURE_OFFSET: usize = 0x2a0;
/// Bytes of each half of the signature.
const SCALAR_BYTES: usize = 72;
/// Bytes of a half that may be other than zero.
const P384_BYTES: usize = 48;
/// `SIGNATURE_ALGO` of ECDSA on P-384 with SHA-384.
const ECDSA_P384_SHA384: u32 = 1;

const REPORTED_TCB_OFFSET: usize = 0x180;
const LAUNCH_TCB_OFFSET: usize = 0x1f0;
const COMMITTED_TCB_OFFSET: usize = 0x1e0;
const CURRENT_TCB_OFFSET: usize = 0x038;

/// An attestation report (AMD #56860, section 7.3, structure `ATTESTATION_REPORT`).
///
/// Parsing checks the form, not the signature: what is in here may be invented until
/// an [`EndorsementKey`](super::EndorsementKey) has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Version of the structure.
    pub version: ReportVersion,
    /// Security version of the guest, from its identity block.
    pub guest_svn: u32,
    /// What the guest's owner allows and demands.
    pub policy: GuestPolicy,
    /// Family of the image, from its identity block.
    pub family_id: [u8; 16],
    /// The image, from its identity block.
    pub image_id: [u8; 16],
    /// Privilege level that asked for the report, 0 to 3; 0 is the highest.
    pub vmpl: u32,
    /// TCB that runs now.
    pub current_tcb: TcbVersion,
    /// How the machine is configured.
    pub platform_info: PlatformInfo,
    /// Whether the identity block's key was itself signed by an author key.
    pub author_key_enabled: bool,
    /// Whether the host keeps the firmware from signing with the chip's key.
    pub mask_chip_key: bool,
    /// Which key signed the report.
    pub signing_key: SigningKey,
    /// What the guest gave to the firmware.
    pub report_data: [u8; 64],
    /// Launch digest of the guest.
    pub measurement: [u8; 48],
    /// What the host gave to the firmware at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the identity block.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that signed the identity block's key.
    pub author_key_digest: [u8; 48],
    /// Identity of the guest instance.
    pub report_id: [u8; 32],
    /// Identity of the guest's migration agent; all ones when it has none.
    pub report_id_migration_agent: [u8; 32],
    /// TCB for which the signing key was made.
    pub reported_tcb: TcbVersion,
    /// The processor; from version 3 on.
    pub cpu: Option<CpuIdentity>,
    /// Identity of the chip; all zero when the host masks it.
    pub chip_id: [u8; 64],
    /// TCB below which the firmware refuses to go.
    pub committed_tcb: TcbVersion,
    /// Firmware that runs now.
    pub current_version: FirmwareVersion,
    /// Firmware below which the platform refuses to go.
    pub committed_version: FirmwareVersion,
    /// TCB that ran when the guest was launched.
    pub launch_tcb: TcbVersion,
    /// Mitigations that were active when the guest was launched; from version 5 on.
    pub launch_mitigations: Option<u64>,
    /// Mitigations that are active now; from version 5 on.
    pub current_mitigations: Option<u64>,
    /// The signature: r and s, big-endian, 48 bytes each.
    pub(super) signature: [u8; 2 * P384_BYTES],
}

/// A version of the report's structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportVersion {
    /// Firmware up to interface version 1.55.
    V2,
    /// Adds the processor's identity.
    V3,
    /// Adds the mitigation vectors.
    V5,
}

impl fmt::Display for ReportVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::V2 => "2",
            Self::V3 => "3",
            Self::V5 => "5",
        })
    }
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// The first field that is not as specified.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let bytes: &[u8; REPORT_BYTES] = bytes.try_into().map_err(|_| ReportError::Length {
            actual: bytes.len(),
        })?;
        let fields = Fields(bytes);
        let version = match fields.u32::<0x000>() {
            2 => ReportVersion::V2,
            3 => ReportVersion::V3,
            5 => ReportVersion::V5,
            other => return Err(ReportError::Version(other)),
        };
        fields.check_reserved(version)?;

        let vmpl = fields.u32::<0x030>();
        if vmpl > 3 {
            return Err(ReportError::Vmpl(vmpl));
        }
        let algorithm = fields.u32::<0x034>();
        if algorithm != ECDSA_P384_SHA384 {
            return Err(ReportError::SignatureAlgorithm(algorithm));
        }
        let [flags, ..] = fields.array::<4, 0x048>();

        Ok(Self {
            version,
            guest_svn: fields.u32::<0x004>(),
            policy: GuestPolicy::parse(fields.u64::<0x008>(), 0x008)?,
            family_id: fields.array::<16, 0x010>(),
            image_id: fields.array::<16, 0x020>(),
            vmpl,
            current_tcb: TcbVersion(fields.array::<8, 0x038>()),
            platform_info: PlatformInfo::parse(fields.u64::<0x040>(), 0x040)?,
            author_key_enabled: flags & 1 != 0,
            mask_chip_key: flags & 2 != 0,
            signing_key: SigningKey::parse(flags >> 2)?,
            report_data: fields.array::<64, 0x050>(),
            measurement: fields.array::<48, 0x090>(),
            host_data: fields.array::<32, 0x0c0>(),
            id_key_digest: fields.array::<48, 0x0e0>(),
            author_key_digest: fields.array::<48, 0x110>(),
            report_id: fields.array::<32, 0x140>(),
            report_id_migration_agent: fields.array::<32, 0x160>(),
            reported_tcb: TcbVersion(fields.array::<8, REPORTED_TCB_OFFSET>()),
            cpu: fields.cpu(version),
            chip_id: fields.array::<64, 0x1a0>(),
            committed_tcb: TcbVersion(fields.array::<8, COMMITTED_TCB_OFFSET>()),
            current_version: fields.firmware_version::<0x1e8>(),
            committed_version: fields.firmware_version::<0x1ec>(),
            launch_tcb: TcbVersion(fields.array::<8, LAUNCH_TCB_OFFSET>()),
            launch_mitigations: (version >= ReportVersion::V5).then(|| fields.u64::<0x1f8>()),
            current_mitigations: (version >= ReportVersion::V5).then(|| fields.u64::<0x200>()),
            signature: fields.signature()?,
        })
    }

    /// The bytes of `report` that its signature covers.
    ///
    /// # Errors
    ///
    /// [`ReportError::Length`] when `report` is too short to have them.
    pub(super) fn signed_bytes(report: &[u8]) -> Result<&[u8], ReportError> {
        report.get(..SIGNATURE_OFFSET).ok_or(ReportError::Length {
            actual: report.len(),
        })
    }

    /// The security versions for which the signing key was made.
    ///
    /// # Errors
    ///
    /// [`ReportError::Reserved`] when the field is not as specified for `product`.
    pub fn reported_tcb(&self, product: Product) -> Result<super::Tcb, ReportError> {
        self.reported_tcb.decode(product, REPORTED_TCB_OFFSET)
    }

    /// The security versions that ran when the guest was launched.
    ///
    /// # Errors
    ///
    /// [`ReportError::Reserved`] when the field is not as specified for `product`.
    pub fn launch_tcb(&self, product: Product) -> Result<super::Tcb, ReportError> {
        self.launch_tcb.decode(product, LAUNCH_TCB_OFFSET)
    }

    /// The security versions that cannot be undercut any more.
    ///
    /// # Errors
    ///
    /// [`ReportError::Reserved`] when the field is not as specified for `product`.
    pub fn committed_tcb(&self, product: Product) -> Result<super::Tcb, ReportError> {
        self.committed_tcb.decode(product, COMMITTED_TCB_OFFSET)
    }

    /// The security versions that run now.
    ///
    /// # Errors
    ///
    /// [`ReportError::Reserved`] when the field is not as specified for `product`.
    pub fn current_tcb(&self, product: Product) -> Result<super::Tcb, ReportError> {
        self.current_tcb.decode(product, CURRENT_TCB_OFFSET)
    }
}

/// Fields by their offset, which is a constant so that the compiler checks the bounds.
struct Fields<'a>(&'a [u8; REPORT_BYTES]);

impl Fields<'_> {
    fn array<const LENGTH: usize, const OFFSET: usize>(&self) -> [u8; LENGTH] {
        const { assert!(OFFSET + LENGTH <= REPORT_BYTES) };
        core::array::from_fn(|index| self.0[OFFSET + index])
    }

    fn u32<const OFFSET: usize>(&self) -> u32 {
        u32::from_le_bytes(self.array::<4, OFFSET>())
    }

    fn u64<const OFFSET: usize>(&self) -> u64 {
        u64::from_le_bytes(self.array::<8, OFFSET>())
    }

    fn cpu(&self, version: ReportVersion) -> Option<CpuIdentity> {
        let [family, model, stepping] = self.array::<3, 0x188>();
        (version >= ReportVersion::V3).then_some(CpuIdentity {
            family,
            model,
            stepping,
        })
    }

    fn firmware_version<const OFFSET: usize>(&self) -> FirmwareVersion {
        let [build, minor, major] = self.array::<3, OFFSET>();
        FirmwareVersion {
            major,
            minor,
            build,
        }
    }

    /// Checks the fields that are reserved in `version` and must be zero.
    fn check_reserved(&self, version: ReportVersion) -> Result<(), ReportError> {
        let after_reported_tcb = match version {
            ReportVersion::V2 => 0x188,
            ReportVersion::V3 | ReportVersion::V5 => 0x18b,
        };
        let after_launch_tcb = match version {
            ReportVersion::V2 | ReportVersion::V3 => 0x1f8,
            ReportVersion::V5 => 0x208,
        };
        let reserved = [
            0x049..0x050,
            after_reported_tcb..0x1a0,
            0x1eb..0x1ec,
            0x1ef..0x1f0,
            after_launch_tcb..SIGNATURE_OFFSET,
            SIGNATURE_OFFSET + 2 * SCALAR_BYTES..REPORT_BYTES,
        ];
        if self.0[0x048] >> 5 != 0 {
            return Err(ReportError::Reserved { offset: 0x048 });
        }
        for range in reserved {
            let offset = range.start;
            if self.0[range].iter().any(|byte| *byte != 0) {
                return Err(ReportError::Reserved { offset });
            }
        }
        Ok(())
    }

    /// The signature (AMD #56860, chapter "Digital Signatures", ECDSA signature format):
    /// two little-endian integers of 72 bytes, of which P-384 fills 48.
    fn signature(&self) -> Result<[u8; 2 * P384_BYTES], ReportError> {
        let mut signature = [0; 2 * P384_BYTES];
        let halves = signature.chunks_exact_mut(P384_BYTES);
        for (offset, half) in (SIGNATURE_OFFSET..).step_by(SCALAR_BYTES).zip(halves) {
            let field = &self.0[offset..offset + SCALAR_BYTES];
            let (value, excess) = field.split_at(P384_BYTES);
            if excess.iter().any(|byte| *byte != 0) {
                return Err(ReportError::SignatureRange { offset });
            }
            half.copy_from_slice(value);
            half.reverse();
        }
        Ok(signature)
    }
}
