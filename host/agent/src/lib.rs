//! The untrusted host's service: starts Keeps and relays between them and their
//! owners.
//!
//! It sees sizes, counts and times; all that it relays is protected from end to
//! end. Nothing that it says is trusted by an owner, so a mistake here can stop a
//! Keep or lose output, and never reveal or alter anything.
//!
//! ```text
//!                 Service                      one task for each Keep
//!  in process --> start, offer, ...            Driver
//!  http ------>     |                            |  envelopes (wire/hostcall)
//!                   +-- Registry -- Keep --------+------------------------> Keep
//!                        limits     life, queue, |
//!                                   output       +-- process: kill, wait
//! ```
//!
//! * [`Service`] is the whole of it without HTTP, for a program that embeds a host.
//! * [`http::router`] and [`http::serve`] offer it to others (`wire/host-api`).
//! * [`KeepLauncher`] is what it needs of a launcher.
//! * [`Limits`] bounds what callers and Keeps can take up.

mod channel;
mod driver;
mod error;
pub mod http;
mod keep;
mod launch;
mod life;
mod limits;
mod lookup;
mod metrics;
mod output;
mod registry;
mod service;

pub use error::{BodyError, ServiceError};
pub use launch::{
    KeepLauncher, KeepProcess, LaunchOrder, LaunchRefusal, LaunchedKeep, ProcessExit,
};
pub use limits::Limits;
pub use output::{OutputReader, ReaderCutOff};
pub use service::Service;
