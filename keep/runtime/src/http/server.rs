//! Serving a component that handles requests (`wasi:http/incoming-handler`; `wasi:http/handler` of WASI 0.3).

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use enarx_wire_package::{HttpServer, Protocol};
use enarx_wire_provision::{Cause, Ending};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, header::HOST};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout, timeout_at},
};
use wasmtime::{
    Engine,
    component::{Component, InstancePre},
};
use wasmtime_wasi_http::{
    Error, WasiBody, WasiHttpView as _,
    p2::bindings::{ProxyPre, http::types::Scheme},
    p3::bindings::ServicePre,
};

use super::{
    connection::{self, NoAnswer},
    patience::PatientBody,
    service,
};
use crate::{
    component::{self, Services, State},
    ending,
    input::stopped,
    network::{self, Stream},
    session::Session,
    stop::Stopping,
    tls::Tls,
};

/// Connections at a time; further ones wait outside of the Keep, in the host's kernel.
const CONNECTIONS: usize = 1500;

/// How long a client may pause while it sends a request's body.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// How long requests that are under way have for their end when the program is stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// How long accepting rests after an error, which is most likely a lack of descriptors.
const REST: Duration = Duration::from_millis(50);

/// Serves `component` until its owner stops it. Each request has an instance of its own.
pub async fn serve(
    component: &Component,
    services: Arc<Services>,
    settings: &HttpServer,
    session: Arc<Session>,
    stopping: Stopping,
) -> Ending {
    let refused = |reason: String| ending::early(Cause::Refused, reason);
    let handler = component::linker(component, &services)
        .and_then(|linker| linker.instantiate_pre(component))
        .and_then(|instance| Handler::new(instance, &services));
    let handler = match handler {
        Ok(handler) => handler,
        Err(error) => return refused(format!("{error:#}")),
    };
    let listener = match listen(settings) {
        Ok(listener) => listener,
        Err(reason) => return refused(reason),
    };
    if let Ok(address) = listener.local_addr() {
        // Without its owner the program is stopped elsewhere.
        let _ = session.log(format!("http listens on {address}"));
    }
    let places = usize::try_from(settings.requests).unwrap_or(usize::MAX);
    let server = Arc::new(Server {
        handler,
        tls: match settings.endpoint.protocol {
            Protocol::Tls => Some(services.network().tls.clone()),
            Protocol::Tcp => None,
        },
        services,
        places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        request_time: Duration::from_millis(settings.request_milliseconds),
        complaints: Complaints::new(session),
        stopping,
    });
    server.accept(listener).await;
    stopped()
}

fn listen(settings: &HttpServer) -> Result<TcpListener, String> {
    let endpoint = &settings.endpoint;
    let failed = |reason| {
        let (host, port) = (&endpoint.host, endpoint.port);
        format!("cannot listen on {host} port {port}: {reason}")
    };
    let host: IpAddr = (endpoint.host.parse()).map_err(|_| failed("it is no address".into()))?;
    let address = SocketAddr::new(host, endpoint.port);
    network::listen(address).map_err(|error| failed(network::reason(&error)))
}

/// A component that handles requests.
enum Handler {
    /// Those of WASI 0.2.
    Preview2(ProxyPre<State>),
    /// Those of WASI 0.3.
    Preview3(ServicePre<State>),
}

impl Handler {
    fn new(instance: InstancePre<State>, services: &Services) -> wasmtime::Result<Self> {
        if services.allow_preview3()
            && let Ok(service) = ServicePre::new(instance.clone())
        {
            return Ok(Self::Preview3(service));
        }
        ProxyPre::new(instance).map(Self::Preview2)
    }

    fn engine(&self) -> &Engine {
        match self {
            Self::Preview2(proxy) => proxy.engine(),
            Self::Preview3(service) => service.engine(),
        }
    }
}

/// A component and its clients.
struct Server {
    handler: Handler,
    services: Arc<Services>,
    tls: Option<Tls>,
    /// Requests that are handled at a time.
    places: Arc<Semaphore>,
    request_time: Duration,
    complaints: Complaints,
    stopping: Stopping,
}

