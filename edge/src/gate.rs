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
    let grant = keys.verify(&token, now)?;
    if grant.parts().session.as_ref().is_some_and(|session| revoked.is_revoked(session, now)) {
        return Err(Refusal::Revoked.into());
    }
    grant.check_address(client)?;
    let class = target.class().map_err(|_| Refusal::Class)?;
    grant.check_path(target.path(), class)?;
    limit(&mut target, &grant);
    Ok(Admitted { target, grant: Some(grant) })
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
}
