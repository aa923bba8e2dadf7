//! TLS for the connection between an owner and a host.
//!
//! The protocol does not rely on it: a host is not trusted, whoever it is. It keeps
//! access tokens, names and sizes from others on the network.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// A host's certificate chain and private key.
#[derive(Clone)]
pub struct TlsIdentity {
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// Takes a certificate chain, the host's own certificate first, and its private
    /// key (PKCS #8, PKCS #1 or SEC1), both in PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] says which of them cannot be used and why.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Certificates(error.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Certificates("there is none".into()));
        }
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.config.clone().into()
    }
}

/// Why TLS cannot be offered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// The certificates are not PEM.
    #[error("cannot read the TLS certificates: {0}")]
    Certificates(String),
    /// The private key is not PEM, or of an unknown sort.
    #[error("cannot read the TLS private key: {0}")]
    Key(String),
    /// Certificate and key do not go together, or are of an unknown algorithm.
    #[error("cannot use the TLS certificate and key: {0}")]
    Pair(#[from] rustls::Error),
}
