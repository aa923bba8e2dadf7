//! The service itself, without HTTP: used directly by a program that embeds a
//! host, and by [`crate::http`].

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use enarx_wire_host_api::{
    API_VERSION, EndKind, FrameError, HostInfo, KeepId, KeepInfo, KeepList, KeepState,
    MAX_FRAME_BYTES, MAX_GRANT_BYTES, OfferResponse, SERVICE_NAME, StartRequest, StartedKeep,
};
use enarx_wire_hostcall::envelope::{Kind, MAX_PAYLOAD};
use futures_util::{Stream, StreamExt};
use tokio::{
    net::UnixStream,
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    BodyError, KeepLauncher, LaunchOrder, LaunchedKeep, Limits, OutputReader, ServiceError,
    channel::send_challenge,
    driver::Driver,
    keep::{Keep, Outgoing},
    life::{Step, end},
    lookup::Resolver,
    metrics::Metrics,
    registry::{Registry, Share},
};

/// Starts Keeps and relays between them and their owners.
///
/// A clone is another handle to the same service. When the last one is dropped,
/// every Keep is ended; [`Service::shutdown`] also waits for that.
///
/// Every method must be called within a Tokio runtime with time and I/O enabled.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    launcher: Arc<dyn KeepLauncher>,
    limits: Limits,
    registry: Arc<Registry>,
    resolver: Resolver,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    _shutdown_on_drop: DropGuard,
}

