//! Attest, package, provision, from the owner's side.
//!
//! ```text
//! attest()  ->  Attested  --package()-->  Packaged  --provision()-->  Session
//! ```
//!
//! Each stage consumes the one before, and [`Attested`] exists only for a Keep
//! whose evidence was appraised and accepted: nothing of an application can leave
//! before that. The host in between is reached through a [`HostConnection`] and is
//! never trusted: it may lie, drop, replay and reorder, and the worst that comes of
//! it is an error that names what it did.

pub mod application;
mod attest;
mod connection;
mod evidence;
mod http;
mod package;
mod progress;
mod provision;
mod random;
mod record;
mod session;

pub use attest::{AttestError, Attested, Expectations, KeepRequest, attest};
pub use connection::{FrameStream, HostConnection, HostError, OutputStream, PackageStream};
pub use http::{HttpHost, HttpHostError};
pub use package::{ExamineError, Examined, PackageStageError, Packaged};
pub use progress::{Observer, Progress, Silent};
pub use provision::ProvisionError;
pub use random::SystemRandom;
pub use record::{RecordError, SessionRecord, SessionStore};
pub use session::{Attachment, Session, SessionEvent, SessionFailure};
