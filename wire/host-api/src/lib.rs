//! The HTTP interface between an owner and a host: what can be asked, in which
//! words, and how it is refused.
//!
//! Nothing here is trusted by the owner. The host relays; whatever must stay
//! secret or unaltered is protected inside the bytes that it relays
//! (`wire/provision`, `wire/package`). The types say what a host shows about its
//! Keeps: sizes, counts, times and states, never contents and never a workload's
//! exit status.
//!
//! | subject | module |
//! |---|---|
//! | every operation: method, path, bodies, refusals | [`operation`] |
//! | the JSON messages | [`message`] |
//! | what a Keep is doing | [`state`] |
//! | refusals as `application/problem+json` | [`problem`] |
//! | session frames in a streamed body | [`frame`] |
//! | identifiers and fixed-size bytes | [`identifier`] |
//! | the OpenAPI description (feature `openapi`) | `openapi` |
//!
//! # A Keep over HTTP
//!
//! ```text
//! owner                                               host
//!   | POST   /v1/keeps {backend, nonce, ...}            |
//!   |<--------------------------------- 201 {id, ...} --|
//!   | GET    /v1/keeps/{id}/offer                       |
//!   |<------------ 200 {claims and evidence, chain} ----|
//!   |  appraise, seal                                   |
//!   | POST   /v1/keeps/{id}/provision  <sealed grant>   |
//!   |<------------------------------------------ 204 ---|
//!   | PUT    /v1/keeps/{id}/package    <ciphertext>     |
//!   |<------------------------------------------ 204 ---|
//!   | GET    /v1/keeps/{id}/output?from=0&follow=true   |
//!   |<------------------------- 200 frame, frame, ... --|
//!   | POST   /v1/keeps/{id}/input      <frame, ...>     |
//!   | DELETE /v1/keeps/{id}                             |
//! ```

pub mod frame;
pub mod identifier;
pub mod message;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod operation;
pub mod problem;
pub mod state;

pub use frame::{FrameDecoder, FrameError, encode_frame};
pub use identifier::{HexBytes, IdentifierError, KeepId};
pub use message::{
    BackendInfo, Endorsement, EndorsementKind, HostInfo, HostLimits, KeepInfo, KeepList,
    OfferResponse, OutputQuery, StartRequest, StartRequestError, StartedKeep,
};
pub use operation::{Method, Operation};
pub use problem::{ErrorCode, Problem};
pub use state::{EndKind, KeepEnd, KeepState};

/// The version of this interface; it is the first part of every path.
pub const API_VERSION: u32 = 1;

/// What [`HostInfo::service`] says, so that a client knows it speaks to a host.
pub const SERVICE_NAME: &str = "enarx-host";

/// Media type of JSON bodies.
pub const MEDIA_TYPE_JSON: &str = "application/json";

/// Media type of refusals (RFC 9457, section 3).
pub const MEDIA_TYPE_PROBLEM: &str = "application/problem+json";

/// Media type of the sealed grant in [`Operation::Provision`].
pub const MEDIA_TYPE_GRANT: &str = "application/cbor";

/// Media type of a package's ciphertext in [`Operation::Package`].
pub const MEDIA_TYPE_PACKAGE: &str = "application/vnd.enarx.package";

/// Media type of a body of [`frame`]s, in [`Operation::Output`] and
/// [`Operation::Input`].
pub const MEDIA_TYPE_FRAMES: &str = "application/vnd.enarx.frames";

/// Response header of [`Operation::Output`]: the index of the first frame in the
/// body, decimal. It is more than the `from` that was asked when the host no
/// longer holds that frame.
pub const HEADER_FIRST_FRAME: &str = "enarx-first-frame";

/// Response header with the name under which the host logged the request; 16
/// hexadecimal digits.
pub const HEADER_REQUEST_ID: &str = "x-request-id";

/// The largest JSON request body in bytes.
pub const MAX_JSON_BYTES: usize = 64 << 10;

/// The largest sealed grant in bytes.
pub const MAX_GRANT_BYTES: usize = 16 << 10;

/// The largest session frame in bytes: what fits one channel envelope.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// The longest name of a Keep in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// Size of the owner's nonce in bytes.
pub const NONCE_SIZE: usize = 32;

/// Size of a Keep's host data (SNP `HOST_DATA`) in bytes.
pub const HOST_DATA_SIZE: usize = 32;
