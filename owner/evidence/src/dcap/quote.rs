//! Quotes as bytes.

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey},
};

use crate::bytes::Bytes;

use super::{
    Body, EnclaveReport, Error, Platform, QuoteError, TdReport,
    chain::{claimed_pck, read_certificates},
};

/// Largest quote looked at; real ones have some 5 KiB, and up to 8 KiB with padding.
const MAX_QUOTE_BYTES: usize = 64 * 1024;
/// Attestation key type: ECDSA with P-256.
const ECDSA_P256: u16 = 2;
const TEE_SGX: u32 = 0;
const TEE_TDX: u32 = 0x81;
/// Intel's QE vendor id, 939A7233-F79C-4CA9-940A-0DB3957F0607.
const INTEL: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
/// Certification data: the QE's report, with certification data of its own.
pub(super) const QE_REPORT: u16 = 6;
/// Certification data: the PCK certificate alone, in PEM.
pub(super) const PCK_LEAF: u16 = 4;
/// Certification data: a PCK certificate chain in PEM.
pub(super) const PCK_CHAIN: u16 = 5;

/// A quote, read but not verified.
#[derive(Debug, Clone)]
pub struct Quote<'a> {
    version: u16,
    user_data: [u8; 20],
    body: Body,
    signed: &'a [u8],
    signature: &'a [u8],
    key: [u8; 64],
    qe_report: EnclaveReport,
    qe_signed: &'a [u8],
    qe_signature: &'a [u8],
    qe_auth: &'a [u8],
    certification: (u16, &'a [u8]),
}

impl<'a> Quote<'a> {
    /// Reads a quote of version 3, 4 or 5. Bytes after its end are allowed, as the
    /// buffers that quotes come in have them; they mean nothing.
    ///
    /// # Errors
    ///
    /// The first thing that is not as Intel specifies it.
    pub fn parse(quote: &'a [u8]) -> Result<Self, QuoteError> {
        if quote.len() > MAX_QUOTE_BYTES {
            return Err(QuoteError::TooLarge {
                actual: quote.len(),
            });
        }
        let mut bytes = Bytes(quote);
        let version = bytes.u16()?;
        if !(3..=5).contains(&version) {
            return Err(QuoteError::Version(version));
        }
        let key_type = bytes.u16()?;
        if key_type != ECDSA_P256 {
            return Err(QuoteError::KeyType(key_type));
        }
        let tee = bytes.u32()?;
        // Version 3 has only SGX, and its field is reserved.
        if tee != TEE_SGX && (version == 3 || tee != TEE_TDX) {
            return Err(QuoteError::TeeType(tee));
        }
        bytes.take(4)?;
        if bytes.array()? != INTEL {
            return Err(QuoteError::Vendor);
        }
        let user_data = bytes.array()?;
        let body = read_body(&mut bytes, version, tee)?;
        let (signed, _) = quote
            .split_at_checked(quote.len() - bytes.0.len())
            .ok_or(QuoteError::Truncated)?;

        let mut data = bytes.sized()?;
        let signature = data.take(64)?;
        let key = data.array()?;
        if version > 3 {
            let kind = data.u16()?;
            if kind != QE_REPORT {
                return Err(QuoteError::CertificationType(kind));
            }
            let inner = data.sized()?;
            finish(&data)?;
            data = inner;
        }
        let qe_signed = data.take(EnclaveReport::BYTES)?;
        let qe_signature = data.take(64)?;
        let auth_bytes = data.u16()?;
        let qe_auth = data.take(usize::from(auth_bytes))?;
        let kind = data.u16()?;
        if !(1..=7).contains(&kind) || kind == QE_REPORT {
            return Err(QuoteError::CertificationType(kind));
        }
        let certification = data.sized()?.0;
        finish(&data)?;
        Ok(Self {
            version,
            user_data,
            body,
            signed,
            signature,
            key,
            qe_report: EnclaveReport::read(&mut Bytes(qe_signed))?,
            qe_signed,
            qe_signature,
            qe_auth,
            certification: (kind, certification),
        })
    }

    /// The version of its format: 3, 4 or 5.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// What the QE put into the header; its first 16 bytes identify the platform to it.
    #[must_use]
    pub fn user_data(&self) -> &[u8; 20] {
        &self.user_data
    }

    /// The report that was quoted.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The report of the quoting enclave itself.
    #[must_use]
    pub fn qe_report(&self) -> &EnclaveReport {
        &self.qe_report
    }

