//! The service over HTTP/1.1 (`wire/host-api`).
//!
//! | subject | module |
//! |---|---|
//! | one route for each operation | `routes` |
//! | what each operation does | `handlers` |
//! | access tokens | `access` |
//! | a name, a log line and figures for each request | `observe` |
//! | request bodies with bounds in size and time | `body` |
//! | accepting connections, limits, the graceful end | `server` |
//! | time limits on writing | `timed` |
//! | TLS | `tls` |

mod access;
mod body;
mod handlers;
mod observe;
mod refusal;
mod routes;
mod server;
mod timed;
mod tls;

pub use access::{Access, AccessToken, TokenError};
pub use routes::{RouterOptions, router};
pub use server::{ServeOptions, serve, termination};
pub use tls::{TlsError, TlsIdentity};
