//! The steps of a selftest that take a Keep.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use enarx_owner_appraisal::{Level, Policy, Profile};
use enarx_owner_collateral::Collector;
use enarx_owner_compiler::ArtifactCache;
use enarx_owner_deployer::{
    Attested, Examined, Expectations, HostConnection, KeepRequest, Observer, Progress,
    SessionEvent, application::Application, attest,
};
use enarx_wire_launch::Platform;
use enarx_wire_package::{Descriptor, DescriptorKind, Limits};
use enarx_wire_provision::{Cause, Ending, Output};
use futures_util::TryStreamExt as _;

use super::{
    Arguments, Step,
    programs::{TRIALS, Trial},
};
use crate::{
    console::Console,
    deployment::now,
    local_host::{self, keep_image},
};

/// What comes before a program runs, and what to do where it fails.
const STAGES: [(&str, &str); 4] = [
    (
        "a Keep starts",
        "`enarx platform` shows what the machine lacks",
    ),
    (
        "it gives evidence",
        "see whether the machine's quoting service works, and what its log says",
    ),
    (
        "the evidence is accepted",
        "--fetch gets the vendor's collateral; `enarx attest --save` keeps the evidence",
    ),
    ("it takes an application", REPORT),
];

const REPORT: &str = "please report it, with the output of `enarx platform --json` and of `dmesg`";

/// The names of all steps here.
pub fn names() -> impl Iterator<Item = &'static str> {
    let stages = STAGES.iter().map(|(name, _)| *name);
    stages.chain(TRIALS.iter().map(|trial| trial.name))
}

/// Memory of the Keeps in bytes.
const MEMORY: u64 = 512 << 20;

/// Tries every step, and says what came of each.
///
/// # Errors
///
/// When there is no place for a host on this machine, or nothing can be said.
pub async fn try_all(
    arguments: &Arguments,
    console: &Console,
    say: &mut impl FnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let host = local_host::embedded(*console, false, None)?;
    let collector = arguments.fetch.collector()?;
    let has_tee = !matches!(arguments.backend, Platform::Process | Platform::Kvm);
    let is_protected = has_tee && !arguments.simulate;
    let policy = if is_protected {
        Profile::Standard.policy()
    } else {
        Profile::Simulation.policy()
    };
    let attempt = Attempt {
        host: &*host,
        policy: &policy,
        collector: collector.as_ref(),
        request: KeepRequest {
            backend: arguments.backend.as_str().to_owned(),
            simulate: !is_protected,
            memory_bytes: MEMORY,
            bounded_memory: false,
            cpu_seconds: Some(60),
            network: false,
            name: Some("selftest".to_owned()),
        },
    };
    for (index, trial) in TRIALS.iter().enumerate() {
        let stages = Stages::default();
        let tried = attempt.run(trial, &stages).await;
        if index == 0 && !say_stages(&stages, tried.as_ref().err(), say)? {
            for trial in &TRIALS {
                say(Step::skipped(trial.name, "no Keep takes an application"))?;
            }
            return Ok(());
        }
        say(match tried {
            Ok(()) => Step::passed(trial.name, trial.right),
            Err(error) => Step::failed(trial.name, format!("{error:#}"), REPORT),
        })?;
    }
    Ok(())
}

/// Says of each stage whether it was reached; `error` is why the next one was not. Whether all
/// were.
fn say_stages(
    stages: &Stages,
    mut error: Option<&anyhow::Error>,
    say: &mut impl FnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let reached = stages.reached();
    for (index, (name, remedy)) in STAGES.into_iter().enumerate() {
        say(match (reached.get(index), error) {
            (Some(detail), _) => Step::passed(name, detail),
            (None, Some(why)) => {
                error = None;
                Step::failed(name, format!("{why:#}"), remedy)
            }
            (None, None) => Step::skipped(name, "an earlier step failed"),
        })?;
    }
    Ok(reached.len() == STAGES.len())
}

