//! The way of a viewer's request for media, from the listener to what answers it:
//!
//! ```text
//! rate of the address → CMCD → may the token be looked at → token → rate of the session →
//! a place among the requests under way → the answer → CMSD → the next object, ahead
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use edge::cmcd::Cmcd;
use edge::cmsd::{self, Dynamic};
use edge::http3::QuicPath;
use edge::limit::{Asked, Priority};
use http::header::HeaderName;
use http::{HeaderMap, Request, Response};
use origin::body::MediaBody;
use platform::config::{self, Config, Prefetch};
use prometheus_client::registry::Registry;

use crate::access::{Access, Admission, Guess, Opens, TokenDigest};
use crate::backend::{AnswerBody, Backend};
use crate::limits::{Client, Judge, Limits, Playback, Token};
use crate::players::{self, Ahead, Players};

/// A client's word that nobody waits for an answer (Fetch 2.2.5, "purpose").
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// Everything between a listener and what answers. Clones share everything.
#[derive(Clone)]
pub struct Front {
    limits: Limits,
    players: Players,
    ahead: Ahead,
    cmsd: Option<Arc<Cmsd>>,
}

struct Cmsd {
    server_name: String,
    /// This server makes the media, and so says what it is.
    is_origin: bool,
}

/// What is known of a request that was let in.
struct Viewer {
    client: Option<Client>,
    token: Option<TokenDigest>,
    cmcd: Option<Cmcd>,
    opens: Opens,
    /// As the token names it.
    session: Option<String>,
}

impl Front {
    /// # Errors
    /// When the file for players' events can't be opened.
    pub fn new(config: &Config, is_origin: bool) -> anyhow::Result<Self> {
        let config::Cmsd { enabled, name } = &config.cmsd;
        let cmsd = enabled.then(|| Arc::new(Cmsd { server_name: name.clone(), is_origin }));
        Ok(Self {
            limits: Limits::new(config),
            players: Players::new(&config.cmcd)?,
            // An origin has no cache that could keep it.
            ahead: Ahead::new(if is_origin { Prefetch::Off } else { config.cache.prefetch }),
            cmsd,
        })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.limits.register_metrics(registry);
        self.players.register_metrics(registry);
        self.ahead.register_metrics(registry);
    }

    pub fn reload(&self, config: &Config) {
        self.limits.reload(config);
    }

    /// Looks after all of it. Never ends.
    pub async fn maintain(&self) {
        tokio::join!(self.limits.gate().maintain(), self.players.maintain(), self.ahead.maintain());
    }

    pub fn players(&self) -> &Players {
        &self.players
    }

    /// Whether the address of a request may ask for anything.
    ///
    /// # Errors
    /// The answer when it may not.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub fn take_address<T>(
        &self,
        access: &Access,
        request: &Request<T>,
    ) -> Result<(), Response<MediaBody>> {
        take_address(&self.limits.judge(), access, request).map(drop)
    }

    /// Lets a viewer's request in and has it answered by `answer`.
    ///
    /// # Errors
    /// The answer to one that is turned away.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub async fn answer<F>(
        &self,
        access: &Access,
        backend: &Backend,
        request: Request<()>,
        answer: impl FnOnce(Request<()>) -> F,
    ) -> Result<Response<AnswerBody>, Response<MediaBody>>
    where
        F: Future<Output = Response<AnswerBody>>,
    {
        let began = Instant::now();
        let judge = self.limits.judge();
        let client = take_address(&judge, access, &request)?;
        let cmcd = self.players.read(&request);
        let shown =
            (!access.is_open()).then(|| judge.token_in(&request, access.takes_cdn_tokens()));
        let Admission { request, afterwards, opens, token, session } =
            admit(&judge, access, request, client, shown.flatten())?;
        let viewer = Viewer { client, token, cmcd, opens, session };
        let playback = viewer.playback();
        judge.take_session(client, playback)?;
        players::note_access(&request, viewer.cmcd.as_ref(), viewer.session());

        let asked = asked(&request);
        let hints = players::hints(viewer.cmcd.as_ref(), judge.has_played(playback));
        let slot = self.limits.gate().enter(Priority::of(asked, hints)).await?;
        if let Some(cmcd) = &viewer.cmcd {
            self.players.note(cmcd, request.uri().path());
        }
        let plan = self.plan(&request, asked, &viewer);
        let known = self.cmsd.as_ref().map(|cmsd| cmsd.known(&request, &viewer));
        let mut response = answer(request).await;
        drop(slot);

        let is_good = response.status().is_success();
        if asked == Asked::Segment && is_good {
            judge.note_played(playback);
        }
        if let Some(plan) = plan.filter(|_| is_good) {
            self.ahead.fetch(plan, backend, self.limits.gate());
        }
        if let (Some(cmsd), Some(known)) = (&self.cmsd, known) {
            let dynamic = Dynamic {
                delay_ms: u64::try_from(began.elapsed().as_millis()).ok(),
                is_pressed: self.limits.gate().is_pressed(),
                ..known.dynamic
            };
            cmsd.tell(response.headers_mut(), dynamic, known.fixed);
        }
        Ok(afterwards.apply(response))
    }

    /// An answer to an edge, which has looked at its viewers itself.
    ///
    /// # Errors
    /// The answer to one that is turned away.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub async fn answer_edge<F>(
        &self,
        request: Request<()>,
        answer: impl FnOnce(Request<()>) -> F,
    ) -> Result<Response<AnswerBody>, Response<MediaBody>>
    where
        F: Future<Output = Response<AnswerBody>>,
    {
        // An edge asks for what somebody waits for; who plays and who starts it can't tell.
        let hints = players::hints(None, true);
        let slot = self.limits.gate().enter(Priority::of(asked(&request), hints)).await?;
        let fixed = cmsd::static_of(request.uri().path()).filter(|_| self.cmsd.is_some());
        let mut response = answer(request).await;
        drop(slot);
        if let Some(fixed) = fixed.filter(|_| response.status().is_success()) {
            cmsd::describe(response.headers_mut(), fixed);
        }
        Ok(response)
    }

    /// What to fetch behind a segment.
    fn plan(
        &self,
        request: &Request<()>,
        asked: Asked,
        viewer: &Viewer,
    ) -> Option<players::Planned> {
        if asked != Asked::Segment {
            return None;
        }
        let key = request.uri().path_and_query().map_or("", |target| target.as_str());
        self.ahead.asked(key);
        self.ahead.plan(request, viewer.cmcd.as_ref(), &viewer.opens)
    }
}

