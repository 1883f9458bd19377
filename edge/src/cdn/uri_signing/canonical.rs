//! The URI as it is compared (RFC 9246 2.1.15): the token taken out, the rest in its normal form.

/// Characters that may stand in front of the token's name (RFC 3986 2.2).
const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";
const SUB_DELIMS: &[u8] = b"!$&'()*+,;=";

/// A token within a target, and the target without it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Extracted<'a> {
    pub token: &'a str,
    pub rest: String,
}

/// `Err`: the name stands there more than once.
pub(super) fn extract<'a>(target: &'a str, name: &str) -> Result<Option<Extracted<'a>>, ()> {
    let bytes = target.as_bytes();
    let mut found = None;
    for (at, _) in target.match_indices(name) {
        let is_start = at > 0 && RESERVED.contains(&bytes[at - 1]);
        let is_named = bytes.get(at + name.len()) == Some(&b'=');
        if is_start && is_named && found.replace(at).is_some() {
            return Err(());
        }
    }
    Ok(found.map(|at| {
        let start = at + name.len() + 1;
        let len = bytes[start..].iter().position(|byte| RESERVED.contains(byte));
        let end = len.map_or(bytes.len(), |len| start + len);
        // A sub-delimiter behind the token goes with it; else the character in front does.
        let rest = if bytes.get(end).is_some_and(|byte| SUB_DELIMS.contains(byte)) {
            [&target[..at], &target[end + 1..]].concat()
        } else {
            [&target[..at - 1], &target[end..]].concat()
        };
        Extracted { token: &target[start..end], rest }
    }))
}

/// RFC 3986 6.2.2 and 6.2.3, RFC 9110 4.2.3. `None`: the URI can't be read.
pub(super) fn normalise(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let authority_len = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_len);
    let path_len = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, tail) = rest.split_at(path_len);

    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{}@", decode_unreserved(user)?), host),
        None => (String::new(), authority),
    };
    // A colon inside brackets belongs to an IPv6 address.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host, ""),
    };
    if host.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Hexadecimal digits of what stays encoded are upper case, in the host too.
    let host = decode_unreserved(&decode_unreserved(host)?.to_ascii_lowercase())?;
    let port =
        if port.is_empty() || port == default_port { String::new() } else { format!(":{port}") };
    let path = remove_dot_segments(&decode_unreserved(path)?);
    let tail = decode_unreserved(tail)?;
    Some(format!("{scheme}://{user}{host}{port}{path}{tail}"))
}

/// `%41` is `A`; what has to stay encoded gets upper-case digits.
fn decode_unreserved(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('%');
    out.push_str(pieces.next()?);
    for piece in pieces {
        let (digits, rest) = (piece.get(..2)?, piece.get(2..)?);
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(rest);
    }
    Some(out)
}

/// RFC 3986 5.2.4 for a path that begins with a slash or is empty.
fn remove_dot_segments(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = true;
    for segment in path.split('/').skip(1) {
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    // An empty last segment has been kept as such; a dot at the end leaves a folder.
    if is_folder && segments.last().is_none_or(|last| !last.is_empty()) {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (uri, expected) in [
            ("http://www.foobar.com", "http://www.foobar.com/"),
            ("http://www.foobar.com?a=b", "http://www.foobar.com/?a=b"),
            ("http://www.foobar.com:9301?a=b", "http://www.foobar.com:9301/?a=b"),
            (
                "HTTP://foo%40:PaSsword@www.Foo%42ar.coM:80/",
                "http://foo%40:PaSsword@www.foobar.com/",
            ),
            ("https://foobar.com:443/Some/Here", "https://foobar.com/Some/Here"),
            ("http://foobar.com:443/Some/Here", "http://foobar.com:443/Some/Here"),
            ("https://foobar.com:80/Some/Here/././foo/../x", "https://foobar.com:80/Some/Here/x"),
            (
                "https://foobar.com/Here?q=/././foo/../bar",
                "https://foobar.com/Here?q=/././foo/../bar",
            ),
            ("https://a%54b.com/%53omething/Here%3f", "https://atb.com/Something/Here%3F"),
            ("https://a.com/b/..", "https://a.com/"),
            ("https://a.com/b/.", "https://a.com/b/"),
            ("https://a.com/b//", "https://a.com/b//"),
            ("https://user:@a.org:443/doc", "https://user:@a.org/doc"),
            ("http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"),
            ("http://a%2fb.com/", "http://a%2Fb.com/"),
        ] {
            assert_eq!(normalise(uri).as_deref(), Some(expected), "{uri}");
        }
        for wrong in [
            "ht",
            "ftp://a/",
            "http://",
            "http:///////",
            "http://?/",
            "http://a.com/%4",
            "http://a.com/%4p",
            "http://a.com/%+4",
            "https://foo:something@",
            "http://a:b/",
        ] {
            assert_eq!(normalise(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_are_taken_out() {
        for (target, token, rest) in [
            ("/a?URISigningPackage=x.y.z", "x.y.z", "/a"),
            ("/a?URISigningPackage=x.y.z&q=1", "x.y.z", "/a?q=1"),
            ("/a?q=1&URISigningPackage=x.y.z", "x.y.z", "/a?q=1"),
            ("/a?q=1&URISigningPackage=x.y.z&r=2", "x.y.z", "/a?q=1&r=2"),
            ("/a/URISigningPackage=x.y.z/b", "x.y.z", "/a/b"),
            ("/a;URISigningPackage=x.y.z/b", "x.y.z", "/a/b"),
            ("/a/;URISigningPackage=x.y.z", "x.y.z", "/a/"),
        ] {
            let expected = Extracted { token, rest: rest.to_owned() };
            assert_eq!(extract(target, "URISigningPackage"), Ok(Some(expected)), "{target}");
        }
        for without in
            ["/a?XURISigningPackage=x", "/a?URISigningPackages=x", "/a", "/a?URISigningPackage"]
        {
            assert_eq!(extract(without, "URISigningPackage"), Ok(None), "{without}");
        }
        let twice = "/a;URISigningPackage=x/b?URISigningPackage=y";
        assert_eq!(extract(twice, "URISigningPackage"), Err(()));
    }
}
