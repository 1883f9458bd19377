//! Directives: `Cache-Control` (RFC 9111 5.2) and targeted fields (RFC 9213).

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, PRAGMA};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// Directives of one message; a message with more is not stored.
const DIRECTIVES_MAX: usize = 64;

/// Seconds beyond this count as this (RFC 9111 1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// What a response says about caching.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Control {
    pub public: bool,
    /// Also for `private="field"`: a cache may read the qualified form as the plain one
    /// (RFC 9111 5.2.2.7).
    pub private: bool,
    pub no_store: bool,
    /// Also for `no-cache="field"` (RFC 9111 5.2.2.4).
    pub no_cache: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub immutable: bool,
    pub max_age: Option<Duration>,
    pub shared_max_age: Option<Duration>,
    pub stale_while_revalidate: Option<Duration>,
    pub stale_if_error: Option<Duration>,
    /// The directives came from a targeted field, so `Expires` doesn't count (RFC 9213 2.2).
    pub is_targeted: bool,
}

impl Control {
    /// Reads the first targeted field that is there and valid, else `Cache-Control`.
    pub fn of_response(headers: &HeaderMap, targeted: &[HeaderName]) -> Self {
        for name in targeted {
            if let Some(control) = targeted_control(headers, name) {
                return control;
            }
        }
        let mut control = Self::default();
        let whole = each_directive(headers, &CACHE_CONTROL, |name, value| {
            control.apply(name, value);
        });
        if !whole {
            control.no_store = true;
        }
        control
    }

    /// Says that a stale answer must not be used without the origin's word.
    pub fn forbids_stale(&self) -> bool {
        self.no_cache || self.must_revalidate || self.proxy_revalidate
    }

    /// How long a stale answer may be used, by the answer's own grant or else by default. `s-maxage`
    /// implies `proxy-revalidate` (RFC 9111 5.2.2.10), so that beside it only a grant of its own
    /// counts.
    pub fn grace(&self, granted: Option<Duration>, default: Duration) -> Duration {
        match granted {
            _ if self.forbids_stale() => Duration::ZERO,
            Some(granted) => granted,
            None if self.shared_max_age.is_some() => Duration::ZERO,
            None => default,
        }
    }

    fn apply(&mut self, name: &str, value: Option<&str>) {
        match name {
            "public" => self.public = true,
            "private" => self.private = true,
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "immutable" => self.immutable = true,
            "max-age" => set_lifetime(&mut self.max_age, value),
            "s-maxage" => set_lifetime(&mut self.shared_max_age, value),
            "stale-while-revalidate" => self.stale_while_revalidate = seconds(value),
            "stale-if-error" => self.stale_if_error = seconds(value),
            _ => {}
        }
    }
}

/// What a request says about caching (RFC 9111 5.2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestControl {
    pub no_store: bool,
    pub no_cache: bool,
    pub only_if_cached: bool,
    pub max_age: Option<Duration>,
    pub min_fresh: Option<Duration>,
    /// `Some(None)`: however stale.
    pub max_stale: Option<Option<Duration>>,
}

impl RequestControl {
    pub fn of_request(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        each_directive(headers, &CACHE_CONTROL, |name, value| match name {
            "no-store" => control.no_store = true,
            "no-cache" => control.no_cache = true,
            "only-if-cached" => control.only_if_cached = true,
            "max-age" => control.max_age = seconds(value),
            "min-fresh" => control.min_fresh = seconds(value),
            "max-stale" => control.max_stale = Some(seconds(value)),
            _ => {}
        });
        // RFC 9111 5.4: HTTP/1.0's word for it counts where no Cache-Control is.
        if !headers.contains_key(CACHE_CONTROL) {
            each_directive(headers, &PRAGMA, |name, _| control.no_cache |= name == "no-cache");
        }
        control
    }
}

/// An invalid time means stale, and so do two different ones (RFC 9111 4.2.1).
fn set_lifetime(slot: &mut Option<Duration>, value: Option<&str>) {
    let new = seconds(value).unwrap_or(Duration::ZERO);
    *slot = match *slot {
        Some(old) if old != new => Some(Duration::ZERO),
        _ => Some(new),
    };
}

/// `delta-seconds` (RFC 9111 1.2.2): digits alone; what overflows is a very long time.
pub(super) fn seconds(value: Option<&str>) -> Option<Duration> {
    let value = value?;
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = value.parse::<u64>().unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
    Some(Duration::from_secs(seconds))
}

