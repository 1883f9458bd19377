//! Values that parse themselves: listeners, byte counts, networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a listener binds: `"address:port"` (port 0 picks a free one) or `"off"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    Off,
    Address(SocketAddr),
}

impl Listen {
    /// `127.0.0.1:port`.
    pub const fn loopback(port: u16) -> Self {
        Self::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Address(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        // `localhost` is the one name that needs no resolver.
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        numeric.as_deref().unwrap_or(text).parse().map(Self::Address).map_err(|_| {
            format!(
                "`{text}` is no listener address; write \"ADDRESS:PORT\" such as \
                 \"127.0.0.1:8080\" or \"[::]:8080\", with port 0 for any free one, or \"off\""
            )
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// A number of bytes: `1048576`, or text with a unit such as `"1 MiB"`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteCount(u64);

/// Units of [`ByteCount`], largest first so that printing finds the largest that divides.
const BYTE_UNITS: [(&str, u64); 7] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

impl ByteCount {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn kib(count: u32) -> Self {
        Self((count as u64) << 10)
    }

    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// The count as a size in memory; what exceeds the address space is the address space.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text}` is no byte count; write a whole number of bytes, or one with a unit \
                 such as \"64 MiB\" (KiB, MiB, GiB, TiB, kB, MB, GB)"
            )
        };
        let text_trimmed = text.trim();
        let digits = text_trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text_trimmed.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let scale = match unit.trim() {
            "" | "B" => 1,
            unit => BYTE_UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, scale)| *scale)
                .ok_or_else(refuse)?,
        };
        number.checked_mul(scale).map(Self).ok_or_else(refuse)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = BYTE_UNITS.iter().take(4);
        match binary.into_iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(formatter, "{} {unit}", self.0 / scale),
            None => write!(formatter, "{}", self.0),
        }
    }
}

/// A network: `"10.0.0.0/8"`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpPrefix {
    address: IpAddr,
    length_bits: u8,
}

impl IpPrefix {
    /// The network of `length_bits` that `address` lies in. `None` when an address of its family
    /// has fewer bits.
    pub fn new(address: IpAddr, length_bits: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(address) if length_bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length_bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) if length_bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length_bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
            _ => return None,
        };
        Some(Self { address, length_bits })
    }

    /// The address as it was written, which may have bits beyond the length.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn length_bits(&self) -> u8 {
        self.length_bits
    }

    pub(super) const LOOPBACK_V4: Self =
        Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), length_bits: 8 };

    pub(super) const LOOPBACK_V6: Self =
        Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), length_bits: 128 };

    pub(super) const EXAMPLE: Self =
        Self { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), length_bits: 8 };

    /// Whether `address` lies in this network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length_bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length_bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for IpPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!("`{text}` is no network; write one such as \"10.0.0.0/8\" or \"2001:db8::1\"")
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| refuse())?;
        let length_bits_max = if address.is_ipv4() { 32 } else { 128 };
        let length_bits = match length {
            Some(length) => length.trim().parse().map_err(|_| refuse())?,
            None => length_bits_max,
        };
        if length_bits_max < length_bits {
            return Err(refuse());
        }
        Ok(Self { address, length_bits })
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length_bits)
    }
}

/// Serialises by `Display` and deserialises by `FromStr`.
macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Listen, IpPrefix);

impl Serialize for ByteCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = ByteCount;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of bytes, or text such as \"64 MiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteCount, E> {
                Ok(ByteCount(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteCount, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_parse_and_print() {
        for text in ["off", "127.0.0.1:8080", "[::]:0"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("localhost:1".parse(), Ok(Listen::loopback(1)));
        for text in ["", "8080", ":8080", "example.org:80", "127.0.0.1:70000"] {
            assert!(text.parse::<Listen>().unwrap_err().contains("127.0.0.1:8080"), "{text}");
        }
    }

    #[test]
    fn byte_counts_parse_and_print() {
        for (text, bytes) in
            [("0", 0), ("16 KiB", 16_384), ("64MiB", 64 << 20), ("1kB", 1_000), ("2 gib", 2 << 30)]
        {
            let count: ByteCount = text.parse().unwrap();
            assert_eq!(count.get(), bytes, "{text}");
            assert_eq!(count.to_string().parse(), Ok(count));
        }
        for text in ["", "MiB", "-1", "1.5 MiB", "1 XiB", "99999999999 TiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        let check = |network: &str, address: &str| {
            network.parse::<IpPrefix>().unwrap().contains(address.parse().unwrap())
        };
        assert!(check("10.0.0.0/8", "10.1.2.3"));
        assert!(check("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!check("10.0.0.0/8", "11.0.0.0"));
        assert!(check("0.0.0.0/0", "203.0.113.9"));
        assert!(!check("0.0.0.0/0", "2001:db8::1"));
        assert!(check("::/0", "2001:db8::1"));
        assert!(check("2001:db8::1", "2001:db8::1"));
        assert!(!check("2001:db8::1", "2001:db8::2"));
        for text in ["10.0.0.0/33", "::/129", "ten", "10.0.0.0/"] {
            assert!(text.parse::<IpPrefix>().is_err(), "{text}");
        }
    }
}
