//! The program inside the Keep: attests itself, opens one package, runs it.
//!
//! The same file runs under every shim, and natively in the `process` backend. It
//! is started with the descriptors that `wire/hostcall` lists and an empty
//! environment, and ends after one package:
//!
//! ```text
//! describe -> challenged -> offered -> provisioned -> loaded -> running -> ended
//! ```
//!
//! The channel's other end is the adversary. Whatever it does out of turn ends the
//! Keep. Before the Keep is provisioned, the host learns why as a failure code;
//! afterwards only the owner does, as an authenticated [`Ending`], and the exit
//! code is the same whatever the program did:
//!
//! | exit code of the process | meaning |
//! |---|---|
//! | 0 | the owner was sent the authenticated end of the session |
//! | 64 | it was not started as a Keep is: a descriptor is missing |
//! | 65 | ended before provisioning; a failure envelope says why |
//! | 66 | the host closed or stalled the channel |
//! | 70 | an internal error |
//!
//! | status in the [`Ending`] | cause |
//! |---|---|
//! | 0 to 255 | the program exited with it (255 for a status over 255) |
//! | 124 | over a limit of its manifest |
//! | 125 | the host or the Keep failed it |
//! | 126 | it could not be started |
//! | 134 | it trapped |
//! | 143 | its owner stopped it |
//!
//! No randomness comes from the operating system (see `entropy`), with one
//! exception that is no secret: the seeds of the standard library's hash maps.
//!
//! [`Ending`]: enarx_wire_provision::Ending

mod channel;
mod clock;
mod code;
mod component;
mod device;
mod ending;
mod entropy;
mod http;
mod input;
mod keep;
mod limits;
mod network;
mod package;
mod pool;
mod preview1;
mod process;
mod processor;
mod program;
mod provision;
mod session;
mod stdin;
mod stdout;
mod stop;
mod tls;
mod tree;
mod wasi;
mod workload;

pub use process::main;
