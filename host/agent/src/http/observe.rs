//! A name, a log line and figures for each request, and the check of its token.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use enarx_wire_host_api::{ErrorCode, HEADER_REQUEST_ID, HexBytes, Operation};
use tracing::Instrument;

use super::{refusal::Refusal, routes::Context};

/// Lets a request of `operation` pass if its token is right, and takes note of it.
pub(super) async fn observe(
    State((context, operation)): State<(Context, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let name = operation_name(operation);
    let id = request_id();
    let permitted = match operation.needs_token() {
        true => context.options.access.check(request.headers()),
        false => Ok(()),
    };
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id, operation = name);
    let mut response = match permitted {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(reason) => Refusal::new(ErrorCode::Unauthorized, reason).into_response(),
    };

    let took = began.elapsed();
    let status = response.status().as_u16();
    context
        .service
        .figures()
        .request_answered(name, status, took.as_secs_f64());
    let code = response.extensions().get::<ErrorCode>();
    let refused = code.map(|code| code.as_str());
    span.in_scope(|| {
        let microseconds = took.as_micros();
        if operation.concerns_keep() || operation == Operation::Start {
            tracing::info!(path, status, refused, microseconds, "request answered");
        } else {
            tracing::debug!(path, status, refused, microseconds, "request answered");
        }
    });
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HEADER_REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if refused.is_some() && operation.request_media_type().is_some() {
        close_after(headers);
    }
    response
}

/// Tells the client not to send its next request on this connection: what is left
/// of this one's body is not going to be read.
pub(super) fn close_after(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Host => "host",
        Operation::Start => "start",
        Operation::List => "list",
        Operation::Inspect => "inspect",
        Operation::Stop => "stop",
        Operation::Offer => "offer",
        Operation::Provision => "provision",
        Operation::Package => "package",
        Operation::Output => "output",
        Operation::Input => "input",
        Operation::Health => "health",
        Operation::Metrics => "metrics",
        Operation::Description => "description",
    }
}

/// Names a request in answers and logs. It is no secret, so zeros will do in the
/// unlikely case that the system has no random bytes.
fn request_id() -> String {
    let mut bytes = [0; 8];
    let flags = rustix::rand::GetRandomFlags::empty();
    let _ = rustix::rand::getrandom(&mut bytes, flags);
    HexBytes(bytes).to_string()
}
