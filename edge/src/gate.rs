//! Who may pass: a target, a client and a time, against keys and revocations.
//!
//! A pure decision: no socket, no clock. Whoever answers requests turns [`Denied`] into 403 with
//! [`Denied::code`] and nothing else, and asks for what [`Admitted::target`] names: the token is
//! gone from it, and what the token limits has become part of it.

use std::net::IpAddr;

use platform::url_token::grant::ANSWER_CLAIMS;
use platform::url_token::{Classes, Grant, Keyring, MediaClass, Refusal, Revocations};

use crate::target::{SignedTarget, Target};

/// A request that may be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// What to answer, by its limits: a cache key and an upstream's target.
    pub target: Target,
    /// `None` where no token was asked for.
    pub grant: Option<Grant>,
    /// The token to go on with: the client is sent there instead of being answered.
    pub renewed: Option<String>,
}

/// Why a request may not be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Denied {
    #[error("there is no token")]
    Missing,

    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Denied {
    /// What the client is told.
    ///
    /// A player has to know that its token has run out, so that it gets another; that is told of
    /// well-signed tokens alone. All else is one code: whether a key, a session, a prefix or an
    /// address was wrong helps only someone who tries them.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_required",
            Self::Refused(Refusal::Expired) => "signature_expired",
            Self::Refused(_) => "signature_invalid",
        }
    }

    /// One word, for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Refused(refusal) => refusal.as_str(),
        }
    }
}

/// Decides about a request from `client` at `now`, in seconds since 1970.
///
/// # Errors
/// The first reason against it. The signature is verified before anything that the token says.
pub fn admit(
    request: SignedTarget<'_>,
    client: Option<IpAddr>,
    keys: &Keyring,
    revoked: &Revocations,
    now: u64,
) -> Result<Admitted, Denied> {
    let SignedTarget { token, mut target, .. } = request;
    let token = token.ok_or(Denied::Missing)?;
    let grant = keys.open(&token, now)?;
    let renewed = renew(&grant, &target, keys, now);
    match grant.check_time(now) {
        // A player comes back to its live manifest by the address that it began with.
        Err(Refusal::Expired) if renewed.is_some() => {}
        verdict => verdict?,
    }
    if grant.parts().session.as_ref().is_some_and(|session| revoked.is_revoked(session, now)) {
        return Err(Refusal::Revoked.into());
    }
    grant.check_address(client)?;
    let class = target.class().map_err(|_| Refusal::Class)?;
    grant.check_path(target.path(), class)?;
    if class.is_some_and(|class| is_above_cap(class, &grant)) {
        return Err(Refusal::Class.into());
    }
    if renewed.is_none() {
        limit(&mut target, &grant);
    }
    Ok(Admitted { target, grant: Some(grant), renewed })
}

/// The token that follows, for a manifest, where a key here can sign it.
fn renew(grant: &Grant, target: &Target, keys: &Keyring, now: u64) -> Option<String> {
    if !target.is_manifest() {
        return None;
    }
    keys.sign(&grant.renewed(now)?, None, now).ok()
}

/// Whether every picture of a class has more lines than the token's `max_height` lets through. A
/// segment's path tells its class and not its height.
fn is_above_cap(class: MediaClass, grant: &Grant) -> bool {
    let lines_max = grant.parts().claims.get("max_height").and_then(|cap| cap.parse::<u64>().ok());
    lines_max.is_some_and(|lines_max| match class {
        MediaClass::Hd => lines_max <= SD_LINES_MAX,
        MediaClass::Uhd => lines_max <= HD_LINES_MAX,
        _ => false,
    })
}

/// Puts what the token limits into a manifest's parameters, so that a manifest names nothing that
/// the token doesn't open, and is cached apart from those that do.
fn limit(target: &mut Target, grant: &Grant) {
    if !target.is_manifest() {
        return;
    }
    let parts = grant.parts();
    limit_by_class(target, parts.classes);
    for name in ANSWER_CLAIMS {
        let cap = parts.claims.get(name).and_then(|cap| cap.parse().ok());
        if let Some(cap) = cap {
            target.cap(name, cap);
        }
    }
}

/// Lines of the largest picture of a class.
const SD_LINES_MAX: u64 = 576;
const HD_LINES_MAX: u64 = 1_080;

