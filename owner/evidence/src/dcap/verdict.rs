//! Verified quotes.

use core::marker::PhantomData;

use crate::{AnchorKind, Assurance, Digest, Step, UnixTime, Validity};

use super::{
    Body, Collateral, EnclaveReport, Error, Platform, Quote, TcbStatus, TrustAnchors,
    collateral::PlatformKey,
};

/// A quote that a certified platform made with Intel's quoting enclave, and what Intel
/// thinks of that platform.
///
/// Only [`Collateral::verify_quote`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedQuote<A: Assurance> {
    version: u16,
    body: Body,
    qe_report: EnclaveReport,
    platform: Platform,
    authority_name: String,
    status: TcbStatus,
    tcb_date: UnixTime,
    advisories: Vec<String>,
    evaluation_numbers: (u32, u32),
    collateral_issued: UnixTime,
    validity: Validity,
    anchor: Digest,
    anchor_name: String,
    assurance: PhantomData<A>,
}

impl<A: Assurance> VerifiedQuote<A> {
    /// Judges a quote whose signatures lead to `key`.
    pub(super) fn judge<R: TrustAnchors<Assurance = A>>(
        collateral: &Collateral<R>,
        quote: Quote<'_>,
        key: &PlatformKey,
    ) -> Result<Self, Error> {
        let enclave = collateral.qe_identity().check(quote.qe_report())?;
        let judgement = match quote.body() {
            Body::Sgx(_) => collateral.tcb_info().judge_sgx(&key.platform),
            Body::Tdx(report) => collateral.tcb_info().judge_tdx(&key.platform, report),
        }?;
        let status = judgement.status.worsened_by(enclave.status);
        if status == TcbStatus::Revoked {
            return Err(Error::RevokedTcb);
        }
        let met = judgement.advisories.into_iter();
        let met = met.chain([enclave.advisories.as_slice()]);
        let mut advisories: Vec<_> = met.flatten().cloned().collect();
        advisories.sort_unstable();
        advisories.dedup();
        let (anchor, anchor_name) = collateral.anchor();
        Ok(Self {
            version: quote.version(),
            qe_report: quote.qe_report().clone(),
            body: quote.into_body(),
            platform: key.platform.clone(),
            authority_name: key.authority_name.clone(),
            status,
            tcb_date: judgement.date.min(enclave.date),
            advisories,
            evaluation_numbers: (
                collateral.tcb_info().evaluation_number,
                collateral.qe_identity().evaluation_number,
            ),
            collateral_issued: collateral.issued().min(key.list_issued),
            validity: collateral.validity().intersection(key.validity),
            anchor,
            anchor_name: anchor_name.to_owned(),
            assurance: PhantomData,
        })
    }

    /// The version of the quote's format: 3, 4 or 5.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The report that was quoted.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The report of the quoting enclave.
    #[must_use]
    pub fn qe_report(&self) -> &EnclaveReport {
        &self.qe_report
    }

    /// The platform, as its PCK certificate describes it.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// What Intel thinks of the platform, its quoting enclave and its TDX module.
    #[must_use]
    pub fn tcb_status(&self) -> TcbStatus {
        self.status
    }

    /// Up to when the platform has all fixes: the oldest date of the levels that it
    /// reaches.
    #[must_use]
    pub fn tcb_date(&self) -> UnixTime {
        self.tcb_date
    }

    /// Intel's advisories that apply, in order.
    #[must_use]
    pub fn advisories(&self) -> &[String] {
        &self.advisories
    }

    /// The number of the evaluation (`tcbEvaluationDataNumber`) after which Intel wrote the
    /// collateral: the lower one of TCB info and QE identity.
    #[must_use]
    pub fn evaluation_number(&self) -> u32 {
        let (tcb_info, qe_identity) = self.evaluation_numbers;
        tcb_info.min(qe_identity)
    }

    /// When the oldest part of the collateral was issued.
    #[must_use]
    pub fn collateral_issued(&self) -> UnixTime {
        self.collateral_issued
    }

    /// When all certificates and collateral used hold.
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
        let step = |name, found: String, source| Step {
            name,
            found,
            source,
        };
        let (tcb_info, qe_identity) = self.evaluation_numbers;
        vec![
            step(
                "PCK certificate",
                format!(
                    "issued by {} under {}, and on no revocation list",
                    self.authority_name, self.anchor_name
                ),
                "Intel SGX PCK Certificate and CRL Profile",
            ),
            step(
                "platform",
                format!("FMSPC {}", hex::encode(self.platform.fmspc)),
                "Intel SGX PCK Certificate and CRL Profile, SGX extensions",
            ),
            step(
                "quoting enclave",
                format!(
                    "{}, ISVSVN {}, signed by the platform's PCK",
                    match A::KIND {
                        AnchorKind::Genuine => "Intel's",
                        AnchorKind::Simulated => "the simulator's",
                    },
                    self.qe_report.isv_svn
                ),
                "Intel PCS API version 4, enclave identity",
            ),
            step(
                "quote signature",
                format!(
                    "made by the quoting enclave's key, version {}",
                    self.version
                ),
                "Intel SGX ECDSA QuoteGenReference API, appendix A; Intel TDX DCAP Quoting Library API, appendix A",
            ),
            step(
                "TCB level",
                format!(
                    "{}, all fixes up to {}; evaluations {tcb_info} and {qe_identity}",
                    self.status, self.tcb_date
                ),
                "Intel PCS API version 4, TCB info",
            ),
        ]
    }
}
