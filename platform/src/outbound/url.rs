//! URLs: those that strangers give, and where a redirect leads.

use http::{Method, StatusCode, Uri};

/// Longest URL that is taken, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Ports above 1023 that are not HTTP's (WHATWG Fetch 2.8, "bad port").
const PORTS_BAD: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080,
];

/// Why a URL is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    #[error("it is no URL; write https://, a host and a path")]
    Syntax,
    #[error("it has more than {URL_BYTES_MAX} bytes")]
    Long,
    #[error("its scheme is not allowed; write https://")]
    Scheme,
    #[error("it holds a user name; credentials don't belong into a URL")]
    UserInfo,
    #[error("its port is not one of HTTP; use 443, or one above 1023 that no other protocol has")]
    Port,
}

/// Reads a URL that a stranger gave. Where its host leads is judged when it is called.
///
/// # Errors
/// When it is not one that may be called.
pub fn parse_given(text: &str, allows_http: bool) -> Result<Uri, UrlError> {
    if URL_BYTES_MAX < text.len() {
        return Err(UrlError::Long);
    }
    let uri: Uri = text.parse().map_err(|_| UrlError::Syntax)?;
    check_given(&uri, allows_http)?;
    Ok(uri)
}

pub(super) fn check_given(uri: &Uri, allows_http: bool) -> Result<(), UrlError> {
    let authority = uri.authority().ok_or(UrlError::Syntax)?;
    let standard_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") if allows_http => 80,
        _ => return Err(UrlError::Scheme),
    };
    if authority.as_str().contains('@') {
        return Err(UrlError::UserInfo);
    }
    if authority.host().trim_matches(['[', ']', '.']).is_empty() {
        return Err(UrlError::Syntax);
    }
    // `http` keeps what follows the colon as text; no port at all is the scheme's.
    let has_port_text = authority.as_str().len() != authority.host().len();
    let port = match authority.port_u16() {
        Some(port) => port,
        None if has_port_text => return Err(UrlError::Port),
        None => standard_port,
    };
    let is_webs = port == standard_port || (1_024 <= port && !PORTS_BAD.contains(&port));
    if is_webs { Ok(()) } else { Err(UrlError::Port) }
}

