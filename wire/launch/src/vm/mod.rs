//! Virtual machines: from a Keep image to the pages that a Keep's machine is launched with.
//!
//! [`GuestPages`] lists every page that is there when the first virtual processor starts, in the
//! order of the launch. The launcher loads those pages, and the owner computes
//! [`GuestPages::launch_digest`] over the same list. The shim finds its surroundings by
//! [`layout`] and by the measured [`GuestInfo`].
//!
//! The list is the shim, the launch page and the information page, and what a TEE wants beside
//! them: SEV-SNP pages for its firmware to fill, TDX a page to start in. The runtime
//! is not among them: the host offers its file in shared memory, and the shim copies it, hashes
//! the copy and compares that with [`GuestInfo::runtime_digest`], before any of it runs.

mod boot;
mod info;
pub mod layout;
mod pages;
mod start;

pub use boot::{BodyRing, Boot, BootError, Doorbell, FilePlace};
pub use info::{GuestInfo, GuestInfoError, GuestSegment};
pub use pages::{GuestPage, GuestPageKind, GuestPages, GuestSection, file_digest};
pub use start::{SnpProcessors, reset_page};
