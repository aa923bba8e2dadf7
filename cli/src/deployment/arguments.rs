//! Which Keep is wanted, and what it must prove.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::Args;
use enarx_host_launcher::LaunchRequest;
use enarx_owner_appraisal::{Policy, Profile};
use enarx_owner_deployer::{
    HostConnection, KeepRequest,
    application::{Application, parse_bytes, parse_duration},
};
use enarx_wire_launch::Platform;
use enarx_wire_provision::Suite;

use crate::{
    commands::policy,
    console::Console,
    failure::Advice,
    fetching::FetchArguments,
    local_host::{self, can_simulate},
    reference::ReferenceArguments,
};

/// Which Keep is wanted, and what it must prove.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keep")]
pub struct KeepArguments {
    /// The kind of Keep: `process`, `sgx`, `kvm`, `snp`, `tdx` or `cvm`
    ///
    /// By default the first TEE that the host has and the policy accepts; never a
    /// backend without one. To name `process` or `kvm`, which the host can read,
    /// permits simulated evidence.
    #[arg(short, long, value_name = "BACKEND")]
    pub backend: Option<Platform>,

    /// Accept a simulated TEE; protects nothing
    ///
    /// For trying out and testing: the same Keep with the same evidence format, signed
    /// by a simulator on the host instead of the processor's vendor. Without --backend
    /// this is the backend `process`; with `--backend sgx` it is an enclave in software,
    /// and with `--backend kvm` a virtual machine that the host can read.
    #[arg(short, long)]
    pub simulate: bool,

    /// Patch the simulated enclave after it was measured, which makes it quicker
    ///
    /// And less like hardware. A host on another machine decides that for itself: `enarx
    /// host serve --fast`.
    #[arg(long, requires = "simulate")]
    pub fast: bool,

    /// The policy that says which Keeps may have the application
    ///
    /// This file alone decides then, also about simulated evidence. By default the
    /// built-in policy `standard`; see `enarx policy show`.
    #[arg(short, long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    #[command(flatten)]
    pub reference: ReferenceArguments,

    #[command(flatten)]
    pub fetch: FetchArguments,

    /// Memory of the Keep, such as 2GiB
    ///
    /// By default 1 GiB, and as much more as the data files and --memory-limit need. It
    /// is measured, so that the evidence says it.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub keep_memory: Option<u64>,

    /// Check every access to memory in code, in place of guard pages and signals
    ///
    /// For Keeps with little address space; the program is larger and up to twice as
    /// slow. It is measured, the Keep claims it, and the program is compiled for it.
    #[arg(long)]
    pub bounded_memory: bool,

    /// Processor time after which the host ends the Keep
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub cpu_time: Option<Duration>,

    /// The encryption of the key to the Keep, by default the Keep's preferred one
    ///
    /// x-wing withstands quantum computers too; dhkem-x25519 does not.
    #[arg(long, value_name = "SUITE", value_parser = suite)]
    pub suite: Option<Suite>,

    /// Compile anew, and do not keep the result
    #[arg(long)]
    pub no_cache: bool,

    /// The host is another machine than this one, which messages must not mix up.
    #[arg(skip)]
    pub remote: bool,
}

/// What an application needs of its Keep; by default there is none.
#[derive(Debug, Default)]
pub struct Needs {
    name: Option<String>,
    /// Memory that the program may use, in bytes.
    program_bytes: u64,
    /// Memory for its data files, in bytes.
    data_bytes: u64,
    /// Whether it needs the host's network.
    network: bool,
}

impl From<&Application> for Needs {
    fn from(application: &Application) -> Self {
        Self {
            name: Some(application.name.clone()),
            program_bytes: application.limits.memory_bytes.unwrap_or(0),
            data_bytes: application.data_bytes(),
            network: application.uses_network(),
        }
    }
}

impl KeepArguments {
    /// The policy that the owner named, or the one that fits the other arguments.
    ///
    /// # Errors
    ///
    /// When the policy's file is not right, or the reference values for it are not.
    pub fn policy(&self) -> anyhow::Result<Policy> {
        let policy = match &self.policy {
            Some(file) => policy::read(file)?,
            None if self.is_simulated() => Profile::Simulation.policy(),
            None => Profile::Standard.policy(),
        };
        self.reference.apply(policy, super::now())
    }

    /// A host for this process alone, which begins with the Keep that will be asked for.
    ///
    /// # Errors
    ///
    /// When there is no place for what it keeps.
    pub fn local_host(
        &self,
        console: &Console,
        needs: &Needs,
    ) -> anyhow::Result<Box<dyn HostConnection>> {
        let backend = self.backend.unwrap_or(Platform::Process);
        let simulated = self
            .is_simulated()
            .then(|| self.request_for(backend, needs));
        // What is wrong with it is said when it is made.
        let expected = simulated.and_then(Result::ok);
        local_host::embedded(*console, self.fast, expected.as_ref())
    }