impl Server {
    /// Accepts connections until the program shall stop, and waits for their end.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let stream = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                _ = connections.join_next(), if connections.len() >= CONNECTIONS => continue,
                accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
            };
            match stream {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&self).connection(stream));
                }
                Err(_) => sleep(REST).await,
            }
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        // Those that are left are cut off.
        let _ = timeout(DRAIN, drained).await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Without it, answers are late, and nothing else.
        let _ = stream.set_nodelay(true);
        let (stream, is_http2): (Box<dyn Stream>, _) = match &self.tls {
            None => (Box::new(stream), false),
            Some(tls) => match tls.accept(stream).await {
                Ok(accepted) => (accepted.stream, accepted.is_http2),
                // Whatever a client does wrong costs its own connection.
                Err(_) => return,
            },
        };
        let stopping = self.stopping.clone();
        connection::serve(stream, is_http2, stopping, |request| {
            Arc::clone(&self).respond(request)
        })
        .await;
    }

    /// Answers one request, as the component does.
    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<WasiBody>, NoAnswer> {
        if !names_host(&request) {
            return Ok(empty(StatusCode::BAD_REQUEST));
        }
        let deadline = Instant::now() + self.request_time;
        let place = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(place)) = timeout_at(deadline, place).await else {
            return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
        };
        let (sender, receiver) = oneshot::channel();
        let server = Arc::clone(&self);
        let task = tokio::spawn(async move {
            let handled = timeout_at(deadline, server.handle(request, sender)).await;
            drop(place);
            match handled {
                Ok(Ok(())) => {}
                Ok(Err(error)) => server.complaints.tell(&format!("{error:?}")),
                Err(_) => server
                    .complaints
                    .tell("it took longer than requests may take"),
            }
        });
        // A client that goes before the answer begins takes its request with it.
        let abandoned = AbortOnDrop(Some(task.abort_handle()));
        let answer = receiver.await;
        abandoned.disarm();
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                self.complaints
                    .tell(&format!("the program's answer is an error: {error}"));
                Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
            // It ended without an answer, and its owner was told why.
            Err(_) if Instant::now() >= deadline => Ok(empty(StatusCode::GATEWAY_TIMEOUT)),
            Err(_) => Ok(empty(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    /// Has an instance of the component handle a request, to the end of its answer.
    async fn handle(
        &self,
        request: Request<Incoming>,
        answer: oneshot::Sender<Result<Response<WasiBody>, Error>>,
    ) -> wasmtime::Result<()> {
        let mut store = self.services.store(self.handler.engine(), None);
        let request = request.map(|body| PatientBody::new(body, BODY_PAUSE));
        let is_tls = self.tls.is_some();
        // Who asked may have gone.
        let answer = |result: Result<_, Error>| drop(answer.send(result));
        let handled = match &self.handler {
            Handler::Preview2(proxy) => {
                let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
                let mut http = store.data_mut().http();
                let request = http.new_incoming_request(scheme, request)?;
                let answer = move |result: Result<_, _>| answer(result.map_err(Error::from));
                let answer = http.new_response_outparam_from_callback(answer)?;
                let instance = proxy.instantiate_async(&mut store).await?;
                let handler = instance.wasi_http_incoming_handler();
                handler.call_handle(&mut store, request, answer).await
            }
            Handler::Preview3(handler) => {
                service::handle(handler, &mut store, request, is_tls, answer).await
            }
        };
        match store.data().limiter().denied() {
            // A program that is denied memory usually gives up by trapping.
            Some(denied) => handled.map_err(|error| error.context(denied.to_string())),
            None => handled,
        }
    }
}

/// Whether a request says for which host it is, as it must (RFC 9112, section 3.2).
fn names_host(request: &Request<Incoming>) -> bool {
    request.uri().authority().is_some()
        || (request.headers().get(HOST)).is_some_and(|host| host.to_str().is_ok())
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Aborts a task when it is dropped.
struct AbortOnDrop(Option<AbortHandle>);

impl AbortOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Tells the owner of requests that failed, but not of each when there are many.
struct Complaints {
    session: Arc<Session>,
    state: Mutex<Told>,
}

struct Told {
    since: Instant,
    /// In this period.
    told: u32,
    withheld: u64,
}

/// As many complaints in a period.
const COMPLAINTS: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);

/// The longest complaint, in characters.
const COMPLAINT_LENGTH: usize = 2000;

impl Complaints {
    fn new(session: Arc<Session>) -> Self {
        Self {
            session,
            state: Mutex::new(Told::new()),
        }
    }

    fn tell(&self, reason: &str) {
        let withheld = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match state.count() {
                Some(withheld) => withheld,
                None => return,
            }
        };
        let reason: String = reason.chars().take(COMPLAINT_LENGTH).collect();
        let mut text = format!("a request failed: {reason}");
        if withheld > 0 {
            text.push_str(&format!("\n({withheld} others before it were not told)"));
        }
        // Without its owner the program is stopped elsewhere.
        let _ = self.session.log(text);
    }
}

impl Told {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            told: 0,
            withheld: 0,
        }
    }

    /// Counts one; `None` when it is not to be told, else how many were not before it.
    fn count(&mut self) -> Option<u64> {
        if self.since.elapsed() >= PERIOD {
            self.since = Instant::now();
            self.told = 0;
        }
        if self.told < COMPLAINTS {
            self.told += 1;
            return Some(std::mem::take(&mut self.withheld));
        }
        self.withheld += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_complaints_are_counted_only() {
        let mut told = Told::new();
        for _ in 0..COMPLAINTS {
            assert_eq!(told.count(), Some(0));
        }
        assert_eq!(told.count(), None);
        assert_eq!(told.count(), None);
        advance(PERIOD).await;
        assert_eq!(told.count(), Some(2));
        assert_eq!(told.count(), Some(0));
    }
}
