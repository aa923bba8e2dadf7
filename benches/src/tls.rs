//! TLS of the clients and servers here: one certificate for all that are measured.

use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version::TLS13,
    },
};

/// A certificate for `localhost`, in PEM: the one of the runtime's tests.
pub const CERTIFICATE: &[u8] = include_bytes!("../../keep/runtime/tests/keep/tls/certificate.pem");

/// Its key, in PEM.
pub const KEY: &[u8] = include_bytes!("../../keep/runtime/tests/keep/tls/key.pem");

/// A client that trusts the certificate, and no other.
///
/// # Errors
///
/// None that depends on anything outside.
pub fn client() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()?)?;
    let config = ClientConfig::builder_with_protocol_versions(&[&TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A server that has the certificate, configured as the library is by default.
///
/// # Errors
///
/// None that depends on anything outside.
pub fn server() -> anyhow::Result<TlsAcceptor> {
    let key = PrivateKeyDer::from_pem_slice(KEY).context("the key cannot be read")?;
    let config = ServerConfig::builder_with_protocol_versions(&[&TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![certificate()?], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificate() -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(CERTIFICATE).context("the certificate cannot be read")
}
