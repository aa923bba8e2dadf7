//! Handling a request by WASI 0.3 (`wasi:http/handler`).

use std::future::poll_fn;

use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    header::HOST,
    http::uri::{Authority, Scheme},
};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::{
    Error, WasiBody, WasiHttpView as _,
    p3::{self, bindings::ServicePre},
};

use super::{guest_body::GuestBody, patience::PatientBody};
use crate::component::State;

/// Has an instance of `service` handle a request, and gives its answer; returns when the program has
/// ended, which may write its answer's body until then.
///
/// # Errors
///
/// When the program traps, or cannot be begun.
pub async fn handle(
    service: &ServicePre<State>,
    store: &mut Store<State>,
    request: Request<PatientBody>,
    is_tls: bool,
    answer: impl FnOnce(Result<Response<WasiBody>, Error>),
) -> wasmtime::Result<()> {
    let life = store.data().life().clone();
    let _death = life.death();
    let authority = authority(&request);
    let (mut request, _) = p3::Request::from_http(store.data_mut().http().hooks, request);
    request.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
    request.authority = authority;
    let service = service.instantiate_async(&mut *store).await?;
    let handled = store.run_concurrent(async |store| {
        match service.handle(store, request).await? {
            Ok(response) => {
                let (tell, told) = oneshot::channel();
                let (stay, gone) = oneshot::channel::<()>();
                let transmitted = async { told.await.unwrap_or(Err(Error::ConnectionTerminated)) };
                let response = store.with(|store| response.into_http(store, transmitted))?;
                let sent = |result| {
                    // The program may not want to know.
                    let _ = tell.send(result);
                    drop(stay);
                };
                let body = |body| GuestBody::new(body, life, sent).boxed_unsync();
                answer(Ok(response.map(body)));
                // Nobody says anything there.
                let _ = gone.await;
            }
            Err(code) => answer(Err(code.into())),
        }
        poll_fn(|context| store.poll_no_interesting_tasks(context)).await;
        Ok(())
    });
    handled.await.flatten()
}

/// For whom a request is: HTTP/1.1 says it in a field of its head.
fn authority(request: &Request<PatientBody>) -> Option<Authority> {
    let field = || request.headers().get(HOST)?.to_str().ok()?.parse().ok();
    request.uri().authority().cloned().or_else(field)
}
