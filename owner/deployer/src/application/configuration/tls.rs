//! `[tls]`: certificates, keys, and whom to trust.

use std::{net::IpAddr, path::PathBuf};

use enarx_wire_package::{TlsSettings, is_host_name};
use serde::Deserialize;
use toml::Spanned;

use super::Problem;

/// What `[tls]` says; paths are relative to the folder and not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfiguration {
    /// The certificate chain of the Keep's own, and the private key to it.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authorities of the servers that the program connects to.
    pub authorities: Option<PathBuf>,
    /// The authorities of clients, where they must have certificates.
    pub client_authorities: Option<PathBuf>,
    /// The rest.
    pub settings: TlsSettings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    names: Option<Vec<Spanned<String>>>,
    authorities: Option<String>,
    client_authorities: Option<String>,
    clients: Option<Spanned<String>>,
}

impl TlsTable {
    pub(super) fn check(self) -> Result<TlsConfiguration, Problem> {
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                Some((certificate.into_inner().into(), key.into_inner().into()))
            }
            (None, None) => None,
            (Some(alone), None) => {
                return Err(Problem::new(&alone, "a certificate needs its `key`"));
            }
            (None, Some(alone)) => {
                return Err(Problem::new(&alone, "a key needs its `certificate`"));
            }
        };
        let mut settings = TlsSettings::default();
        if let Some(names) = self.names {
            if let Some(name) = names.first()
                && identity.is_some()
            {
                let message = "names are those of a certificate that the Keep issues to itself; \
                               this one is given";
                return Err(Problem::new(name, message));
            }
            settings.names = names.into_iter().map(name).collect::<Result<_, _>>()?;
        }
        if let Some(clients) = &self.clients {
            settings.clients_optional = match clients.get_ref().as_str() {
                "required" => false,
                "optional" => true,
                other => {
                    let message =
                        format!("unknown value {other:?}, expected \"required\" or \"optional\"");
                    return Err(Problem::new(clients, message));
                }
            };
            if self.client_authorities.is_none() {
                let message = "certificates of clients come from `client_authorities`, which is \
                               missing";
                return Err(Problem::new(clients, message));
            }
        }
        Ok(TlsConfiguration {
            identity,
            authorities: self.authorities.map(PathBuf::from),
            client_authorities: self.client_authorities.map(PathBuf::from),
            settings,
        })
    }
}

fn name(name: Spanned<String>) -> Result<String, Problem> {
    if name.get_ref().parse::<IpAddr>().is_err() && !is_host_name(name.get_ref()) {
        let message = "neither a host's name nor an IP address";
        return Err(Problem::new(&name, message));
    }
    Ok(name.into_inner())
}
