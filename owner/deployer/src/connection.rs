//! How a host is spoken to, whatever carries the words.

use bytes::Bytes;
use enarx_wire_host_api::{
    HostInfo, KeepId, KeepInfo, OfferResponse, Problem, StartRequest, StartedKeep,
};
use futures_util::{future::BoxFuture, stream::BoxStream};

/// Ciphertext of a package on its way to the host.
pub type PackageStream = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Session frames on their way to the host or from it.
pub type FrameStream = BoxStream<'static, Result<Vec<u8>, HostError>>;

/// The operations of a host (`wire/host-api`), over HTTP or within this process.
///
/// Nothing that comes through it is to be believed.
pub trait HostConnection: Send + Sync {
    /// What the host says of itself.
    fn info(&self) -> BoxFuture<'_, Result<HostInfo, HostError>>;
    /// Starts a Keep.
    fn start(&self, request: StartRequest) -> BoxFuture<'_, Result<StartedKeep, HostError>>;
    /// The Keep's offer.
    fn offer(&self, keep: KeepId) -> BoxFuture<'_, Result<OfferResponse, HostError>>;
    /// Hands the sealed grant to the Keep; returns when the Keep wants its package.
    fn provision(&self, keep: KeepId, grant: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>>;
    /// Streams the package to the Keep.
    fn package(&self, keep: KeepId, package: PackageStream)
    -> BoxFuture<'_, Result<(), HostError>>;
    /// Session frames that the host holds from number `from` on; with `follow` also
    /// those to come, until the Keep has ended.
    fn output(
        &self,
        keep: KeepId,
        from: u64,
        follow: bool,
    ) -> BoxFuture<'_, Result<OutputStream, HostError>>;
    /// Streams session frames to the Keep; returns when the stream has ended.
    fn input(
        &self,
        keep: KeepId,
        frames: BoxStream<'static, Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), HostError>>;
    /// The Keeps of the host.
    fn list(&self) -> BoxFuture<'_, Result<Vec<KeepInfo>, HostError>>;
    /// One Keep.
    fn inspect(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>>;
    /// Ends a Keep.
    fn stop(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>>;
}

/// Frames from a host.
pub struct OutputStream {
    /// The number that the host says the first frame has: more than was asked for
    /// when the host no longer holds those before it.
    pub first: u64,
    /// The frames, each still encrypted.
    pub frames: FrameStream,
}

/// Why a host did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Nobody answers.
    #[error("cannot reach the host: {0}")]
    Unreachable(String),
    /// Somebody answers, but not a host of ours.
    #[error("{0}; is this the address of `enarx host serve`?")]
    NotAHost(String),
    /// The connection ended in the middle.
    #[error("the host broke off the connection: {0}")]
    Broken(String),
    /// The host refuses, and says why.
    #[error("the host refuses: {}", describe(.0))]
    Refused(Box<Problem>),
    /// The host's answer is not what the interface says.
    #[error("the host's answer is malformed: {0}")]
    Malformed(String),
}

fn describe(problem: &Problem) -> String {
    let mut text = problem.title.clone();
    if !problem.detail.is_empty() {
        text = format!("{text}: {}", problem.detail);
    }
    text
}
