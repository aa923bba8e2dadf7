//! One route for each operation of the interface.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use enarx_wire_host_api::{ErrorCode, Method, Operation};

use super::{
    access::Access,
    handlers,
    observe::{close_after, observe},
    refusal::Refusal,
};
use crate::Service;

/// How requests are treated.
#[derive(Clone)]
pub struct RouterOptions {
    /// Who may use the service.
    pub access: Access,
    /// How long a small body may take, and how long a streamed one may rest where
    /// it must go on.
    pub body_time: Duration,
}

/// What every handler has at hand.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) service: Service,
    pub(super) options: Arc<RouterOptions>,
}

/// The whole interface as a router, for [`super::serve`] or a server of the caller's
/// own.
pub fn router(service: Service, options: RouterOptions) -> Router {
    let context = Context {
        service,
        options: Arc::new(options),
    };
    let mut router = Router::new();
    for operation in Operation::ALL {
        let observed = from_fn_with_state((context.clone(), operation), observe);
        router = router.route(operation.path(), endpoint(operation).route_layer(observed));
    }
    router
        .fallback(async || unrouted(ErrorCode::UnknownPath))
        .method_not_allowed_fallback(async || unrouted(ErrorCode::MethodNotAllowed))
        .with_state(context)
}

/// The answer to a request that is no operation's. It may have a body.
fn unrouted(code: ErrorCode) -> Response {
    let mut response = Refusal::new(code, "").into_response();
    close_after(response.headers_mut());
    response
}

fn endpoint(operation: Operation) -> MethodRouter<Context> {
    let filter = match operation.method() {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    match operation {
        Operation::Host => on(filter, handlers::host),
        Operation::Start => on(filter, handlers::start),
        Operation::List => on(filter, handlers::list),
        Operation::Inspect => on(filter, handlers::inspect),
        Operation::Stop => on(filter, handlers::stop),
        Operation::Offer => on(filter, handlers::offer),
        Operation::Provision => on(filter, handlers::provision),
        Operation::Package => on(filter, handlers::package),
        Operation::Output => on(filter, handlers::output),
        Operation::Input => on(filter, handlers::input),
        Operation::Health => on(filter, handlers::health),
        Operation::Metrics => on(filter, handlers::metrics),
        Operation::Description => on(filter, handlers::description),
    }
}