impl Service {
    /// A service that starts its Keeps with `launcher`.
    #[must_use]
    pub fn new(launcher: Arc<dyn KeepLauncher>, limits: Limits) -> Self {
        let shutdown = CancellationToken::new();
        let inner = Inner {
            launcher,
            limits,
            registry: Arc::default(),
            resolver: Resolver::new(),
            metrics: Arc::new(Metrics::new()),
            tasks: TaskTracker::new(),
            _shutdown_on_drop: shutdown.clone().drop_guard(),
            shutdown,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the host is. It probes every backend, which may take a moment.
    #[must_use]
    pub fn host_info(&self) -> HostInfo {
        HostInfo {
            service: SERVICE_NAME.into(),
            api_version: API_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            backends: self.inner.launcher.backends(),
            limits: self.inner.limits.to_host_limits(),
        }
    }

    /// Starts a Keep and sends it the owner's nonce.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the request is malformed, over a limit, or the
    /// launcher refuses. Nothing is left behind then.
    pub async fn start(&self, request: StartRequest) -> Result<StartedKeep, ServiceError> {
        request.check()?;
        let inner = &self.inner;
        if request.network && !inner.limits.network {
            return Err(ServiceError::NetworkDenied);
        }
        let share = inner
            .registry
            .reserve(request.memory_bytes, &inner.limits)?;
        let began = Instant::now();
        let launched = self.launch(&request, share);
        let keep = match launched.await {
            Ok((launched, share)) => self.adopt(launched, request, share)?,
            Err(error) => {
                inner.metrics.start_failures.inc();
                tracing::warn!(backend = request.backend, %error, "Keep did not start");
                return Err(error);
            }
        };
        let took = began.elapsed();
        inner.metrics.launch_seconds.observe(took.as_secs_f64());
        inner
            .metrics
            .keep_started(&keep.request.backend, keep.request.simulate);
        tracing::info!(
            keep = %keep.id,
            name = keep.request.name,
            backend = keep.request.backend,
            simulated = keep.request.simulate,
            memory_bytes = keep.request.memory_bytes,
            microseconds = took.as_micros(),
            "Keep started"
        );
        Ok(StartedKeep {
            keep: keep.info(),
            endorsements: keep.endorsements.clone(),
        })
    }

    /// The Keep's claims and evidence; waits until it has made them. It can be
    /// asked for again.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when there is no such Keep, or it has ended or ends first.
    pub async fn offer(&self, id: KeepId) -> Result<OfferResponse, ServiceError> {
        let keep = self.inner.registry.get(id)?;
        if keep.state() == KeepState::Ended {
            keep.require(KeepState::Offered)?;
        }
        keep.reach(KeepState::Offered).await?;
        Ok(OfferResponse {
            offer: keep
                .offer
                .get()
                .map_or_else(Vec::new, |offer| offer.to_vec()),
        })
    }

    /// Relays the owner's sealed grant, and waits until the Keep has opened it.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the Keep does not wait for a grant, or ends instead
    /// of opening this one.
    pub async fn provision(&self, id: KeepId, grant: Bytes) -> Result<(), ServiceError> {
        if grant.len() > MAX_GRANT_BYTES {
            return Err(ServiceError::GrantTooLarge {
                asked: grant.len(),
                limit: MAX_GRANT_BYTES,
            });
        }
        let keep = self.inner.registry.get(id)?;
        keep.require(KeepState::Offered)?;
        // The place comes before the step, so that a caller who goes away cannot
        // leave a step that was taken and never sent.
        let place = keep.place().await?;
        keep.claim(Step::GrantSent, KeepState::Offered)?;
        place.send(Outgoing {
            kind: Kind::Provision,
            payload: grant,
            written: None,
        });
        keep.reach(KeepState::Provisioned).await
    }

    /// Relays the package's ciphertext, and returns its size in bytes when all of
    /// it was relayed. `announced` is the size if the caller knows it; a package
    /// that is announced as too large is refused before the Keep is touched.
    ///
    /// A Keep takes one upload. If `body` fails, grows too large, or the returned
    /// future is dropped, the Keep is ended.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the Keep does not wait for a package, the package is
    /// too large, `body` fails, or the Keep ends meanwhile.
    pub async fn package<B, E>(
        &self,
        id: KeepId,
        announced: Option<u64>,
        body: B,
    ) -> Result<u64, ServiceError>
    where
        B: Stream<Item = Result<Bytes, E>>,
        E: Into<BodyError>,
    {
        let keep = self.inner.registry.get(id)?;
        keep.require(KeepState::Provisioned)?;
        let limit = self.inner.limits.package_bytes;
        if announced.is_some_and(|announced| announced > limit) {
            return Err(ServiceError::PackageTooLarge { limit });
        }
        let began = Instant::now();
        keep.claim(Step::UploadBegan, KeepState::Provisioned)?;
        let mut upload = Upload {
            keep: &keep,
            complete: false,
        };
        let mut relayed = 0;
        let mut body = pin!(body);
        while let Some(next) = next_or_end(&keep, body.next()).await? {
            let mut piece = next.map_err(|error| ServiceError::Body(error.into()))?;
            relayed += piece.len() as u64;
            if relayed > limit {
                return Err(ServiceError::PackageTooLarge { limit });
            }
            while !piece.is_empty() {
                let payload = piece.split_to(piece.len().min(MAX_PAYLOAD));
                keep.place().await?.send(Outgoing {
                    kind: Kind::PackageData,
                    payload,
                    written: None,
                });
            }
        }
        let place = keep.place().await?;
        keep.claim(Step::UploadComplete, KeepState::Loading)?;
        upload.complete = true;
        send_and_wait(&keep, place, Kind::PackageEnd, Bytes::new()).await?;
        let took = began.elapsed().as_secs_f64();
        self.inner.metrics.package_seconds.observe(took);
        tracing::info!(keep = %id, bytes = relayed, seconds = took, "package relayed");
        Ok(relayed)
    }

    /// Reads the Keep's session frames from the index `from`, or from the oldest
    /// that is held when that is newer; with `follow` until the Keep has ended,
    /// otherwise what is there now.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UnknownKeep`]
    pub fn output(
        &self,
        id: KeepId,
        from: u64,
        follow: bool,
    ) -> Result<OutputReader, ServiceError> {
        let keep = self.inner.registry.get(id)?;
        Ok(OutputReader::new(keep.output.clone(), from, follow))
    }

    /// Relays one session frame to the Keep; waits until the Keep's channel has
    /// taken it.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the frame is empty or longer than 1 MiB, the Keep is
    /// not running, or it ends meanwhile.
    pub async fn input(&self, id: KeepId, frame: Bytes) -> Result<(), ServiceError> {
        let keep = self.inner.registry.get(id)?;
        keep.require(KeepState::Running)?;
        if frame.is_empty() {
            return Err(FrameError::Empty.into());
        }
        if frame.len() > MAX_FRAME_BYTES {
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            return Err(FrameError::TooLong(length).into());
        }
        let place = keep.place().await?;
        send_and_wait(&keep, place, Kind::Input, frame).await
    }

    /// Refuses unless the Keep runs, and so takes input.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] says what it does instead.
    pub fn require_running(&self, id: KeepId) -> Result<(), ServiceError> {
        self.inner.registry.get(id)?.require(KeepState::Running)
    }

    /// The living Keeps and those that ended lately, oldest first.
    #[must_use]
    pub fn list(&self) -> KeepList {
        let keeps = self.inner.registry.all();
        KeepList {
            keeps: keeps.iter().map(|keep| keep.info()).collect(),
        }
    }

    /// What is known of one Keep.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UnknownKeep`]
    pub fn inspect(&self, id: KeepId) -> Result<KeepInfo, ServiceError> {
        Ok(self.inner.registry.get(id)?.info())
    }

    /// Ends a Keep at once and waits until it has ended. If it has ended already,
    /// nothing changes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UnknownKeep`]
    pub async fn stop(&self, id: KeepId) -> Result<KeepInfo, ServiceError> {
        let keep = self.inner.registry.get(id)?;
        keep.request_end(end(EndKind::Stopped, "the Keep was stopped on request"));
        keep.ended().await;
        Ok(keep.info())
    }

    /// Waits until a Keep has ended.
    ///
    /// # Errors
    ///
    /// [`ServiceError::UnknownKeep`]
    pub async fn wait(&self, id: KeepId) -> Result<KeepInfo, ServiceError> {
        let keep = self.inner.registry.get(id)?;
        keep.ended().await;
        Ok(keep.info())
    }

    /// Starts no more Keeps, ends every living one, and waits for that, at most
    /// `time`. Returns whether all have ended.
    pub async fn shutdown(&self, time: Duration) -> bool {
        self.inner.registry.close();
        self.inner.shutdown.cancel();
        self.inner.tasks.close();
        tokio::time::timeout(time, self.inner.tasks.wait())
            .await
            .is_ok()
    }

    /// Every figure in the OpenMetrics text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let keeps = self.inner.registry.all();
        let states: Vec<_> = keeps.iter().map(|keep| keep.state()).collect();
        let memory_bytes = self.inner.registry.memory_bytes();
        self.inner.metrics.text(&states, memory_bytes)
    }

    /// The figures, for whoever serves this service.
    pub(crate) fn figures(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Has a Keep launched, on a thread that may block unless it is quick. If the
    /// caller goes away meanwhile, the Keep is dropped there, and so killed.
    async fn launch(
        &self,
        request: &StartRequest,
        share: Share,
    ) -> Result<(LaunchedKeep, Share), ServiceError> {
        let order = LaunchOrder {
            backend: request.backend.clone(),
            simulate: request.simulate,
            memory_bytes: request.memory_bytes,
            bounded_memory: request.bounded_memory,
            cpu_seconds: request.cpu_seconds,
            network: request.network,
            host_data: request.host_data.map_or([0; _], |data| data.0),
        };
        let launcher = self.inner.launcher.clone();
        let has_one_thread = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        let is_quick = has_one_thread && launcher.is_quick(&order);
        let launch = move || match launcher.launch(&order) {
            Ok(launched) => Ok((launched, share)),
            Err(refusal) => Err(refusal.into_error(&order.backend)),
        };
        if is_quick {
            return launch();
        }
        match tokio::task::spawn_blocking(launch).await {
            Ok(launched) => launched,
            Err(error) => Err(ServiceError::LaunchFailed(error.to_string())),
        }
    }

    /// Takes charge of a Keep that was launched.
    fn adopt(
        &self,
        launched: LaunchedKeep,
        request: StartRequest,
        share: Share,
    ) -> Result<Arc<Keep>, ServiceError> {
        let LaunchedKeep {
            channel,
            endorsements,
            process,
        } = launched;
        let failed = |error: std::io::Error| {
            ServiceError::LaunchFailed(format!("cannot use the Keep's channel: {error}"))
        };
        // Its buffer is empty and takes this at once. The Keep has its challenge before
        // anything else happens here, and makes its offer meanwhile.
        send_challenge(&channel, &request.nonce.0).map_err(failed)?;
        channel.set_nonblocking(true).map_err(failed)?;
        let channel = UnixStream::from_std(channel).map_err(failed)?;
        let id = random_id().map_err(failed)?;
        let limits = self.inner.limits.clone();
        let (keep, outgoing) = Keep::new(id, share.number, request, endorsements, &limits);
        self.inner.registry.insert(keep.clone())?;
        let driver = Driver {
            keep: keep.clone(),
            channel,
            process,
            outgoing,
            limits,
            resolver: self.inner.resolver.clone(),
            metrics: self.inner.metrics.clone(),
        };
        let registry = self.inner.registry.clone();
        let shutdown = self.inner.shutdown.clone();
        self.inner
            .tasks
            .spawn(live(driver, share, registry, shutdown));
        Ok(keep)
    }
}

/// Drives a Keep to its end, and then keeps it readable for a while.
async fn live(driver: Driver, share: Share, registry: Arc<Registry>, shutdown: CancellationToken) {
    let keep = driver.keep.clone();
    let Limits {
        ended_keeps,
        retention_time,
        ..
    } = driver.limits;
    let mut driving = pin!(driver.run());
    tokio::select! {
        () = &mut driving => {}
        () = shutdown.cancelled() => {
            keep.request_end(end(EndKind::HostShutdown, "the host shut down"));
            driving.await;
        }
    }
    drop(share);
    registry.forget_ended_over(ended_keeps);
    tokio::select! {
        () = tokio::time::sleep(retention_time) => registry.remove(keep.id),
        () = keep.forgotten.cancelled() => {}
        () = shutdown.cancelled() => {}
    }
}

/// Ends the Keep when it is dropped before its upload is complete.
struct Upload<'a> {
    keep: &'a Keep,
    complete: bool,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.complete {
            let detail = "the package's upload broke off, and a Keep takes one upload";
            self.keep.request_end(end(EndKind::UploadBroken, detail));
        }
    }
}

