//! The PCK certificate chain.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_cert::name::Name;

use crate::{
    CertificateError, UnixTime, Validity,
    x509::{Certificate, Vendor},
};

use super::{CertificateRole, Error, Platform, TrustAnchors, pck::SGX_EXTENSION};

/// Most certificates looked at; a chain has three, beside which others may lie.
const MAX_CERTIFICATES: usize = 512;
/// What every DER-encoded certificate begins with, and no PEM text.
const DER_SEQUENCE: u8 = 0x30;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates in `files`, each one in DER or any number in PEM, as DER.
pub(super) fn read_certificates(files: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
    let mut certificates = Vec::new();
    for file in files {
        if file.first() == Some(&DER_SEQUENCE) {
            certificates.push(file.to_vec());
        } else {
            read_pem(file, &mut certificates)?;
        }
        if certificates.len() > MAX_CERTIFICATES {
            return Err(Error::TooManyCertificates);
        }
    }
    Ok(certificates)
}

fn read_pem(bundle: &[u8], certificates: &mut Vec<Vec<u8>>) -> Result<(), Error> {
    let malformed = || at(CertificateRole::Pck)(CertificateError::Malformed);
    let bundle = str::from_utf8(bundle).map_err(|_| malformed())?;
    let bundle = bundle.trim_end_matches(['\0', '\n', '\r', ' ']);
    for part in bundle.split_inclusive(END) {
        if certificates.len() > MAX_CERTIFICATES {
            return Err(Error::TooManyCertificates);
        }
        let body = part.trim_start().strip_prefix(BEGIN);
        let body = body.and_then(|body| body.strip_suffix(END));
        certificates.push(decode(body.ok_or_else(malformed)?).ok_or_else(malformed)?);
    }
    Ok(())
}

/// Decodes the body of a PEM block, whose lines some platforms break at 76 characters.
fn decode(body: &str) -> Option<Vec<u8>> {
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// What the PCK certificate of a chain says, unverified.
pub(super) struct ClaimedPck {
    pub(super) platform: Platform,
    pub(super) authority: Name,
    pub(super) authority_name: String,
    /// Who issued the authority's certificate, when that is there.
    pub(super) root: Option<Name>,
}

/// Finds the PCK certificate among `certificates`, in DER.
pub(super) fn claimed_pck(certificates: &[Vec<u8>]) -> Result<ClaimedPck, Error> {
    let parsed = certificates
        .iter()
        .map(|der| Certificate::parse(der, Vendor::Ecdsa).map_err(at(CertificateRole::Pck)))
        .collect::<Result<Vec<_>, _>>()?;
    let issuer = |certificate: &Certificate<'_>| {
        let mut others = parsed.iter();
        let issuer = others.find(|other| other.subject() == certificate.issuer());
        issuer.map(|issuer| issuer.issuer().clone())
    };
    for certificate in &parsed {
        if let Some(extension) = certificate.extension(SGX_EXTENSION) {
            return Ok(ClaimedPck {
                platform: Platform::read(extension)?,
                authority: certificate.issuer().clone(),
                authority_name: certificate.issuer_common_name(),
                root: issuer(certificate),
            });
        }
    }
    Err(Error::Missing(CertificateRole::Pck))
}

/// A chain that was followed from the PCK certificate to a trust anchor.
pub(super) struct Chain<'a> {
    pub(super) pck: Certificate<'a>,
    pub(super) authority: Certificate<'a>,
    pub(super) root: Certificate<'a>,
    pub(super) platform: Platform,
    pub(super) validity: Validity,
}

impl<'a> Chain<'a> {
    /// Finds the chain among `certificates`, whatever their order; others are ignored.
    pub(super) fn verify<R: TrustAnchors>(
        certificates: &[&'a [u8]],
        anchors: &R,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let mut pck = None;
        let mut others = Vec::new();
        for der in certificates {
            let certificate =
                Certificate::parse(der, Vendor::Ecdsa).map_err(at(CertificateRole::Pck))?;
            if pck.is_none() && certificate.extension(SGX_EXTENSION).is_some() {
                pck = Some(certificate);
            } else {
                others.push(certificate);
            }
        }
        let pck = pck.ok_or(Error::Missing(CertificateRole::Pck))?;
        let authority = take(&mut others, |other| {
            other.subject() == pck.issuer() && other.subject() != other.issuer()
        })
        .ok_or(Error::Missing(CertificateRole::PckAuthority))?;
        let root = take(&mut others, |other| other.subject() == authority.issuer())
            .ok_or(Error::Missing(CertificateRole::Root))?;

        let key = root.key_digest().map_err(at(CertificateRole::Root))?;
        if !anchors.contains(&key, &root.common_name()) {
            return Err(Error::UntrustedRoot);
        }
        let role = at(CertificateRole::Root);
        root.check_issued_by(&root).map_err(&role)?;
        root.check_authority(1).map_err(&role)?;
        let validity = root.check_validity(now).map_err(&role)?;
        let role = at(CertificateRole::PckAuthority);
        authority.check_issued_by(&root).map_err(&role)?;
        authority.check_authority(0).map_err(&role)?;
        let validity = validity.intersection(authority.check_validity(now).map_err(&role)?);
        let role = at(CertificateRole::Pck);
        pck.check_issued_by(&authority).map_err(&role)?;
        pck.check_end_entity().map_err(&role)?;
        check_name(&pck, CertificateRole::Pck)?;
        check_name(&authority, CertificateRole::PckAuthority)?;
        let validity = validity.intersection(pck.check_validity(now).map_err(&role)?);
        let extension = pck.extension(SGX_EXTENSION).ok_or(Error::SgxExtension)?;
        let platform = Platform::read(extension)?;
        Ok(Self {
            pck,
            authority,
            root,
            platform,
            validity,
        })
    }
}

/// Checks that the certificate is for what it is used for (*SGX PCK Certificate and CRL
/// Profile*, subjects of the certificates).
pub(super) fn check_name(
    certificate: &Certificate<'_>,
    role: CertificateRole,
) -> Result<(), Error> {
    let found = certificate.common_name();
    if role.common_names().contains(&found.as_str()) {
        Ok(())
    } else {
        Err(Error::CommonName { role, found })
    }
}

/// Names the certificate in an error.
pub(super) fn at(role: CertificateRole) -> impl Fn(CertificateError) -> Error {
    move |error| Error::Certificate { role, error }
}

fn take<'a>(
    certificates: &mut Vec<Certificate<'a>>,
    wanted: impl Fn(&Certificate<'a>) -> bool,
) -> Option<Certificate<'a>> {
    let index = certificates.iter().position(wanted)?;
    Some(certificates.swap_remove(index))
}
