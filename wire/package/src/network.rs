//! What a program may do on the network.

use std::{fmt, net::IpAddr};

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

/// What a component may do on the network beyond its descriptors: through
/// `wasi:sockets`, and with requests of `wasi:http`. What no rule allows is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRules {
    /// To whom it may connect, send, and make requests.
    pub connect: Vec<NetworkRule>,
    /// Where it may listen or receive.
    pub listen: Vec<NetworkRule>,
}

/// One thing that a component may do on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// How.
    pub transport: Transport,
    /// The peer's name or IP address, or the own address; any if absent.
    pub host: Option<String>,
    /// The port; any if absent.
    pub port: Option<u16>,
}

/// How a component speaks on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A stream of `wasi:sockets`, which the host reads and alters.
    Tcp,
    /// Datagrams of `wasi:sockets`, which the host reads and alters.
    Udp,
    /// Requests of `wasi:http` with TLS, which ends inside the Keep.
    Https,
    /// Requests of `wasi:http` without TLS, which the host reads and alters.
    Http,
}

/// How a component that handles `wasi:http` requests is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpServer {
    /// Where, and whether with TLS.
    pub endpoint: Endpoint,
    /// Requests that are handled at a time, each by an instance of its own; further ones wait.
    pub requests: u32,
    /// Time that a request may take from its head to the end of its answer, in milliseconds.
    pub request_milliseconds: u64,
}

impl NetworkRules {
    /// Rules that one list may have.
    pub const MAX_RULES: usize = 256;

    /// Whether they allow anything.
    #[must_use]
    pub const fn allow_something(&self) -> bool {
        !self.connect.is_empty() || !self.listen.is_empty()
    }

    /// Whether a rule of either list is about `transport`.
    #[must_use]
    pub fn mention(&self, transport: Transport) -> bool {
        let mut rules = self.connect.iter().chain(&self.listen);
        rules.any(|rule| rule.transport == transport)
    }

    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        for rules in [&self.connect, &self.listen] {
            if rules.len() > Self::MAX_RULES {
                return Err(ManifestError::TooManyRules(rules.len()));
            }
        }
        let wrong = |rule: &&NetworkRule| !rule.can_connect();
        let connect = self.connect.iter().find(wrong);
        let wrong = |rule: &&NetworkRule| !rule.can_listen();
        match connect.or_else(|| self.listen.iter().find(wrong)) {
            Some(rule) => Err(ManifestError::Rule(rule.to_string())),
            None => Ok(()),
        }
    }
}

impl NetworkRule {
    /// Whether one can connect like this.
    #[must_use]
    pub fn can_connect(&self) -> bool {
        self.port != Some(0)
            && (self.host.as_deref())
                .is_none_or(|host| host.parse::<IpAddr>().is_ok() || is_host_name(host))
    }

    /// Whether one can listen like this; requests are received by an [`HttpServer`] instead.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        matches!(self.transport, Transport::Tcp | Transport::Udp)
            && (self.host.as_deref()).is_none_or(|host| host.parse::<IpAddr>().is_ok())
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.transport)?;
        match self.host.as_deref() {
            None => formatter.write_str("*")?,
            Some(host) if host.contains(':') => write!(formatter, "[{host}]")?,
            Some(host) => formatter.write_str(host)?,
        }
        match self.port {
            None => formatter.write_str(":*"),
            Some(port) => write!(formatter, ":{port}"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Https => "https",
            Self::Http => "http",
        })
    }
}

impl HttpServer {
    /// Requests at a time that a manifest may ask for.
    pub const MAX_REQUESTS: u32 = 1000;

    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        let fits = self.endpoint.can_listen()
            && (1..=Self::MAX_REQUESTS).contains(&self.requests)
            && self.request_milliseconds > 0;
        if fits {
            Ok(())
        } else {
            Err(ManifestError::HttpServer)
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
    fn rules_are_written_as_they_are_read() {
        let rule = |host: Option<&str>, port| NetworkRule {
            transport: Transport::Tcp,
            host: host.map(str::to_owned),
            port,
        };
        let shown = |host, port| rule(host, port).to_string();
        assert_eq!(shown(None, None), "tcp://*:*");
        assert_eq!(shown(Some("::1"), Some(5)), "tcp://[::1]:5");
        assert_eq!(shown(Some("a.example"), Some(5)), "tcp://a.example:5");
        assert!(rule(Some("a.example"), None).can_connect());
        assert!(!rule(Some("a b"), None).can_connect());
        assert!(!rule(None, Some(0)).can_connect());
        assert!(rule(Some("::"), Some(0)).can_listen());
        assert!(!rule(Some("a.example"), None).can_listen());
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
