//! Networks of peers, as `10.0.0.0/8` or a single address.
//!
//! Invariants: an IPv4 peer is the same peer over a socket that takes both families
//! (`::ffff:a.b.c.d`); a network is written without host bits, so that what is written is what is
//! trusted.

use std::net::IpAddr;

use super::reader::{Node, Table};

/// All addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `ip` belongs to it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.bits);
                (own.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.bits);
                (own.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The address with everything behind the first bits cleared.
    fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Reads a list of networks; empty when the key is not given.
pub(super) fn list(table: &Table<'_>, name: &'static str) -> Vec<Network> {
    let elements = table.get(name).and_then(|node| node.elements()).unwrap_or_default();
    let mut networks = Vec::new();
    for element in &elements {
        let Some(network) = read(element) else { continue };
        if networks.contains(&network) {
            element.error(format!("{network} is named twice"), "remove one of them");
        } else {
            networks.push(network);
        }
    }
    networks
}

fn read(node: &Node<'_>) -> Option<Network> {
    let text = node.text()?;
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
        let all: u8 = if address.is_ipv4() { 32 } else { 128 };
        let plain = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            Some(bits) => Some(bits).filter(plain)?.parse().ok().filter(|bits| *bits <= all)?,
            None => all,
        };
        Some(Network { address, bits })
    });
    let Some(network) = parsed else {
        node.error(
            format!("\"{}\" is not a network", text.escape_default()),
            "write an address and the number of its fixed bits, e.g. \"10.0.0.0/8\", or a single \
             address, e.g. \"192.0.2.7\" or \"::1\"",
        );
        return None;
    };
    if network.address.to_canonical() != network.address {
        node.error(
            format!("\"{text}\" is an IPv4 address in the clothes of IPv6"),
            format!(
                "write {}; it counts on sockets of both families",
                network.address.to_canonical()
            ),
        );
        return None;
    }
    if network.first() != network.address {
        node.error(
            format!("{text} names one host and a whole network"),
            format!(
                "write \"{}/{}\" for the network, or \"{}\" for the host",
                network.first(),
                network.bits,
                network.address
            ),
        );
        return None;
    }
    Some(network)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Network;
    use crate::config::{self, Report};

    fn service(name: &str, trust: &str) -> String {
        format!(
            "[[service]]\nname = \"{name}\"\nlisten = \"127.0.0.1:1992\"\n\
             backend = \"127.0.0.1:23\"\ncert = \"a.pem\"\nkey = \"a.key\"\n\
             sni = \"{name}.test\"\naccept_proxy = {trust}\n"
        )
    }

    fn parse(text: &str) -> Report {
        config::parse(Path::new("t.toml"), text)
    }

    /// Key, what is wrong and what to do of the only fault.
    fn only(report: &Report) -> (&str, &str, &str) {
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        let fault = &report.faults[0];
        (&fault.key, &fault.what, &fault.remedy)
    }

    fn network(address: &str, bits: u8) -> Network {
        Network { address: address.parse().unwrap(), bits }
    }

    #[test]
    fn a_network_holds_what_begins_with_its_bits() {
        let holds = |network: Network, ip: &str| network.contains(ip.parse().unwrap());
        let ten = network("10.0.0.0", 8);
        assert!(holds(ten, "10.255.0.1") && holds(ten, "::ffff:10.1.2.3"));
        assert!(!holds(ten, "11.0.0.0") && !holds(ten, "a00::1"));
        let odd = network("192.0.2.128", 25);
        assert!(holds(odd, "192.0.2.128") && !holds(odd, "192.0.2.127"));
        let host = network("192.0.2.7", 32);
        assert!(holds(host, "192.0.2.7") && !holds(host, "192.0.2.6"));
        assert!(holds(network("0.0.0.0", 0), "203.0.113.9"));
        assert!(!holds(network("0.0.0.0", 0), "2001:db8::1"));
        let six = network("2001:db8::", 32);
        assert!(holds(six, "2001:db8:1::1") && !holds(six, "2001:db9::1"));
        assert!(holds(network("::1", 128), "::1") && !holds(network("::1", 128), "::2"));
        assert!(holds(network("::", 0), "2001:db8::1"));
    }

    #[test]
    fn the_first_address_of_a_network_has_no_host_bits() {
        assert_eq!(network("10.1.2.3", 8).first(), network("10.0.0.0", 8).address);
        assert_eq!(network("10.1.2.3", 0).first(), network("0.0.0.0", 0).address);
        assert_eq!(network("2001:db8::1", 64).first(), network("2001:db8::", 64).address);
        assert_eq!(network("::1", 128).first(), network("::1", 128).address);
    }

    #[test]
    fn a_network_that_is_none_is_refused_with_what_to_write() {
        for (written, remedy) in [
            ("\"10.0.0.0/33\"", "10.0.0.0/8"),
            ("\"10.0.0.0/+8\"", "10.0.0.0/8"),
            ("\"localhost\"", "192.0.2.7"),
            ("\"192.0.2.7:992\"", "192.0.2.7"),
            ("\"10.0.0.1/8\"", "write \"10.0.0.0/8\" for the network, or \"10.0.0.1\""),
            ("\"::ffff:10.0.0.1\"", "write 10.0.0.1"),
            ("\"::1\", \"::1/128\"", "remove one of them"),
        ] {
            let report = parse(&service("a", &format!("[{written}]")));
            let (key, _, found) = only(&report);
            assert!(key.starts_with("service.a.accept_proxy"), "{key}");
            assert!(found.contains(remedy), "{written}: {found}");
        }
    }

    #[test]
    fn services_of_one_address_trust_the_same_load_balancers() {
        let both = |first, second| {
            let text = service("a", first) + &service("b", second);
            parse(&text)
        };
        let report = both("[\"10.0.0.0/8\", \"::1\"]", "[\"::1\", \"10.0.0.0/8\"]");
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        for other in ["[]", "[\"::1\"]", "[\"10.0.0.0/8\", \"::1\", \"192.0.2.7\"]"] {
            let report = both("[\"10.0.0.0/8\", \"::1\"]", other);
            let (key, what, remedy) = only(&report);
            assert_eq!(key, "service.b.accept_proxy");
            assert!(what.contains("shared with \"a\" (line 8)"), "{what}");
            assert!(remedy.contains("accept_proxy"), "{remedy}");
        }
    }
}
