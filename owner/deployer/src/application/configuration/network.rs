//! `[network]` and `[http]`: what a component does on the network.

use std::net::IpAddr;

use enarx_wire_package::{Endpoint, HttpServer, NetworkRule, NetworkRules, Transport};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Problem,
    files::{address, port_or_default, protocol},
    milliseconds,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkTable {
    #[serde(default)]
    connect: Vec<Spanned<String>>,
    #[serde(default)]
    listen: Vec<Spanned<String>>,
}

impl NetworkTable {
    pub(super) fn check(self) -> Result<NetworkRules, Problem> {
        let check = |texts: Vec<Spanned<String>>,
                     fits: fn(&NetworkRule) -> Result<(), &'static str>| {
            if let Some(beyond) = texts.get(NetworkRules::MAX_RULES) {
                let message = format!("a list has at most {} rules", NetworkRules::MAX_RULES);
                return Err(Problem::new(beyond, message));
            }
            let rule = |text: Spanned<String>| {
                let rule = rule(text.get_ref()).and_then(|rule| fits(&rule).map(|()| rule));
                rule.map_err(|message| Problem::new(&text, message))
            };
            texts.into_iter().map(rule).collect::<Result<_, _>>()
        };
        Ok(NetworkRules {
            connect: check(self.connect, |rule| match rule.can_connect() {
                true => Ok(()),
                false => Err("nobody can be reached there"),
            })?,
            listen: check(self.listen, |rule| {
                if matches!(rule.transport, Transport::Https | Transport::Http) {
                    return Err("requests come to a component through the table `[http]`");
                }
                match rule.can_listen() {
                    true => Ok(()),
                    false => Err("one listens on an IP address, such as \"tcp://127.0.0.1:80\""),
                }
            })?,
        })
    }
}

/// A rule such as `https://api.example`, `tcp://db.example:5432` or `udp://*:*`.
fn rule(text: &str) -> Result<NetworkRule, &'static str> {
    const FORM: &str = "not of the form \"https://HOST\", \"http://HOST\", \"tcp://HOST:PORT\" or \
                        \"udp://HOST:PORT\"; `*` stands for any host or port";
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    let (transport, default_port) = match scheme {
        "https" => (Transport::Https, Some(443)),
        "http" => (Transport::Http, Some(80)),
        "tcp" => (Transport::Tcp, None),
        "udp" => (Transport::Udp, None),
        _ => return Err(FORM),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(FORM)?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or(FORM)?)
                },
            )
        }
        None => match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = match port {
        Some("*") => None,
        Some(port) => Some(port.parse().map_err(|_| FORM)?),
        None => Some(default_port.ok_or(FORM)?),
    };
    let rule = NetworkRule {
        transport,
        host: (host != "*").then(|| host.to_owned()),
        port,
    };
    let is_host = rule.host.as_deref().is_none_or(|host| {
        host.parse::<IpAddr>().is_ok() || enarx_wire_package::is_host_name(host)
    });
    if is_host { Ok(rule) } else { Err(FORM) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpTable {
    addr: Option<Spanned<String>>,
    port: Option<Spanned<u16>>,
    prot: Option<Spanned<String>>,
    requests: Option<Spanned<u32>>,
    timeout: Option<Spanned<String>>,
}

/// Each request's instance has a stack, and memories.
const DEFAULT_REQUESTS: u32 = 32;

const DEFAULT_TIMEOUT_MILLISECONDS: u64 = 60_000;

impl HttpTable {
    pub(super) fn check(self) -> Result<HttpServer, Problem> {
        if let Some(requests) = &self.requests
            && !(1..=HttpServer::MAX_REQUESTS).contains(requests.get_ref())
        {
            let message = format!(
                "between 1 and {} requests can be handled at a time",
                HttpServer::MAX_REQUESTS
            );
            return Err(Problem::new(requests, message));
        }
        let timeout = self.timeout.map(milliseconds).transpose()?;
        Ok(HttpServer {
            endpoint: Endpoint {
                host: address(self.addr.as_ref())?,
                port: port_or_default(self.port.as_ref()),
                protocol: protocol(self.prot.as_ref())?,
            },
            requests: self.requests.map_or(DEFAULT_REQUESTS, Spanned::into_inner),
            request_milliseconds: timeout.unwrap_or(DEFAULT_TIMEOUT_MILLISECONDS),
        })
    }
}
