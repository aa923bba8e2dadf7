//! Stage one: a Keep is started and proves what it is.

use std::{
    panic::resume_unwind,
    thread::{self, Builder},
};

use enarx_owner_appraisal::{Accepted, Policy, ReferenceValues, Rejected, Submission, appraise};
use enarx_owner_collateral::Collector;
use enarx_owner_evidence::UnixTime;
use enarx_wire_host_api::{HexBytes, KeepId, StartRequest, StartedKeep};
use enarx_wire_launch::{EvidenceFormat, KeepImage, KeepMemory, MemoryStrategy, Platform};
use enarx_wire_provision::{Challenge, Claims, OfferError, OwnerOffer, SealError, Sealing, Suite};

use crate::{
    HostConnection, HostError, Observer, Progress, SystemRandom,
    evidence::{VerifiedEndorsements, verify_collecting},
};

/// What the owner asks the host for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepRequest {
    /// The backend, as `wire/launch` names it.
    pub backend: String,
    /// Whether the software TEE is wanted.
    pub simulate: bool,
    /// Memory of the Keep in bytes, a multiple of 4096.
    pub memory_bytes: u64,
    /// Whether the program is compiled so that it checks every access to memory.
    pub bounded_memory: bool,
    /// CPU time in seconds after which the host ends the Keep.
    pub cpu_seconds: Option<u64>,
    /// Whether the application needs the host's network.
    pub network: bool,
    /// The application's name, which the host will show.
    pub name: Option<String>,
}

/// What the owner expects of a Keep.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The owner's policy.
    pub policy: &'a Policy,
    /// The Keep image that the owner has; reference values are computed from it.
    pub image: KeepImage<'a>,
    /// Where endorsements come from that the host does not give: those of hardware whose
    /// evidence brings only its own certificates.
    pub collector: Option<&'a Collector>,
    /// The owner's clock.
    pub now: UnixTime,
    /// The suite that the package's key is to be sealed in, or the Keep's preferred one.
    pub suite: Option<Suite>,
}

/// A Keep whose evidence was appraised and accepted. The only way to the next stage.
#[derive(Debug)]
pub struct Attested {
    keep: KeepId,
    offer: OwnerOffer,
    accepted: Accepted,
    sealing: Result<Sealing, SealError>,
}

impl Attested {
    /// The host's name for the Keep.
    #[must_use]
    pub const fn keep(&self) -> KeepId {
        self.keep
    }

    /// What the Keep says of itself, now backed by evidence.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        self.offer.claims()
    }

    /// The verdict that let it pass.
    pub const fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// What is sealed to the Keep begins with this.
    ///
    /// # Errors
    ///
    /// The Keep has no key in the suite, or one that is none.
    pub(crate) fn into_sealing(self) -> Result<Sealing, SealError> {
        self.sealing
    }
}

/// Has the host start a Keep, challenges it, and appraises what it answers. A Keep
/// that is not accepted is ended again.
///
/// # Errors
///
/// [`AttestError`] says whether the host failed, the Keep's offer made no sense, or
/// its evidence was appraised and rejected.
pub async fn attest(
    host: &dyn HostConnection,
    request: &KeepRequest,
    expectations: &Expectations<'_>,
    observer: &dyn Observer,
) -> Result<Attested, AttestError> {
    let challenge = Challenge::new(&mut SystemRandom::new());
    let started = host
        .start(StartRequest {
            backend: request.backend.clone(),
            simulate: request.simulate,
            nonce: HexBytes(*challenge.nonce()),
            memory_bytes: request.memory_bytes,
            bounded_memory: request.bounded_memory,
            cpu_seconds: request.cpu_seconds,
            network: request.network,
            host_data: expectations.policy.host_data.map(HexBytes),
            name: request.name.clone(),
        })
        .await?;
    let keep = started.keep.id;
    observer.progress(&Progress::Started { keep });
    let attested = examine(host, &started, challenge, request, expectations, observer).await;
    if attested.is_err() {
        // The error that led here says more than a failure to clean up.
        let _ = host.stop(keep).await;
    }
    attested
}

/// Why a Keep was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The host failed or refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The Keep's offer is not one.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The claims name a kind of Keep or evidence that does not exist.
    #[error("the Keep claims to be of an unknown kind: {0}")]
    UnknownKind(String),
    /// The evidence was appraised, and rejected.
    #[error("the Keep's evidence was rejected")]
    Rejected(Box<Rejected>),
}

async fn examine(
    host: &dyn HostConnection,
    started: &StartedKeep,
    challenge: Challenge,
    request: &KeepRequest,
    expectations: &Expectations<'_>,
    observer: &dyn Observer,
) -> Result<Attested, AttestError> {
    let keep = started.keep.id;
    // What can be verified without the offer is verified while the Keep makes it.
    let (response, endorsements) = tokio::join!(host.offer(keep), async {
        VerifiedEndorsements::new(&started.endorsements, expectations.now)
    });
    let response = response?;
    let offer = challenge.answered(&response.offer)?;
    observer.progress(&Progress::Offered {
        evidence: offer.evidence(),
        endorsements: &started.endorsements,
    });
    let unknown = |name: &str| AttestError::UnknownKind(name.chars().take(64).collect());
    let claims = offer.claims();
    let platform: Platform = claims
        .platform
        .parse()
        .map_err(|_| unknown(&claims.platform))?;
    let format =
        EvidenceFormat::from_name(&claims.evidence).ok_or_else(|| unknown(&claims.evidence))?;
    let (mut evidence, sealing) = beside(
        || endorsements.verify(format, offer.evidence(), expectations.now),
        // Nothing of it is sent to a Keep that is not accepted.
        || offer.begin(expectations.suite, &mut SystemRandom::new()),
    );
    if let (Err(_), Some(collector)) = (&evidence, expectations.collector) {
        let (given, now) = (&started.endorsements, expectations.now);
        let collected = verify_collecting(collector, format, offer.evidence(), given, now).await;
        evidence = collected.unwrap_or(evidence);
    }
    // Computed from what the owner asked for and has, never from what the Keep claims.
    let memory = KeepMemory {
        bytes: request.memory_bytes,
        strategy: MemoryStrategy::bounded_if(request.bounded_memory),
    };
    let reference = ReferenceValues::of_keep_image(platform, &expectations.image, memory);
    let verdict = appraise(
        &Submission {
            evidence: evidence.as_ref().map_err(|error| error as _),
            format,
            platform,
            report_data: &offer.report_data(),
            now: expectations.now,
        },
        expectations.policy,
        &reference,
    );
    observer.progress(&Progress::Appraised(&verdict));
    let accepted = verdict
        .accept()
        .map_err(|rejected| AttestError::Rejected(Box::new(rejected)))?;
    Ok(Attested {
        keep,
        offer,
        accepted,
        sealing,
    })
}

/// Computes two things at once, each in a good part of a millisecond.
fn beside<A, B: Send>(first: impl FnOnce() -> A, second: impl Fn() -> B + Send + Sync) -> (A, B) {
    thread::scope(|scope| {
        let other = Builder::new().spawn_scoped(scope, &second);
        let first = first();
        let second = match other {
            Ok(other) => other.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // There is no thread to be had.
            Err(_) => second(),
        };
        (first, second)
    })
}
