//! Whole Keeps, in child processes, with a host and an owner made of the wire
//! crates. `ENARX_KEEP_RUNTIME` names another build of the runtime to test.

mod components;
mod host;
mod http;
mod measure;
mod preview3;
mod programs;
mod services;
mod sockets;
mod support;
mod tls;
