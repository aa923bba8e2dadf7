//! Verification of reports.

use core::marker::PhantomData;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use x509_cert::der::asn1::ObjectIdentifier;

use crate::{
    Assurance, Digest, Step, UnixTime, Validity,
    x509::{Certificate, Vendor, verify_chain},
};

use super::{
    Error, Part, Report, TrustAnchors, VerifiedManifest,
    compare::{Comparison, compare},
};

/// Most certificates of a chain.
const MAX_CERTIFICATES: usize = 8;
/// Most certificates among which a chain is looked for.
const MAX_CANDIDATES: usize = 256;
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
    device_key: Digest,
    validity: Validity,
    anchor: Digest,
    anchor_name: String,
    comparisons: Vec<Comparison>,
    assurance: PhantomData<A>,
}

/// Verifies a report at the time `now` with the device's chain among `certificates` in DER,
/// in any order and with others beside them, such as those of other devices.
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
    let signed = report.signed(bytes)?;
    let chain = chain(certificates, |key| {
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key);
        key.verify(signed, &report.signature).is_ok()
    })?;
    let at = |index| move |error| Error::Certificate { index, error };
    let (Some(device), Some(root)) = (chain.first(), chain.last()) else {
        return Err(Error::NoCertificates);
    };
    let anchor = root.key_digest().map_err(at(chain.len() - 1))?;
    if !anchors.contains(&anchor) {
        return Err(Error::UntrustedRoot);
    }
    let validity = verify_chain(&chain, now).map_err(|(index, error)| at(index)(error))?;
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
        device_key: device.key_digest().map_err(at(0))?,
        validity,
        anchor,
        anchor_name: root.common_name(),
        comparisons: Vec::new(),
        assurance: PhantomData,
        report,
    })
}

/// The certificates from the one whose key `signed` the report up to one that names itself as
/// its issuer. Only that first one is proven by this.
fn chain<'a>(
    certificates: &[&'a [u8]],
    signed: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Certificate<'a>>, Error> {
    let mut candidates: Vec<_> = certificates
        .iter()
        .take(MAX_CANDIDATES)
        .filter_map(|der| Certificate::parse(der, Vendor::Ecdsa).ok())
        .collect();
    if candidates.is_empty() {
        return Err(Error::NoCertificates);
    }
    let signs = |candidate: &Certificate<'_>| candidate.p384_key().is_ok_and(&signed);
    let device = candidates.iter().position(signs).ok_or(Error::Signature)?;
    let mut chain = vec![candidates.swap_remove(device)];
    while let Some(last) = chain.last()
        && last.subject() != last.issuer()
    {
        if chain.len() == MAX_CERTIFICATES {
            return Err(Error::ChainLength);
        }
        let named = |candidate: &Certificate<'_>| candidate.subject() == last.issuer();
        let issuing = |candidate: &Certificate<'_>| last.check_issued_by(candidate).is_ok();
        let issuer = candidates
            .iter()
            .position(issuing)
            // Another of that name, for which verification will say what is wrong.
            .or_else(|| candidates.iter().position(named));
        let issuer = issuer.ok_or_else(|| Error::Missing(last.issuer_common_name()))?;
        chain.push(candidates.swap_remove(issuer));
    }
    Ok(chain)
}

impl<A: Assurance> VerifiedReport<A> {
    /// What was signed.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The same, its measurements compared with the manifests that are for the device's
    /// versions of driver and VBIOS. Where there is none, nothing is compared.
    ///
    /// # Errors
    ///
    /// [`Error::Measurements`] when they differ.
    pub fn compare(mut self, manifests: &[VerifiedManifest<A>]) -> Result<Self, Error> {
        for part in Part::ALL {
            if let Some((comparison, validity)) = compare(&self.report, part, manifests)? {
                self.validity = self.validity.intersection(validity);
                self.comparisons.push(comparison);
            }
        }
        Ok(self)
    }

    /// Whether a part was compared with a manifest, and is as that says.
    #[must_use]
    pub fn is_compared(&self, part: Part) -> bool {
        self.comparisons.iter().any(|one| one.part == part)
    }

    /// When all certificates hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// SHA-384 of the `SubjectPublicKeyInfo` of the key that signed, which is the device's own.
    #[must_use]
    pub fn device_key(&self) -> &Digest {
        &self.device_key
    }

    /// SHA-384 of the `SubjectPublicKeyInfo` of the root, and its common name.
    #[must_use]
    pub fn anchor(&self) -> (&Digest, &str) {
        (&self.anchor, &self.anchor_name)
    }

    /// What verification established.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let established = [
            Step {
                name: "device certificate",
                found: format!("{} under {}", self.device, self.anchor_name),
                source: "NVIDIA device identity certificates",
            },
            Step {
                name: "report signature",
                found: format!(
                    "made by the device over {} measurements",
                    self.report.blocks.len()
                ),
                source: "DMTF DSP0274, MEASUREMENTS response",
            },
        ];
        let compared = Part::ALL.into_iter().map(|part| {
            let mut comparisons = self.comparisons.iter();
            let comparison = comparisons.find(|one| one.part == part);
            Step {
                name: part.step(),
                found: match comparison {
                    Some(comparison) => comparison.to_string(),
                    None => part.absence(&self.report),
                },
                source: "NVIDIA reference integrity manifests",
            }
        });
        established.into_iter().chain(compared).collect()
    }
}
