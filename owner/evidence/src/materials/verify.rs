//! Verification of the evidence among materials.

use crate::{
    AnchorKind, Digest, Evidence, Genuine, SimulatedRoots, Step, UnixTime, azure, cca, dcap,
    event_log::EventLog,
    nitro, nvidia, se, sev,
    snp::{self, Certificates, EitherEndorsementKey},
};

use super::{Error, Kind, Materials};

/// Whom to trust beside the vendors.
#[derive(Debug, Clone)]
pub struct Roots {
    /// Of AMD SEV-SNP.
    pub snp: SimulatedRoots,
    /// Of Intel SGX and TDX.
    pub dcap: SimulatedRoots,
    /// The platform keys of Arm CCA that are trusted to be silicon's: there is no root that
    /// could vouch for them.
    pub cca: Vec<cca::PlatformKey<Genuine>>,
    /// The roots that are trusted to lead to IBM's signing key for host keys, by the SHA-384 of
    /// their `SubjectPublicKeyInfo`; the certificates must be among the materials.
    pub se: Vec<Digest>,
}

impl Roots {
    /// The vendors' alone.
    #[must_use]
    pub fn genuine() -> Self {
        Self {
            snp: SimulatedRoots::None,
            dcap: SimulatedRoots::None,
            cca: Vec::new(),
            se: Vec::new(),
        }
    }
}

impl Materials {
    /// Verifies the one piece of evidence among the materials at the time `now`.
    ///
    /// # Errors
    ///
    /// The first thing found wrong or missing.
    pub fn verify(&self, roots: &Roots, now: UnixTime) -> Result<Evidence, Error> {
        let evidence = self.evidence();
        let [kind] = *evidence.as_slice() else {
            return Err(match evidence.len() {
                0 if !self.all(Kind::SevCertificate).is_empty() => {
                    let platform = self.verify_sev_platform()?;
                    Error::SevPlatform(platform.generation())
                }
                0 if self.all(Kind::Certificate).into_iter().any(se::is_host_key) => {
                    let host_key = self.verify_host_key(roots, now)?;
                    Error::HostKey(host_key.anchor().1.to_owned())
                }
                0 if !self.all(Kind::NvidiaManifest).is_empty() => {
                    let manifests = self.verify_manifests(now)?;
                    let versions = manifests.iter().map(nvidia::VerifiedManifest::version);
                    Error::Manifest(versions.collect::<Vec<_>>().join(", "))
                }
                0 => Error::NoEvidence,
                several => Error::Several(several),
            });
        };
        let found = self.all(kind);
        let bytes = found.first().copied().unwrap_or_default();
        match kind {
            Kind::SnpReport => {
                let evidence = self.verify_snp(bytes, roots, now)?;
                Ok(match self.check_uvm_endorsements(now)? {
                    Some(step) => evidence.with_step(step),
                    None => evidence,
                })
            }
            Kind::Quote => self.verify_quote(bytes, roots, now),
            Kind::CcaToken => {
                let token = cca::verify(bytes, &roots.cca)?;
                Ok(Evidence::Genuine(token.into()))
            }
            Kind::NitroDocument => {
                let document = nitro::verify(bytes, &nitro::GenuineRoots, now)?;
                Ok(Evidence::Genuine(document.into()))
            }
            Kind::AzureEvidence => self.verify_azure(bytes, roots, now),
            Kind::HclReport => {
                let report = azure::snp_report(bytes)?;
                check_paravisor(&report)?;
                self.verify_snp(&report, roots, now)
            }
            Kind::NvidiaReport => {
                let chain = self.all(Kind::Certificate);
                let report = nvidia::verify(bytes, &chain, &nvidia::GenuineRoots, now)?;
                let report = report.compare(&self.verify_manifests(now)?)?;
                Ok(Evidence::Genuine(report.into()))
            }
            Kind::EventLog
            | Kind::Certificate
            | Kind::RevocationList
            | Kind::TcbInfo
            | Kind::QeIdentity
            | Kind::UvmEndorsement
            | Kind::NvidiaManifest
            | Kind::SevCertificate => Err(Error::NoEvidence),
        }
    }

    /// Verifies the certificates of a platform with AMD SEV before SEV-SNP, which are no
    /// evidence.
    ///
    /// # Errors
    ///
    /// The first thing found wrong or missing.
    pub fn verify_sev_platform(&self) -> Result<sev::VerifiedPlatform, sev::Error> {
        sev::verify_platform(&self.all(Kind::SevCertificate))
    }

    /// Verifies a host key document of IBM Secure Execution, which is no evidence.
    ///
    /// # Errors
    ///
    /// The first thing found wrong or missing.
    pub fn verify_host_key(
        &self,
        roots: &Roots,
        now: UnixTime,
    ) -> Result<se::VerifiedHostKey, se::Error> {
        let lists = self.all(Kind::RevocationList);
        se::verify_host_key(&self.all(Kind::Certificate), &lists, &roots.se, now)
    }

    /// Verifies NVIDIA's manifests, all of them, whatever device they are for.
    fn verify_manifests(
        &self,
        now: UnixTime,
    ) -> Result<Vec<nvidia::VerifiedManifest<Genuine>>, nvidia::Error> {
        let manifests = self.all(Kind::NvidiaManifest).into_iter();
        let verified =
            manifests.map(|manifest| nvidia::verify_manifest(manifest, &nvidia::GenuineRoots, now));
        Ok(verified.collect::<Result<_, _>>()?)
    }

    /// The certificates, in DER.
    #[must_use]
    pub fn certificates(&self) -> Vec<&[u8]> {
        self.all(Kind::Certificate)
    }

