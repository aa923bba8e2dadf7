//! Endorsement keys: the chain of certificates, and the reports signed under it.

use core::{fmt, marker::PhantomData};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use x509_cert::der::{Decode, asn1::Ia5StringRef, asn1::ObjectIdentifier, asn1::OctetStringRef};

use crate::{
    Assurance, CertificateError, Digest, Step, Summary, Technology, UnixTime, Validity,
    VerifiedEvidence,
    x509::{Certificate, RevocationList, Vendor},
};

use super::{
    CertificateRole, Certificates, Error, Product, Report, SigningKey, Tcb, TrustAnchors,
    roots::KnownRoot,
    summary::{self, TcbVersions},
};

/// A key that signs reports, endorsed up to a trust anchor of kind `A`.
#[derive(Clone)]
pub struct EndorsementKey<A: Assurance> {
    key: ParsedPublicKey,
    kind: KeyKind,
    product: Product,
    tcb: Tcb,
    chip_id: Option<[u8; 64]>,
    authority_name: String,
    /// When the revocation list was issued that was looked at, if one was.
    list_issued: Option<UnixTime>,
    validity: Validity,
    anchor: Digest,
    anchor_name: String,
    assurance: PhantomData<A>,
}

/// What an endorsement key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// One chip: a versioned chip endorsement key.
    Vcek,
    /// One cloud provider: a versioned loaded endorsement key.
    Vlek,
}

impl<A: Assurance> EndorsementKey<A> {
    /// Verifies a chain of certificates at the time `now`.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, starting at the root.
    pub fn verify<R: TrustAnchors<Assurance = A>>(
        certificates: &Certificates<'_>,
        anchors: &R,
        now: UnixTime,
    ) -> Result<Self, Error> {
        Self::verify_unrevoked(certificates, None, anchors, now)
    }

    /// Verifies a chain of certificates at the time `now`, and with `list`, the root's
    /// revocation list in DER (AMD #57230, certificate revocation list), also that nothing
    /// of it is revoked.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, starting at the root.
    pub fn verify_unrevoked<R: TrustAnchors<Assurance = A>>(
        certificates: &Certificates<'_>,
        list: Option<&[u8]>,
        anchors: &R,
        now: UnixTime,
    ) -> Result<Self, Error> {
        use CertificateRole as Role;

        let root = Role::Root.check(Certificate::parse(certificates.root, Vendor::RsaPss))?;
        let anchor = Role::Root.check(root.key_digest())?;
        let anchor_name = root.common_name();
        let Some(known_root) = anchors.find(&anchor, &anchor_name) else {
            return Err(Error::UntrustedRoot {
                name: anchor_name,
                key_digest: anchor,
            });
        };
        Role::Root.check(root.check_issued_by(&root))?;
        Role::Root.check(root.check_authority(1))?;
        let root_validity = Role::Root.check(root.check_validity(now))?;

        let list = list
            .map(|list| RevocationList::verify(list, &root, Vendor::RsaPss, now))
            .transpose();
        let list = Role::Revocations.check(list)?;

        let authority = certificates.signing_authority;
        let authority =
            Role::SigningAuthority.check(Certificate::parse(authority, Vendor::RsaPss))?;
        Role::SigningAuthority.check(authority.check_issued_by(&root))?;
        Role::SigningAuthority.check(authority.check_authority(0))?;
        let authority_validity = Role::SigningAuthority.check(authority.check_validity(now))?;
        if list.as_ref().is_some_and(|list| list.revokes(&authority)) {
            return Err(Error::Revoked(Role::SigningAuthority));
        }

        let leaf = Role::EndorsementKey.check(Certificate::parse(
            certificates.endorsement_key,
            Vendor::RsaPss,
        ))?;
        Role::EndorsementKey.check(leaf.check_issued_by(&authority))?;
        Role::EndorsementKey.check(leaf.check_end_entity())?;
        let leaf_validity = Role::EndorsementKey.check(leaf.check_validity(now))?;

        let product = product(&leaf)?;
        check_root_product(product, known_root)?;
        let (kind, chip_id) = owner(&leaf, product)?;
        let point = Role::EndorsementKey.check(leaf.p384_key())?;
        let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
            .map_err(|_| CertificateError::SubjectKey);
        let validity = root_validity
            .intersection(authority_validity)
            .intersection(leaf_validity);
        let list = list.map(|list| list.period());
        Ok(Self {
            authority_name: authority.common_name(),
            list_issued: list.map(|period| period.not_before),
            key: Role::EndorsementKey.check(key)?,
            kind,
            product,
            tcb: tcb(&leaf, product)?,
            chip_id,
            validity: list.map_or(validity, |period| validity.intersection(period)),
            anchor,
            anchor_name,
            assurance: PhantomData,
        })
    }

