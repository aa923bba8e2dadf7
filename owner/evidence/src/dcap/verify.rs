//! Verification of a quote's signatures and certificates.

use core::marker::PhantomData;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

use crate::{
    Assurance, UnixTime, Validity,
    x509::{RevocationList, Vendor},
};

use super::{
    Body, CertificateRole, EnclaveReport, Error, Platform, Quote, TrustAnchors,
    chain::{Chain, at, read_certificates},
};

/// Revocation lists in DER, as Intel's service gives them.
#[derive(Debug, Clone, Copy)]
pub struct RevocationLists<'a> {
    /// That of the authority which issued the PCK certificate.
    pub pck: &'a [u8],
    /// The root's.
    pub root: &'a [u8],
}

/// A quote whose signatures lead to a trust anchor of kind `A`.
///
/// Only verification makes one. It says nothing about the platform's TCB, which may be
/// out of date, nor about which enclave signed: one that is not Intel's could sign for
/// any report. Do not accept a Keep because of it alone.
#[derive(Debug, Clone)]
pub struct SignedQuote<A: Assurance> {
    body: Body,
    qe_report: EnclaveReport,
    platform: Platform,
    validity: Validity,
    assurance: PhantomData<A>,
}

impl<A: Assurance> SignedQuote<A> {
    /// The report that was quoted.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The report of the quoting enclave.
    #[must_use]
    pub fn qe_report(&self) -> &EnclaveReport {
        &self.qe_report
    }

    /// The platform, as its PCK certificate describes it.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// When all certificates and revocation lists used hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// Verifies the signatures of a quote, and its certificates up to a trust anchor;
/// with revocation lists, also that none is revoked.
///
/// # Errors
///
/// The first thing found wrong.
pub fn verify_signatures<R: TrustAnchors>(
    quote: &[u8],
    revocations: Option<&RevocationLists<'_>>,
    anchors: &R,
    now: UnixTime,
) -> Result<SignedQuote<R::Assurance>, Error> {
    let quote = Quote::parse(quote)?;
    let certificates = read_certificates(&[quote.pck_chain()?])?;
    let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let chain = Chain::verify(&certificates, anchors, now)?;
    let mut validity = chain.validity;
    if let Some(lists) = revocations {
        let root = RevocationList::verify(lists.root, &chain.root, Vendor::Ecdsa, now)
            .map_err(at(CertificateRole::RootRevocations))?;
        if root.revokes(&chain.authority) {
            return Err(Error::Revoked(CertificateRole::PckAuthority));
        }
        let pck = RevocationList::verify(lists.pck, &chain.authority, Vendor::Ecdsa, now)
            .map_err(at(CertificateRole::PckRevocations))?;
        if pck.revokes(&chain.pck) {
            return Err(Error::Revoked(CertificateRole::Pck));
        }
        validity = validity
            .intersection(root.period())
            .intersection(pck.period());
    }
    let point = chain.pck.p256_key().ok_or(Error::PckKey)?;
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| Error::PckKey)?;
    quote.check_signatures(&key)?;
    Ok(SignedQuote {
        body: quote.body().clone(),
        qe_report: quote.qe_report().clone(),
        platform: chain.platform,
        validity,
        assurance: PhantomData,
    })
}
