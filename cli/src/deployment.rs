//! Attest, package, provision: what `run` and `deploy` share.

mod arguments;
mod stages;

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use enarx_owner_appraisal::Level;
use enarx_owner_compiler::{ArtifactCache, DEFAULT_CAPACITY};
use enarx_owner_deployer::{
    AttestError, Attested, ExamineError, Examined, Expectations, HostConnection, HostError,
    Packaged, Session, application::Application, attest,
};
use enarx_owner_evidence::UnixTime;
use enarx_wire_host_api::ErrorCode;
use enarx_wire_launch::Platform;
use tokio::task::JoinHandle;

use crate::{
    console::Console,
    directories,
    failure::{Advice, WithAdvice as _},
    local_host::keep_image,
};

pub use arguments::{KeepArguments, Needs};
pub use stages::{Stages, StagesFormat};

/// An application in its Keep.
pub struct Deployed {
    /// The session with the Keep.
    pub session: Session,
    /// Nothing protects the Keep.
    pub simulated: bool,
}

/// Deploys `application` to `host`, telling `stages` about it. Whatever fails, the
/// Keep is ended.
///
/// # Errors
///
/// What failed, with the remedy.
pub async fn deploy(
    console: &Console,
    host: &dyn HostConnection,
    wanted: &KeepArguments,
    application: Arc<Application>,
    stages: Arc<Stages>,
) -> anyhow::Result<Deployed> {
    let policy = wanted.policy()?;
    let notices = application.check_program().map_err(|error| unfit(&error))?;
    for notice in notices {
        console.note(notice);
    }
    let request = wanted
        .request(host, &policy, &Needs::from(&*application))
        .await?;
    let collector = wanted.fetch.collector()?;
    let expectations = Expectations {
        policy: &policy,
        image: keep_image(),
        collector: collector.as_ref(),
        now: now(),
        suite: wanted.suite,
    };
    let cache = Arc::new(cache(wanted, console));
    // Reading a large program's code takes as long as attesting: both go on at once.
    let examination = Examination::new(application.clone(), cache.clone());
    let (attested, examined) = tokio::join!(
        attest(host, &request, &expectations, &*stages),
        examination.finish(),
    );
    let attested = attested.map_err(|error| explain_attestation(error, &request.backend))?;
    let simulated = attested.accepted().verdict().level() == Level::Simulated;
    if simulated {
        console.warn("the evidence is simulated: nothing protects this Keep from its host");
    }
    if attested.claims().platform == Platform::Cvm.as_str() {
        console.warn(
            "the confidential VM around this Keep is trusted as a whole: its firmware, kernel and \
             image, and whoever is root in it",
        );
    }
    let keep = attested.keep();
    let packaged = {
        let package = package(attested, application, examined, cache, stages.clone());
        match package.await {
            Ok(packaged) => packaged,
            Err(error) => {
                // The error that led here says more than a failure to clean up.
                let _ = host.stop(keep).await;
                return Err(unfit(&*error));
            }
        }
    };
    let session = packaged
        .provision(host, now(), &*stages)
        .await
        .with_advice(|| {
            (
                "the Keep could not be provisioned",
                "nothing was left running; the host's log may say more",
            )
        })?;
    Ok(Deployed { session, simulated })
}

/// The examination of an application's program.
enum Examination {
    /// On a thread of its own.
    Begun(JoinHandle<Result<Examined, ExamineError>>),
    /// So little that it is done while the Keep starts.
    Little(Arc<Application>, Arc<ArtifactCache>),
}

impl Examination {
    fn new(application: Arc<Application>, cache: Arc<ArtifactCache>) -> Self {
        if application.program.size() <= SMALL_PROGRAM {
            return Self::Little(application, cache);
        }
        let examine = move || Examined::new(&application, &cache);
        Self::Begun(tokio::task::spawn_blocking(examine))
    }

    async fn finish(self) -> anyhow::Result<Examined> {
        Ok(match self {
            Self::Begun(examining) => examining.await??,
            Self::Little(application, cache) => Examined::new(&application, &cache)?,
        })
    }
}

/// Programs up to this many bytes are examined sooner than a thread starts.
const SMALL_PROGRAM: u64 = 128 << 10;

/// Makes the application ready for its Keep, on a thread of its own if it has to be
/// compiled.
async fn package(
    attested: Attested,
    application: Arc<Application>,
    examined: anyhow::Result<Examined>,
    cache: Arc<ArtifactCache>,
    stages: Arc<Stages>,
) -> anyhow::Result<Packaged> {
    let examined = examined?;
    let is_quick = examined.is_compiled_for(&attested);
    let package = move || attested.package(application, examined, &cache, &*stages);
    if is_quick {
        return Ok(package()?);
    }
    Ok(tokio::task::spawn_blocking(package).await??)
}

/// The owner's clock.
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

/// The cache of compiled programs, or none when that cannot be used.
fn cache(wanted: &KeepArguments, console: &Console) -> ArtifactCache {
    if wanted.no_cache {
        return ArtifactCache::disabled();
    }
    let opened = directories::cache().and_then(|directory| {
        let directory: &Path = &directory.join("artifacts");
        Ok(ArtifactCache::open(directory, DEFAULT_CAPACITY)?)
    });
    opened.unwrap_or_else(|error| {
        console.warn(format_args!("compiled programs are not kept: {error:#}"));
        ArtifactCache::disabled()
    })
}

fn unfit(error: &dyn std::error::Error) -> anyhow::Error {
    Advice::error(
        format!("the program cannot run in a Keep: {error}"),
        "a Keep runs WebAssembly modules and components that use WASI",
    )
}

pub fn explain_attestation(error: AttestError, backend: &str) -> anyhow::Error {
    let advice = match &error {
        AttestError::Host(HostError::Refused(problem))
            if matches!(
                problem.code,
                ErrorCode::BackendUnavailable | ErrorCode::UnknownBackend
            ) =>
        {
            Advice::new(
                format!("no Keep with the backend {backend} can be started there"),
                "`enarx platform` shows what a machine can do; to run without protection, add \
                 --simulate, which this version has for the backends `process`, `sgx`, `kvm`, `snp` and \
                 `tdx`",
            )
        }
        AttestError::Host(HostError::Refused(_)) => Advice::new(
            "the host did not start a Keep",
            "the host's operator decides about its limits",
        ),
        AttestError::Host(_) => Advice::new(
            "no Keep was started",
            "check the address, and that `enarx host serve` runs there",
        ),
        AttestError::Offer(_) | AttestError::UnknownKind(_) => Advice::new(
            "the host's Keep did not prove what it is; nothing was sent to it",
            "use the same version of enarx on both sides; if that is so, do not trust this host",
        ),
        AttestError::Rejected(rejected) => Advice::new(
            format!("{rejected}; nothing was sent to it"),
            "the checks above say what was expected; --policy FILE decides what is accepted, and \
             --fetch gets collateral that is missing",
        ),
    };
    anyhow::Error::new(error).context(advice)
}
