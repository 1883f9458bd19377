//! Who may have media: signed URLs in front of the origin, or everyone where the server is open.
//!
//! The decision is [`edge::gate::admit`]'s, and for tokens in the CDNs' own formats that of
//! [`crate::cdn`]; here lie what they need (keys, revocations, trusted proxies, the clock) and how a
//! refusal is told. A request with a native token in its path is judged by that alone.

mod target;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use edge::cdn::{Refusal, Renewal, UrlSpace};
use edge::gate::{self, Admitted, Denied};
use edge::target::{SignedTarget, Target};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use origin::body::MediaBody;
use origin::{allow_every_origin, problem_with};
use platform::DataDir;
use platform::config::{CdnScheme, Config, IpPrefix};
use platform::http::{Connection, came_early, client_address};
use platform::keyring::{Keys, Purpose, Ring};
use platform::url_token::{self, Grant, Keyring, Revocations, TOKEN_MARK};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::cdn::{Afterwards, CdnTokens, Credentials, Ledgers, Replays, Verified};
use crate::clock;

use target::{at, raw_target, read_target, refuse_target};

/// Decides about requests for media. Clones share everything.
#[derive(Clone)]
pub struct Access {
    settings: Arc<RwLock<Arc<Settings>>>,
    own_keys: Keys,
    revocations: Arc<Revocations>,
    /// Outlives the keys: a token is not new because they were read again.
    replays: Arc<Replays>,
    denied: Family<DeniedLabels, Counter>,
    admitted: Family<TokenLabels, Counter>,
    renewed: Family<SchemeLabels, Counter>,
    repeated: Counter,
    /// Asks for no signed URLs.
    is_open: bool,
}

/// A request that was let in.
pub struct Admission {
    /// By its canonical target, without token.
    pub request: Request<()>,
    pub afterwards: Afterwards,
    pub opens: Opens,
    /// What the token is known by, where it names no session; however the request spells it, and
    /// whatever else stands beside it.
    pub token: Option<TokenDigest>,
    /// By which the token can be revoked, whosever format it has.
    pub session: Option<String>,
}

impl Admission {
    fn open(request: Request<()>) -> Self {
        let (opens, afterwards) = (Opens::Everything, Afterwards::default());
        Self { request, afterwards, opens, token: None, session: None }
    }
}

/// Tells one token from all others.
pub type TokenDigest = [u8; 16];

/// What else whoever was let in may have.
pub enum Opens {
    /// No token is asked for.
    Everything,
    Native(Grant),
    Cdn {
        space: UrlSpace,
        /// Where the request was sent to: `https://cdn.example.org`.
        origin: String,
    },
}

impl Opens {
    /// Whether `target` could be had by the same token, as far as that can be told.
    pub fn has(&self, target: &Target) -> bool {
        match self {
            Self::Everything => true,
            Self::Native(grant) => {
                target.class().is_ok_and(|class| grant.check_path(target.path(), class).is_ok())
            }
            Self::Cdn { space, origin } => space.contains(origin, &target.key()),
        }
    }

    /// What a native token grants.
    pub fn native(&self) -> Option<&Grant> {
        match self {
            Self::Native(grant) => Some(grant),
            Self::Everything | Self::Cdn { .. } => None,
        }
    }
}

/// What changes when the configuration is read again.
struct Settings {
    keys: Keyring,
    /// By which the keys are told from those of later; none where they are configured.
    own: Option<OwnKeys>,
    cdn: Arc<CdnTokens>,
    trusted_proxies: Vec<IpPrefix>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DeniedLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SchemeLabels {
    scheme: &'static str,
}

/// As many as there are keys: a token of an unknown key is not admitted.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TokenLabels {
    scheme: &'static str,
    key: String,
}

/// Which of a ring's keys count, and which one signs.
#[derive(Clone, Debug, Eq, PartialEq)]
struct OwnKeys {
    generation: u64,
    counting: usize,
    active: String,
}

impl OwnKeys {
    fn of(ring: &Ring, now_ms: i64) -> Option<Self> {
        let counting = ring.states(now_ms).filter(|(_, state)| state.counts()).count();
        let active = ring.active(now_ms).ok()?.id().to_owned();
        Some(Self { generation: ring.generation(), counting, active })
    }
}

