//! Choosing a report's chain and revocation list among files.
//!
//! Nothing here is verified: a wrong choice makes verification fail, and no more.

use core::cmp::Reverse;

use crate::{
    UnixTime,
    x509::{Certificate, RevocationList, Vendor},
};

use super::{
    CertificateRole, Error, Report, SigningKey,
    endorsement::{KeyKind, PRODUCT_NAME, owner, product, tcb},
};

/// Most certificates among which a chain is looked for.
const MAX_CERTIFICATES: usize = 512;

/// The certificates that endorse a report's signing key, each DER-encoded. All of
/// them may come from the host: none is trusted before it is verified.
#[derive(Debug, Clone, Copy)]
pub struct Certificates<'a> {
    /// The signing key: VCEK, or VLEK.
    pub endorsement_key: &'a [u8],
    /// The authority that issued it: ASK for a VCEK, ASVK for a VLEK.
    pub signing_authority: &'a [u8],
    /// The root: ARK.
    pub root: &'a [u8],
}

impl<'a> Certificates<'a> {
    /// Chooses the chain of `report`'s endorsement key among certificates in any order, with
    /// others beside them, such as those of a fleet's other chips and firmware versions.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when one of the three is not there.
    pub fn among(certificates: &[&'a [u8]], report: &Report) -> Result<Self, Error> {
        let parsed: Vec<_> = certificates
            .iter()
            .take(MAX_CERTIFICATES)
            .filter_map(|der| Some((*der, Certificate::parse(der, Vendor::RsaPss).ok()?)))
            .collect();
        let keys = parsed
            .iter()
            .filter(|(_, certificate)| certificate.extension(PRODUCT_NAME).is_some());
        let (endorsement_key, leaf) = keys
            .min_by_key(|(_, leaf)| Reverse(likeness(leaf, report)))
            .ok_or(Error::Missing(CertificateRole::EndorsementKey))?;
        let issuer = |of: &Certificate<'_>, role| {
            let mut others = parsed.iter();
            let found = others.find(|(_, other)| other.subject() == of.issuer());
            found.ok_or(Error::Missing(role))
        };
        let (signing_authority, authority) = issuer(leaf, CertificateRole::SigningAuthority)?;
        let (root, _) = issuer(authority, CertificateRole::Root)?;
        Ok(Self {
            endorsement_key,
            signing_authority,
            root,
        })
    }

    /// Chooses the root's revocation list among lists of whomever: the newest of those that
    /// hold at the time `now`, else the newest.
    #[must_use]
    pub fn list_among<'l>(&self, lists: &[&'l [u8]], now: UnixTime) -> Option<&'l [u8]> {
        let root = Certificate::parse(self.root, Vendor::RsaPss).ok()?;
        let of_root = lists.iter().filter_map(|list| {
            let (issuer, period) = RevocationList::peek(list)?;
            (issuer == *root.subject()).then_some((period, *list))
        });
        of_root
            .max_by_key(|(period, _)| (period.contains(now), period.not_before))
            .map(|(_, list)| list)
    }
}

/// How much a key's certificate looks like that of `report`'s key.
fn likeness(leaf: &Certificate<'_>, report: &Report) -> usize {
    let Ok(product) = product(leaf) else {
        return 0;
    };
    let (kind, chip_id) = match owner(leaf, product) {
        Ok((kind, chip_id)) => (Some(kind), chip_id),
        Err(_) => (None, None),
    };
    let wanted = match report.signing_key {
        SigningKey::Vcek => Some(KeyKind::Vcek),
        SigningKey::Vlek => Some(KeyKind::Vlek),
        SigningKey::None => None,
    };
    let version = tcb(leaf, product).ok();
    [
        kind == wanted,
        report.cpu.and_then(|cpu| cpu.product().ok()) == Some(product),
        chip_id == Some(report.chip_id),
        version.is_some() && version == report.reported_tcb(product).ok(),
    ]
    .into_iter()
    .filter(|alike| *alike)
    .count()
}
