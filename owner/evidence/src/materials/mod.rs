//! Evidence with its endorsements, unsorted, as somebody has them in files.
//!
//! [`Materials::add`] tells by the bytes what each file is, whatever its name;
//! [`Materials::verify`] does what the evidence among them needs.

mod error;
mod json;
mod kind;
mod pem;
mod verify;

pub use error::{Error, Unrecognized};
pub use kind::Kind;
pub use verify::Roots;

use crate::azure;

use kind::Recognized;

/// Largest file looked at.
pub const MAX_FILE_BYTES: usize = 2 * 1024 * 1024;
/// Most files, those inside of others counted too.
const MAX_ITEMS: usize = 256;

/// Evidence with its endorsements, unsorted.
#[derive(Debug, Clone, Default)]
pub struct Materials {
    items: Vec<(Kind, Vec<u8>)>,
}

impl Materials {
    /// Takes a file in; gives what was found in it, which is several things for a bundle of
    /// certificates.
    ///
    /// # Errors
    ///
    /// [`Unrecognized`] when it is nothing that is known here.
    pub fn add(&mut self, file: &[u8]) -> Result<Vec<Kind>, Unrecognized> {
        let mut found = Vec::new();
        for Recognized { kind, bytes } in kind::recognize(file)? {
            if self.items.len() == MAX_ITEMS {
                return Err(Unrecognized::TooMany);
            }
            found.push(kind);
            self.items.push((kind, bytes));
        }
        Ok(found)
    }

    /// Takes over what endorses evidence from `others`, as far as there is room; evidence
    /// among them is left out.
    pub fn add_endorsements(&mut self, others: Self) {
        let endorsements = others.items.into_iter();
        let endorsements = endorsements.filter(|(kind, _)| !kind.is_evidence());
        let room = MAX_ITEMS.saturating_sub(self.items.len());
        self.items.extend(endorsements.take(room));
    }

    /// All of a kind.
    fn all(&self, kind: Kind) -> Vec<&[u8]> {
        let of_kind = self.items.iter().filter(|(one, _)| *one == kind);
        of_kind.map(|(_, bytes)| bytes.as_slice()).collect()
    }

    /// The evidence, when there is exactly one piece.
    #[must_use]
    pub fn only_evidence(&self) -> Option<(Kind, &[u8])> {
        let mut evidence = self.items.iter().filter(|(kind, _)| kind.is_evidence());
        match (evidence.next(), evidence.next()) {
            (Some((kind, bytes)), None) => Some((*kind, bytes)),
            _ => None,
        }
    }

    /// The nonce that evidence from behind a virtual TPM claims to be for: known even when
    /// the hardware's part lacks collateral.
    #[must_use]
    pub fn claimed_nonce(&self) -> Option<Vec<u8>> {
        let json = self.all(Kind::AzureEvidence);
        let evidence = azure::Evidence::parse(json.first()?).ok()?;
        Some(evidence.nonce().to_vec())
    }

    /// Whether there is an endorsement by Microsoft of the VM around confidential containers.
    #[must_use]
    pub fn has_uvm_endorsement(&self) -> bool {
        self.items
            .iter()
            .any(|(kind, _)| *kind == Kind::UvmEndorsement)
    }

    /// The materials for each of several NVIDIA devices by itself: its report, and all that is
    /// no other device's. One element, all of it, when there are not several, or there is
    /// evidence of something else too.
    #[must_use]
    pub fn by_device(&self) -> Vec<Self> {
        let evidence = self.evidence();
        if evidence.len() < 2 || evidence.iter().any(|kind| *kind != Kind::NvidiaReport) {
            return vec![self.clone()];
        }
        let (reports, others): (Vec<_>, Vec<_>) = self
            .items
            .iter()
            .cloned()
            .partition(|(kind, _)| *kind == Kind::NvidiaReport);
        let alone = |report| {
            let items = core::iter::once(report).chain(others.iter().cloned());
            Self {
                items: items.collect(),
            }
        };
        reports.into_iter().map(alone).collect()
    }

    /// The kinds of evidence, without what only endorses it.
    #[must_use]
    pub fn evidence(&self) -> Vec<Kind> {
        let kinds = self.items.iter().map(|(kind, _)| *kind);
        kinds.filter(|kind| kind.is_evidence()).collect()
    }
}
