//! What is known of a request before it is routed.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderName, ORIGIN};
use http::{HeaderValue, Method, Request};
use platform::config::IpPrefix;
use platform::http::{Connection, client_address};
use platform::telemetry::trace::TraceContext;
use platform::telemetry::{AccessNote, RequestId};

use crate::refusal::Dialect;
use crate::settings::Settings;
use crate::tenants::TenantId;

/// What proxies say of clients. Whoever is behind the gateway has it from [`ClientAddress`] alone.
const HEARSAY: [HeaderName; 4] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// Where a request comes from, as far as trusted proxies can be believed; among its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

/// One request and its answer. Clones share it.
pub(crate) type Exchange = Arc<Known>;

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) dialect: Dialect,
    pub(crate) settings: Arc<Settings>,
    pub(crate) request_id: RequestId,
    pub(crate) trace: TraceContext,
    pub(crate) note: AccessNote,
    pub(crate) client: Option<IpAddr>,
    pub(crate) is_encrypted: bool,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) method: Method,
    /// As the client wrote it, without the query.
    pub(crate) path: String,
    pub(crate) origin: Option<HeaderValue>,
}

impl Known {
    /// Looks at a request, and takes off it what only looks like knowledge.
    pub(crate) fn of<B>(
        request: &mut Request<B>,
        dialect: Dialect,
        settings: Arc<Settings>,
        trusted: &[IpPrefix],
    ) -> Self {
        let extensions = request.extensions();
        let connection = extensions.get::<Connection>().copied();
        let request_id = extensions.get::<RequestId>().cloned();
        let note = extensions.get::<AccessNote>().cloned().unwrap_or_default();
        let client = connection
            .and_then(|connection| client_address(connection.peer, request.headers(), trusted));
        let trace = TraceContext::of(request.headers(), settings.trace_sample);
        note.tell_trace(trace.trace_id);
        let tenant = settings.tenants.of(request);
        for name in HEARSAY {
            request.headers_mut().remove(name);
        }
        request.extensions_mut().insert(ClientAddress(client));
        Self {
            dialect,
            request_id: request_id.unwrap_or_else(|| RequestId::of(request.headers())),
            trace,
            note,
            client,
            is_encrypted: connection.is_some_and(|connection| connection.is_encrypted),
            tenant,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            origin: request.headers().get(ORIGIN).cloned(),
            settings,
        }
    }
}
