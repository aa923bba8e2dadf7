//! Microsoft's endorsements of the utility VMs in which confidential containers run.
//!
//! Whoever deploys such a container cannot compute the launch measurement of the VM around
//! it. Microsoft signs what the measurement is, as a `COSE_Sign1` message with the chain of
//! its signer's certificates (RFC 9360, section 2) and a JSON payload.
//!
//! Source: *confidential-sidecar-containers*, UVM reference info; the `did:x509` method.

use ciborium::Value;
use serde::Deserialize;
use x509_cert::{
    der::{Decode as _, asn1::ObjectIdentifier},
    ext::pkix::ExtendedKeyUsage,
};

use crate::{
    CertificateError, CoseError, Digest, FailureKind, Step, UnixTime,
    cose::{Algorithm, Sign1},
    snp::Report,
    x509::{Certificate, Vendor, verify_chain},
};

/// SHA-384 of the `SubjectPublicKeyInfo` of the Microsoft Supply Chain RSA Root CA 2022. The
/// SHA-256 of its certificate is `I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s` in base64url, as
/// the endorsements' issuer, a `did:x509`, has it.
pub const MICROSOFT_SUPPLY_CHAIN_ROOT: Digest = [
    0x17, 0x51, 0x55, 0x1c, 0x80, 0xbb, 0x7a, 0x76, 0x62, 0x64, 0x62, 0x3f, 0x7b, 0x81, 0x42, 0x8e,
    0x7e, 0x47, 0x73, 0x59, 0xa5, 0xca, 0x1c, 0x9a, 0x48, 0xc7, 0x42, 0x37, 0x70, 0x31, 0xaa, 0xcd,
    0x0e, 0xa3, 0x36, 0xab, 0xaf, 0x3d, 0xee, 0xd0, 0x9c, 0x82, 0x1c, 0xc7, 0x13, 0x57, 0xce, 0x4d,
];

/// An endorsement that Microsoft signed.
///
/// Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UvmEndorsement {
    /// What it is one of, such as `ContainerPlat-AMD-UVM`.
    pub feed: String,
    /// The security version of the VM's contents, as Microsoft counts it.
    pub guest_svn: u32,
    /// The launch measurement.
    pub measurement: [u8; 48],
}

/// Why an endorsement is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UvmError {
    /// The message cannot be read, or its signature is not the certificate's.
    #[error("the UVM endorsement {0}")]
    Message(#[from] CoseError),
    /// It is not signed with PS384.
    #[error("the UVM endorsement is not signed with PS384")]
    Algorithm,
    /// A header or a field is missing, or not as expected.
    #[error("the UVM endorsement's {0} is missing or not as expected")]
    Field(&'static str),
    /// A certificate is not what its place in the chain demands.
    #[error("certificate {index} of the UVM endorsement, counted from its signer, {error}")]
    Certificate {
        /// Its place, 0 for the signer's.
        index: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain ends at a root that is no trust anchor.
    #[error("the UVM endorsement's root certificate is not Microsoft's supply chain root")]
    UntrustedRoot,
    /// The signer may sign other things.
    #[error("the UVM endorsement's signer may not sign endorsements of UVMs")]
    Purpose,
    /// The report is of something else.
    #[error("the report's measurement is not the one that the UVM endorsement names")]
    Measurement,
}

impl UvmError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Message(CoseError::Signature | CoseError::Curve)
            | Self::UntrustedRoot
            | Self::Purpose
            | Self::Measurement => FailureKind::NotGenuine,
            Self::Certificate { error, .. } => match error {
                CertificateError::Expired { .. } | CertificateError::NotYetValid { .. } => {
                    FailureKind::Collateral
                }
                _ => FailureKind::NotGenuine,
            },
            Self::Message(_) | Self::Algorithm | Self::Field(_) => FailureKind::Malformed,
        }
    }
}

/// Most certificates of a chain.
const MAX_CERTIFICATES: usize = 8;
/// The header parameter `x5chain` (RFC 9360, section 2).
const X5CHAIN: i64 = 33;
/// What the signer's certificate must be for, as the `did:x509` demands.
const SIGNS_UVMS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.76.59.1.2");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// The payload; all values are texts.
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "x-ms-sevsnpvm-guestsvn")]
    guest_svn: String,
    #[serde(rename = "x-ms-sevsnpvm-launchmeasurement")]
    measurement: String,
}

impl UvmEndorsement {
    /// Verifies an endorsement at the time `now`.
    ///
    /// The signer's certificate holds for a year. The endorsement has a time stamp by which
    /// it could be believed for longer, which is not looked at.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn verify(message: &[u8], now: UnixTime) -> Result<Self, UvmError> {
        let message = Sign1::parse(message)?;
        if message.algorithm() != Algorithm::Ps384 {
            return Err(UvmError::Algorithm);
        }
        let chain = message.header().get(X5CHAIN).and_then(Value::as_array);
        let chain = chain.filter(|chain| (2..=MAX_CERTIFICATES).contains(&chain.len()));
        let chain = chain.ok_or(UvmError::Field("x5chain"))?;
        let at = |index| move |error| UvmError::Certificate { index, error };
        let chain = chain
            .iter()
            .enumerate()
            .map(|(index, der)| {
                let der = der.as_bytes().ok_or(UvmError::Field("x5chain"))?;
                Certificate::parse(der, Vendor::RsaPkcs1).map_err(at(index))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (Some(signer), Some(root)) = (chain.first(), chain.last()) else {
            return Err(UvmError::Field("x5chain"));
        };
        if root.key_digest().map_err(at(chain.len() - 1))? != MICROSOFT_SUPPLY_CHAIN_ROOT {
            return Err(UvmError::UntrustedRoot);
        }
        verify_chain(&chain, now).map_err(|(index, error)| at(index)(error))?;
        let purposes = signer.extension(EXTENDED_KEY_USAGE);
        let purposes = purposes.and_then(|der| ExtendedKeyUsage::from_der(der).ok());
        if !purposes.is_some_and(|purposes| purposes.0.contains(&SIGNS_UVMS)) {
            return Err(UvmError::Purpose);
        }
        message.verify(signer.rsa_key().ok_or(UvmError::Field("signer's key"))?)?;

        let feed = message.header().named("feed").and_then(Value::as_text);
        let payload: Payload =
            serde_json::from_slice(message.payload()).map_err(|_| UvmError::Field("payload"))?;
        let mut measurement = [0; 48];
        hex::decode_to_slice(&payload.measurement, &mut measurement)
            .map_err(|_| UvmError::Field("measurement"))?;
        Ok(Self {
            feed: feed.ok_or(UvmError::Field("feed"))?.to_owned(),
            guest_svn: payload
                .guest_svn
                .parse()
                .map_err(|_| UvmError::Field("guest SVN"))?,
            measurement,
        })
    }

    /// Checks that a report is of what this endorses.
    ///
    /// # Errors
    ///
    /// [`UvmError::Measurement`].
    pub fn check(&self, report: &Report) -> Result<Step, UvmError> {
        if report.measurement != self.measurement {
            return Err(UvmError::Measurement);
        }
        Ok(Step {
            name: "UVM endorsement",
            found: format!("{} with security version {}", self.feed, self.guest_svn),
            source: "Microsoft, UVM reference info; RFC 9052, section 4.4; RFC 9360, section 2",
        })
    }
}
