//! `[cdn]` and `[[delivery]]`: the CDNs' own tokens, the keys behind them, and the addresses that
//! they are made for.
//!
//! Whether a key can be read, and is of a kind that its scheme takes, is told by those who use it:
//! here it is a text.

use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// Keys of all schemes together.
const KEYS_MAX: usize = 64;
/// Keys that are tried for one token: those of one id, or of a scheme whose tokens name none.
const KEYS_PER_TOKEN_MAX: usize = 8;
/// Longest id of a key, in bytes.
const ID_BYTES_MAX: usize = 128;
/// Addresses of one deployment.
const DELIVERIES_MAX: usize = 64;
/// Longest life of a token that can be allowed: ten years.
const LIFETIME_SECONDS_MAX: u64 = 10 * 366 * 86_400;
/// Pages that may send cookies.
const COOKIE_ORIGINS_MAX: usize = 64;
/// As long as a native token may live, and as long as revocations are remembered.
const LIFETIME_SECONDS: u64 = 30 * 86_400;

/// `[cdn]`: how tokens in the CDNs' own formats are taken.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cdn {
    /// Tokens that live longer from now on are refused.
    pub lifetime_seconds_max: u64,
    /// Pages whose requests may bear cookies: `https://www.example.org`.
    pub cookie_origins: Vec<String>,
    pub cloudfront: Cloudfront,
    pub akamai: Akamai,
    pub uri_signing: UriSigning,
    pub cat: Cat,
    pub key: Vec<CdnKey>,
}

/// `[cdn.cloudfront]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cloudfront {
    /// Whether SHA-1, which CloudFront takes by default, is taken here.
    pub sha1: bool,
}

/// `[cdn.akamai]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Akamai {
    pub salt: Option<Secret>,
    pub escape_early: bool,
    pub sha1: bool,
    /// A header that may bear the token, beside query and cookie.
    pub header: Option<String>,
}

/// `[cdn.uri_signing]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UriSigning {
    /// Tokens have to come from it.
    pub issuer: Option<String>,
    /// Who we are in `aud`.
    pub audience: Option<String>,
    /// AES-128-GCM, for encrypted client addresses: a JSON Web Key, or 32 hexadecimal digits.
    pub decryption_key: Option<Secret>,
}

/// `[cdn.cat]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cat {
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// Labels of claims that are passed over although nothing is done with them.
    pub ignored_claims: Vec<i64>,
}

/// `[[cdn.key]]`: a key of one scheme.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CdnKey {
    pub scheme: CdnScheme,
    pub id: String,
    /// A public key, which checks and can't sign.
    #[serde(default)]
    pub public: Option<Secret>,
    /// A secret or a private key, which does both.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// RFC 3339.
    #[serde(default)]
    pub not_before: Option<String>,
    #[serde(default)]
    pub not_after: Option<String>,
    /// Whether new tokens are signed with it.
    #[serde(default)]
    pub active: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CdnScheme {
    Cloudfront,
    Akamai,
    MediaCdn,
    UriSigning,
    Cat,
}

impl CdnScheme {
    pub const ALL: [Self; 5] =
        [Self::Cloudfront, Self::Akamai, Self::MediaCdn, Self::UriSigning, Self::Cat];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloudfront => "cloudfront",
            Self::Akamai => "akamai",
            Self::MediaCdn => "media-cdn",
            Self::UriSigning => "uri-signing",
            Self::Cat => "cat",
        }
    }
}

/// `[[delivery]]`: an address that viewers use, and the tokens that are made for it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// `https://cdn.example.org`, without a path.
    pub base_url: String,
    pub scheme: CdnScheme,
    /// Id of the `[[cdn.key]]` that signs for it; unset means the active one of the scheme.
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub carry: Carry,
}

/// How a token reaches what a manifest leads to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carry {
    /// Inside the path: relative URIs inherit it.
    Path,
    /// The player sends it with each request.
    Cookie,
    /// Each URI of a manifest gets it.
    #[default]
    Query,
}

impl Default for Cdn {
    fn default() -> Self {
        Self {
            lifetime_seconds_max: LIFETIME_SECONDS,
            cookie_origins: Vec::new(),
            cloudfront: Cloudfront::default(),
            akamai: Akamai::default(),
            uri_signing: UriSigning::default(),
            cat: Cat::default(),
            key: Vec::new(),
        }
    }
}

impl Default for Cloudfront {
    fn default() -> Self {
        Self { sha1: true }
    }
}

