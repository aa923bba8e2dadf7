//! Starts Keeps and runs their host side.
//!
//! A [`Backend`] turns a Keep image into a running Keep on one kind of
//! platform. What comes back, a [`LaunchedKeep`], is the same for all of them:
//! a stream to the Keep, the endorsements for its evidence, and a handle on its
//! life. [`backends`] lists what this version can launch; [`probes`] says what
//! this machine could launch, and what is missing for the rest.
//!
//! Nothing here is trusted by anyone. The launcher does its best for the
//! host's own sake (limits, isolation, cleaning up), and the owner's assurance
//! comes from evidence alone.

mod backend;
mod child;
pub mod cvm;
mod device;
mod error;
mod keep;
mod keep_process;
mod key_file;
pub mod kvm;
mod probe;
pub mod process;
mod service;
pub mod sgx;
mod simulated;
pub mod snp;

pub use backend::{
    Backend, Directories, Endorsement, EndorsementKind, LaunchRequest, Simulator, backend, backends,
};
pub use child::ChildStep;
pub use error::LaunchError;
pub use keep::{Ended, Isolation, KeepProcess, LaunchedKeep, Outcome};
pub use keep_process::become_keep_if_asked;
pub use key_file::KeyFileError;
pub use probe::{BackendProbe, Probe, probes};
pub use service::STOPPED_STATUS;
