//! Every operation over HTTP, on real sockets, with real refusals.

mod common;

#[path = "http/bounds.rs"]
mod bounds;
#[path = "http/deaths.rs"]
mod deaths;
#[path = "http/refusals.rs"]
mod refusals;
#[path = "http/server.rs"]
mod server;
#[path = "http/vertical.rs"]
mod vertical;
