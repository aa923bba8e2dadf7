//! From the challenge to the opened grant.

use std::time::Duration;

use enarx_wire_hostcall::envelope::{FailureCode, Kind};
use enarx_wire_launch::{LaunchPage, MemoryStrategy as LaunchMemory};
use enarx_wire_provision::{
    Attester, KeepDescription, MAX_GRANT_SIZE, Nonce, Provisioned, SingleUseKeys,
};
use enarx_wire_target::{CompileTarget, MemoryStrategy};

use crate::{
    channel::{Channel, ChannelError, Deadline},
    device::AttestationDevice,
    entropy::CpuRandom,
    program::Runner,
};

/// A Keep that its owner has attested and provisioned.
pub struct Keep {
    /// What it is, by its measured launch page.
    pub launch: LaunchPage,
    /// For what its engine loads code.
    pub target: CompileTarget,
    /// What runs the program.
    pub runner: Runner,
    /// What the owner granted, and the secret shared with it.
    pub provisioned: Provisioned,
}

/// Answers the host's challenge with an offer, and opens the one grant for it.
///
/// # Errors
///
/// [`Unprovisioned`]; the single-use keys are gone then.
pub fn provision(channel: &Channel, device: &AttestationDevice) -> Result<Keep, Unprovisioned> {
    let platform = |_| Unprovisioned::Failed(FailureCode::Platform);
    // Where the host answers, it does so while the keys are made.
    let described = device.describe().map_err(platform)?;
    let mut random = CpuRandom::new().map_err(|_| Unprovisioned::Failed(FailureCode::Platform))?;
    let keys = SingleUseKeys::generate(&mut random);
    let launch = described.launch_page().map_err(platform)?;
    let nonce = challenge(channel)?;
    let target = CompileTarget::detect(match launch.memory {
        LaunchMemory::GuardPages => MemoryStrategy::GuardPages,
        LaunchMemory::Bounded => MemoryStrategy::Bounded,
    })
    .map_err(internal)?;
    let description = KeepDescription {
        platform: launch.platform.as_str().to_owned(),
        evidence: launch.evidence.as_str().to_owned(),
        runtime: launch.runtime_digest,
        memory_bytes: launch.memory_bytes,
        target: target.clone(),
    };
    let attester = Attester::new(description, nonce, keys).map_err(internal)?;
    let evidence = device.evidence(&attester.report_data()).map_err(platform)?;
    let offer = attester.offer(evidence);
    let encoded = offer.encode().map_err(internal)?;
    channel.send(Kind::Offer, &encoded, Deadline::NEVER)?;

    // The owner appraises now; what needs no program is made meanwhile.
    let runner = Runner::new(&target).map_err(internal)?;
    let (_, sealed) = channel.receive(&[Kind::Provision], MAX_GRANT_SIZE, Deadline::NEVER)?;
    let provisioned = offer
        .open(&sealed)
        .map_err(|_| Unprovisioned::Failed(FailureCode::Grant))?;
    if launch.evidence.has_register() {
        // Whatever evidence there is from now on, it says what application the Keep was given.
        device
            .extend(&provisioned.grant.application_identity())
            .map_err(platform)?;
    }
    channel.send(Kind::Ready, &[], Deadline::NEVER)?;
    Ok(Keep {
        launch,
        target,
        runner,
        provisioned,
    })
}

/// Why a Keep ends unprovisioned.
#[derive(Debug)]
pub enum Unprovisioned {
    /// The host broke the protocol or went away.
    Channel(ChannelError),
    /// Something else, as the host may know it.
    Failed(FailureCode),
}

impl Unprovisioned {
    /// Tells the host, unless it is gone.
    pub fn tell(&self, channel: &Channel) {
        let code = match self {
            Self::Channel(error) if error.is_gone() => return,
            Self::Channel(_) => FailureCode::Protocol,
            Self::Failed(code) => *code,
        };
        // A host that does not take it learns it from the exit code.
        let _ = channel.send(Kind::Failure, &[code as u8], Deadline::after(PATIENCE));
    }
}

impl From<ChannelError> for Unprovisioned {
    fn from(error: ChannelError) -> Self {
        Self::Channel(error)
    }
}

/// How long the host has for taking the failure.
const PATIENCE: Duration = Duration::from_secs(2);

fn challenge(channel: &Channel) -> Result<Nonce, Unprovisioned> {
    let size = size_of::<Nonce>();
    let (_, nonce) = channel.receive(&[Kind::Challenge], size, Deadline::NEVER)?;
    Nonce::try_from(nonce).map_err(|_| Unprovisioned::Failed(FailureCode::Protocol))
}

fn internal<E>(_: E) -> Unprovisioned {
    Unprovisioned::Failed(FailureCode::Internal)
}