/// Sends an envelope and waits until the Keep's channel has taken it.
async fn send_and_wait(
    keep: &Keep,
    place: mpsc::Permit<'_, Outgoing>,
    kind: Kind,
    payload: Bytes,
) -> Result<(), ServiceError> {
    let (written, taken) = oneshot::channel();
    place.send(Outgoing {
        kind,
        payload,
        written: Some(written),
    });
    // What comes into a queue that was closed after the place was taken stays there.
    let end = tokio::select! {
        biased;
        Ok(()) = taken => return Ok(()),
        end = keep.ended() => end,
    };
    let how = &end.how;
    match how.kind {
        // It has all that it needed, and was faster than the note of it.
        EndKind::Completed => Ok(()),
        _ => Err(ServiceError::KeepFailed(how.clone().into())),
    }
}

/// Waits for the next piece of a body, but not when the Keep ends.
async fn next_or_end<T>(keep: &Keep, next: impl Future<Output = T>) -> Result<T, ServiceError> {
    tokio::select! {
        next = next => Ok(next),
        end = keep.ended() => Err(ServiceError::KeepFailed(end.how.clone().into())),
    }
}

fn random_id() -> std::io::Result<KeepId> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::rand::getrandom(&mut bytes[filled..], flags)?;
    }
    Ok(KeepId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use enarx_wire_host_api::HexBytes;

    use super::*;

    #[tokio::test]
    async fn what_comes_after_a_keeps_end_is_not_waited_for() {
        let request = StartRequest {
            backend: "process".into(),
            simulate: true,
            nonce: HexBytes([0; _]),
            memory_bytes: 1 << 30,
            bounded_memory: false,
            cpu_seconds: None,
            network: false,
            host_data: None,
            name: None,
        };
        let id = random_id().unwrap();
        let (keep, outgoing) = Keep::new(id, 1, request, Vec::new(), &Limits::embedded());
        let place = keep.place().await.unwrap();
        // The Keep ends when there is a place for the last piece, which was not sent yet.
        drop(outgoing);
        keep.set_ended(end(EndKind::Died, "the Keep was killed"));
        let sent = send_and_wait(&keep, place, Kind::PackageEnd, Bytes::new()).await;
        assert!(matches!(sent, Err(ServiceError::KeepFailed(_))), "{sent:?}");
    }
}
