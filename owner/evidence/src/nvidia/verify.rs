//! Verification of reports.

use core::marker::PhantomData;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use x509_cert::der::asn1::ObjectIdentifier;

use crate::{
    Assurance, Digest, Step, UnixTime, Validity,
    x509::{Certificate, Vendor, verify_chain},
};

use super::{Error, Report, TrustAnchors};

/// Most certificates of a chain.
const MAX_CERTIFICATES: usize = 8;
/// The extension with the identity of the firmware that has the key (TCG DICE Attestation
/// Architecture, `TcbInfo`).
const DICE_TCB_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.5.4.1");

/// A report that a device signed whose key leads to a trust anchor of kind `A`.
///
/// Only verification makes one.
#[derive(Debug, Clone)]
pub struct VerifiedReport<A: Assurance> {
    report: Report,
    device: String,
    validity: Validity,
    anchor: Digest,
    anchor_name: String,
    assurance: PhantomData<A>,
}

/// Verifies a report at the time `now` under the device's `certificates` in DER, its own
/// first and the root last.
///
/// # Errors
///
/// The first thing found wrong.
pub fn verify<R: TrustAnchors>(
    report: &[u8],
    certificates: &[&[u8]],
    anchors: &R,
    now: UnixTime,
) -> Result<VerifiedReport<R::Assurance>, Error> {
    let bytes = report;
    let report = Report::parse(bytes)?;
    if !(2..=MAX_CERTIFICATES).contains(&certificates.len()) {
        return Err(Error::ChainLength(certificates.len()));
    }
    let at = |index| move |error| Error::Certificate { index, error };
    let chain = certificates
        .iter()
        .enumerate()
        .map(|(index, der)| Certificate::parse(der, Vendor::Ecdsa).map_err(at(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let (Some(device), Some(root)) = (chain.first(), chain.last()) else {
        return Err(Error::ChainLength(0));
    };
    let anchor = root.key_digest().map_err(at(chain.len() - 1))?;
    if !anchors.contains(&anchor) {
        return Err(Error::UntrustedRoot);
    }
    let validity = verify_chain(&chain, now).map_err(|(index, error)| at(index)(error))?;
    let point = device.p384_key().map_err(at(0))?;
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
        .verify(report.signed(bytes)?, &report.signature)
        .map_err(|_| Error::Signature)?;
    if let (Some(told), Some(endorsed)) =
        (&report.firmware_identity, device.extension(DICE_TCB_INFO))
        && !endorsed
            .windows(told.len().max(1))
            .any(|window| window == told)
    {
        return Err(Error::Firmware);
    }
    Ok(VerifiedReport {
        device: device.common_name(),
        validity,
        anchor,
        anchor_name: root.common_name(),
        assurance: PhantomData,
        report,
    })
}

impl<A: Assurance> VerifiedReport<A> {
    /// What was signed.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
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
                name: "device certificate",
                found: format!("{} under {}", self.device, self.anchor_name),
                source: "NVIDIA device identity certificates",
            },
            Step {
                name: "report signature",
                found: format!(
                    "made by the device over {} measurements, which no manifest was compared with",
                    self.report.blocks.len()
                ),
                source: "DMTF DSP0274, MEASUREMENTS response",
            },
        ]
    }
}
