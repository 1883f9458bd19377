//! Wildcards, address prefixes and regular expressions, all of bounded cost.

use std::net::IpAddr;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use super::refusal::Refusal;

/// Longest pattern, and most `*` in one.
pub const PATTERN_BYTES_MAX: usize = 1 << 10;
pub const STARS_MAX: usize = 16;
/// What a compiled expression may take.
const REGEX_BYTES_MAX: usize = 256 << 10;

/// `*` stands for any characters, `?` for one. At most `pattern × text` steps: a mismatch moves
/// the last star on, never an earlier one.
pub(super) fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while next < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[next] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                next = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

pub(super) fn check_wildcard(field: &'static str, pattern: &str) -> Result<(), Refusal> {
    let stars = pattern.bytes().filter(|&byte| byte == b'*').count();
    if pattern.len() > PATTERN_BYTES_MAX || stars > STARS_MAX {
        return Err(Refusal::malformed(field, "is too long a pattern"));
    }
    Ok(())
}

/// An expression that has to match the whole text. The engine runs in linear time, so what is
/// bounded here is the size of what it compiles to.
pub(super) fn whole_regex(field: &'static str, pattern: &str) -> Result<Regex, Refusal> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Refusal::malformed(field, "is too long a pattern"));
    }
    let compile = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        let compiled = builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
        compiled.map_err(|_| Refusal::malformed(field, "is no regular expression that can be used"))
    };
    // On its own first: one that closes the group around it would slip out of the anchors.
    compile(pattern)?;
    compile(&format!(r"\A(?:{pattern})\z"))
}

/// Addresses that begin alike: `203.0.113.0/24`. One address is a prefix of full length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpPrefix {
    address: IpAddr,
    bits: u8,
}

impl IpPrefix {
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        (bits <= full_length(address)).then_some(Self { address, bits })
    }

    /// IPv4 addresses in IPv6 clothes are taken for what they are.
    pub fn contains(self, client: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let client = client.to_canonical();
        if client.is_ipv4() != self.address.is_ipv4() {
            return false;
        }
        let differing = number(client) ^ number(self.address);
        self.bits == 0 || differing >> (128 - u32::from(self.bits)) == 0
    }

    pub(super) fn is_one_address(self) -> bool {
        self.bits == full_length(self.address)
    }

    pub(super) fn address(self) -> IpAddr {
        self.address
    }

    pub(super) fn bits(self) -> u8 {
        self.bits
    }
}

fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl std::fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for IpPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "is no address and no prefix such as 203.0.113.0/24";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| PROBLEM)?;
        let bits = match bits {
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| PROBLEM)?
            }
            Some(_) => return Err(PROBLEM),
            None => full_length(address),
        };
        Self::new(address, bits).ok_or(PROBLEM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_written() {
        for (pattern, text, expected) in [
            ("/live/*", "/live/a/b", true),
            ("/live/*", "/live", false),
            ("/live/?.ts", "/live/7.ts", true),
            ("/live/?.ts", "/live/77.ts", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("http*://h/*", "https://h/x?y", true),
        ] {
            assert_eq!(wildcard_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    /// The pattern that takes exponential time in naive matchers.
    #[test]
    fn many_stars_cost_little() {
        let pattern = "a*".repeat(STARS_MAX) + "b";
        assert!(!wildcard_matches(&pattern, &"a".repeat(8 << 10)));
    }

    #[test]
    fn prefixes_of_addresses() {
        for (prefix, client, expected) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "::ffff:10.0.0.7", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::1/32", "2001:db8:ffff::1", true),
            ("2001:db8::1/32", "2001:db9::1", false),
        ] {
            let prefix: IpPrefix = prefix.parse().unwrap();
            assert_eq!(prefix.contains(client.parse().unwrap()), expected, "{prefix} {client}");
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "x", "::/129"] {
            assert!(wrong.parse::<IpPrefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn expressions_match_the_whole_and_stay_small() {
        let regex = whole_regex("cdniuc", "a|b").unwrap();
        assert!(regex.is_match("a") && regex.is_match("b") && !regex.is_match("ab"));
        assert!(whole_regex("cdniuc", "((a{90}){90}){90}").is_err());
        assert!(whole_regex("cdniuc", "(").is_err());
        // Closing the group that anchors it would let a part of the text match.
        assert!(whole_regex("cdniuc", "a)|(?:b").is_err());
    }
}