    /// Verifies a report under this key at the time `now`.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideValidity`] when the certificates do not hold at `now`; otherwise
    /// the first thing found wrong with the report.
    pub fn verify_report(&self, bytes: &[u8], now: UnixTime) -> Result<VerifiedEvidence<A>, Error> {
        if !self.validity.contains(now) {
            return Err(Error::OutsideValidity { now });
        }
        let report = Report::parse(bytes)?;
        match (report.signing_key, self.kind) {
            // A masked chip key makes the firmware write zeroes instead of a signature.
            (SigningKey::None, _) => return Err(Error::Unsigned),
            (SigningKey::Vcek, KeyKind::Vcek) | (SigningKey::Vlek, KeyKind::Vlek) => {}
            (report, certificate) => {
                return Err(Error::SigningKeyKind {
                    report,
                    certificate,
                });
            }
        }
        if report.signature.iter().all(|byte| *byte == 0) {
            return Err(Error::Unsigned);
        }
        self.key
            .verify_sig(Report::signed_bytes(bytes)?, &report.signature)
            .map_err(|_| Error::Signature)?;
        let tcb = self.check_platform(&report)?;
        let machine = self.machine(&report)?;
        let versions = TcbVersions {
            reported: tcb,
            committed: report.committed_tcb(self.product)?,
            current: report.current_tcb(self.product)?,
            at_launch: report.launch_tcb(self.product)?,
        };
        let summary = Summary {
            technology: Technology::Snp,
            product: self.product.as_str(),
            measurement: report.measurement.to_vec(),
            report_data: report.report_data.to_vec(),
            host_data: Some(report.host_data.to_vec()),
            debug: report.policy.debug_allowed(),
            migratable: report.policy.migration_agent_allowed(),
            privilege_level: Some(report.vmpl),
            machine: machine.map(|chip_id| chip_id.to_vec()),
            tcb: versions.components(),
            tcb_status: None,
            advisories: Vec::new(),
            flags: summary::flags(&report),
            numbers: summary::numbers(&report),
            values: summary::values(&report),
            revocation_checked: self.list_issued.is_some(),
            collateral_issued: self.list_issued,
            anchor: self.anchor,
            anchor_name: self.anchor_name.clone(),
            validity: self.validity,
        };
        let steps = self.steps(&report);
        Ok(VerifiedEvidence::new(summary, steps).with_snp_report(report))
    }

    /// What the key belongs to.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The product that the key is endorsed for.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The security versions that the key is endorsed for.
    #[must_use]
    pub fn tcb(&self) -> Tcb {
        self.tcb
    }

    /// When all certificates hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Checks that the report is of the product and TCB that the key is endorsed for.
    fn check_platform(&self, report: &Report) -> Result<Tcb, Error> {
        if let Some(cpu) = report.cpu {
            let product = cpu.product()?;
            if product != self.product {
                return Err(Error::ReportProduct {
                    report: product,
                    certificate: self.product,
                });
            }
        }
        let tcb = report.reported_tcb(self.product)?;
        if tcb != self.tcb {
            return Err(Error::Tcb {
                report: tcb,
                certificate: self.tcb,
            });
        }
        Ok(tcb)
    }

    fn steps(&self, report: &Report) -> Vec<Step> {
        let revocation = match self.list_issued {
            Some(issued) => format!("not revoked by the list of {issued}"),
            None => "no revocation list was given".to_owned(),
        };
        let step = |name, found: String, source| Step {
            name,
            found,
            source,
        };
        vec![
            step(
                "endorsement key",
                format!(
                    "{} issued by {} under {}; {revocation}",
                    self.kind, self.authority_name, self.anchor_name
                ),
                "AMD #57230, certificate chains",
            ),
            step(
                "endorsed TCB",
                format!("{}, which the report reports too", self.tcb),
                "AMD #57230, certificate extensions; AMD #56860, section 7.3, REPORTED_TCB",
            ),
            step(
                "report signature",
                format!("made by the {} over version {}", self.kind, report.version),
                "AMD #56860, section 7.3, SIGNATURE",
            ),
        ]
    }