/// Calls `visit` with each directive, its name in lower case. False when there are too many, or a
/// field is no text.
fn each_directive(
    headers: &HeaderMap,
    field: &HeaderName,
    mut visit: impl FnMut(&str, Option<&str>),
) -> bool {
    let mut count = 0;
    for line in headers.get_all(field) {
        let Ok(line) = line.to_str() else {
            return false;
        };
        for directive in split_list(line) {
            count += 1;
            if count > DIRECTIVES_MAX {
                return false;
            }
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name, Some(unquote(value))),
                None => (directive, None),
            };
            visit(&name.trim().to_ascii_lowercase(), value);
        }
    }
    true
}

/// Members of a list; commas inside quotes are no ends (RFC 9110 5.6.1, 5.6.4).
fn split_list(line: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |c: char| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match c {
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' => return !is_quoted,
            _ => {}
        }
        false
    })
    .map(str::trim)
    .filter(|member| !member.is_empty())
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// RFC 9213 2.1: a Structured Field dictionary; one that is empty or doesn't parse is not there.
fn targeted_control(headers: &HeaderMap, name: &HeaderName) -> Option<Control> {
    let mut lines = headers.get_all(name).iter();
    let mut text = lines.next()?.as_bytes().to_vec();
    for line in lines {
        text.extend_from_slice(b", ");
        text.extend_from_slice(line.as_bytes());
    }
    let dictionary: Dictionary = Parser::new(&text).parse().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut control = Control { is_targeted: true, ..Control::default() };
    for (key, member) in &dictionary {
        let ListEntry::Item(item) = member else {
            continue;
        };
        match &item.bare_item {
            BareItem::Boolean(true) => control.apply(key.as_str(), None),
            BareItem::Boolean(false) => {}
            BareItem::Integer(number) => {
                let text = i64::from(*number).to_string();
                control.apply_number(key.as_str(), &text);
            }
            // A string or token where a number belongs is no lifetime (RFC 9213 2.1: of another
            // type, so ignored), but a qualified form of `private` restricts as the plain one.
            BareItem::String(_) | BareItem::Token(_) => match key.as_str() {
                "private" => control.private = true,
                "no-cache" => control.no_cache = true,
                _ => {}
            },
            _ => {}
        }
    }
    Some(control)
}

impl Control {
    fn apply_number(&mut self, name: &str, value: &str) {
        if matches!(name, "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error") {
            self.apply(name, Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn control(line: &str) -> Control {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        Control::of_response(&headers, &[])
    }

    fn targeted(line: &str) -> Control {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("cdn-cache-control");
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        headers.insert(name.clone(), HeaderValue::from_str(line).unwrap());
        Control::of_response(&headers, &[name])
    }

    #[test]
    fn directives_are_read_whatever_their_case_and_quotes() {
        let read = control("  Public , MAX-AGE=\"10\",x=\"a,max-age=3\", s-maxage=20");
        assert!(read.public);
        assert_eq!(read.max_age, Some(Duration::from_secs(10)));
        assert_eq!(read.shared_max_age, Some(Duration::from_secs(20)));
    }

    #[test]
    fn a_time_that_is_none_means_stale() {
        for line in ["max-age=abc", "max-age", "max-age=", "max-age=-1", "max-age=1.5"] {
            assert_eq!(control(line).max_age, Some(Duration::ZERO), "{line}");
        }
        assert_eq!(control("max-age=1, max-age=2").max_age, Some(Duration::ZERO));
        assert_eq!(control("max-age=2, max-age=2").max_age, Some(Duration::from_secs(2)));
        let long = control("max-age=99999999999999999999999").max_age;
        assert_eq!(long, Some(Duration::from_secs(SECONDS_MAX)));
    }

    #[test]
    fn a_targeted_field_replaces_cache_control_when_it_parses() {
        assert_eq!(targeted("max-age=60").max_age, Some(Duration::from_secs(60)));
        assert!(targeted("max-age=60").is_targeted);
        assert_eq!(targeted("max-age=60;a=b, no-cache").max_age, Some(Duration::from_secs(60)));
        for absent in ["", "max-age=", "max-age=60,,", "MAX-AGE=60"] {
            assert_eq!(targeted(absent).max_age, Some(Duration::from_secs(1)), "{absent}");
        }
        assert_eq!(targeted("max-age=\"60\"").max_age, None, "a string is no integer");
        assert!(!targeted("no-store=?0, max-age=5").no_store);
    }

    #[test]
    fn too_many_directives_forbid_storing() {
        assert!(control(&"a,".repeat(DIRECTIVES_MAX + 1)).no_store);
    }

    proptest! {
        /// Whatever the field holds, reading it ends, and what it forbids stays forbidden when more
        /// is written behind it.
        #[test]
        fn restrictions_survive_what_follows(tail in "[ -~]{0,80}") {
            let read = control(&format!("no-store, {tail}"));
            prop_assert!(read.no_store);
            let read = control(&format!("private,{tail}"));
            prop_assert!(read.private);
        }
    }
}
