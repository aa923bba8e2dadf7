//! What verification hands on.

use core::marker::PhantomData;

use enarx_wire_launch::EvidenceFormat;

use crate::{AnchorKind, Assurance, Digest, Genuine, Simulated, Validity, snp};

/// Evidence whose signature and chain of certificates were verified under a trust
/// anchor of kind `A`.
///
/// Only verification makes one, so holding one is the proof.
#[derive(Debug, Clone)]
pub struct VerifiedEvidence<A: Assurance> {
    summary: Summary,
    report: snp::Report,
    assurance: PhantomData<A>,
}

impl<A: Assurance> VerifiedEvidence<A> {
    pub(crate) fn new(summary: Summary, report: snp::Report) -> Self {
        Self {
            summary,
            report,
            assurance: PhantomData,
        }
    }

    /// What the evidence says, in words common to all technologies.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The SEV-SNP report that was verified, with every field.
    #[must_use]
    pub fn snp_report(&self) -> &snp::Report {
        &self.report
    }
}

/// Verified evidence of either kind, for those who accept both and look which it is.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// Real hardware signed it.
    Genuine(VerifiedEvidence<Genuine>),
    /// A simulator signed it.
    Simulated(VerifiedEvidence<Simulated>),
}

impl Evidence {
    /// What the evidence says, in words common to all technologies.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        match self {
            Self::Genuine(evidence) => evidence.summary(),
            Self::Simulated(evidence) => evidence.summary(),
        }
    }

    /// The SEV-SNP report that was verified, with every field.
    #[must_use]
    pub fn snp_report(&self) -> &snp::Report {
        match self {
            Self::Genuine(evidence) => evidence.snp_report(),
            Self::Simulated(evidence) => evidence.snp_report(),
        }
    }

    /// Which kind of trust anchor vouches for it.
    #[must_use]
    pub fn kind(&self) -> AnchorKind {
        match self {
            Self::Genuine(_) => AnchorKind::Genuine,
            Self::Simulated(_) => AnchorKind::Simulated,
        }
    }
}

impl From<VerifiedEvidence<Genuine>> for Evidence {
    fn from(evidence: VerifiedEvidence<Genuine>) -> Self {
        Self::Genuine(evidence)
    }
}

impl From<VerifiedEvidence<Simulated>> for Evidence {
    fn from(evidence: VerifiedEvidence<Simulated>) -> Self {
        Self::Simulated(evidence)
    }
}

/// What evidence says, in words common to all technologies.
///
/// This is all that appraisal looks at. A field that a technology does not have is
/// `None`, which a policy that asks for the field does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The format in which it was said.
    pub format: EvidenceFormat,
    /// The processor product, as its vendor spells it (`Milan`, `Genoa`, `Turin`).
    pub product: &'static str,
    /// Digest of what was loaded into the TEE before it ran.
    pub measurement: Vec<u8>,
    /// What the TEE itself put into the evidence, binding it to its keys.
    pub report_data: [u8; 64],
    /// What the host put into the evidence at launch.
    pub host_data: Option<Vec<u8>>,
    /// Whether the host may read and change the TEE's memory for debugging.
    pub debug: bool,
    /// Whether the TEE may be moved to another machine by an agent of the host's choice.
    pub migratable: bool,
    /// The privilege level inside the TEE that asked for the evidence; 0 is the highest.
    pub privilege_level: Option<u32>,
    /// The identity of the processor, where the evidence or its endorsement tells it.
    pub machine: Option<Vec<u8>>,
    /// Security versions of firmware and microcode.
    pub tcb: Vec<TcbComponent>,
    /// SHA-384 of the `SubjectPublicKeyInfo` of the trust anchor.
    pub anchor: Digest,
    /// The trust anchor's subject common name.
    pub anchor_name: String,
    /// When all certificates used hold.
    pub validity: Validity,
}

/// The security version of one part of a platform's trusted computing base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcbComponent {
    /// Name of the part, as in policies (`bootloader`, `microcode`, ...).
    pub name: &'static str,
    /// The version to which the endorsement belongs.
    pub reported: u64,
    /// The version that ran when the TEE was launched.
    pub at_launch: u64,
}