    /// The chip that made the report, when anything tells it.
    ///
    /// A report need not show it: the host can have `CHIP_ID` zeroed (`MASK_CHIP_ID` of
    /// `SNP_CONFIG`, which no field of the report tells). Under a VCEK the chip is known
    /// all the same, because the key is the chip's own. A VLEK belongs to no chip, so its
    /// certificate has nothing to compare with, and the firmware's word counts.
    fn machine(&self, report: &Report) -> Result<Option<[u8; 64]>, Error> {
        let shown = Some(report.chip_id).filter(|chip_id| *chip_id != [0; 64]);
        match (self.chip_id, shown) {
            (Some(endorsed), Some(shown)) if endorsed != shown => Err(Error::ChipId),
            (endorsed, shown) => Ok(endorsed.or(shown)),
        }
    }
}

impl<A: Assurance> fmt::Debug for EndorsementKey<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndorsementKey")
            .field("assurance", &A::KIND)
            .field("kind", &self.kind)
            .field("product", &self.product)
            .field("tcb", &self.tcb)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
        })
    }
}

impl CertificateRole {
    fn check<T>(self, result: Result<T, CertificateError>) -> Result<T, Error> {
        result.map_err(|reason| Error::Certificate { role: self, reason })
    }
}

/// Extensions of endorsement keys' certificates (AMD #57230, under 1.3.6.1.4.1.3704.1).
const fn extension_id(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}
pub(super) const PRODUCT_NAME: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.2");
const BOOTLOADER: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.3.1");
const TEE: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.3.2");
const SNP: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.3.8");
const FMC: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.3.9");
const HARDWARE_ID: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.4");
const PROVIDER_ID: ObjectIdentifier = extension_id("1.3.6.1.4.1.3704.1.5");

/// Checks that a root which endorses one product only is that product's.
fn check_root_product(certificate: Product, root: KnownRoot) -> Result<(), Error> {
    match root.product {
        Some(root) if root != certificate => Err(Error::RootProduct { certificate, root }),
        _ => Ok(()),
    }
}

pub(super) fn product(leaf: &Certificate<'_>) -> Result<Product, Error> {
    let name = leaf
        .extension(PRODUCT_NAME)
        .and_then(|value| Ia5StringRef::from_der(value).ok())
        .ok_or(Error::Extension("productName"))?;
    Product::from_certificate_name(name.as_str()).ok_or(Error::UnknownProduct)
}

pub(super) fn tcb(leaf: &Certificate<'_>, product: Product) -> Result<Tcb, Error> {
    let version = |id, name| {
        leaf.extension(id)
            .and_then(|value| u8::from_der(value).ok())
            .ok_or(Error::Extension(name))
    };
    Ok(Tcb {
        fmc: match product {
            Product::Milan | Product::Genoa => None,
            Product::Turin => Some(version(FMC, "fmcSPL")?),
        },
        bootloader: version(BOOTLOADER, "blSPL")?,
        tee: version(TEE, "teeSPL")?,
        snp: version(SNP, "snpSPL")?,
        microcode: version(MICROCODE, "ucodeSPL")?,
    })
}

/// What the key belongs to, and the chip if it is one, padded to the length that it
/// has in reports.
pub(super) fn owner(
    leaf: &Certificate<'_>,
    product: Product,
) -> Result<(KeyKind, Option<[u8; 64]>), Error> {
    let value = match (leaf.extension(HARDWARE_ID), leaf.extension(PROVIDER_ID)) {
        (Some(value), None) => value,
        (None, Some(_)) => return Ok((KeyKind::Vlek, None)),
        _ => return Err(Error::KeyKind),
    };
    // AMD puts the bytes there as they are; an octet string around them is also seen.
    let length = product.chip_id_bytes();
    let identity = Some(value)
        .filter(|value| value.len() == length)
        .or_else(|| {
            let wrapped = <&OctetStringRef>::from_der(value).ok()?;
            Some(wrapped.as_bytes()).filter(|value| value.len() == length)
        })
        .ok_or(Error::Extension("hwID"))?;
    let mut chip_id = [0; 64];
    let (used, _zero) = chip_id.split_at_mut(length);
    used.copy_from_slice(identity);
    Ok((KeyKind::Vcek, Some(chip_id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_of_amd_endorses_its_own_product_only() {
        let milan = KnownRoot {
            product: Some(Product::Milan),
        };
        assert_eq!(check_root_product(Product::Milan, milan), Ok(()));
        assert_eq!(
            check_root_product(Product::Genoa, milan),
            Err(Error::RootProduct {
                certificate: Product::Genoa,
                root: Product::Milan
            })
        );
        let any = KnownRoot { product: None };
        assert_eq!(check_root_product(Product::Genoa, any), Ok(()));
    }
}