/// The keys of the configuration, or the server's own where it names none.
pub fn keyring(config: &Config, own: &Keys) -> anyhow::Result<Keyring> {
    let configured = Keyring::from_config(&config.signing_key)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    let now_ms = clock::signed_ms();
    own.ensure(&[Purpose::UrlTokens], now_ms)?;
    Ok(Keyring::from_ring(&*own.ring(Purpose::UrlTokens)?, now_ms)?)
}

impl Settings {
    fn new(config: &Config, own: &Keys, is_open: bool) -> anyhow::Result<Self> {
        let keys = if is_open { Keyring::default() } else { keyring(config, own)? };
        let cdn = if is_open { CdnTokens::none() } else { CdnTokens::from_config(config)? };
        let cdn = Arc::new(cdn);
        let is_own = !is_open && config.signing_key.is_empty();
        let ring = own.ring(Purpose::UrlTokens).ok().filter(|_| is_own);
        let own = ring.and_then(|ring| OwnKeys::of(&ring, clock::signed_ms()));
        Ok(Self { keys, own, cdn, trusted_proxies: config.net.trusted_proxies.clone() })
    }
}

impl Access {
    /// # Errors
    /// When there is no key, or the list of revoked sessions can't be read.
    pub fn new(
        config: &Config,
        data: &DataDir,
        keys: &Keys,
        is_open: bool,
    ) -> anyhow::Result<Self> {
        let revocations = Revocations::open(&Revocations::path_in(data.path()), clock::now_s())?;
        let settings = Settings::new(config, keys, is_open)?;
        Ok(Self {
            settings: Arc::new(RwLock::new(Arc::new(settings))),
            own_keys: keys.clone(),
            revocations: Arc::new(revocations),
            replays: Arc::default(),
            denied: Family::default(),
            admitted: Family::default(),
            renewed: Family::default(),
            repeated: Counter::default(),
            is_open,
        })
    }