/// How Keeps are had.
struct Attempt<'a> {
    host: &'a dyn HostConnection,
    policy: &'a Policy,
    collector: Option<&'a Collector>,
    request: KeepRequest,
}

impl Attempt<'_> {
    /// Runs a program in a Keep of its own.
    async fn run(&self, trial: &Trial, stages: &Stages) -> anyhow::Result<()> {
        let expectations = Expectations {
            policy: self.policy,
            image: keep_image(),
            collector: self.collector,
            now: now(),
            suite: None,
        };
        let attested = attest(self.host, &self.request, &expectations, stages).await?;
        let keep = attested.keep();
        let ran = self.run_in(attested, trial, stages).await;
        // The program's end says more than a failure to clean up.
        let _ = self.host.stop(keep).await;
        ran
    }

    async fn run_in(
        &self,
        attested: Attested,
        trial: &Trial,
        stages: &Stages,
    ) -> anyhow::Result<()> {
        let application = Arc::new(application(trial));
        let cache = ArtifactCache::disabled();
        let examined = Examined::new(&application, &cache)?;
        let packaged = attested.package(application, examined, &cache, stages)?;
        let session = packaged
            .provision(self.host, now(), stages)
            .await
            .context("it could not be provisioned")?;
        let mut events = session.events(self.host, 0, true).await?;
        let mut written = Vec::new();
        while let Some(event) = events.try_next().await? {
            match event {
                SessionEvent::Output(Output::Stdout(bytes)) => written.extend(bytes),
                SessionEvent::Output(Output::End(ending)) => {
                    return judge(trial, &written, &ending);
                }
                SessionEvent::Output(_) => {}
                lost @ SessionEvent::Lost { .. } => bail!("{lost}"),
            }
        }
        bail!("the output ended without its authenticated end")
    }
}

fn judge(trial: &Trial, written: &[u8], ending: &Ending) -> anyhow::Result<()> {
    let cause = if trial.traps {
        Cause::Trapped
    } else {
        Cause::Exited
    };
    ensure!(
        ending.cause == cause && (trial.traps || ending.status == 0),
        "the program ended otherwise: {:?}, status {}, {}",
        ending.cause,
        ending.status,
        ending.message
    );
    ensure!(written == trial.output, "the program wrote something else");
    Ok(())
}

fn application(trial: &Trial) -> Application {
    let descriptor = |kind, name: &str| Descriptor {
        kind,
        name: name.to_owned(),
    };
    Application {
        name: "selftest".to_owned(),
        program: trial.text.as_bytes().to_vec().into(),
        args: vec!["selftest".to_owned()],
        env: Vec::new(),
        descriptors: vec![
            descriptor(DescriptorKind::Null, "stdin"),
            descriptor(DescriptorKind::Stdout, "stdout"),
            descriptor(DescriptorKind::Stderr, "stderr"),
        ],
        tls: None,
        network: None,
        http: None,
        preview3: false,
        config: Vec::new(),
        limits: Limits::default(),
        files: Vec::new(),
        secret: None,
    }
}

/// Which stages a Keep has come through.
#[derive(Default)]
struct Stages(Mutex<Vec<String>>);

impl Stages {
    fn reached(&self) -> Vec<String> {
        let reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reached.clone()
    }
}

impl Observer for Stages {
    fn progress(&self, progress: &Progress<'_>) {
        let detail = match progress {
            Progress::Started { keep } => format!("Keep {keep}"),
            Progress::Offered {
                evidence,
                endorsements,
            } => format!(
                "{} bytes; the host endorses them with {} documents",
                evidence.len(),
                endorsements.len()
            ),
            Progress::Appraised(verdict) if verdict.level() != Level::Rejected => format!(
                "{} under the policy {}",
                verdict.level().as_str(),
                verdict.policy()
            ),
            Progress::Provisioned => "with its key".to_owned(),
            _ => return,
        };
        let mut reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reached.push(detail);
    }
}
