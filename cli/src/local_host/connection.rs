//! A host's service within this process, as the owner's side sees a host.

use bytes::Bytes;
use enarx_host_agent::{Service, ServiceError};
use enarx_owner_deployer::{HostConnection, HostError, OutputStream, PackageStream};
use enarx_wire_host_api::{HostInfo, KeepId, KeepInfo, OfferResponse, StartRequest, StartedKeep};
use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};

/// A host within this process. Its Keeps end with it.
pub struct EmbeddedHost {
    service: Service,
}

impl EmbeddedHost {
    /// The host that is `service`.
    pub fn new(service: Service) -> Self {
        Self { service }
    }
}

impl HostConnection for EmbeddedHost {
    fn info(&self) -> BoxFuture<'_, Result<HostInfo, HostError>> {
        let service = self.service.clone();
        async move {
            tokio::task::spawn_blocking(move || service.host_info())
                .await
                .map_err(|error| HostError::Broken(error.to_string()))
        }
        .boxed()
    }

    fn start(&self, request: StartRequest) -> BoxFuture<'_, Result<StartedKeep, HostError>> {
        async move { self.service.start(request).await.map_err(refused) }.boxed()
    }

    fn offer(&self, keep: KeepId) -> BoxFuture<'_, Result<OfferResponse, HostError>> {
        async move { self.service.offer(keep).await.map_err(refused) }.boxed()
    }

    fn provision(&self, keep: KeepId, grant: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
        async move {
            let grant = Bytes::from(grant);
            self.service.provision(keep, grant).await.map_err(refused)
        }
        .boxed()
    }

    fn package(
        &self,
        keep: KeepId,
        package: PackageStream,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        async move {
            let relayed = self.service.package(keep, None, package).await;
            relayed.map(drop).map_err(refused)
        }
        .boxed()
    }

    fn output(
        &self,
        keep: KeepId,
        from: u64,
        follow: bool,
    ) -> BoxFuture<'_, Result<OutputStream, HostError>> {
        let output = self.service.output(keep, from, follow).map(|reader| {
            let first = reader.first_frame();
            let frames = reader
                .into_stream()
                .map_ok(Vec::from)
                .map_err(|error| HostError::Broken(error.to_string()))
                .boxed();
            OutputStream { first, frames }
        });
        ready(output.map_err(refused)).boxed()
    }

    fn input(
        &self,
        keep: KeepId,
        mut frames: BoxStream<'static, Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        async move {
            self.service.require_running(keep).map_err(refused)?;
            while let Some(frame) = frames.next().await {
                let frame = Bytes::from(frame);
                self.service.input(keep, frame).await.map_err(refused)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeepInfo>, HostError>> {
        ready(Ok(self.service.list().keeps)).boxed()
    }

    fn inspect(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        ready(self.service.inspect(keep).map_err(refused)).boxed()
    }

    fn stop(&self, keep: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        async move { self.service.stop(keep).await.map_err(refused) }.boxed()
    }
}

fn refused(error: ServiceError) -> HostError {
    HostError::Refused(Box::new(error.problem()))
}