    /// Adopts the keys and the proxies of another configuration.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing changes.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        // With its causes, since it goes to the log as it is.
        let settings = Settings::new(config, &self.own_keys, self.is_open)
            .map_err(|error| anyhow::anyhow!("{error:#}"))?;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        Ok(())
    }

    /// Adopts the server's own keys as they count now, where they sign its URLs.
    ///
    /// # Errors
    /// When they can't be used; then nothing changes.
    pub fn follow_keys(&self) -> anyhow::Result<()> {
        let current = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now_ms = clock::signed_ms();
        let ring = self.own_keys.ring(Purpose::UrlTokens).ok();
        let own = ring.as_ref().and_then(|ring| OwnKeys::of(ring, now_ms));
        let (Some(_), Some(ring), true) = (&current.own, ring, own != current.own) else {
            return Ok(());
        };
        let keys = Keyring::from_ring(&ring, now_ms)?;
        let trusted_proxies = current.trusted_proxies.clone();
        let next = Settings { keys, own, cdn: current.cdn.clone(), trusted_proxies };
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        // What a reload put there meanwhile has the new keys already.
        if Arc::ptr_eq(&settings, &current) {
            *settings = Arc::new(next);
        }
        Ok(())
    }

    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Where a request comes from, behind the proxies that are trusted.
    pub fn client_of<T>(&self, request: &Request<T>) -> Option<IpAddr> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        client(request, &settings.trusted_proxies)
    }

    /// Whether the CDNs' own tokens are taken, too.
    pub fn takes_cdn_tokens(&self) -> bool {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        !settings.cdn.is_empty()
    }

    /// Whether a request may be a replay: whoever counts its uses has to answer 425 (RFC 8470).
    pub fn came_early<B>(&self, request: &Request<B>) -> bool {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        came_early(request, &settings.trusted_proxies)
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests for media without a valid token, by what was wrong";
        registry.register("access_denied", help, self.denied.clone());
        let help = "Requests let in by a CDN's token, by its scheme and key";
        registry.register("access_admitted", help, self.admitted.clone());
        let help = "Tokens that were renewed, by scheme";
        registry.register("access_renewed", help, self.renewed.clone());
        let help = "CDN tokens shown again that may be, and ask for it to be counted";
        registry.register("access_repeated", help, self.repeated.clone());
    }

    /// The request by its canonical target and without its token, and what its answer needs; or the
    /// answer that refuses it, or sends it on with a renewed token.
    ///
    /// # Errors
    /// 400 for a target that can be read in two ways, 403 for one that no token opens, 307 for a
    /// token that is near its end and renewed by its address.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub fn admit(&self, request: Request<()>) -> Result<Admission, Response<MediaBody>> {
        if self.is_open {
            return Ok(Admission::open(self.read(request)?));
        }
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let raw = raw_target(&request).map_err(|error| refuse_target(&error))?;
        if settings.cdn.is_empty() || has_native_token(raw) {
            return self.admit_native(request, &settings);
        }
        self.admit_cdn(request, &settings)
    }

    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    fn admit_native(
        &self,
        request: Request<()>,
        settings: &Settings,
    ) -> Result<Admission, Response<MediaBody>> {
        let signed = read_target(&request).map_err(|error| refuse_target(&error))?;
        let client = client(&request, &settings.trusted_proxies);
        let now = clock::now_s();
        let text = signed.token.clone();
        let admitted = gate::admit(signed, client, &settings.keys, &self.revocations, now);
        let admitted = admitted.map_err(|denied| self.deny(denied))?;
        let Admitted { target, renewed, grant } = admitted;
        if let Some(token) = renewed {
            self.count_renewed("native");
            return Err(redirect(&format!("/~{token}{}", target.key())));
        }
        let request = at(request, &target)?;
        let session = grant.as_ref().and_then(|grant| grant.parts().session.clone());
        let token = text.filter(|_| session.is_none()).map(|text| digest(&text));
        let opens = grant.map_or(Opens::Everything, Opens::Native);
        Ok(Admission { request, afterwards: Afterwards::default(), opens, token, session })
    }

    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    fn admit_cdn(
        &self,
        request: Request<()>,
        settings: &Settings,
    ) -> Result<Admission, Response<MediaBody>> {
        let raw = raw_target(&request).map_err(|error| refuse_target(&error))?;
        let client = client(&request, &settings.trusted_proxies);
        let came_early = came_early(&request, &settings.trusted_proxies);
        let ledgers = Ledgers { revoked: &self.revocations, replays: &self.replays, came_early };
        let verified = settings.cdn.verify(&request, raw, client, &ledgers, clock::now_s());
        let verified = verified.map_err(|refusal| match (&refusal, SignedTarget::parse(raw)) {
            // What can't be read in one way is told as such, whatever tokens are taken here.
            (Refusal::Missing | Refusal::Target(_), Err(error)) => refuse_target(&error),
            _ => self.deny_cdn(&refusal),
        })?;
        let target = Target::parse(&verified.grant.target);
        let target = target.map_err(|error| refuse_target(&error))?;
        self.count(&verified);
        if let (CdnScheme::Cat, Some(Renewal::Target(renewed))) =
            (verified.scheme, &verified.grant.renewal)
        {
            return Err(redirect(renewed));
        }
        let mut request = at(request, &target)?;
        let headers = request.headers_mut();
        // Nobody behind has a use for cookies, whichever of them is the token's.
        headers.remove(header::COOKIE);
        for name in &verified.grant.headers {
            headers.remove(name);
        }
        let afterwards = Afterwards::of(&verified, &target);
        afterwards.prepare(&mut request);
        let Verified { grant, origin, .. } = verified;
        let session = grant.token_id;
        let token = session.is_none().then_some(grant.signed);
        let opens = Opens::Cdn { space: grant.space, origin };
        Ok(Admission { request, afterwards, opens, token, session })
    }

    fn count(&self, verified: &Verified) {
        let scheme = verified.scheme.as_str();
        let labels = TokenLabels { scheme, key: verified.grant.key_id.clone() };
        self.admitted.get_or_create(&labels).inc();
        if verified.grant.renewal.is_some() {
            self.count_renewed(scheme);
        }
        if verified.is_repeated {
            self.repeated.inc();
        }
    }

    fn count_renewed(&self, scheme: &'static str) {
        self.renewed.get_or_create(&SchemeLabels { scheme }).inc();
    }

    /// The page that a request comes from, if it may send cookies along.
    pub fn credentials(&self, headers: &HeaderMap) -> Option<Credentials> {
        // Most requests name no page: they take no lock.
        headers.get(header::ORIGIN)?;
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        settings.cdn.credentials(headers)
    }

    /// As [`Self::admit`], for whoever needs no token.
    ///
    /// # Errors
    /// 400 for a target that can be read in two ways.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub fn read(&self, request: Request<()>) -> Result<Request<()>, Response<MediaBody>> {
        let target = read_target(&request).map_err(|error| refuse_target(&error))?.target;
        at(request, &target)
    }

    fn deny(&self, denied: Denied) -> Response<MediaBody> {
        tracing::debug!(reason = denied.reason(), "no valid token");
        mark(self.refuse(denied.reason(), denied.code()), is_guess(denied))
    }

    fn deny_cdn(&self, refusal: &Refusal) -> Response<MediaBody> {
        tracing::debug!(reason = %refusal, "no valid token of a CDN");
        if matches!(refusal, Refusal::TooEarly) {
            return for_every_origin(too_early());
        }
        mark(self.refuse(refusal.code(), refusal.told()), is_cdn_guess(refusal))
    }

    fn refuse(&self, reason: &'static str, code: &str) -> Response<MediaBody> {
        // Bounded: the reasons are an enumeration.
        self.denied.get_or_create(&DeniedLabels { reason }).inc();
        let detail = match code {
            "signature_required" => "media needs a signed URL",
            "signature_expired" => "the signed URL has expired",
            _ => "the signed URL does not open this",
        };
        for_every_origin(problem_with(StatusCode::FORBIDDEN, code, detail))
    }
}

