//! What verification hands on.

use core::marker::PhantomData;

use crate::{
    AnchorKind, Assurance, Genuine, Simulated, Step, Summary, Value, azure::VirtualTpm,
    names::TPM_REGISTERS, snp,
};

/// Evidence whose signature and chain of certificates were verified under a trust
/// anchor of kind `A`.
///
/// Only verification makes one, so holding one is the proof.
#[derive(Debug, Clone)]
pub struct VerifiedEvidence<A: Assurance> {
    summary: Summary,
    steps: Vec<Step>,
    snp_report: Option<snp::Report>,
    assurance: PhantomData<A>,
}

impl<A: Assurance> VerifiedEvidence<A> {
    pub(crate) fn new(summary: Summary, steps: Vec<Step>) -> Self {
        Self {
            summary,
            steps,
            snp_report: None,
            assurance: PhantomData,
        }
    }

    pub(crate) fn with_snp_report(self, report: snp::Report) -> Self {
        Self {
            snp_report: Some(report),
            ..self
        }
    }

    /// What the evidence says, in words common to all technologies.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The same of a guest behind a virtual TPM that the hardware vouches for: the nonce is
    /// then in the TPM's quote, with the registers.
    fn behind(mut self, tpm: &VirtualTpm) -> Self {
        self.summary.report_data = tpm.nonce().to_vec();
        let registers = tpm.registers().iter().filter_map(|(number, bytes)| {
            let name = TPM_REGISTERS.get(*number)?;
            let bytes = bytes.to_vec();
            Some(Value { name, bytes })
        });
        self.summary.values.extend(registers);
        self.steps.extend(tpm.steps());
        self
    }

    /// What verification established, in the order of its doing.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The SEV-SNP report that was verified, with every field; `None` for other
    /// technologies.
    #[must_use]
    pub fn snp_report(&self) -> Option<&snp::Report> {
        self.snp_report.as_ref()
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
    /// The same, with something more that was established.
    pub(crate) fn with_step(mut self, step: Step) -> Self {
        match &mut self {
            Self::Genuine(evidence) => evidence.steps.push(step),
            Self::Simulated(evidence) => evidence.steps.push(step),
        }
        self
    }

    /// The same of a guest behind a virtual TPM that the hardware vouches for.
    pub(crate) fn behind(self, tpm: &VirtualTpm) -> Self {
        match self {
            Self::Genuine(evidence) => Self::Genuine(evidence.behind(tpm)),
            Self::Simulated(evidence) => Self::Simulated(evidence.behind(tpm)),
        }
    }

    /// What the evidence says, in words common to all technologies.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        match self {
            Self::Genuine(evidence) => evidence.summary(),
            Self::Simulated(evidence) => evidence.summary(),
        }
    }

    /// What verification established, in the order of its doing.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Genuine(evidence) => evidence.steps(),
            Self::Simulated(evidence) => evidence.steps(),
        }
    }

    /// The SEV-SNP report that was verified, with every field; `None` for other
    /// technologies.
    #[must_use]
    pub fn snp_report(&self) -> Option<&snp::Report> {
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
