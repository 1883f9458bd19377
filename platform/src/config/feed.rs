//! `[feed]`: whose facts this node follows; and what `[ops]` asks of whoever acts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::model::Ops;
use super::secret::Secret;
use super::upstream::{authority_of, check_secret};

/// Sources of one node. Each is one connection that stays.
const SOURCES_MAX: usize = 16;
/// Names of one ops listener.
const NAMES_MAX: usize = 64;
/// Longest name of a host (RFC 1035 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// `[feed]`: where revocations and purges come from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feed {
    /// Ops listeners of the nodes that are told: `http://10.0.0.5:9100`.
    pub follow: Vec<String>,
    /// The operator key of all of them.
    pub key: Option<Secret>,
    /// PEM file of the authorities that may vouch for https sources, instead of the system's.
    pub ca: Option<PathBuf>,
}

impl Feed {
    /// Settings in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            follow: vec!["http://10.0.0.5:9100".to_owned()],
            key: Some(Secret::reference("env:OPS_KEY")),
            ca: Some(PathBuf::from("ca.pem")),
        }
    }
}

pub(super) fn check_ops(ops: &Ops, fail: &mut impl FnMut(&str, String, &str)) {
    check_secret("ops.key", ops.key.as_ref(), fail);
    check_secret("ops.previous_key", ops.previous_key.as_ref(), fail);
    if NAMES_MAX < ops.names.len() {
        let cause = format!("{} names", ops.names.len());
        fail("ops.names", cause, &format!("at most {NAMES_MAX} are taken"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    for name in &ops.names {
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
        if !is_name {
            let cure = "write the name of a host, without a scheme and a port";
            fail("ops.names", format!("`{name}` is no host"), cure);
        }
    }
}

pub(super) fn check_feed(feed: &Feed, fail: &mut impl FnMut(&str, String, &str)) {
    check_secret("feed.key", feed.key.as_ref(), fail);
    if SOURCES_MAX < feed.follow.len() {
        let cause = format!("{} sources", feed.follow.len());
        fail("feed.follow", cause, &format!("at most {SOURCES_MAX} are followed"));
    }
    for (index, url) in feed.follow.iter().enumerate() {
        let Some(authority) = authority_of(url) else {
            let cure = "write http:// or https://, a host, a port, and nothing after it";
            fail("feed.follow", format!("`{url}` is no address of an ops listener"), cure);
            continue;
        };
        let is_same = |other: &String| authority_of(other).as_ref() == Some(&authority);
        if feed.follow[..index].iter().any(is_same) {
            fail("feed.follow", format!("`{authority}` is listed twice"), "remove one of the two");
        }
    }
    if !feed.follow.is_empty() && feed.key.is_none() {
        let cause = "is missing, and feed.follow names sources".to_owned();
        fail("feed.key", cause, "set it to their operator key (`[ops] key`, or DIR/keys/ops)");
    }
    let is_clear = feed.follow.iter().all(|url| url.starts_with("http://"));
    if feed.ca.is_some() && is_clear && !feed.follow.is_empty() {
        let cause = "is set, and no source is https".to_owned();
        fail("feed.ca", cause, "write https:// in feed.follow, or remove it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(ops: &Ops, feed: &Feed) -> String {
        let mut failed = Vec::new();
        let mut fail = |key: &str, cause: String, _: &str| failed.push(format!("{key}: {cause}"));
        check_ops(ops, &mut fail);
        check_feed(feed, &mut fail);
        failed.join("; ")
    }

    #[test]
    fn sources_and_names_are_checked() {
        let good = Feed { ca: None, ..Feed::example() };
        let ops = Ops { names: vec!["edge-1.example.org".to_owned()], ..Ops::default() };
        assert_eq!(failures(&ops, &good), "");
        assert_eq!(failures(&Ops::default(), &Feed::default()), "");
        let follow = |urls: &[&str]| Feed {
            follow: urls.iter().map(|url| (*url).to_owned()).collect(),
            ..good.clone()
        };
        for (feed, expected) in [
            (follow(&["10.0.0.5:9100"]), "no address of an ops listener"),
            (follow(&["http://10.0.0.5:9100/feed"]), "no address of an ops listener"),
            (follow(&["http://a:1", "http://A:1"]), "listed twice"),
            (follow(&["http://a"; 17]), "17 sources"),
            (Feed { key: None, ..good.clone() }, "feed.key: is missing"),
            (Feed::example(), "feed.ca: is set"),
        ] {
            let failed = failures(&Ops::default(), &feed);
            assert!(failed.contains(expected), "{failed}");
        }
        for name in ["", "http://a", "a:9100", "a b"] {
            let ops = Ops { names: vec![name.to_owned()], ..Ops::default() };
            assert!(failures(&ops, &good).contains("no host"), "{name}");
        }
    }
}
