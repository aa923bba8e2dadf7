//! AMD SEV-SNP.
//!
//! The processor's firmware signs an attestation [`Report`] with a key that AMD
//! endorses: the VCEK, which belongs to one chip, or the VLEK, which belongs to one
//! cloud provider. [`EndorsementKey::verify`] checks the endorsement, and
//! [`EndorsementKey::verify_report`] checks reports, many under the same key if need
//! be. [`EitherEndorsementKey`] takes genuine and simulated ones; [`verify`] and
//! [`verify_either`] do both steps at once.
//!
//! Sources: *SEV Secure Nested Paging Firmware ABI Specification* (AMD #56860) for
//! reports, *Versioned Chip Endorsement Key Certificate and KDS Interface
//! Specification* (AMD #57230) for certificates.

mod authorities;
mod certificate_table;
mod endorsement;
mod error;
mod fields;
mod product;
mod report;
mod roots;
mod selection;
mod summary;
mod tcb;

pub use authorities::AMD_AUTHORITIES;
pub use certificate_table::certificates_in_table;
pub use endorsement::{EndorsementKey, KeyKind};
pub use error::{CertificateRole, Error, ReportError};
pub use fields::{FirmwareVersion, GuestPolicy, PlatformInfo, SigningKey};
pub use product::{CpuIdentity, Product};
pub use report::{REPORT_BYTES, Report, ReportVersion};
pub use roots::{
    AMD_ROOTS, AmdRoot, GenuineRoots, KnownRoot, SIMULATED_ROOT_NAME, SimulatedRoots, TrustAnchors,
};
pub use selection::Certificates;
pub use tcb::{Tcb, TcbVersion};

use crate::{Evidence, Genuine, Simulated, UnixTime, VerifiedEvidence};

/// Verifies a report under trust anchors of one kind.
///
/// # Errors
///
/// The first thing found wrong with the certificates or the report.
pub fn verify<R: TrustAnchors>(
    report: &[u8],
    certificates: &Certificates<'_>,
    anchors: &R,
    now: UnixTime,
) -> Result<VerifiedEvidence<R::Assurance>, Error> {
    EndorsementKey::verify(certificates, anchors, now)?.verify_report(report, now)
}

/// Verifies a report that may be genuine or simulated; its root certificate decides
/// which is tried, and the result says which it was.
///
/// # Errors
///
/// The first thing found wrong with the certificates or the report.
pub fn verify_either(
    report: &[u8],
    certificates: &Certificates<'_>,
    simulated: &SimulatedRoots,
    now: UnixTime,
) -> Result<Evidence, Error> {
    EitherEndorsementKey::verify(certificates, simulated, now)?.verify_report(report, now)
}

/// An [`EndorsementKey`] that may be genuine or simulated.
#[derive(Debug, Clone)]
pub enum EitherEndorsementKey {
    /// Endorsed by AMD.
    Genuine(EndorsementKey<Genuine>),
    /// Endorsed by a simulator.
    Simulated(EndorsementKey<Simulated>),
}

impl EitherEndorsementKey {
    /// Verifies a chain of certificates at the time `now`; its root decides which kind
    /// is tried.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, starting at the root.
    pub fn verify(
        certificates: &Certificates<'_>,
        simulated: &SimulatedRoots,
        now: UnixTime,
    ) -> Result<Self, Error> {
        Self::verify_unrevoked(certificates, None, simulated, now)
    }

    /// The same, and with the root's revocation `list` also that nothing is revoked.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, starting at the root.
    pub fn verify_unrevoked(
        certificates: &Certificates<'_>,
        list: Option<&[u8]>,
        simulated: &SimulatedRoots,
        now: UnixTime,
    ) -> Result<Self, Error> {
        match EndorsementKey::verify_unrevoked(certificates, list, &GenuineRoots, now) {
            Err(Error::UntrustedRoot { .. }) => {
                EndorsementKey::verify_unrevoked(certificates, list, simulated, now)
                    .map(Self::Simulated)
            }
            genuine => genuine.map(Self::Genuine),
        }
    }

    /// Verifies a report under this key at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`EndorsementKey::verify_report`].
    pub fn verify_report(&self, report: &[u8], now: UnixTime) -> Result<Evidence, Error> {
        match self {
            Self::Genuine(key) => key.verify_report(report, now).map(Evidence::from),
            Self::Simulated(key) => key.verify_report(report, now).map(Evidence::from),
        }
    }
}
