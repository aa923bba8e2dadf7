//! What happens while a deployment goes on, for whoever shows it.

use enarx_owner_appraisal::Verdict;
use enarx_wire_host_api::{Endorsement, KeepId};

/// Something that happened.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The host has started a Keep.
    Started {
        /// The host's name for it.
        keep: KeepId,
    },
    /// The Keep has offered its evidence, of which nothing is verified yet.
    Offered {
        /// The evidence.
        evidence: &'a [u8],
        /// What the host says endorses it.
        endorsements: &'a [Endorsement],
    },
    /// The Keep's evidence was appraised; whether accepted, the verdict says.
    Appraised(&'a Verdict),
    /// The program is about to be compiled, or found in the cache.
    Compiling,
    /// The program is there as machine code.
    Compiled {
        /// It came from the cache.
        cached: bool,
        /// Bytes of machine code and metadata.
        bytes: u64,
        /// Why a cached artifact could not be used or kept, if so.
        warning: Option<String>,
    },
    /// The package is about to be encrypted and uploaded, as one stream.
    Uploading {
        /// Bytes of the sealed package.
        total: u64,
    },
    /// More of the package was encrypted and given to the host.
    Uploaded {
        /// Bytes so far.
        bytes: u64,
    },
    /// The Keep has what it needs.
    Provisioned,
}

/// Who is told.
pub trait Observer: Send + Sync {
    /// Called for each event, from whatever thread it happens on.
    fn progress(&self, progress: &Progress<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _: &Progress<'_>) {}
}