    /// What to ask `host` for.
    ///
    /// # Errors
    ///
    /// When no backend was named and the host has no TEE, a simulation was asked for that
    /// there is not, or a size makes no sense.
    pub async fn request(
        &self,
        host: &dyn HostConnection,
        policy: &Policy,
        needs: &Needs,
    ) -> anyhow::Result<KeepRequest> {
        if self.fast && (self.remote || self.backend != Some(Platform::Sgx)) {
            return Err(Advice::error(
                "--fast is about simulated enclaves on this machine",
                "give it with --to local --backend sgx --simulate, or leave it out; other hosts \
                 take it as `enarx host serve --fast`",
            ));
        }
        let backend = match self.backend {
            Some(backend) if self.simulate && !can_simulate(backend) => {
                return Err(Advice::error(
                    format!("this version cannot simulate the backend `{backend}`"),
                    "leave --backend out: --simulate alone takes `process`; `enarx platform` shows \
                     which backends this version has",
                ));
            }
            Some(backend) => backend,
            None if self.simulate => Platform::Process,
            None => self.choose(host, policy).await?,
        };
        self.request_for(backend, needs)
    }

    fn request_for(&self, backend: Platform, needs: &Needs) -> anyhow::Result<KeepRequest> {
        Ok(KeepRequest {
            backend: backend.as_str().to_owned(),
            simulate: self.simulate || !has_tee(backend),
            memory_bytes: self.memory(needs)?,
            bounded_memory: self.bounded_memory,
            cpu_seconds: self
                .cpu_time
                .map(|time| time.as_millis().div_ceil(1000).try_into())
                .transpose()
                .context("--cpu-time is too long")?,
            network: needs.network,
            name: needs.name.clone(),
        })
    }

    /// Whether the arguments ask for a Keep that nothing protects.
    fn is_simulated(&self) -> bool {
        self.simulate || self.backend.is_some_and(|backend| !has_tee(backend))
    }

    /// The first TEE that the host says it has and the policy accepts.
    async fn choose(&self, host: &dyn HostConnection, policy: &Policy) -> anyhow::Result<Platform> {
        let info = host.info().await?;
        info.backends
            .iter()
            .filter(|backend| backend.hardware)
            .filter_map(|backend| backend.name.parse().ok())
            .find(|platform| has_tee(*platform) && policy.platforms.contains(platform))
            .ok_or_else(|| {
                let (machine, there) = if self.remote {
                    ("the host", " on the host")
                } else {
                    ("this machine", "")
                };
                Advice::error(
                    format!(
                        "{machine} has no TEE that can be used, so nothing would protect the \
                         application"
                    ),
                    format!(
                        "`enarx platform`{there} shows what is missing. To run without \
                         protection, say so: --backend process, or --simulate"
                    ),
                )
            })
    }

    /// Memory of the Keep in bytes, in whole MiB.
    fn memory(&self, needs: &Needs) -> anyhow::Result<u64> {
        if let Some(wanted) = self.keep_memory {
            enough(wanted, needs.data_bytes)?;
        }
        let bytes = self.keep_memory.unwrap_or_else(|| {
            DEFAULT_MEMORY
                .max(needs.program_bytes.saturating_add(RUNTIME_MEMORY))
                .saturating_add(needs.data_bytes)
        });
        bytes
            .checked_next_multiple_of(1 << 20)
            .ok_or_else(|| Advice::error("no Keep has so much memory", "choose --keep-memory"))
    }
}

/// Memory of a Keep whose application says nothing about it, in bytes.
const DEFAULT_MEMORY: u64 = 1 << 30;

/// What the runtime, the compiled program and buffers may need beside the program's
/// own memory, in bytes.
const RUNTIME_MEMORY: u64 = 512 << 20;

/// Whether a platform is a TEE at all.
fn has_tee(platform: Platform) -> bool {
    !matches!(platform, Platform::Process | Platform::Kvm)
}

/// Refuses a Keep that could not even hold what it is given.
fn enough(wanted: u64, data: u64) -> anyhow::Result<()> {
    let what = if wanted < LaunchRequest::LEAST_MEMORY {
        format!(
            "a Keep needs at least {} of memory",
            ByteSize(LaunchRequest::LEAST_MEMORY)
        )
    } else if wanted < data {
        format!("the data files alone need {} of memory", ByteSize(data))
    } else {
        return Ok(());
    };
    Err(Advice::error(
        format!("--keep-memory {} is too little: {what}", ByteSize(wanted)),
        "leave --keep-memory out for a Keep that is large enough, or give more",
    ))
}

fn suite(name: &str) -> Result<Suite, String> {
    Suite::from_name(name).ok_or_else(|| {
        let names = Suite::ALL.map(Suite::as_str);
        format!("one of: {}", names.join(", "))
    })
}
