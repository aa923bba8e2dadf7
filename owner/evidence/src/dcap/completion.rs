//! Quotes that carry no certificates, only what one could ask Intel for them with.

use std::borrow::Cow;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::x509::{Certificate, Vendor};

use super::{
    Error, Quote, QuoteError,
    chain::read_certificates,
    pck::SGX_EXTENSION,
    quote::{PCK_CHAIN, PCK_LEAF, QE_REPORT},
};

/// The quote with its platform's chain inside: as it is when it carries one, else with the one
/// that is found among `certificates`, in DER.
///
/// No signature covers that part of a quote, so to put a chain there changes nothing that was
/// said. Which chain is the platform's is told by the PCK's signature.
///
/// # Errors
///
/// [`Error::NoCertificates`] when there is none; others when the quote cannot be read, or was
/// not signed by its own attestation key.
pub fn with_certificates<'q>(
    quote: &'q [u8],
    certificates: &[&[u8]],
) -> Result<Cow<'q, [u8]>, Error> {
    let parsed = Quote::parse(quote)?;
    let (kind, data) = parsed.certification();
    if kind == PCK_CHAIN {
        return Ok(Cow::Borrowed(quote));
    }
    // What is forged must not be told to lack certificates.
    parsed.check_attestation_key()?;
    let own = match kind {
        PCK_LEAF => read_certificates(&[data])?,
        _ => Vec::new(),
    };
    let own = own.iter().map(Vec::as_slice);
    let candidates: Vec<_> = own
        .chain(certificates.iter().copied())
        .filter_map(|der| Some((der, Certificate::parse(der, Vendor::Ecdsa).ok()?)))
        .collect();
    let signed_by = |candidate: &Certificate<'_>| {
        let (report, signature) = parsed.qe_signed();
        let key = candidate.p256_key();
        candidate.extension(SGX_EXTENSION).is_some()
            && key.is_some_and(|key| {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
                key.verify(report, signature).is_ok()
            })
    };
    let pck = candidates
        .iter()
        .find(|(_, candidate)| signed_by(candidate));
    let (leaf, pck) = pck.ok_or(Error::NoCertificates { kind })?;
    let mut chain = pem(leaf);
    let mut issuer = pck.issuer();
    for _ in 0..2 {
        let mut above = candidates.iter();
        let Some((der, above)) = above.find(|(_, above)| above.subject() == issuer) else {
            break;
        };
        chain.push_str(&pem(der));
        issuer = above.issuer();
    }
    let complete = parsed.with_chain(chain.as_bytes());
    Ok(Cow::Owned(complete.ok_or(QuoteError::Lengths)?))
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

impl Quote<'_> {
    /// The same quote with this chain in PEM in place of what it carries.
    fn with_chain(&self, chain: &[u8]) -> Option<Vec<u8>> {
        let (report, signature) = self.qe_signed();
        let auth = self.qe_auth();
        let mut inner = [report, signature].concat();
        inner.extend(u16::try_from(auth.len()).ok()?.to_le_bytes());
        inner.extend(auth);
        inner.extend(PCK_CHAIN.to_le_bytes());
        inner.extend(u32::try_from(chain.len()).ok()?.to_le_bytes());
        inner.extend(chain);
        let (signed, signature, key) = self.signed();
        let mut data = [signature, key].concat();
        if self.version() > 3 {
            data.extend(QE_REPORT.to_le_bytes());
            data.extend(u32::try_from(inner.len()).ok()?.to_le_bytes());
        }
        data.extend(inner);
        let size = u32::try_from(data.len()).ok()?.to_le_bytes();
        Some([signed, &size, &data].concat())
    }
}
