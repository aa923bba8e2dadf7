//! Calls from a Keep to its host through memory that both can write.
//!
//! A Keep that is a TEE of its own has no kernel beneath it. What it cannot do itself it asks
//! of the host: it writes a request into a block of untrusted memory, leaves, and reads
//! the answer when it is entered again. There is one block for each thread, and no pointer
//! ever crosses: requests carry numbers and bytes alone.
//!
//! The Keep's side is a chain of types, each of which consumes the one before it, so that
//! nothing can be read that was not asked for and nothing is read twice:
//!
//! ```text
//! Caller -> stage -> Staged -> commit -> Committed -> (leave, enter) -> collect -> Answer
//! ```
//!
//! The host's side, [`Service`], trusts the Keep as little: an enclave that was taken over must
//! not harm the host that runs it.

mod block;
mod keep;
mod leave;
mod operation;
mod service;
mod socket;

pub use block::{BLOCK_SIZE, PAYLOAD_OFFSET, PAYLOAD_SIZE};
pub use keep::{Answer, Caller, Committed, MAX_ERROR, Staged, Violation};
pub use leave::Leave;
pub use operation::{Operation, POLL_ENTRY_SIZE, PollEntry};
pub use service::{MalformedRequest, Request, Service};
pub use socket::{ADDRESS_SIZE, SOCKET_ERRORS, SocketOption, decode_address, encode_address};
