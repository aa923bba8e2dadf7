//! Fetches and keeps what the vendors publish about their hardware.
//!
//! **Nothing here is verified.** Whoever serves, caches, or bundles these bytes is
//! not trusted: their signatures are checked at use, by `enarx-owner-evidence`.
//!
//! [`Item`] names a document independently of who serves it, [`fetch`] gets it once,
//! without retrying, [`Store`] keeps it on disk, and [`Bundle`] carries a store's
//! entries to an owner without a network. [`Collector`] puts these together: it gets what
//! a piece of evidence lacks, repeats requests that a busy service refused, and keeps what
//! it got only when the evidence verifies with it.

mod bundle;
mod collector;
mod fetch;
mod item;
mod store;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE};
pub use collector::{CollectError, Collected, Collector};
pub use fetch::{Answer, FetchError, Fetched, Source, fetch};
pub use item::{Authority, Item, Tee};
pub use store::{Entry, Store, StoreError};
