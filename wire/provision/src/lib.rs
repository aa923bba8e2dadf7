//! Attest, package, provision: the messages, the key schedule, and the states of
//! both sides as types.
//!
//! ```text
//! owner                            Keep
//! Challenge                        -
//!    | nonce ---------------------> |
//!    |                              Attester       (makes single-use keys)
//!    | <------- offer: claims, evidence            (evidence covers the claims)
//! OwnerOffer                       KeepOffer
//!    | seal: grant ---------------> |              (after appraisal, by the caller)
//! SessionSecret                    Provisioned     (opened once, keys gone)
//!    | ===== package ============>  |              (wire/package)
//! InputWriter ====================> InputReader    (session frames)
//! OutputReader <=================== OutputWriter
//! ```
//!
//! Each arrow consumes the state it leaves: a Keep cannot be provisioned twice,
//! since the value that can open a grant is gone after the first attempt.
//! `docs/protocol.md` has every field, label and check.

mod claims;
mod keep;
mod keys;
mod owner;
mod session;
mod suite;
mod x_wing;

pub use claims::{
    Claims, KemKey, Nonce, Offer, REPORT_DATA_SIZE, report_data, target_digest,
    workload_report_data,
};
pub use keep::{Attester, KeepDescription, KeepOffer, OpenError, Provisioned, SingleUseKeys};
pub use keys::{ApplicationSecret, OwnerSecret};
pub use owner::{Challenge, Grant, OfferError, OwnerOffer, SealError, Sealing};
pub use session::{
    AttachmentId, Cause, Ending, INPUT_OVERHEAD, Input, InputReader, InputWriter,
    MAX_ENDING_MESSAGE, MAX_FRAME_PAYLOAD, OUTPUT_OVERHEAD, Output, OutputReader, OutputWriter,
    SessionError, SessionSecret,
};
pub use suite::Suite;

/// A SHA-384 digest.
pub type Digest = [u8; 48];

/// The version of the protocol, in claims, grants and sealed messages.
pub const VERSION: u32 = 1;

/// Bytes that an encoded offer may have.
pub const MAX_OFFER_SIZE: usize = 128 << 10;

/// Bytes that an encoded sealed grant may have.
pub const MAX_GRANT_SIZE: usize = 16 << 10;
