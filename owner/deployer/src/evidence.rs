//! Verification of a Keep's evidence with what its host endorses it by.

use enarx_owner_evidence::{
    Evidence, UnixTime,
    dcap::{self, CollateralBytes, EitherCollateral},
    snp::{self, Certificates, EitherEndorsementKey, SimulatedRoots},
};
use enarx_wire_host_api::{Endorsement, EndorsementKind};
use enarx_wire_launch::EvidenceFormat;

/// Why a Keep's evidence does not verify.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvidenceError {
    /// A report of SEV-SNP, or its chain.
    #[error(transparent)]
    Snp(#[from] snp::Error),
    /// A quote of SGX, or its collateral.
    #[error(transparent)]
    Dcap(#[from] dcap::Error),
}

/// A host's endorsements, verified under the vendors' roots or a simulator's, for each
/// technology. Which simulators, if any, the policy accepts is for the appraisal, which can
/// then say so.
#[derive(Debug)]
pub(crate) struct VerifiedEndorsements {
    snp: Result<EitherEndorsementKey, snp::Error>,
    dcap: Result<EitherCollateral, dcap::Error>,
}

impl VerifiedEndorsements {
    pub(crate) fn new(endorsements: &[Endorsement], now: UnixTime) -> Self {
        // One that the host left out is empty, which does not parse.
        let of_kind = |kind| -> &[u8] {
            endorsements
                .iter()
                .find(|endorsement| endorsement.kind == kind)
                .map_or(&[], |endorsement| &endorsement.bytes)
        };
        let simulators = &SimulatedRoots::Any;
        let certificates = Certificates {
            endorsement_key: of_kind(EndorsementKind::SnpVcek),
            signing_authority: of_kind(EndorsementKind::SnpAsk),
            root: of_kind(EndorsementKind::SnpArk),
        };
        let collateral = CollateralBytes {
            tcb_info: of_kind(EndorsementKind::DcapTcbInfo),
            qe_identity: of_kind(EndorsementKind::DcapQeIdentity),
            certificates: &[
                of_kind(EndorsementKind::DcapTcbSigning),
                of_kind(EndorsementKind::DcapRoot),
            ],
            pck_revocations: of_kind(EndorsementKind::DcapPckRevocations),
            root_revocations: of_kind(EndorsementKind::DcapRootRevocations),
        };
        Self {
            snp: EitherEndorsementKey::verify(&certificates, simulators, now),
            dcap: EitherCollateral::verify(&collateral, simulators, now),
        }
    }

    /// Verifies evidence of `format`.
    pub(crate) fn verify(
        self,
        format: EvidenceFormat,
        evidence: &[u8],
        now: UnixTime,
    ) -> Result<Evidence, EvidenceError> {
        Ok(match format {
            EvidenceFormat::SnpReport => self.snp?.verify_report(evidence, now)?,
            EvidenceFormat::SgxQuote => self.dcap?.verify_quote(evidence, now)?,
        })
    }
}