/// A set of video classes that leaves out a lower one can't be said in parameters; its manifest
/// names renditions whose segments are refused.
fn limit_by_class(target: &mut Target, classes: Classes) {
    let has = |class| classes.contains(class);
    match (has(MediaClass::Sd), has(MediaClass::Hd), has(MediaClass::Uhd)) {
        (false, false, false) => target.set("video", ""),
        (_, _, true) => {}
        (_, true, false) => target.cap("max_height", HD_LINES_MAX),
        (true, false, false) => target.cap("max_height", SD_LINES_MAX),
    }
    if !has(MediaClass::Audio) {
        target.set("audio", "");
    }
    if !has(MediaClass::Text) {
        target.set("text", "");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use platform::url_token::SigningKey;
    use platform::url_token::grant::GrantParts;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn ring() -> Keyring {
        Keyring::new(vec![SigningKey::hmac("k", &[1; 32]).unwrap()], None).unwrap()
    }

    fn parts() -> GrantParts {
        GrantParts {
            expires: NOW + 60,
            not_before: 0,
            prefixes: vec!["/vod/film/".to_owned()],
            classes: Classes::ALL,
            network: None,
            session: None,
            claims: BTreeMap::new(),
        }
    }

    /// The key that is answered, or the code of the refusal.
    fn ask(parts: GrantParts, path: &str, now: u64) -> Result<String, Denied> {
        let token = ring().sign(&Grant::new(parts).unwrap(), None, NOW).unwrap();
        ask_with(&token, path, now)
    }

    fn ask_with(token: &str, path: &str, now: u64) -> Result<String, Denied> {
        let raw = format!("/~{token}{path}");
        let request = SignedTarget::parse(&raw).unwrap();
        let revoked = Revocations::default();
        revoked.revoke("ended", NOW).unwrap();
        let client = Some("203.0.113.9".parse().unwrap());
        let admitted = admit(request, client, &ring(), &revoked, now)?;
        let key = admitted.target.key();
        assert!(!key.contains(token) && !key.contains('~'), "{key}");
        Ok(key)
    }

    #[test]
    fn a_token_opens_its_paths_and_leaves_no_trace() {
        for path in ["/vod/film/cmaf/master.m3u8", "/vod/film/fmp4/uhd/v1-r/1.m4s"] {
            assert_eq!(ask(parts(), path, NOW).as_deref(), Ok(path));
        }
        // By any spelling, as one key.
        let spelled = ask(parts(), "/v%6fd/film/cmaf/master.m3u8?CMCD=x", NOW);
        assert_eq!(spelled.as_deref(), Ok("/vod/film/cmaf/master.m3u8"));
    }

    #[test]
    fn each_refusal_tells_little() {
        let path = "/vod/film/fmp4/hd/v1-r/1.m4s";
        let code = |parts, path: &str, now| ask(parts, path, now).unwrap_err().code();
        assert_eq!(code(parts(), path, NOW + 60), "signature_expired");
        assert_eq!(code(parts(), "/vod/films/cmaf/master.m3u8", NOW), "signature_invalid");
        assert_eq!(code(parts(), "/vod/film/a/b/c/d", NOW), "signature_invalid");
        let early = GrantParts { not_before: NOW + 50, ..parts() };
        assert_eq!(code(early, path, NOW), "signature_invalid");
        let audio = GrantParts { classes: Classes::of([MediaClass::Audio]).unwrap(), ..parts() };
        assert_eq!(ask(audio, path, NOW), Err(Refusal::Class.into()));
        let ended = GrantParts { session: Some("ended".to_owned()), ..parts() };
        assert_eq!(ask(ended, path, NOW), Err(Refusal::Revoked.into()));
        let alive = GrantParts { session: Some("alive".to_owned()), ..parts() };
        assert!(ask(alive, path, NOW).is_ok());
        let network = Some("198.51.100.0/24".parse().unwrap());
        assert_eq!(ask(GrantParts { network, ..parts() }, path, NOW), Err(Refusal::Address.into()));
        let network = Some("203.0.113.0/24".parse().unwrap());
        assert!(ask(GrantParts { network, ..parts() }, path, NOW).is_ok());

        let token = ring().sign(&Grant::new(parts()).unwrap(), None, NOW).unwrap();
        // That it has expired is told of a well-signed token alone.
        let forged = format!("{}A", &token[..token.len() - 1]);
        assert_eq!(ask_with(&forged, path, NOW + 60).unwrap_err().code(), "signature_invalid");
        assert_eq!(ask_with("", path, NOW).unwrap_err().code(), "signature_invalid");
        let bare = SignedTarget::parse(path).unwrap();
        let denied = admit(bare, None, &ring(), &Revocations::default(), NOW).unwrap_err();
        assert_eq!(denied.code(), "signature_required");
    }

    #[test]
    fn what_a_token_limits_is_part_of_the_key() {
        let manifest = |classes: &[MediaClass], claims: &[(&str, &str)], query: &str| {
            let parts = GrantParts {
                classes: Classes::of(classes.iter().copied()).unwrap(),
                claims: claims.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                ..parts()
            };
            let key = ask(parts, &format!("/vod/film/cmaf/manifest.mpd{query}"), NOW).unwrap();
            key.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
        };
        use MediaClass::{Audio, Hd, Sd, Text, Uhd};
        assert_eq!(manifest(&MediaClass::ALL, &[], ""), "");
        assert_eq!(manifest(&[Audio, Sd, Hd, Text], &[], ""), "max_height=1080");
        assert_eq!(manifest(&[Audio, Sd, Text], &[], "?max_height=2160"), "max_height=576");
        assert_eq!(manifest(&[Audio], &[], "?video=hd&text=en"), "text=&video=");
        assert_eq!(manifest(&[Sd, Hd, Uhd], &[], ""), "audio=&text=");
        let capped = manifest(&MediaClass::ALL, &[("max_bitrate", "900"), ("plan", "x")], "");
        assert_eq!(capped, "max_bitrate=900", "other claims change nothing");
        let capped = manifest(&[Audio, Sd, Hd, Text], &[("max_height", "720")], "?max_height=480");
        assert_eq!(capped, "max_height=480");
    }

    fn renewable(expires: u64) -> GrantParts {
        let claims = [("renew", "600".to_owned()), ("renew_until", (NOW + 86_400).to_string())];
        let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        GrantParts { expires, session: Some("alive".to_owned()), claims, ..parts() }
    }

    fn admit_at(token: &str, path: &str, now: u64) -> Result<Admitted, Denied> {
        let raw = format!("/~{token}{path}");
        let revoked = Revocations::default();
        revoked.revoke("ended", NOW).unwrap();
        admit(SignedTarget::parse(&raw).unwrap(), None, &ring(), &revoked, now)
    }

    #[test]
    fn manifests_renew_and_segments_end() {
        const MANIFEST: &str = "/vod/film/cmaf/master.m3u8?max_height=480";
        const SEGMENT: &str = "/vod/film/fmp4/hd/v1-r/1.m4s";
        let signed = |parts| ring().sign(&Grant::new(parts).unwrap(), None, NOW).unwrap();
        let token = signed(renewable(NOW + 600));
        let renewed = |now, path| admit_at(&token, path, now).map(|admitted| admitted.renewed);
        assert_eq!(renewed(NOW, MANIFEST), Ok(None));
        assert_eq!(renewed(NOW + 449, MANIFEST), Ok(None), "more than a quarter is left");
        // In the last quarter, and after the end.
        for now in [NOW + 450, NOW + 599, NOW + 600, NOW + 86_000] {
            let admitted = admit_at(&token, MANIFEST, now).unwrap();
            assert_eq!(admitted.target.key(), MANIFEST, "to the same");
            let next = ring().verify(&admitted.renewed.unwrap(), now).unwrap();
            let expires = (now + 600).min(NOW + 86_400);
            assert_eq!(next.parts().expires, expires);
            assert_eq!(next.parts().session.as_deref(), Some("alive"));
            assert_eq!(next.parts().prefixes, ["/vod/film/"]);
            let is_last = expires == NOW + 86_400;
            assert_eq!(next.parts().claims.is_empty(), is_last);
        }
        assert_eq!(renewed(NOW + 86_400, MANIFEST), Err(Refusal::Expired.into()));
        assert_eq!(renewed(NOW + 450, SEGMENT), Ok(None));
        assert_eq!(renewed(NOW + 600, SEGMENT), Err(Refusal::Expired.into()));
        // What the token doesn't open, it doesn't renew for.
        let other = "/vod/other/cmaf/master.m3u8";
        assert_eq!(renewed(NOW + 600, other), Err(Refusal::Prefix.into()));
        let ended = GrantParts { session: Some("ended".to_owned()), ..renewable(NOW + 600) };
        let ended = admit_at(&signed(ended), MANIFEST, NOW + 600);
        assert_eq!(ended.unwrap_err(), Refusal::Revoked.into());
    }

    #[test]
    fn an_edge_with_public_keys_renews_nothing() {
        let pair = SigningKey::ed25519("k", &[7; 32]).unwrap();
        let public = SigningKey::ed25519_public("k", &{
            use base64::Engine;
            let text = pair.public().unwrap();
            base64::engine::general_purpose::STANDARD.decode(text).unwrap()
        });
        let signing = Keyring::new(vec![pair], None).unwrap();
        let token = signing.sign(&Grant::new(renewable(NOW + 60)).unwrap(), None, NOW).unwrap();
        let edge = Keyring::new(vec![public.unwrap()], None).unwrap();
        let raw = format!("/~{token}/vod/film/cmaf/master.m3u8");
        let ask = |now| {
            let request = SignedTarget::parse(&raw).unwrap();
            admit(request, None, &edge, &Revocations::default(), now).map(|it| it.renewed)
        };
        assert_eq!(ask(NOW), Ok(None));
        assert_eq!(ask(NOW + 60), Err(Refusal::Expired.into()));
    }

    #[test]
    fn a_cap_closes_the_classes_above_it() {
        let ask_capped = |cap: &str, class: &str| {
            let claims = [("max_height".to_owned(), cap.to_owned())].into();
            let path = format!("/vod/film/fmp4/{class}/v1-r/1.m4s");
            ask(GrantParts { claims, ..parts() }, &path, NOW).is_ok()
        };
        for (cap, opened) in [
            ("480", &["audio", "sd", "text", "image"][..]),
            ("576", &["audio", "sd", "text", "image"]),
            ("720", &["audio", "sd", "hd", "text", "image"]),
            ("1080", &["audio", "sd", "hd", "text", "image"]),
            ("1440", &["audio", "sd", "hd", "uhd", "text", "image"]),
        ] {
            for class in ["audio", "sd", "hd", "uhd", "text", "image"] {
                assert_eq!(ask_capped(cap, class), opened.contains(&class), "{cap} {class}");
            }
        }
    }
}
