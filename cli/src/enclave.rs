//! What can be chosen about an SGX enclave.

use clap::Args;
use enarx_wire_launch::{
    KeepImage, KeepMemory,
    sgx::{EnclaveOptions, EnclavePages, MrEnclave, layout},
};

use crate::failure::{Advice, WithAdvice as _};

/// What shows in an enclave's measurement beside its image and memory.
#[derive(Debug, Args)]
#[command(next_help_heading = "Enclave")]
pub struct EnclaveArguments {
    /// Threads of the enclave; a host starts Keeps with 8
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(layout::MAX_THREADS)),
        default_value_t = EnclaveOptions::THREADS
    )]
    threads: u32,

    /// An enclave that a debugger may look into: it keeps nothing secret
    #[arg(long)]
    pub debug: bool,
}

impl EnclaveArguments {
    /// MRENCLAVE of a Keep of `image`.
    ///
    /// # Errors
    ///
    /// When the image has nothing for enclaves.
    pub fn measure(
        &self,
        image: &KeepImage<'_>,
        memory: impl Into<KeepMemory>,
    ) -> anyhow::Result<MrEnclave> {
        if image.sgx.shim.is_empty() {
            return Err(Advice::error(
                "this build of enarx has no SGX shim, without which no Keep runs in an enclave",
                "take a build that has one; `enarx measure` shows what this one has",
            ));
        }
        let options = EnclaveOptions {
            memory: memory.into(),
            threads: self.threads,
            debug: self.debug,
        };
        let pages = EnclavePages::new(image, options).with_advice(|| {
            (
                "the Keep image inside this program is damaged",
                "install enarx again",
            )
        })?;
        Ok(pages.measure())
    }
}