impl CdnKey {
    /// From when until when it counts, in seconds since 1970.
    ///
    /// # Errors
    /// The name of the time that is none.
    pub fn validity(&self) -> Result<(Option<u64>, Option<u64>), &'static str> {
        let read = |name, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let time: Option<jiff::Timestamp> = text.parse().ok();
                let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
                seconds.map(Some).ok_or(name)
            }
        };
        Ok((read("not_before", &self.not_before)?, read("not_after", &self.not_after)?))
    }

    pub(super) fn example() -> Self {
        Self {
            scheme: CdnScheme::Cloudfront,
            id: "K2JCJMDEHXQW5F".to_owned(),
            public: Some(Secret::reference("file:/etc/streamverse/cloudfront.pem")),
            secret: Some(Secret::reference("file:/run/secrets/cloudfront.pem")),
            not_before: Some("2026-01-01T00:00:00Z".to_owned()),
            not_after: Some("2027-01-01T00:00:00Z".to_owned()),
            active: true,
        }
    }
}

impl Delivery {
    pub(super) fn example() -> Self {
        Self {
            base_url: "https://cdn.example.org".to_owned(),
            scheme: CdnScheme::Cloudfront,
            key: Some("K2JCJMDEHXQW5F".to_owned()),
            carry: Carry::Query,
        }
    }
}

impl Cdn {
    /// Every optional key set, and one entry in each list.
    pub(super) fn example() -> Self {
        let secret = || Some(Secret::reference("file:/run/secrets/cdn"));
        let name = |name: &str| Some(name.to_owned());
        Self {
            cookie_origins: vec!["https://www.example.org".to_owned()],
            akamai: Akamai { salt: secret(), header: name("x-token"), ..Akamai::default() },
            uri_signing: UriSigning {
                issuer: name("https://issuer.example.org"),
                audience: name("edge"),
                decryption_key: secret(),
            },
            cat: Cat {
                issuer: name("https://issuer.example.org"),
                audience: name("edge"),
                ignored_claims: vec![309],
            },
            key: vec![CdnKey::example()],
            ..Self::default()
        }
    }

    /// The secrets, each with its key. Public keys are among them: they can stand in files, too.
    pub(super) fn secrets_mut(&mut self) -> Vec<(String, Option<&mut Secret>)> {
        let mut secrets = vec![
            ("cdn.akamai.salt".to_owned(), self.akamai.salt.as_mut()),
            ("cdn.uri_signing.decryption_key".to_owned(), self.uri_signing.decryption_key.as_mut()),
        ];
        for (index, key) in self.key.iter_mut().enumerate() {
            secrets.push((format!("cdn.key[{index}].public"), key.public.as_mut()));
            secrets.push((format!("cdn.key[{index}].secret"), key.secret.as_mut()));
        }
        secrets
    }
}

pub(super) fn check_cdn(cdn: &Cdn, fail: &mut impl FnMut(&str, String, &str)) {
    if !(1..=LIFETIME_SECONDS_MAX).contains(&cdn.lifetime_seconds_max) {
        let cause = format!("{} seconds is out of range", cdn.lifetime_seconds_max);
        let cure = format!("write a number from 1 to {LIFETIME_SECONDS_MAX}");
        fail("cdn.lifetime_seconds_max", cause, &cure);
    }
    if COOKIE_ORIGINS_MAX < cdn.cookie_origins.len() {
        let cause = format!("{} origins", cdn.cookie_origins.len());
        fail("cdn.cookie_origins", cause, &format!("at most {COOKIE_ORIGINS_MAX} are taken"));
    }
    for origin in &cdn.cookie_origins {
        if web_origin(origin).as_deref() != Some(origin) {
            let cause = format!("`{origin}` is no origin of a page");
            let cure = "write scheme and host in small letters, as browsers send them: \
                        https://www.example.org";
            fail("cdn.cookie_origins", cause, cure);
        }
    }
    if let Some(header) = &cdn.akamai.header
        && http::HeaderName::from_bytes(header.as_bytes()).is_err()
    {
        let cause = format!("`{header}` is no name of a header");
        fail("cdn.akamai.header", cause, "write a name such as x-token");
    }
    if KEYS_MAX < cdn.key.len() {
        let cure = format!("at most {KEYS_MAX} are taken; remove those that have expired");
        fail("cdn.key", format!("{} keys", cdn.key.len()), &cure);
    }
    for (index, key) in cdn.key.iter().enumerate() {
        check_key(key, &format!("cdn.key[{index}]"), fail);
    }
    for scheme in CdnScheme::ALL {
        check_scheme(scheme, &cdn.key, fail);
    }
}

