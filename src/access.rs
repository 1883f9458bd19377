//! Who may have media: signed URLs in front of the origin, or everyone where the server is open.
//!
//! The decision is [`edge::gate::admit`]'s; here lie what it needs (keys, revocations, trusted
//! proxies, the clock) and how a refusal is told.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use edge::gate::{self, Admitted, Denied};
use edge::target::{SignedTarget, Target, TargetError, same_authority};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use origin::body::MediaBody;
use origin::problem_with;
use platform::DataDir;
use platform::config::{Config, IpPrefix};
use platform::http::{Connection, came_early, client_address};
use platform::url_token::{Keyring, Revocations, key_file};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::clock;

/// Decides about requests for media. Clones share everything.
#[derive(Clone)]
pub struct Access {
    settings: Arc<RwLock<Arc<Settings>>>,
    revocations: Arc<Revocations>,
    denied: Family<DeniedLabels, Counter>,
    /// Asks for no signed URLs.
    is_open: bool,
}

/// What changes when the configuration is read again.
struct Settings {
    keys: Keyring,
    trusted_proxies: Vec<IpPrefix>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DeniedLabels {
    reason: &'static str,
}

/// The keys of the configuration, or the data directory's own where it names none.
pub fn keyring(config: &Config, data_dir: &Path) -> anyhow::Result<Keyring> {
    let configured = Keyring::from_config(&config.signing_key)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    Ok(Keyring::new(vec![key_file::open_or_make(data_dir)?], None)?)
}

impl Settings {
    fn new(config: &Config, data_dir: &Path, is_open: bool) -> anyhow::Result<Self> {
        let keys = if is_open { Keyring::default() } else { keyring(config, data_dir)? };
        Ok(Self { keys, trusted_proxies: config.net.trusted_proxies.clone() })
    }
}

impl Access {
    /// # Errors
    /// When there is no key, or the list of revoked sessions can't be read.
    pub fn new(config: &Config, data: &DataDir, is_open: bool) -> anyhow::Result<Self> {
        let revocations = Revocations::open(&Revocations::path_in(data.path()), clock::now_s())?;
        let settings = Settings::new(config, data.path(), is_open)?;
        Ok(Self {
            settings: Arc::new(RwLock::new(Arc::new(settings))),
            revocations: Arc::new(revocations),
            denied: Family::default(),
            is_open,
        })
    }

    /// Adopts the keys and the proxies of another configuration.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing changes.
    pub fn reload(&self, config: &Config, data: &DataDir) -> anyhow::Result<()> {
        let settings = Settings::new(config, data.path(), self.is_open)?;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        Ok(())
    }

    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Whether a request may be a replay: whoever counts its uses has to answer 425 (RFC 8470).
    pub fn came_early(&self, request: &Request<()>) -> bool {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        came_early(request, &settings.trusted_proxies)
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests for media without a valid token, by what was wrong";
        registry.register("access_denied", help, self.denied.clone());
    }

    /// The request by its canonical target and without its token; or the answer that refuses it.
    ///
    /// # Errors
    /// 400 for a target that can be read in two ways, 403 for one that no token opens.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub fn admit(&self, request: Request<()>) -> Result<Request<()>, Response<MediaBody>> {
        if self.is_open {
            return self.read(request);
        }
        let signed = read_target(&request).map_err(|error| refuse_target(&error))?;
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let client = client(&request, &settings.trusted_proxies);
        let now = clock::now_s();
        let admitted = gate::admit(signed, client, &settings.keys, &self.revocations, now);
        let Admitted { target, .. } = admitted.map_err(|denied| self.deny(denied))?;
        at(request, &target)
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
        // Bounded: the reasons are an enumeration.
        let labels = DeniedLabels { reason: denied.reason() };
        self.denied.get_or_create(&labels).inc();
        tracing::debug!(reason = denied.reason(), "no valid token");
        let detail = match denied {
            Denied::Missing => "media needs a signed URL",
            Denied::Refused(_) if denied.code() == "signature_expired" => {
                "the signed URL has expired"
            }
            Denied::Refused(_) => "the signed URL does not open this",
        };
        for_every_origin(problem_with(StatusCode::FORBIDDEN, denied.code(), detail))
    }
}

/// The request by its canonical target.
#[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
fn at(request: Request<()>, target: &Target) -> Result<Request<()>, Response<MediaBody>> {
    let (mut parts, ()) = request.into_parts();
    parts.uri = Uri::try_from(target.key()).map_err(|_| refuse_target(&TargetError::Form))?;
    Ok(Request::from_parts(parts, ()))
}

/// The target of a request. An absolute form, and HTTP/2's `:authority`, must agree with `Host`
/// where there is one: who believes which of two names is how requests are smuggled.
fn read_target(request: &Request<()>) -> Result<SignedTarget<'_>, TargetError> {
    let uri = request.uri();
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    // RFC 9112 3.2: a request without `Host`, or with two, is refused.
    let is_missing = host.is_none() && request.version() == Version::HTTP_11;
    if is_missing || hosts.next().is_some() {
        return Err(TargetError::Form);
    }
    if let (Some(authority), Some(host)) = (uri.authority(), host) {
        let is_same = host.to_str().is_ok_and(|host| same_authority(authority.as_str(), host));
        if !is_same {
            return Err(TargetError::Form);
        }
    }
    let target = uri.path_and_query().ok_or(TargetError::Form)?;
    SignedTarget::parse(target.as_str())
}

fn client(request: &Request<()>, trusted_proxies: &[IpPrefix]) -> Option<IpAddr> {
    let connection = request.extensions().get::<Connection>()?;
    let headers: &HeaderMap = request.headers();
    client_address(connection.peer, headers, trusted_proxies)
}

fn refuse_target(error: &TargetError) -> Response<MediaBody> {
    let status = match error {
        TargetError::TooLong => StatusCode::URI_TOO_LONG,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = problem_with(status, "invalid_target", &error.to_string());
    for_every_origin(problem)
}

/// Players read why they are refused, wherever their page comes from.
fn for_every_origin(mut response: Response<MediaBody>) -> Response<MediaBody> {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}
