//! NVIDIA's reference integrity manifests: what the measurements of a device should be.
//!
//! A manifest is a SWID tag in XML with an enveloped signature. XML signatures go wrong where
//! what is checked is not what is read, so there is one tree: [`xml`] reads a small part of XML
//! into it, [`canonical`] writes it down for the signature, and the values are read from that
//! same tree, from which the signature has been taken out.
//!
//! Sources: *TCG Reference Integrity Manifest Information Model*; ISO/IEC 19770-2 (SWID tags);
//! W3C *XML Signature Syntax and Processing 1.1*, *Canonical XML 1.1*, *Namespaces in XML 1.0*.

mod canonical;
mod error;
mod read;
mod signature;
mod xml;

pub use error::ManifestError;
pub use read::Reference;

use core::marker::PhantomData;

use crate::{Assurance, UnixTime, Validity};

use super::TrustAnchors;
use read::Contents;
use signature::Signature;

/// The first bytes of a file among which a manifest's root element begins.
const BEGINNING_BYTES: usize = 1024;

/// A manifest whose signature leads to a trust anchor of kind `A`.
///
/// Only verification makes one.
#[derive(Debug, Clone)]
pub struct VerifiedManifest<A: Assurance> {
    contents: Contents,
    signer: String,
    validity: Validity,
    assurance: PhantomData<A>,
}

/// Verifies a manifest at the time `now`.
///
/// # Errors
///
/// The first thing found wrong.
pub fn verify_manifest<R: TrustAnchors>(
    manifest: &[u8],
    anchors: &R,
    now: UnixTime,
) -> Result<VerifiedManifest<R::Assurance>, ManifestError> {
    let mut tag = xml::parse(manifest)?;
    let signature = Signature::take_out_of(&mut tag)?;
    let (signer, validity) = signature.verify(&tag, anchors, now)?;
    Ok(VerifiedManifest {
        contents: Contents::read(&tag)?,
        signer,
        validity,
        assurance: PhantomData,
    })
}

/// Whether a file looks like a manifest, and like nothing else that is known here.
pub(crate) fn begins_manifest(file: &[u8]) -> bool {
    let beginning = file.get(..BEGINNING_BYTES).unwrap_or(file);
    let mut words = beginning.windows(b"SoftwareIdentity".len());
    beginning.trim_ascii_start().starts_with(b"<") && words.any(|word| word == b"SoftwareIdentity")
}

impl<A: Assurance> VerifiedManifest<A> {
    /// Of which kind of chip it is, as NVIDIA names them (`GH100`).
    #[must_use]
    pub fn product(&self) -> &str {
        &self.contents.product
    }

    /// Of which version of the driver or of the VBIOS.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.contents.version
    }

    /// The measurements that count; those that do not are left out.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.contents.references
    }

    /// The common name of the certificate that signed it.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// When all its certificates hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }
}
