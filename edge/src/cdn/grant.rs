//! What a token opens.

use super::pattern::wildcard_matches;

/// A verified token. Only verifying makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    pub space: UrlSpace,
    /// Seconds since 1970. A transfer that began before goes on.
    pub expires_at: u64,
    /// Of the key that signed, for the log.
    pub key_id: String,
    /// The token's or the session's own id, for revocation, replay and the log.
    pub token_id: Option<String>,
    /// Of what was signed: the same for one token, however a request that bears it is dressed up.
    pub signed: [u8; 16],
    /// The request's target without token and CMCD: what the cache key and the origin see.
    pub target: String,
    /// Cookies that carried the token and go no further.
    pub cookies: Vec<String>,
    /// Headers that carried the token and go no further.
    pub headers: Vec<String>,
    pub replay: Replay,
    /// To be handed back with the answer.
    pub renewal: Option<Renewal>,
}

/// The URLs that a token opens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UrlSpace {
    /// This URL, without token.
    Url(String),
    /// Every URL that begins so.
    Prefix(String),
    /// Every URL like this; `*` stands for any characters, `?` for one.
    Pattern(String),
    /// Every path like one of these, on any host.
    PathPatterns(Vec<String>),
    /// The request that was verified. Other requests are checked by themselves: the token has rules
    /// about more than the URL.
    ThisRequest,
}

/// Tells what one key signed from everything else.
pub(super) fn digest(key_id: &str, signed: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    // The length keeps two pairs apart that read alike when put together.
    hasher.update(&(key_id.len() as u64).to_be_bytes());
    hasher.update(key_id.as_bytes());
    hasher.update(signed);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

impl UrlSpace {
    /// Whether a URL, split behind its authority, lies inside.
    pub fn contains(&self, origin: &str, target: &str) -> bool {
        let url = || format!("{origin}{target}");
        match self {
            Self::Url(known) => *known == url(),
            Self::Prefix(prefix) => url().starts_with(prefix),
            Self::Pattern(pattern) => wildcard_matches(pattern, &url()),
            Self::PathPatterns(patterns) => {
                let path = target.split_once('?').map_or(target, |(path, _)| path);
                patterns.iter().any(|pattern| wildcard_matches(pattern, path))
            }
            Self::ThisRequest => false,
        }
    }
}

/// Whether a token may be shown more than once (CTA-5007, `catreplay`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replay {
    #[default]
    Permitted,
    /// Whoever counts tokens refuses the second request with this `token_id`.
    Prohibited,
    /// Repeated use is reported, not refused.
    Detected,
}

/// The next token, which replaces the one that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// The value of a `Set-Cookie` line.
    Cookie(String),
    /// A response header.
    Header { name: String, value: String },
    /// The request's URL with the new token: where to redirect to, or what to write into a manifest.
    Target(String),
}
