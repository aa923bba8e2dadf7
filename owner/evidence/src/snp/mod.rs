//! AMD SEV-SNP.
//!
//! The processor's firmware signs an attestation [`Report`] with a key that AMD
//! endorses: the VCEK, which belongs to one chip, or the VLEK, which belongs to one
//! cloud provider. [`EndorsementKey::verify`] checks the endorsement, and
//! [`EndorsementKey::verify_report`] checks reports, many under the same key if need
//! be. [`verify`] and [`verify_either`] do both at once.
//!
//! Sources: *SEV Secure Nested Paging Firmware ABI Specification* (AMD #56860) for
//! reports, *Versioned Chip Endorsement Key Certificate and KDS Interface
//! Specification* (AMD #57230) for certificates.

mod endorsement;
mod error;
mod fields;
mod product;
mod report;
mod roots;
mod tcb;

pub use endorsement::{Certificates, EndorsementKey, KeyKind};
pub use error::{CertificateRole, Error, ReportError};
pub use fields::{FirmwareVersion, GuestPolicy, PlatformInfo, SigningKey};
pub use product::{CpuIdentity, Product};
pub use report::{REPORT_BYTES, Report, ReportVersion};
pub use roots::{
    AMD_ROOTS, AmdRoot, GenuineRoots, KnownRoot, SIMULATED_ROOT_NAME, SimulatedRoots, TrustAnchors,
};
pub use tcb::{Tcb, TcbVersion};

use crate::{Evidence, UnixTime, VerifiedEvidence};

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
    match verify(report, certificates, &GenuineRoots, now) {
        Err(Error::UntrustedRoot { .. }) => {
            verify(report, certificates, simulated, now).map(Evidence::from)
        }
        genuine => genuine.map(Evidence::from),
    }
}
