//! Where what evidence lacks is from: kept on this machine, or fetched.

use std::path::PathBuf;

use clap::Args;
use enarx_owner_collateral::{Collector, Source};
use enarx_owner_evidence::{
    Evidence, UnixTime,
    materials::{self, MAX_FILE_BYTES, Materials, Roots},
};

use crate::{
    commands::{block_on, collateral::store, read_at_most},
    console::Console,
    failure::WithAdvice as _,
    progress,
};

/// Where to fetch what evidence lacks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Collateral")]
#[group(skip)]
pub struct FetchArguments {
    /// Fetch what is missing or stale from the vendors' services, and keep it
    ///
    /// They learn which machine the evidence is of. What they answer is verified like any
    /// file, and kept in the cache only when the evidence verifies with it.
    #[arg(long)]
    fetch: bool,

    /// AMD's Key Distribution Service, or a mirror of it
    #[arg(long, value_name = "URL", requires = "fetch")]
    amd_service: Option<String>,

    /// Intel's Provisioning Certification Service, or a PCCS
    #[arg(long, value_name = "URL", requires = "fetch")]
    intel_service: Option<String>,

    /// Where Intel's root has its revocation list
    #[arg(long, value_name = "URL", requires = "fetch")]
    intel_root_service: Option<String>,

    /// Certificate authorities for the services' TLS certificates, in PEM
    ///
    /// In addition to those of the system; a PCCS often has its own.
    #[arg(long, value_name = "FILE", requires = "fetch")]
    service_authorities: Option<PathBuf>,
}

impl FetchArguments {
    /// Has what is kept on this machine, and fetches the rest if that was asked for; `None`
    /// where nothing can be kept.
    ///
    /// # Errors
    ///
    /// When something was to be fetched and cannot be.
    pub fn collector(&self) -> anyhow::Result<Option<Collector>> {
        if !self.fetch {
            // Nothing can be kept where this user has no home.
            return Ok(store().ok().map(Collector::offline));
        }
        let authorities = self.service_authorities.as_deref();
        let authorities = authorities.map(|file| read_at_most(file, MAX_FILE_BYTES));
        let collector =
            Collector::new(self.source(), authorities.transpose()?.as_deref(), store()?)
                .with_advice(|| {
                    (
                        "no collateral can be fetched",
                        "--service-authorities takes certificates in PEM",
                    )
                })?;
        Ok(Some(collector))
    }

    /// Verifies the evidence in `materials`, with what it lacks from what is kept, or fetched
    /// if that was asked for.
    ///
    /// # Errors
    ///
    /// When something that is missing could not be fetched.
    pub fn verify(
        &self,
        materials: &Materials,
        roots: &Roots,
        now: UnixTime,
        console: &Console,
    ) -> anyhow::Result<Result<Evidence, materials::Error>> {
        let verify = |materials: &Materials| materials.verify(roots, now);
        let Some(collector) = self.collector()? else {
            return Ok(verify(materials));
        };
        let bar = self
            .fetch
            .then(|| progress::spinner(console, "Fetching collateral"));
        let collected = block_on(async { Ok(collector.verify(materials, now, verify).await) })?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let collected = collected.with_advice(|| {
            (
                "the collateral could not be fetched",
                "give it with --collateral, or name a mirror: --amd-service, --intel-service",
            )
        })?;
        Ok(collected.evidence)
    }

    fn source(&self) -> Source {
        let vendors = Source::default();
        let base = |given: &Option<String>, vendor: String| match given {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => vendor,
        };
        Source {
            amd: base(&self.amd_service, vendors.amd),
            intel: base(&self.intel_service, vendors.intel),
            intel_root: base(&self.intel_root_service, vendors.intel_root),
        }
    }
}
