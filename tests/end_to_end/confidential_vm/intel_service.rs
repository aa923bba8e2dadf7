//! A service that publishes what Intel would about the simulated machine.

use std::{net::SocketAddr, thread};

use axum::{
    Router,
    http::{HeaderName, Uri},
    response::{IntoResponse as _, Response},
};
use enarx_host_simulator::sgx::Endorsements;
use tokio::sync::oneshot;
use x509_cert::der::pem::{self, LineEnding};

/// The service, ended when dropped.
pub struct IntelService {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl IntelService {
    pub fn start(endorsements: &Endorsements) -> Self {
        let endorsements = endorsements.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let answer = move |uri: Uri| {
                let answer = answer(&endorsements, &uri);
                async move { answer }
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer))
                    .with_graceful_shutdown(async { drop(stopped.await) })
                    .await
                    .unwrap();
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for IntelService {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// The paths and headers of *Intel SGX and TDX Provisioning Certification Service API*,
/// version 4.
fn answer(endorsements: &Endorsements, uri: &Uri) -> Response {
    let chain = |name: &'static str, certificates: [&Vec<u8>; 2]| {
        let pem: String = certificates
            .map(|der| pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap())
            .concat();
        let encoded: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
        [(HeaderName::from_static(name), encoded)]
    };
    let signers = [&endorsements.tcb_signing, &endorsements.root];
    match uri.path() {
        "/tdx/certification/v4/tcb" => (
            chain("tcb-info-issuer-chain", signers),
            endorsements.tdx_tcb_info.clone(),
        )
            .into_response(),
        "/tdx/certification/v4/qe/identity" => (
            chain("sgx-enclave-identity-issuer-chain", signers),
            endorsements.tdx_qe_identity.clone(),
        )
            .into_response(),
        "/sgx/certification/v4/pckcrl" => (
            chain(
                "sgx-pck-crl-issuer-chain",
                [&endorsements.pck_authority, &endorsements.root],
            ),
            endorsements.pck_revocations.clone(),
        )
            .into_response(),
        "/IntelSGXRootCA.der" => endorsements.root_revocations.clone().into_response(),
        _ => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}