impl Viewer {
    fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    fn playback(&self) -> Option<Playback<'_>> {
        if let Some(session) = self.session() {
            return Some(Playback::Session(session));
        }
        if let Some(token) = self.token {
            return Some(Playback::Token(token));
        }
        let said = self.cmcd.as_ref().and_then(|cmcd| cmcd.session.as_deref());
        said.map(Playback::Said).or_else(|| self.client.map(Playback::Client))
    }
}

/// What is known for CMSD before the answer is there.
struct Known {
    dynamic: Dynamic,
    fixed: Option<&'static str>,
}

impl Cmsd {
    fn known(&self, request: &Request<()>, viewer: &Viewer) -> Known {
        let path = request.extensions().get::<QuicPath>().map(QuicPath::measure);
        let claims = viewer.opens.native().map(|grant| &grant.parts().claims);
        let most = claims.and_then(|claims| claims.get("max_bitrate")?.parse::<u64>().ok());
        let dynamic = Dynamic {
            path,
            bit_rate_kbps_max: most.map(|bits| bits / 1_000),
            ..Dynamic::default()
        };
        let fixed = cmsd::static_of(request.uri().path()).filter(|_| self.is_origin);
        Known { dynamic, fixed }
    }

    fn tell(&self, headers: &mut HeaderMap, dynamic: Dynamic, fixed: Option<&'static str>) {
        if let Some(fixed) = fixed {
            cmsd::describe(headers, fixed);
        }
        dynamic.append_to(headers, &self.server_name);
    }
}

fn asked(request: &Request<()>) -> Asked {
    let purpose = request.headers().get(SEC_PURPOSE);
    match purpose.is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch")) {
        true => Asked::Ahead,
        false => players::asked(request.uri().path()),
    }
}

#[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
fn take_address<T>(
    judge: &Judge,
    access: &Access,
    request: &Request<T>,
) -> Result<Option<Client>, Response<MediaBody>> {
    let client = judge.client(access.client_of(request));
    judge.take_address(client)?;
    Ok(client)
}

/// Has the token looked at, unless too many of its address were nothing.
#[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
fn admit(
    judge: &Judge,
    access: &Access,
    request: Request<()>,
    client: Option<Client>,
    token: Option<Token>,
) -> Result<Admission, Response<MediaBody>> {
    let Some(token) = token else { return access.admit(request) };
    judge.may_verify(client, token)?;
    let admitted = access.admit(request);
    match &admitted {
        Ok(_) => judge.note_token(client, token, true),
        Err(refusal) if refusal.extensions().get::<Guess>().is_some() => {
            judge.note_token(client, token, false);
        }
        Err(_) => {}
    }
    admitted
}
