//! `wasi:http`: a component's requests, and the requests that it handles.
//!
//! Both end inside the Keep: TLS, HTTP/1.1 and HTTP/2. A peer costs its own connection at
//! worst, and holds it for a bounded time.

mod connection;
mod guest_body;
mod outgoing;
mod patience;
mod server;
mod service;

pub use guest_body::Life;
pub use outgoing::Outgoing;
pub use server::serve;