fn digest(token: &str) -> TokenDigest {
    let mut digest = TokenDigest::default();
    digest.copy_from_slice(&blake3::hash(token.as_bytes()).as_bytes()[..16]);
    digest
}

/// To the same by a renewed token. Nobody else may be sent there.
fn redirect(location: &str) -> Response<MediaBody> {
    let mut response = Response::new(MediaBody::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    // Its characters have been looked at when the target was read.
    if let Ok(mut location) = HeaderValue::from_str(location) {
        location.set_sensitive(true);
        headers.insert(header::LOCATION, location);
    }
    allow_every_origin(headers);
    response
}

/// Whether the path begins with a native token, however its mark is spelled.
fn has_native_token(target: &str) -> bool {
    let first = target.strip_prefix('/').unwrap_or(target);
    first.starts_with(TOKEN_MARK)
        || first.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7e"))
}

/// RFC 8470 5.2: a client sends it again by itself, when the handshake is done.
pub fn too_early() -> Response<MediaBody> {
    let reason = "send this request again, after the handshake";
    problem_with(StatusCode::TOO_EARLY, "too_early", reason)
}

/// Among the extensions of a refusal: the token was nothing that anybody here has signed.
#[derive(Clone, Copy, Debug)]
pub struct Guess;

fn mark(mut refusal: Response<MediaBody>, is_guess: bool) -> Response<MediaBody> {
    if is_guess {
        refusal.extensions_mut().insert(Guess);
    }
    refusal
}

/// Whether whoever sent the token tries out what may be one, as a player with an old one does not.
fn is_guess(denied: Denied) -> bool {
    matches!(
        denied,
        Denied::Refused(
            url_token::Refusal::Format(_)
                | url_token::Refusal::UnknownKey
                | url_token::Refusal::Signature
        )
    )
}

/// As [`is_guess`], for a CDN's token.
fn is_cdn_guess(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Malformed { .. }
            | Refusal::Duplicate(_)
            | Refusal::UnknownKey(_)
            | Refusal::WrongAlgorithm { .. }
            | Refusal::Signature
    )
}

fn client<T>(request: &Request<T>, trusted_proxies: &[IpPrefix]) -> Option<IpAddr> {
    let connection = request.extensions().get::<Connection>()?;
    let headers: &HeaderMap = request.headers();
    client_address(connection.peer, headers, trusted_proxies)
}

/// Players read why they are refused, wherever their page comes from.
fn for_every_origin(mut response: Response<MediaBody>) -> Response<MediaBody> {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}
