//! `[[files]]`: the descriptors that a program begins with.

use std::net::IpAddr;

use enarx_wire_package::{Descriptor, DescriptorKind, Endpoint, Protocol, is_host_name};
use serde::Deserialize;
use toml::Spanned;

use super::Problem;

/// One descriptor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTable {
    kind: Spanned<String>,
    name: Option<Spanned<String>>,
    addr: Option<Spanned<String>>,
    host: Option<Spanned<String>>,
    port: Option<Spanned<u16>>,
    prot: Option<Spanned<String>>,
}

/// Enarx's port, where none is said.
const DEFAULT_PORT: u16 = 443;

/// All addresses of this machine.
const DEFAULT_ADDRESS: &str = "::";

impl FileTable {
    /// Checks a descriptor.
    pub(super) fn check(self) -> Result<Descriptor, Problem> {
        let (kind, default_name) = match self.kind.get_ref().as_str() {
            "null" => (self.stream(DescriptorKind::Null)?, Some("null".to_owned())),
            "stdin" => (
                self.stream(DescriptorKind::Stdin)?,
                Some("stdin".to_owned()),
            ),
            "stdout" => (
                self.stream(DescriptorKind::Stdout)?,
                Some("stdout".to_owned()),
            ),
            "stderr" => (
                self.stream(DescriptorKind::Stderr)?,
                Some("stderr".to_owned()),
            ),
            "listen" => (self.listen()?, None),
            "connect" => {
                let endpoint = self.connect()?;
                let name = endpoint.host.clone();
                // An address of the sixth version cannot be a name: colons separate names.
                let name = (!name.contains(':')).then_some(name);
                (DescriptorKind::Connect(endpoint), name)
            }
            other => {
                let message = format!(
                    "unknown kind {other:?}, expected \"null\", \"stdin\", \"stdout\", \"stderr\", \
                     \"listen\" or \"connect\""
                );
                return Err(Problem::new(&self.kind, message));
            }
        };
        let name = match (self.name, default_name) {
            (Some(name), _) if name.get_ref().contains([':', '\0']) => {
                return Err(Problem::new(&name, "a name in FD_NAMES cannot contain ':'"));
            }
            (Some(name), _) => name.into_inner(),
            (None, Some(name)) => name,
            (None, None) => {
                let message = format!("key `name` is missing for kind {:?}", self.kind.get_ref());
                return Err(Problem::new(&self.kind, message));
            }
        };
        Ok(Descriptor { kind, name })
    }

    fn stream(&self, kind: DescriptorKind) -> Result<DescriptorKind, Problem> {
        self.refuse("addr", self.addr.as_ref())?;
        self.refuse("host", self.host.as_ref())?;
        self.refuse("port", self.port.as_ref())?;
        self.refuse("prot", self.prot.as_ref())?;
        Ok(kind)
    }

    fn listen(&self) -> Result<DescriptorKind, Problem> {
        self.refuse("host", self.host.as_ref())?;
        Ok(DescriptorKind::Listen(Endpoint {
            host: address(self.addr.as_ref())?,
            port: port_or_default(self.port.as_ref()),
            protocol: protocol(self.prot.as_ref())?,
        }))
    }

    fn connect(&self) -> Result<Endpoint, Problem> {
        self.refuse("addr", self.addr.as_ref())?;
        let Some(host) = &self.host else {
            return Err(Problem::new(
                &self.kind,
                "key `host` is missing for kind \"connect\"",
            ));
        };
        if host.get_ref().parse::<IpAddr>().is_err() && !is_host_name(host.get_ref()) {
            return Err(Problem::new(
                host,
                "neither a host's name nor an IP address",
            ));
        }
        if let Some(port) = &self.port
            && *port.get_ref() == 0
        {
            return Err(Problem::new(port, "nobody can be reached at port 0"));
        }
        Ok(Endpoint {
            host: host.get_ref().clone(),
            port: port_or_default(self.port.as_ref()),
            protocol: protocol(self.prot.as_ref())?,
        })
    }

    /// Refuses a key that does not belong to this kind.
    fn refuse<T>(&self, key: &str, value: Option<&Spanned<T>>) -> Result<(), Problem> {
        match value {
            None => Ok(()),
            Some(value) => {
                let kind = self.kind.get_ref();
                let message = format!("key `{key}` does not belong to kind {kind:?}");
                Err(Problem::new(value, message))
            }
        }
    }
}

/// Where to listen.
pub(super) fn address(address: Option<&Spanned<String>>) -> Result<String, Problem> {
    match address {
        None => Ok(DEFAULT_ADDRESS.to_owned()),
        Some(address) if address.get_ref().parse::<IpAddr>().is_ok() => {
            Ok(address.get_ref().clone())
        }
        Some(address) => {
            let message = "not an IP address, such as \"127.0.0.1\" or \"::\"";
            Err(Problem::new(address, message))
        }
    }
}

/// The port, or Enarx's where none is said.
pub(super) fn port_or_default(port: Option<&Spanned<u16>>) -> u16 {
    port.map_or(DEFAULT_PORT, |port| *port.get_ref())
}

/// What protects a connection: TLS, unless the contrary is said.
pub(super) fn protocol(protocol: Option<&Spanned<String>>) -> Result<Protocol, Problem> {
    let Some(protocol) = protocol else {
        return Ok(Protocol::Tls);
    };
    match protocol.get_ref().as_str() {
        "tls" => Ok(Protocol::Tls),
        "tcp" => Ok(Protocol::Tcp),
        other => {
            let message = format!("unknown protocol {other:?}, expected \"tls\" or \"tcp\"");
            Err(Problem::new(protocol, message))
        }
    }
}
