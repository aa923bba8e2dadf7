//! Fetching what evidence lacks.

use clap::Args;
use enarx_owner_collateral::{Collector, Source, Store};
use enarx_owner_evidence::{
    Evidence, UnixTime,
    materials::{self, Materials, Roots},
};

use crate::{
    commands::block_on, console::Console, directories, failure::WithAdvice as _, progress,
};

/// Where to fetch what evidence lacks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Collateral")]
pub struct Arguments {
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
}

impl Arguments {
    /// Verifies the evidence in `materials`, after fetching what it lacks if that was asked
    /// for.
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
        if !self.fetch {
            return Ok(materials.verify(roots, now));
        }
        let store = Store::open(directories::cache()?.join("collateral"))?;
        let collector = Collector::new(self.source(), store)?;
        let bar = progress::spinner(console, "Fetching collateral");
        let collected = block_on(async {
            let verify = |materials: &Materials| materials.verify(roots, now);
            Ok(collector.verify(materials, now, verify).await)
        })?;
        bar.finish_and_clear();
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
