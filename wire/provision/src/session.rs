//! The session between an owner and the provisioned Keep.
//!
//! Frames are numbered and encrypted; the host relays and stores them, and sees
//! sizes and times. There is one stream of output frames for the Keep's whole life,
//! which ends with an authenticated [`Ending`]. Input comes in *attachments*: each
//! process of the owner that attaches makes its own key, so that no two of them can
//! use a nonce twice.

mod cipher;
mod input;
mod output;
mod secret;

pub use input::{AttachmentId, INPUT_OVERHEAD, Input, InputReader, InputWriter};
pub use output::{
    Cause, Ending, MAX_ENDING_MESSAGE, OUTPUT_OVERHEAD, Output, OutputReader, OutputWriter,
};
pub use secret::SessionSecret;

/// Bytes of payload that one frame may carry.
pub const MAX_FRAME_PAYLOAD: usize = 32 << 10;

/// What is wrong with a frame, or with the lack of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Too short or too long for a frame.
    #[error("a session frame of {0} bytes is malformed")]
    Size(usize),
    /// The frame's tag does not fit: altered, or from another session.
    #[error("session frame {0} was altered or belongs to another session")]
    Altered(u64),
    /// A frame that was seen before, or one from before it.
    #[error("session frame {actual} was repeated or is out of order; frame {expected} was due")]
    Repeated {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        actual: u64,
    },
    /// Frames are missing before this one.
    #[error("session frames {expected} to {last} are missing", last = actual.saturating_sub(1))]
    Missing {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        actual: u64,
    },
    /// An authentic frame of a kind that this version does not know.
    #[error("session frame kind {0} is unknown")]
    UnknownKind(u8),
    /// A frame after the end.
    #[error("a session frame follows the authenticated end")]
    AfterEnd,
    /// The stream stops without its authenticated end.
    #[error("the session's output stops before frame {0}, without its authenticated end")]
    Cut(u64),
    /// More payload than a frame may carry.
    #[error("a frame carries at most {MAX_FRAME_PAYLOAD} bytes, not {0}")]
    TooLong(usize),
    /// The ending's encoding is malformed.
    #[error("the ending is malformed: {0}")]
    Ending(String),
    /// An input frame of an attachment that a newer one has replaced.
    #[error("a newer attachment has taken over the input")]
    Superseded,
    /// The cipher failed, or 2^64 frames were sent.
    #[error("no further frame can be encrypted")]
    Exhausted,
}

#[cfg(test)]
mod tests;
