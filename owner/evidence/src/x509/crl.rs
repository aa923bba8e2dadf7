//! Certificate revocation lists (RFC 5280, section 5).

use x509_cert::{
    crl::TbsCertList,
    der::{Decode, asn1::ObjectIdentifier},
    name::Name,
};

use crate::{UnixTime, Validity};

use super::{Certificate, CertificateError, Vendor, outer};

/// Largest list looked at; Intel's largest has some 10 KiB.
const MAX_LIST_BYTES: usize = 512 * 1024;
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// A revocation list that its issuer signed and that is fresh.
#[derive(Debug)]
pub(crate) struct RevocationList {
    contents: TbsCertList,
    period: Validity,
}

impl RevocationList {
    /// Reads a list of `issuer`'s, signed as `vendor` does, which must be fresh at the time `now`.
    pub(crate) fn verify(
        der: &[u8],
        issuer: &Certificate<'_>,
        vendor: Vendor,
        now: UnixTime,
    ) -> Result<Self, CertificateError> {
        Self::checked(der, issuer, vendor, now, |contents| {
            if contents.issuer != *issuer.subject() {
                Err(CertificateError::IssuerName)
            } else if issuer.key_usage.is_some_and(|usage| !usage.crl_sign()) {
                Err(CertificateError::NotAuthority)
            } else {
                Ok(())
            }
        })
    }

    /// The same, whatever name the list has for its issuer, and whatever that issuer's key is
    /// certified for.
    pub(crate) fn verify_signed_by(
        der: &[u8],
        issuer: &Certificate<'_>,
        vendor: Vendor,
        now: UnixTime,
    ) -> Result<Self, CertificateError> {
        Self::checked(der, issuer, vendor, now, |_| Ok(()))
    }

    fn checked(
        der: &[u8],
        issuer: &Certificate<'_>,
        vendor: Vendor,
        now: UnixTime,
        belongs: impl FnOnce(&TbsCertList) -> Result<(), CertificateError>,
    ) -> Result<Self, CertificateError> {
        if der.len() > MAX_LIST_BYTES {
            return Err(CertificateError::TooLarge { actual: der.len() });
        }
        let (signed, algorithm, signature) = outer(der).map_err(|_| CertificateError::Malformed)?;
        let contents = TbsCertList::from_der(signed).map_err(|_| CertificateError::Malformed)?;
        if contents.signature != algorithm {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let scheme = vendor.find(&algorithm)?;
        belongs(&contents)?;
        scheme.verify(issuer, signed, signature)?;
        // A partial list could leave out what matters (RFC 5280, section 5.2.5).
        let mut extensions = contents.crl_extensions.iter().flatten();
        if extensions
            .any(|extension| extension.critical || extension.extn_id == ISSUING_DISTRIBUTION_POINT)
        {
            return Err(CertificateError::CriticalExtension);
        }
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let not_before = seconds(contents.this_update);
        let not_after = seconds(contents.next_update.ok_or(CertificateError::Malformed)?);
        if now < not_before {
            return Err(CertificateError::NotYetValid { not_before, now });
        }
        if not_after < now {
            return Err(CertificateError::Expired { not_after, now });
        }
        let period = Validity {
            not_before,
            not_after,
        };
        Ok(Self { contents, period })
    }

    /// Whose list it claims to be, and when it claims to hold; nothing is verified.
    pub(crate) fn peek(der: &[u8]) -> Option<(Name, Validity)> {
        if der.len() > MAX_LIST_BYTES {
            return None;
        }
        let (signed, _, _) = outer(der).ok()?;
        let contents: TbsCertList = TbsCertList::from_der(signed).ok()?;
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let period = Validity {
            not_before: seconds(contents.this_update),
            not_after: seconds(contents.next_update?),
        };
        Some((contents.issuer, period))
    }

    /// From this list's issue to its next update.
    pub(crate) fn period(&self) -> Validity {
        self.period
    }

    /// Whether a certificate of the list's issuer is on it.
    pub(crate) fn revokes(&self, certificate: &Certificate<'_>) -> bool {
        let mut revoked = self.contents.revoked_certificates.iter().flatten();
        revoked.any(|entry| entry.serial_number.as_bytes() == certificate.serial())
    }
}
