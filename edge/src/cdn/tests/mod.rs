//! Each format against published vectors, its own pitfalls, and mutations of both.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;

mod akamai;
mod cat;
mod cloudfront;
mod key_files;
mod media_cdn;
mod mutations;
mod uri_signing;

/// A request, at a time, from somewhere.
#[derive(Clone)]
struct Ask {
    method: Method,
    scheme: String,
    authority: String,
    target: String,
    headers: HeaderMap,
    now: u64,
    client: IpAddr,
    policy: Policy,
    alpn: Option<Vec<u8>>,
    country: Option<String>,
}

impl Ask {
    /// Of an absolute URL.
    fn new(url: &str, now: u64) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, target) = rest.split_at(rest.find('/').unwrap());
        Self {
            method: Method::GET,
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            now,
            client: "203.0.113.7".parse().unwrap(),
            policy: Policy::default(),
            alpn: None,
            country: None,
        }
    }

    /// What `sign` made.
    fn signed(signed: &Signed, now: u64) -> Self {
        let mut ask = Self::new(&signed.url, now);
        for (name, value) in &signed.cookies {
            ask = ask.cookie(name, value);
        }
        for (name, value) in &signed.headers {
            ask = ask.header(name, value);
        }
        ask
    }

    fn from(mut self, client: &str) -> Self {
        self.client = client.parse().unwrap();
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", &format!("other=1; {name}={value}"))
    }

    fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    fn verify(&self, scheme: &Scheme, keys: &KeySet) -> Result<Grant, Refusal> {
        let request = RequestParts {
            method: &self.method,
            scheme: &self.scheme,
            authority: &self.authority,
            target: &self.target,
            headers: &self.headers,
            alpn: self.alpn.as_deref(),
            country: self.country.as_deref(),
        };
        let circumstances =
            Circumstances { now: self.now, client_address: self.client, policy: self.policy };
        scheme.verify(&request, keys, &circumstances)
    }
}

fn scheme(name: &str) -> Scheme {
    Scheme::from_name(name).unwrap()
}

fn keys_of(key: &SigningKey) -> KeySet {
    KeySet::new(vec![key.verifying().unwrap()])
}

/// The code, which is all that a client sees.
fn code(verdict: Result<Grant, Refusal>) -> &'static str {
    verdict.map_or_else(|refusal| refusal.code(), |_| "granted")
}

#[test]
fn targets_with_two_readings_are_refused_by_every_scheme() {
    for name in ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"] {
        for target in [
            "/live/ch1/..%2fch2/a.m3u8",
            "/live/ch1/../ch2/a.m3u8",
            "/live/ch1/%2e%2e/ch2/a.m3u8",
            "/live/ch1/.%2E/a.m3u8",
            "/live/ch1/%252e/a.m3u8",
            "/live/ch1/%5c/a.m3u8",
            "/live\\a.m3u8",
            "/live/%00a",
            "/live//a",
            "/live/%zz",
            "/live/%4",
            "/a b",
            "/a#b",
            "live",
            "",
            "/\u{e9}",
        ] {
            let ask = Ask::new("https://h/a", 0).target(target);
            let refusal = ask.verify(&scheme(name), &KeySet::default()).unwrap_err();
            assert!(matches!(refusal, Refusal::Target(_)), "{name} {target} {refusal}");
            assert_eq!(refusal.code(), "token_invalid");
        }
        let long = Ask::new("https://h/a", 0).target(&format!("/{}", "a".repeat(TARGET_BYTES_MAX)));
        assert_eq!(code(long.verify(&scheme(name), &KeySet::default())), "token_invalid");
        let bare = Ask::new("https://h/a?b=1", 0);
        assert_eq!(bare.verify(&scheme(name), &KeySet::default()), Err(Refusal::Missing));
    }
}

/// A host with a path in it would turn `/x` into something below the signed prefix.
#[test]
fn hosts_that_are_none_are_refused_by_every_scheme() {
    let key = SigningKey::ed25519_seed("k", &[1; 32]).unwrap();
    let request = SignRequest {
        space: SignedSpace::Prefix("https://h/a/"),
        carrier: Carrier::Cookie,
        ..SignRequest::new("https://h/a/b", 100)
    };
    for name in ["media-cdn", "uri-signing", "cat"] {
        let signed = scheme(name).sign(&request, &key).unwrap();
        let ask = Ask::signed(&signed, 0);
        assert_eq!(code(ask.verify(&scheme(name), &keys_of(&key))), "granted", "{name}");
        let forged = Ask { authority: "h/a".to_owned(), ..ask.clone().target("/x") };
        assert_eq!(code(forged.verify(&scheme(name), &keys_of(&key))), "token_invalid", "{name}");
    }
    for name in ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"] {
        for authority in ["", "h/a", "h?a", "u@h", "h#", "h a", "h\\a", "\u{e9}"] {
            let ask = Ask { authority: authority.to_owned(), ..Ask::new("https://h/a", 0) };
            let verdict = ask.verify(&scheme(name), &KeySet::default());
            assert!(matches!(verdict, Err(Refusal::Target(_))), "{name} {authority}: {verdict:?}");
        }
        let ask = Ask { scheme: "https://h/a?".to_owned(), ..Ask::new("https://h/a", 0) };
        assert_eq!(code(ask.verify(&scheme(name), &KeySet::default())), "token_invalid");
    }
}

#[test]
fn names_of_schemes_go_both_ways() {
    for name in ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"] {
        assert_eq!(scheme(name).name(), name);
    }
    let message = Scheme::from_name("fastly").unwrap_err().to_string();
    assert!(message.contains("`fastly`") && message.contains("media-cdn"), "{message}");
}

#[test]
fn a_spaces_edges_hold() {
    let origin = "https://h";
    assert!(UrlSpace::Prefix("https://h/a/".to_owned()).contains(origin, "/a/b?c"));
    assert!(!UrlSpace::Prefix("https://h/a/".to_owned()).contains(origin, "/b/a/"));
    assert!(UrlSpace::Url("https://h/a?b".to_owned()).contains(origin, "/a?b"));
    assert!(!UrlSpace::Url("https://h/a?b".to_owned()).contains(origin, "/a"));
    assert!(
        UrlSpace::PathPatterns(vec!["/x".to_owned(), "/a/*".to_owned()]).contains(origin, "/a/?q")
    );
    assert!(!UrlSpace::ThisRequest.contains(origin, "/a"));
}