/// What is done with answers that point elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Redirects {
    /// They are answers like others.
    Off,
    /// Requests for reading follow so many of them, from https to https alone and from http to http.
    SameScheme { hops_max: u8 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectError {
    #[error("it redirects without saying where")]
    NoLocation,
    #[error("it redirects to another scheme")]
    Scheme,
    #[error("it redirects more than {hops_max} times")]
    Hops { hops_max: u8 },
}

impl Redirects {
    /// Where to go on, after `hops` redirects; `None` when the answer counts.
    ///
    /// # Errors
    /// When the answer points where nobody may follow.
    pub fn next(
        self,
        method: &Method,
        at: &Uri,
        status: StatusCode,
        location: Option<&[u8]>,
        hops: u8,
    ) -> Result<Option<Uri>, RedirectError> {
        let Self::SameScheme { hops_max } = self else { return Ok(None) };
        // RFC 9110 15.4; 300, 304 and 305 name nothing to follow.
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        if !is_redirect || !matches!(*method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        if hops_max <= hops {
            return Err(RedirectError::Hops { hops_max });
        }
        let location = location.and_then(|location| std::str::from_utf8(location).ok());
        let location = location.filter(|text| !text.is_empty() && text.len() <= URL_BYTES_MAX);
        let next = resolve(at, location.ok_or(RedirectError::NoLocation)?);
        let next = next.ok_or(RedirectError::NoLocation)?;
        if next.scheme() != at.scheme() {
            return Err(RedirectError::Scheme);
        }
        Ok(Some(next))
    }
}

/// A reference in its base (RFC 3986 5.2.2), without its fragment.
fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let at_authority = |rest: &str| format!("{scheme}://{authority}{rest}");
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let text = if has_scheme {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.starts_with('/') {
        at_authority(&without_dots(reference))
    } else if reference.is_empty() {
        at_authority(base.path_and_query().map_or("/", |target| target.as_str()))
    } else if reference.starts_with('?') {
        at_authority(&format!("{}{reference}", base.path()))
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        at_authority(&without_dots(&format!("{folder}/{reference}")))
    };
    let uri: Uri = text.parse().ok()?;
    // One without an authority, or with credentials, is none that is called.
    uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    uri.scheme()?;
    Some(uri)
}

/// RFC 3986 5.2.4.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut plain = format!("/{}", kept.join("/"));
    if ends_in_folder && !plain.ends_with('/') {
        plain.push('/');
    }
    if let Some(query) = query {
        plain.push('?');
        plain.push_str(query);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_urls_are_checked() {
        for (text, expected) in [
            ("https://example.org/hook?a=b", Ok(())),
            ("https://example.org:8443/", Ok(())),
            ("https://[2606:4700::1111]/", Ok(())),
            ("http://example.org/", Err(UrlError::Scheme)),
            ("ftp://example.org/", Err(UrlError::Scheme)),
            ("example.org", Err(UrlError::Scheme)),
            ("/hook", Err(UrlError::Syntax)),
            ("https:///hook", Err(UrlError::Syntax)),
            ("https://a b/", Err(UrlError::Syntax)),
            ("https://user:pass@example.org/", Err(UrlError::UserInfo)),
            ("https://example.org@evil.example/", Err(UrlError::UserInfo)),
            ("https://example.org:22/", Err(UrlError::Port)),
            ("https://example.org:80/", Err(UrlError::Port)),
            ("https://example.org:6667/", Err(UrlError::Port)),
            ("https://example.org:/", Err(UrlError::Port)),
            ("https://example.org:99999/", Err(UrlError::Port)),
        ] {
            assert_eq!(parse_given(text, false).map(drop), expected, "{text}");
        }
        assert_eq!(parse_given("http://example.org/", true).map(drop), Ok(()));
        let long = format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(parse_given(&long, false).map(drop), Err(UrlError::Long));
    }

    /// RFC 3986 5.4, as far as HTTP knows it.
    #[test]
    fn references_are_resolved() {
        let base: Uri = "http://a/b/c/d;p?q".parse().unwrap();
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            (";x", "http://a/b/c/;x"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("./../g", "http://a/b/g"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("http://other/x", "http://other/x"),
        ] {
            assert_eq!(resolve(&base, reference).unwrap(), expected, "{reference}");
        }
        for reference in ["mailto:a@b", "http:", "http://u:p@host/", "http://a b/"] {
            assert_eq!(resolve(&base, reference), None, "{reference}");
        }
    }

    #[test]
    fn redirects_are_bounded_and_keep_their_scheme() {
        let at: Uri = "https://example.org/a".parse().unwrap();
        let next = |rule: Redirects, method, status, location: Option<&str>, hops| {
            let status = StatusCode::from_u16(status).unwrap();
            rule.next(&method, &at, status, location.map(str::as_bytes), hops)
        };
        let follow = Redirects::SameScheme { hops_max: 3 };
        let b = Ok(Some("https://example.org/b".parse().unwrap()));
        assert_eq!(next(follow, Method::GET, 302, Some("/b"), 2), b);
        assert_eq!(next(Redirects::Off, Method::GET, 302, Some("/b"), 0), Ok(None));
        assert_eq!(next(follow, Method::POST, 307, Some("/b"), 0), Ok(None));
        assert_eq!(next(follow, Method::GET, 304, Some("/b"), 0), Ok(None));
        for (location, hops, error) in [
            (Some("/b"), 3, RedirectError::Hops { hops_max: 3 }),
            (Some("http://example.org/"), 0, RedirectError::Scheme),
            (Some("file:///etc/passwd"), 0, RedirectError::NoLocation),
            (None, 0, RedirectError::NoLocation),
        ] {
            assert_eq!(next(follow, Method::GET, 301, location, hops), Err(error));
        }
    }
}
