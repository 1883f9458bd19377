//! What this server tells players: Common Media Server Data (CTA-5006).
//!
//! `CMSD-Static` describes the object and comes from the origin; caches keep it. `CMSD-Dynamic` is
//! about this answer on this connection: each server on the way adds its member. Only what is known
//! is told: a rate of the connection where the transport measured one, a delay that passed, and
//! duress while requests wait.

use std::fmt::Write;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub const CMSD_DYNAMIC: HeaderName = HeaderName::from_static("cmsd-dynamic");
pub const CMSD_STATIC: HeaderName = HeaderName::from_static("cmsd-static");

/// What the transport knows of the way to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path {
    pub round_trip_micros: u64,
    /// Bytes that may be under way at once.
    pub window_bytes: u64,
}

/// `CMSD-Static` of a path of this product; all its titles are on demand. `None` for what no player
/// plays.
pub fn static_of(path: &str) -> Option<&'static str> {
    let mut parts = path.rsplit('/');
    let (name, extension) = parts.next()?.rsplit_once('.')?;
    let class = parts.nth(1);
    match (extension, class) {
        ("m3u8", _) => Some("ot=m,sf=h,st=v"),
        ("mpd", _) => Some("ot=m,sf=d,st=v"),
        ("mp4", _) if name == "init" => Some("ot=i,st=v"),
        // What a transport stream holds its name doesn't tell.
        ("ts", _) => Some("st=v"),
        ("m4s", Some("audio")) => Some("ot=a,st=v"),
        ("m4s", Some("sd" | "hd" | "uhd")) => Some("ot=v,st=v"),
        ("m4s" | "vtt", Some("text")) => Some("ot=tt,st=v"),
        _ => None,
    }
}

/// Says what an answer is, unless the origin has.
pub fn describe(headers: &mut HeaderMap, fixed: &'static str) {
    headers.entry(CMSD_STATIC).or_insert(HeaderValue::from_static(fixed));
}

/// One member of `CMSD-Dynamic`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Dynamic {
    /// `etp`: a window in each round trip, in kbit/s; and `rtt`.
    pub path: Option<Path>,
    /// `mb`: the most that this viewer's token allows, in kbit/s.
    pub bit_rate_kbps_max: Option<u64>,
    /// `rd`: from the request to the head of the answer.
    pub delay_ms: Option<u64>,
    /// `du`: requests wait, or are turned away.
    pub is_pressed: bool,
}

impl Dynamic {
    /// Adds itself behind what servers nearer to the origin said.
    pub fn append_to(&self, headers: &mut HeaderMap, server_name: &str) {
        if let Ok(value) = HeaderValue::from_str(&self.write(server_name)) {
            headers.append(CMSD_DYNAMIC, value);
        }
    }

    fn write(&self, server_name: &str) -> String {
        let mut out = String::with_capacity(48);
        out.push('"');
        // A string of a structured field: visible ASCII, two characters escaped (RFC 9651 3.3.3).
        for character in server_name.chars().filter(|c| matches!(c, ' '..='~')) {
            if matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push('"');
        // Writing to a string can't fail. Keys in the order of the alphabet.
        if self.is_pressed {
            out.push_str(";du");
        }
        if let Some(path) = self.path {
            let _ = write!(out, ";etp={}", path.kbps());
        }
        if let Some(kbps) = self.bit_rate_kbps_max {
            let _ = write!(out, ";mb={kbps}");
        }
        if let Some(delay_ms) = self.delay_ms {
            let _ = write!(out, ";rd={delay_ms}");
        }
        if let Some(path) = self.path {
            let _ = write!(out, ";rtt={}", path.round_trip_micros.div_ceil(1_000));
        }
        out
    }
}

impl Path {
    fn kbps(self) -> u64 {
        self.window_bytes.saturating_mul(8_000) / self.round_trip_micros.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_is_static() {
        for (path, fixed) in [
            ("/vod/a/cmaf/master.m3u8", Some("ot=m,sf=h,st=v")),
            ("/vod/a/cmaf/manifest.mpd", Some("ot=m,sf=d,st=v")),
            ("/vod/a/fmp4/hd/v1-ab/init.mp4", Some("ot=i,st=v")),
            ("/vod/a/fmp4/hd/v1-ab/7.m4s", Some("ot=v,st=v")),
            ("/vod/a/fmp4/audio/a1-ab/7.m4s", Some("ot=a,st=v")),
            ("/vod/a/image/thumbnails/1.jpg", None),
            ("/titles.json", None),
            ("/", None),
        ] {
            assert_eq!(static_of(path), fixed, "{path}");
        }
    }

    #[test]
    fn members_are_structured_fields() {
        let path = Path { round_trip_micros: 24_100, window_bytes: 60_000 };
        let all = Dynamic {
            path: Some(path),
            bit_rate_kbps_max: Some(5_000),
            delay_ms: Some(3),
            is_pressed: true,
        };
        let text = all.write("edge \"1\"");
        assert_eq!(text, "\"edge \\\"1\\\"\";du;etp=19917;mb=5000;rd=3;rtt=25");
        assert!(sfv::Parser::new(&text).parse::<sfv::List>().is_ok());
        assert_eq!(Dynamic::default().write("a\u{e9}\r\nb"), "\"ab\"");
        let mut headers = HeaderMap::new();
        headers.append(CMSD_DYNAMIC, HeaderValue::from_static("\"origin\";rd=1"));
        Dynamic::default().append_to(&mut headers, "edge");
        let members: Vec<_> = headers.get_all(CMSD_DYNAMIC).iter().collect();
        assert_eq!(members, ["\"origin\";rd=1", "\"edge\""]);
    }
}
