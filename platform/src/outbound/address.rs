//! Which addresses may be called when a stranger chose them.
//!
//! Webhooks and discovery documents are asked for at URLs that customers write. Without a guard such
//! a URL reaches whatever this machine reaches: the database, the neighbours, the cloud's metadata
//! service and its credentials (CWE-918). So only addresses that anybody could reach anyway are
//! called: those that IANA's special-purpose registries (RFC 6890; for IPv4 and IPv6 as of 2026)
//! don't set aside, less what clouds answer on public addresses. Addresses of IPv4 inside IPv6 are
//! judged as what they lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::IpPrefix;

/// What a stranger's address may lead to.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    /// Networks that may be called although they are set aside: an intranet, or tests.
    allowed: Vec<IpPrefix>,
}

/// An address that is not called for strangers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it leads to {address}, which is {purpose}")]
pub struct Forbidden {
    pub address: IpAddr,
    pub purpose: &'static str,
}

impl AddressGuard {
    pub fn new(allowed: Vec<IpPrefix>) -> Self {
        Self { allowed }
    }

    /// # Errors
    /// When the address is set aside, and not allowed by name.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let reached = reached(address);
        if self.allowed.iter().any(|network| network.contains(reached)) {
            return Ok(());
        }
        let purpose = match reached {
            IpAddr::V4(address) => purpose_v4(address),
            IpAddr::V6(address) => purpose_v6(address),
        };
        purpose.map_or(Ok(()), |purpose| Err(Forbidden { address, purpose }))
    }
}

/// Where packets to `address` end up, as far as the address tells.
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    match v6.segments() {
        // The well-known prefix of NAT64 (RFC 6052 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
        }
        _ => v6.into(),
    }
}

type Network4 = ([u8; 4], u32, &'static str);

const SET_ASIDE_V4: [Network4; 17] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a carrier"),
    ([127, 0, 0, 0], 8, "this machine"),
    // Azure's wire server, on an address that looks public.
    ([168, 63, 129, 16], 32, "a cloud's metadata service"),
    ([169, 254, 0, 0], 16, "link-local, where clouds keep their metadata"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "set aside for protocols"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 88, 99, 0], 24, "a relay of 6to4"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([255, 255, 255, 255], 32, "broadcast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

fn purpose_v4(address: Ipv4Addr) -> Option<&'static str> {
    let lies_in = |(network, bits, _): &&Network4| {
        (address.to_bits() ^ Ipv4Addr::from(*network).to_bits()) >> (32 - bits) == 0
    };
    SET_ASIDE_V4.iter().find(lies_in).map(|(_, _, purpose)| *purpose)
}

/// Of IPv6 only 2000::/3 is given out (RFC 4291 2.4); inside it some is set aside.
fn purpose_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, third, ..] = address.segments();
    match (first, second, third) {
        _ if address == Ipv6Addr::LOCALHOST => Some("this machine"),
        (0xfe80..=0xfebf, ..) => Some("link-local"),
        (0xfc00..=0xfdff, ..) => Some("private"),
        (0xff00.., ..) => Some("multicast"),
        // Tunnels lead to whatever IPv4 address is written inside (RFC 4380, RFC 3056).
        (0x2001, 0, _) | (0x2002, ..) => Some("a tunnel"),
        (0x2001, ..=0x01ff, _) => Some("set aside for protocols"),
        (0x2001, 0x0db8, _) => Some("for documentation"),
        (0x3fff, ..=0x0fff, _) => Some("for documentation"),
        (0x2000..=0x3fff, ..) => None,
        _ => Some("not given out to anybody"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(address: &str, expected: Option<&str>) {
        let checked = AddressGuard::default().check(address.parse().unwrap());
        assert_eq!(checked.err().map(|forbidden| forbidden.purpose), expected, "{address}");
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450:4001:81b::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            check(address, None);
        }
    }

    #[test]
    fn what_is_inside_does_not() {
        let metadata = Some("link-local, where clouds keep their metadata");
        for (address, purpose) in [
            ("0.0.0.0", Some("this network")),
            ("10.0.0.1", Some("private")),
            ("100.100.100.200", Some("shared by a carrier")),
            ("127.0.0.1", Some("this machine")),
            ("127.255.255.254", Some("this machine")),
            ("168.63.129.16", Some("a cloud's metadata service")),
            ("169.254.169.254", metadata),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.0.0.192", Some("set aside for protocols")),
            ("192.168.1.1", Some("private")),
            ("198.19.0.1", Some("for benchmarks")),
            ("224.0.0.1", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("250.1.1.1", Some("reserved")),
            ("::", Some("not given out to anybody")),
            ("::1", Some("this machine")),
            ("::ffff:127.0.0.1", Some("this machine")),
            ("::ffff:169.254.169.254", metadata),
            ("::ffff:0:127.0.0.1", Some("not given out to anybody")),
            ("::127.0.0.1", Some("not given out to anybody")),
            ("64:ff9b::10.0.0.1", Some("private")),
            ("64:ff9b::169.254.169.254", metadata),
            ("64:ff9b:1::1", Some("not given out to anybody")),
            ("100::1", Some("not given out to anybody")),
            ("2001::1", Some("a tunnel")),
            ("2001:2::1", Some("set aside for protocols")),
            ("2001:db8::1", Some("for documentation")),
            ("2002:7f00:1::", Some("a tunnel")),
            ("3fff::1", Some("for documentation")),
            ("5f00::1", Some("not given out to anybody")),
            ("fd00:ec2::254", Some("private")),
            ("fd20:ce::254", Some("private")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", Some("not given out to anybody")),
            ("ff02::1", Some("multicast")),
        ] {
            check(address, purpose);
        }
    }

    #[test]
    fn what_is_allowed_by_name_passes() {
        let guard = AddressGuard::new(vec!["10.1.0.0/16".parse().unwrap()]);
        for (address, passes) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(guard.check(address.parse().unwrap()).is_ok(), passes, "{address}");
        }
    }

    proptest! {
        /// However IPv4 is wrapped, the verdict is that of the address inside.
        #[test]
        fn wrapping_changes_no_verdict(bits in any::<u32>()) {
            let plain = Ipv4Addr::from_bits(bits);
            let guard = AddressGuard::default();
            let verdict = |address: IpAddr| guard.check(address).map_err(|error| error.purpose);
            let nat64 = Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(bits));
            prop_assert_eq!(verdict(plain.into()), verdict(plain.to_ipv6_mapped().into()));
            prop_assert_eq!(verdict(plain.into()), verdict(nat64.into()));
            prop_assert!(verdict(plain.to_ipv6_compatible().into()).is_err());
        }

        /// The standard library's own opinion, where it has a stable one.
        #[test]
        fn what_the_standard_library_calls_private_is_refused(bits in any::<u32>(), which in 0..6) {
            let bits = match which {
                0 => 10 << 24 | bits >> 8,
                1 => 127 << 24 | bits >> 8,
                2 => 0xa9fe << 16 | bits >> 16,
                3 => 0xc0a8 << 16 | bits >> 16,
                4 => 0xac1 << 20 | bits >> 12,
                _ => bits,
            };
            let address = Ipv4Addr::from_bits(bits);
            let is_inside = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_broadcast() || address.is_documentation() || address.is_multicast()
                || address.is_unspecified();
            if is_inside {
                prop_assert!(AddressGuard::default().check(address.into()).is_err());
            }
        }
    }
}
