//! What a component may do on the network.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use enarx_wire_package::{NetworkRule, NetworkRules, Transport};
use wasmtime_wasi::sockets::SocketAddrUse;

/// The rules of a manifest. What none of them allows is refused.
///
/// A rule that names a host stands, for sockets, for the addresses that a lookup of this name
/// gave. The host answers lookups and routes packets, so it decides where plaintext goes in
/// any case; the rules hold the program, not the host.
pub struct Policy {
    rules: NetworkRules,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The addresses of names that rules have.
    addresses: HashMap<String, Vec<IpAddr>>,
    /// Who has sent datagrams to where rules allow to receive them.
    correspondents: HashSet<SocketAddr>,
}

/// Correspondents that are remembered: they may be answered.
const CORRESPONDENTS: usize = 4096;

impl Policy {
    /// The policy of these rules; without any, nothing is allowed.
    pub fn new(rules: Option<NetworkRules>) -> Self {
        Self {
            rules: rules.unwrap_or_default(),
            state: Mutex::default(),
        }
    }

    /// Whether a rule is about `transport`.
    pub fn mentions(&self, transport: Transport) -> bool {
        self.rules.mention(transport)
    }

    /// Whether a request may be made.
    pub fn allows_request(&self, transport: Transport, host: &str, port: u16) -> bool {
        self.rules.connect.iter().any(|rule| {
            rule.transport == transport
                && rule.port.is_none_or(|own| own == port)
                && (rule.host.as_deref()).is_none_or(|own| is_same_host(own, host))
        })
    }

    /// Whether the addresses of a name may be asked for.
    pub fn allows_lookup(&self, name: &str) -> bool {
        self.socket_rules()
            .any(|rule| (rule.host.as_deref()).is_none_or(|own| is_same_host(own, name)))
    }

    /// Remembers what a lookup that is allowed gave.
    pub fn learn(&self, name: &str, addresses: &[IpAddr]) {
        let names = self
            .socket_rules()
            .filter_map(|rule| rule.host.as_deref())
            .filter(|own| is_same_host(own, name));
        for name in names {
            let mut state = self.state();
            (state.addresses).insert(name.to_owned(), addresses.to_vec());
        }
    }

