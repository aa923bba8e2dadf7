//! Chains of certificates.

use crate::{UnixTime, Validity};

use super::{Certificate, CertificateError};

/// Checks a chain from an end entity to a root, each certificate issued by the one
/// behind it and the last by itself, all of them valid at `now`; gives the period during
/// which all hold. Whether the root is a trust anchor is the caller's question.
///
/// An error comes with the index of the certificate that it is about.
pub(crate) fn verify_chain(
    chain: &[Certificate<'_>],
    now: UnixTime,
) -> Result<Validity, (usize, CertificateError)> {
    let mut validity: Option<Validity> = None;
    for (index, certificate) in chain.iter().enumerate().rev() {
        let at = |error| (index, error);
        let issuer = chain.get(index + 1).unwrap_or(certificate);
        certificate.check_issued_by(issuer).map_err(at)?;
        match index.checked_sub(1) {
            None => certificate.check_end_entity().map_err(at)?,
            Some(below) => {
                let below = u8::try_from(below).map_err(|_| at(CertificateError::PathLength))?;
                certificate.check_authority(below).map_err(at)?;
            }
        }
        let period = certificate.check_validity(now).map_err(at)?;
        validity = Some(validity.map_or(period, |one| one.intersection(period)));
    }
    // An empty chain has no end entity to speak for.
    validity.ok_or((0, CertificateError::Malformed))
}