fn check_key(key: &CdnKey, name: &str, fail: &mut impl FnMut(&str, String, &str)) {
    let is_id = (1..=ID_BYTES_MAX).contains(&key.id.len())
        && key.id.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=:~;,/?#\"".contains(&byte));
    if !is_id {
        let cure = "write 1 to 128 visible characters, as the CDN names the key, without \
                    & = : ~ ; , / ? # and quotes";
        fail(&format!("{name}.id"), format!("`{}` is no id", key.id.escape_debug()), cure);
    }
    match (&key.public, &key.secret) {
        (Some(_), Some(_)) => {
            let cause = "both `public` and `secret` are set".to_owned();
            fail(name, cause, "keep `public` where keys only check, `secret` where they sign");
        }
        (None, None) => {
            let cause = "there is no key".to_owned();
            fail(name, cause, "set `public` to a public key, or `secret` to a secret");
        }
        (Some(_), None) if key.scheme == CdnScheme::Akamai => {
            let cause = "Akamai's tokens have no public keys".to_owned();
            fail(&format!("{name}.public"), cause, "set `secret`, in hexadecimal");
        }
        (Some(_), None) if key.active => {
            let cause = "a public key can't sign".to_owned();
            fail(&format!("{name}.active"), cause, "remove it, or set `secret` instead");
        }
        _ => {}
    }
    match key.validity() {
        Err(time) => {
            let cause = "is no time".to_owned();
            fail(&format!("{name}.{time}"), cause, "write a time such as 2026-01-31T23:59:59Z");
        }
        Ok((Some(start), Some(end))) if end <= start => {
            let cause = "is not after `not_before`".to_owned();
            fail(&format!("{name}.not_after"), cause, "exchange the two");
        }
        Ok(_) => {}
    }
}

fn check_scheme(scheme: CdnScheme, keys: &[CdnKey], fail: &mut impl FnMut(&str, String, &str)) {
    let keys: Vec<_> = keys.iter().filter(|key| key.scheme == scheme).collect();
    let name = scheme.as_str();
    let active = keys.iter().filter(|key| key.active).count();
    let able = keys.iter().filter(|key| key.secret.is_some()).count();
    if 1 < active || (1 < able && active == 0) {
        let cause = format!("{able} keys of `{name}` can sign, and {active} of them are active");
        fail("cdn.key", cause, "set `active = true` in one of them");
    }
    let alike = |key: &CdnKey| match scheme {
        // Its tokens name no key: all are tried.
        CdnScheme::Akamai => keys.len(),
        _ => keys.iter().filter(|other| other.id == key.id).count(),
    };
    if let Some(key) = keys.iter().find(|key| KEYS_PER_TOKEN_MAX < alike(key)) {
        let cause = format!("{} keys of `{name}` would be tried for one token", alike(key));
        fail("cdn.key", cause, &format!("at most {KEYS_PER_TOKEN_MAX} are; remove old ones"));
    }
}

pub(super) fn check_deliveries(
    deliveries: &[Delivery],
    cdn: &Cdn,
    fail: &mut impl FnMut(&str, String, &str),
) {
    if DELIVERIES_MAX < deliveries.len() {
        let cause = format!("{} addresses", deliveries.len());
        fail("delivery", cause, &format!("at most {DELIVERIES_MAX} are taken"));
    }
    for (index, delivery) in deliveries.iter().enumerate() {
        let name = |key: &str| format!("delivery[{index}].{key}");
        let origin = web_origin(&delivery.base_url);
        if origin.is_none() {
            let cause = format!("`{}` is no base address", delivery.base_url);
            let cure = "write http:// or https://, a host and perhaps a port, without a path";
            fail(&name("base_url"), cause, cure);
        } else if deliveries[..index].iter().any(|other| web_origin(&other.base_url) == origin) {
            let cause = format!("`{}` is listed twice", delivery.base_url);
            fail(&name("base_url"), cause, "remove one of them");
        }
        if let Some(id) = &delivery.key
            && !cdn.key.iter().any(|key| key.id == *id && key.scheme == delivery.scheme)
        {
            let cause = format!("there is no key `{id}` of `{}`", delivery.scheme.as_str());
            fail(&name("key"), cause, "name the id of a [[cdn.key]] with the same scheme");
        }
        let has_path = matches!(delivery.scheme, CdnScheme::MediaCdn | CdnScheme::UriSigning);
        if delivery.carry == Carry::Path && !has_path {
            let cause = format!("`{}` has no tokens in paths", delivery.scheme.as_str());
            fail(&name("carry"), cause, "write \"cookie\" or \"query\"");
        }
    }
}

/// Scheme and authority in small letters, without the scheme's own port, of an address that has
/// nothing else.
pub fn web_origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority: http::uri::Authority = rest.parse().ok()?;
    if authority.host().is_empty() || rest.contains(['@', '/', '?', '#']) {
        return None;
    }
    let authority = authority.as_str().to_ascii_lowercase();
    let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
    Some(format!("{scheme}://{authority}"))
}
