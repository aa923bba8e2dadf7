//! Verification of a Keep's evidence with what its host endorses it by.

use enarx_owner_collateral::{CollectError, Collector};
use enarx_owner_evidence::{
    Evidence, UnixTime,
    dcap::{self, CollateralBytes, EitherCollateral},
    materials::{self, Kind, Materials, Roots},
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
    /// A quote of SGX or TDX, or its collateral.
    #[error(transparent)]
    Dcap(#[from] dcap::Error),
    /// Either, with what the owner has collected.
    #[error(transparent)]
    Collected(#[from] materials::Error),
    /// What it needs could not be collected.
    #[error("what the evidence needs could not be collected: {0}")]
    Collect(#[from] CollectError),
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
            EvidenceFormat::SgxQuote | EvidenceFormat::TdxQuote => {
                self.dcap?.verify_quote(evidence, now)?
            }
        })
    }
}

/// Verifies evidence of `format` with what `collector` has or gets of what the host did not
/// give; `None` if it is no evidence of that format.
pub(crate) async fn verify_collecting(
    collector: &Collector,
    format: EvidenceFormat,
    evidence: &[u8],
    endorsements: &[Endorsement],
    now: UnixTime,
) -> Option<Result<Evidence, EvidenceError>> {
    let mut materials = Materials::default();
    let files = endorsements
        .iter()
        .map(|endorsement| &endorsement.bytes[..]);
    for file in files.chain([evidence]) {
        // What is not recognised endorses nothing, and verification will miss it.
        let _ = materials.add(file);
    }
    let expected = match format {
        EvidenceFormat::SnpReport => Kind::SnpReport,
        EvidenceFormat::SgxQuote | EvidenceFormat::TdxQuote => Kind::Quote,
    };
    // Endorsements that are evidence too would make it unclear which was verified.
    materials
        .only_evidence()
        .filter(|(kind, _)| *kind == expected)?;
    let roots = Roots {
        snp: SimulatedRoots::Any,
        dcap: SimulatedRoots::Any,
        ..Roots::genuine()
    };
    let verify = |materials: &Materials| materials.verify(&roots, now);
    let collected = collector.verify(&materials, now, verify).await;
    Some(match collected {
        Ok(collected) => collected.evidence.map_err(EvidenceError::from),
        Err(error) => Err(error.into()),
    })
}