    /// The certificates that the quote carries, in DER; not trusted yet.
    ///
    /// # Errors
    ///
    /// [`Error::NoCertificates`] when it carries none, [`Error::Certificate`] when they are
    /// not in PEM.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, Error> {
        read_certificates(&[self.pck_chain()?])
    }

    /// The platform that the quote claims to be of, with the common name of the authority
    /// that claims to have certified it: for finding collateral, as nothing is verified.
    ///
    /// # Errors
    ///
    /// As [`Self::certificates`], and when none of them is a PCK certificate.
    pub fn claimed_platform(&self) -> Result<(Platform, String), Error> {
        let chain = self.certificates()?;
        let pck = claimed_pck(&chain)?;
        Ok((pck.platform, pck.authority_name))
    }

    /// The PCK certificate chain, in PEM.
    pub(super) fn pck_chain(&self) -> Result<&'a [u8], Error> {
        match self.certification {
            (PCK_CHAIN, chain) => Ok(without_padding(chain)),
            (kind, _) => Err(Error::NoCertificates { kind }),
        }
    }

    /// Checks all signatures inside: the attestation key's over header and body, the
    /// QE's word for the attestation key, and the PCK's over the QE's report.
    pub(super) fn check_signatures(&self, pck: &ParsedPublicKey) -> Result<(), Error> {
        self.check_attestation_key()?;
        pck.verify_sig(self.qe_signed, self.qe_signature)
            .map_err(|_| Error::QeReportSignature)
    }

    /// Checks the attestation key's signature over header and body, and the QE's word for
    /// that key.
    pub(super) fn check_attestation_key(&self) -> Result<(), Error> {
        // SEC 1, section 2.3.3: an uncompressed point.
        let mut point = [4; 65];
        point[1..].copy_from_slice(&self.key);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(self.signed, self.signature)
            .map_err(|_| Error::QuoteSignature)?;
        let mut named = digest::Context::new(&digest::SHA256);
        named.update(&self.key);
        named.update(self.qe_auth);
        let (digest, rest) = self.qe_report.report_data.split_at(32);
        if digest == named.finish().as_ref() && rest == [0; 32] {
            Ok(())
        } else {
            Err(Error::AttestationKey)
        }
    }

    /// The type of its certification data, with the data.
    pub(super) fn certification(&self) -> (u16, &'a [u8]) {
        self.certification
    }

    /// Header and body, with the attestation key's signature over them, and that key.
    pub(super) fn signed(&self) -> (&'a [u8], &'a [u8], &[u8; 64]) {
        (self.signed, self.signature, &self.key)
    }

    /// The QE's report as it was signed, with the PCK's signature.
    pub(super) fn qe_signed(&self) -> (&'a [u8], &'a [u8]) {
        (self.qe_signed, self.qe_signature)
    }

    /// What the QE's report names beside the attestation key.
    pub(super) fn qe_auth(&self) -> &'a [u8] {
        self.qe_auth
    }

    /// The report that was quoted, taken out.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}

fn read_body(bytes: &mut Bytes<'_>, version: u16, tee: u32) -> Result<Body, QuoteError> {
    let sgx = |bytes: &mut Bytes<'_>| Ok(Body::Sgx(Box::new(EnclaveReport::read(bytes)?)));
    let td = |bytes: &mut Bytes<'_>, version_1_5| {
        Ok(Body::Tdx(Box::new(TdReport::read(bytes, version_1_5)?)))
    };
    if version < 5 {
        return match tee {
            TEE_SGX => sgx(bytes),
            _ => td(bytes, false),
        };
    }
    let kind = bytes.u16()?;
    let size = bytes.u32()?;
    match (kind, usize::try_from(size).unwrap_or(usize::MAX), tee) {
        (1, EnclaveReport::BYTES, TEE_SGX) => sgx(bytes),
        (2, TdReport::BYTES_1_0, TEE_TDX) => td(bytes, false),
        (3, TdReport::BYTES_1_5, TEE_TDX) => td(bytes, true),
        _ => Err(QuoteError::Body { kind, size }),
    }
}

/// A chain in PEM without what platforms write behind it.
fn without_padding(chain: &[u8]) -> &[u8] {
    let text = |byte: &u8| !matches!(byte, 0 | b'\n' | b'\r' | b' ');
    let end = chain.iter().rposition(text).map_or(0, |last| last + 1);
    &chain[..end]
}

/// Checks that nothing is left of a part whose size was given.
fn finish(part: &Bytes<'_>) -> Result<(), QuoteError> {
    if part.is_empty() {
        Ok(())
    } else {
        Err(QuoteError::Lengths)
    }
}
