//! Verification of documents.

use core::marker::PhantomData;

use crate::{
    Assurance, Digest, Step, UnixTime, Validity,
    cose::{Algorithm, Sign1},
    x509::{Certificate, Vendor, verify_chain},
};

use super::{Document, Error, TrustAnchors};

/// A document that was signed under a trust anchor of kind `A`.
///
/// Only verification makes one.
#[derive(Debug, Clone)]
pub struct VerifiedDocument<A: Assurance> {
    document: Document,
    validity: Validity,
    anchor: Digest,
    anchor_name: String,
    assurance: PhantomData<A>,
}

/// Verifies a document at the time `now`: the certificates in it, of which the signer's
/// holds for a few hours, must lead to one of `anchors`.
///
/// # Errors
///
/// The first thing found wrong.
pub fn verify<R: TrustAnchors>(
    document: &[u8],
    anchors: &R,
    now: UnixTime,
) -> Result<VerifiedDocument<R::Assurance>, Error> {
    let message = Sign1::parse(document)?;
    if message.algorithm() != Algorithm::Es384 {
        return Err(Error::Algorithm);
    }
    let document = Document::read(message.payload())?;
    let at = |index| move |error| Error::Certificate { index, error };
    // The bundle has the root in front.
    let chain = core::iter::once(&document.certificate)
        .chain(document.authorities.iter().rev())
        .enumerate()
        .map(|(index, der)| Certificate::parse(der, Vendor::Ecdsa).map_err(at(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let (Some(signer), Some(root)) = (chain.first(), chain.last()) else {
        return Err(Error::Field("cabundle"));
    };
    let anchor = root.key_digest().map_err(at(chain.len() - 1))?;
    if !anchors.contains(&anchor) {
        return Err(Error::UntrustedRoot);
    }
    let validity = verify_chain(&chain, now).map_err(|(index, error)| at(index)(error))?;
    let point = signer.p384_key().map_err(at(0))?;
    message.verify(point)?;
    Ok(VerifiedDocument {
        anchor,
        anchor_name: root.common_name(),
        validity,
        assurance: PhantomData,
        document,
    })
}

impl<A: Assurance> VerifiedDocument<A> {
    /// What was signed.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// When all certificates hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// SHA-384 of the `SubjectPublicKeyInfo` of the root, and its common name.
    #[must_use]
    pub fn anchor(&self) -> (&Digest, &str) {
        (&self.anchor, &self.anchor_name)
    }

    /// What verification established.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        vec![
            Step {
                name: "signer's certificate",
                found: format!(
                    "leads to {} over {} authorities, holds until {}",
                    self.anchor_name,
                    self.document.authorities.len(),
                    self.validity.not_after
                ),
                source: "AWS Nitro Enclaves User Guide, verifying the root of trust",
            },
            Step {
                name: "document signature",
                found: format!("made by the hypervisor of {}", self.document.module_id),
                source: "RFC 9052, section 4.4; AWS Nitro Enclaves, attestation document",
            },
        ]
    }
}
