//! What a program may do on the network.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ManifestError;

/// One end of a TCP connection: where to listen, or to whom to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// An IP address; of a peer, also a name for the host to look up.
    pub host: String,
    /// The port. Zero, where to listen, takes any free one.
    pub port: u16,
    /// What protects the connection.
    pub protocol: Protocol,
}

/// What protects a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TLS, which ends inside the Keep.
    Tls,
    /// Nothing: the host reads and alters what it likes.
    Tcp,
}

/// How a Keep speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Names and IP addresses in the certificate that the Keep issues to itself when its
    /// package holds none.
    pub names: Vec<String>,
    /// Whether a client without a certificate is let in where the package holds the
    /// authorities of clients.
    pub clients_optional: bool,
}

impl Default for TlsSettings {
    /// The names by which a machine knows itself.
    fn default() -> Self {
        Self {
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            clients_optional: false,
        }
    }
}

impl TlsSettings {
    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        let wrong = |name: &&String| name.parse::<IpAddr>().is_err() && !is_host_name(name);
        match self.names.iter().find(wrong) {
            Some(name) => Err(ManifestError::TlsName(name.clone())),
            None => Ok(()),
        }
    }
}

impl Endpoint {
    /// Whether one can listen there.
    pub(crate) fn can_listen(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether one can connect to it.
    pub(crate) fn can_connect(&self) -> bool {
        self.port > 0 && (self.host.parse::<IpAddr>().is_ok() || is_host_name(&self.host))
    }
}

/// Whether `name` is a host's name (RFC 1123, section 2.1; underscores are in use too).
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= MAX_HOST_NAME_BYTES && name.split('.').all(label) && !last_is_number
}

/// The longest host name in bytes (RFC 1035, section 2.3.4, without the last dot).
pub const MAX_HOST_NAME_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_what_is_none() {
        for name in ["localhost", "a.b-c.example", "x_1.example", "1.example"] {
            assert!(is_host_name(name), "{name}");
        }
        let long = format!("{}.example", "a".repeat(64));
        let longer = ["a"; 128].join(".");
        for name in [
            "", ".", "a..b", "-a", "a-", "a b", "a/b", "ä", "1.2.3.4", "::1", "a.", &long, &longer,
        ] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn ends_are_addresses_or_names() {
        let end = |host: &str, port| Endpoint {
            host: host.to_owned(),
            port,
            protocol: Protocol::Tcp,
        };
        assert!(end("::", 0).can_listen());
        assert!(!end("localhost", 1).can_listen());
        assert!(end("localhost", 1).can_connect());
        assert!(end("192.0.2.1", 1).can_connect());
        assert!(!end("localhost", 0).can_connect());
        assert!(!end("[::1]", 1).can_connect());
    }
}