    fn verify_snp(&self, report: &[u8], roots: &Roots, now: UnixTime) -> Result<Evidence, Error> {
        // What is no report at all should be told so before it is asked for endorsements.
        let parsed = snp::Report::parse(report).map_err(snp::Error::from)?;
        let mut certificates = self.all(Kind::Certificate);
        certificates.extend(snp::AMD_AUTHORITIES);
        let certificates = Certificates::among(&certificates, &parsed)?;
        let lists = self.all(Kind::RevocationList);
        let list = certificates.list_among(&lists, now);
        let key = EitherEndorsementKey::verify_unrevoked(&certificates, list, &roots.snp, now)?;
        Ok(key.verify_report(report, now)?)
    }

    /// Checks that Microsoft's endorsements among the materials are of the SEV-SNP report
    /// there.
    ///
    /// # Errors
    ///
    /// When one does not verify at the time `now`, or is of something else.
    pub fn check_uvm_endorsements(&self, now: UnixTime) -> Result<Option<Step>, Error> {
        let mut step = None;
        for report in self.all(Kind::SnpReport) {
            let report = snp::Report::parse(report).map_err(snp::Error::from)?;
            for endorsement in self.all(Kind::UvmEndorsement) {
                let endorsement = azure::UvmEndorsement::verify(endorsement, now)?;
                step = Some(endorsement.check(&report)?);
            }
        }
        Ok(step)
    }

    /// The TPM first: its parts are bound to each other whatever the hardware's worth.
    fn verify_azure(&self, json: &[u8], roots: &Roots, now: UnixTime) -> Result<Evidence, Error> {
        let evidence = azure::Evidence::parse(json)?;
        let (tpm, hardware) = match evidence.hardware() {
            azure::Hardware::Snp { report, vcek } => {
                let report_data = check_paravisor(report)?;
                let tpm = evidence.check(&report_data)?;
                let mut materials = self.clone();
                if let Some(vcek) = vcek {
                    // What is no certificate will be missed.
                    let _ = materials.add(vcek);
                }
                (tpm, materials.verify_snp(report, roots, now)?)
            }
            azure::Hardware::Tdx { quote } => {
                let parsed = dcap::Quote::parse(quote).map_err(dcap::Error::from)?;
                let tpm = evidence.check(parsed.body().report_data())?;
                (tpm, self.verify_quote(quote, roots, now)?)
            }
        };
        Ok(hardware.behind(&tpm))
    }

    fn verify_quote(&self, quote: &[u8], roots: &Roots, now: UnixTime) -> Result<Evidence, Error> {
        let quote = &*dcap::with_certificates(quote, &self.all(Kind::Certificate))?;
        let parsed = dcap::Quote::parse(quote).map_err(dcap::Error::from)?;
        let genuine = dcap::GenuineRoots;
        // Signatures first: what is forged must not be told to lack collateral.
        let signed =
            dcap::verify_signatures(quote, None, &genuine, now).map(|_| AnchorKind::Genuine);
        let anchor = match signed {
            Err(dcap::Error::UntrustedRoot) => {
                dcap::verify_signatures(quote, None, &roots.dcap, now)?;
                AnchorKind::Simulated
            }
            other => other?,
        };
        let evidence = match anchor {
            AnchorKind::Genuine => {
                let quote = self.judge(quote, &parsed, genuine, now)?;
                Evidence::Genuine(quote.into())
            }
            AnchorKind::Simulated => {
                let quote = self.judge(quote, &parsed, roots.dcap.clone(), now)?;
                Evidence::Simulated(quote.into())
            }
        };
        Ok(match self.check_event_logs(parsed.body())? {
            Some(step) => evidence.with_step(step),
            None => evidence,
        })
    }

    /// Checks that the event logs among the materials are those of a TD; an enclave has none.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or does not replay to the TD's registers.
    pub fn check_event_logs(&self, body: &dcap::Body) -> Result<Option<Step>, Error> {
        let dcap::Body::Tdx(report) = body else {
            return Ok(None);
        };
        let mut step = None;
        for log in self.all(Kind::EventLog) {
            let log = EventLog::parse(log)?;
            log.check(&report.rtmrs)?;
            step = Some(Step {
                name: "event log",
                found: format!("{} events replay to RTMR 0 to 3", log.witnessed().count()),
                source: "UEFI specification, confidential computing event log",
            });
        }
        Ok(step)
    }

    fn judge<R: dcap::TrustAnchors>(
        &self,
        quote: &[u8],
        parsed: &dcap::Quote<'_>,
        anchors: R,
        now: UnixTime,
    ) -> Result<dcap::VerifiedQuote<R::Assurance>, dcap::Error> {
        let chain = parsed.certificates()?;
        let mut certificates = self.all(Kind::Certificate);
        certificates.extend(chain.iter().map(Vec::as_slice));
        let candidates = dcap::Candidates {
            tcb_infos: &self.all(Kind::TcbInfo),
            qe_identities: &self.all(Kind::QeIdentity),
            certificates: &certificates,
            revocation_lists: &self.all(Kind::RevocationList),
        };
        let bytes = candidates.choose(parsed, now)?;
        dcap::Collateral::verify(&bytes, anchors, now)?.verify_quote(quote, now)
    }
}

/// Checks that a report was asked for where the paravisor runs; gives its report data.
fn check_paravisor(report: &[u8]) -> Result<[u8; 64], Error> {
    let report = snp::Report::parse(report).map_err(snp::Error::from)?;
    match report.vmpl {
        0 => Ok(report.report_data),
        other => Err(azure::Error::Privilege(other).into()),
    }
}