    /// Whether a socket may do this.
    pub fn allows_socket(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            // Before it connects or sends, the system gives a socket an address.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind if is_any(address) => true,
            SocketAddrUse::TcpBind | SocketAddrUse::TcpListen => {
                self.allows_listening(Transport::Tcp, address)
            }
            SocketAddrUse::UdpBind => self.allows_listening(Transport::Udp, address),
            // Who comes is not the program's choice.
            SocketAddrUse::TcpAccept => true,
            SocketAddrUse::TcpConnect => self.allows_peer(Transport::Tcp, address),
            SocketAddrUse::UdpSend => {
                self.allows_peer(Transport::Udp, address)
                    || self.state().correspondents.contains(&address)
            }
            SocketAddrUse::UdpReceive => {
                self.allows_peer(Transport::Udp, address) || self.receives_from(address)
            }
        }
    }

    fn allows_listening(&self, transport: Transport, address: SocketAddr) -> bool {
        self.rules.listen.iter().any(|rule| {
            let own = rule.host.as_deref().map(str::parse::<IpAddr>);
            rule.transport == transport
                && rule.port.is_none_or(|own| own == address.port())
                && match own {
                    None => true,
                    Some(Ok(own)) => own == address.ip() || own.is_unspecified(),
                    Some(Err(_)) => false,
                }
        })
    }

    fn allows_peer(&self, transport: Transport, address: SocketAddr) -> bool {
        let state = self.state();
        self.rules.connect.iter().any(|rule| {
            rule.transport == transport
                && rule.port.is_none_or(|own| own == address.port())
                && match rule.host.as_deref() {
                    None => true,
                    Some(host) => match host.parse::<IpAddr>() {
                        Ok(own) => own == address.ip(),
                        Err(_) => (state.addresses.get(host))
                            .is_some_and(|known| known.contains(&address.ip())),
                    },
                }
        })
    }

    fn receives_from(&self, address: SocketAddr) -> bool {
        let receives = (self.rules.listen.iter()).any(|rule| rule.transport == Transport::Udp);
        if receives {
            let correspondents = &mut self.state().correspondents;
            if correspondents.len() >= CORRESPONDENTS {
                correspondents.clear();
            }
            correspondents.insert(address);
        }
        receives
    }

    fn socket_rules(&self) -> impl Iterator<Item = &NetworkRule> {
        let is_socket =
            |rule: &&NetworkRule| matches!(rule.transport, Transport::Tcp | Transport::Udp);
        self.rules.connect.iter().filter(is_socket)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_any(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == 0
}

/// Names have no case, and addresses are written in more than one way.
fn is_same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(transport: Transport, host: Option<&str>, port: Option<u16>) -> NetworkRule {
        NetworkRule {
            transport,
            host: host.map(str::to_owned),
            port,
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let policy = Policy::new(None);
        assert!(!policy.allows_request(Transport::Https, "a.example", 443));
        assert!(!policy.allows_lookup("a.example"));
        let peer = address("192.0.2.1:1");
        for purpose in [
            SocketAddrUse::TcpBind,
            SocketAddrUse::TcpListen,
            SocketAddrUse::TcpConnect,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            assert!(!policy.allows_socket(peer, purpose), "{purpose:?}");
        }
    }

    #[test]
    fn names_stand_for_what_a_lookup_gave() {
        let policy = Policy::new(Some(NetworkRules {
            connect: vec![
                rule(Transport::Tcp, Some("db.example"), Some(5432)),
                rule(Transport::Https, Some("api.example"), Some(443)),
            ],
            listen: vec![],
        }));
        let connects = |text| policy.allows_socket(address(text), SocketAddrUse::TcpConnect);
        assert!(!connects("192.0.2.1:5432"));
        assert!(policy.allows_lookup("DB.example"));
        assert!(!policy.allows_lookup("api.example"));
        policy.learn("DB.example", &["192.0.2.1".parse().unwrap()]);
        assert!(connects("192.0.2.1:5432"));
        assert!(!connects("192.0.2.1:5433"));
        assert!(!connects("192.0.2.2:5432"));
        assert!(policy.allows_request(Transport::Https, "API.example", 443));
        assert!(!policy.allows_request(Transport::Http, "api.example", 443));
        assert!(!policy.allows_request(Transport::Https, "api.example", 444));
    }

    #[test]
    fn listening_is_bound_to_address_and_port() {
        let policy = Policy::new(Some(NetworkRules {
            connect: vec![],
            listen: vec![
                rule(Transport::Tcp, Some("127.0.0.1"), None),
                rule(Transport::Udp, Some("::"), Some(53)),
            ],
        }));
        let allows = |text, purpose| policy.allows_socket(address(text), purpose);
        assert!(allows("127.0.0.1:80", SocketAddrUse::TcpListen));
        assert!(!allows("192.0.2.1:80", SocketAddrUse::TcpListen));
        // A socket that was not bound would listen on every address.
        assert!(allows("0.0.0.0:0", SocketAddrUse::TcpBind));
        assert!(!allows("0.0.0.0:0", SocketAddrUse::TcpListen));
        assert!(allows("192.0.2.1:53", SocketAddrUse::UdpBind));
        assert!(!allows("192.0.2.1:54", SocketAddrUse::UdpBind));
    }

    #[test]
    fn who_wrote_may_be_answered() {
        let policy = Policy::new(Some(NetworkRules {
            connect: vec![],
            listen: vec![rule(Transport::Udp, None, Some(53))],
        }));
        let peer = address("192.0.2.1:4000");
        assert!(!policy.allows_socket(peer, SocketAddrUse::UdpSend));
        assert!(policy.allows_socket(peer, SocketAddrUse::UdpReceive));
        assert!(policy.allows_socket(peer, SocketAddrUse::UdpSend));
        for port in 0..=u16::MAX {
            let other = SocketAddr::new(peer.ip(), port);
            policy.allows_socket(other, SocketAddrUse::UdpReceive);
        }
        assert!(policy.state().correspondents.len() <= CORRESPONDENTS);
    }
}
