//! Purging and prefetching.
//!
//! A purge holds here, on disk too, when it is answered, and is on its way to every follower of
//! this node; an origin keeps nothing itself, and tells its edges.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use platform::feed::{Fact, PurgeScope};
use serde::Deserialize;
use serde_json::json;

use super::{Answered, Ops, Problem, check_count, check_taken, json, not_published};
use crate::backend::HOST;
use crate::feed::canonical;

/// URLs that one request may prefetch.
const PREFETCHES_MAX: usize = 100;

/// What to purge. Fields in the plural, so that one request, and one write to the disk, takes many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PurgeRequest {
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// Whether what is purged may be used once the origin confirmed it.
    #[serde(default)]
    soft: bool,
}

pub(super) async fn purge(ops: &Ops, request: PurgeRequest, who: &str) -> Answered {
    let PurgeRequest { urls, prefixes, tags, soft: is_soft } = request;
    let urls = urls.into_iter().map(PurgeScope::Url);
    let prefixes = prefixes.into_iter().map(PurgeScope::Prefix);
    let scopes: Vec<_> =
        urls.chain(prefixes).chain(tags.into_iter().map(PurgeScope::Tag)).collect();
    check_count(scopes.len(), "what to purge in `urls`, `prefixes` or `tags`")?;
    // All or nothing: who misspelt one name wants to know before the others are gone.
    let fact = |scope| {
        let scope = canonical(scope).map_err(|error| Problem::bad_request(error.to_string()))?;
        let fact = Fact::CachePurged { scope, is_soft };
        fact.check().map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(fact)
    };
    let facts = scopes.into_iter().map(fact).collect::<Result<Vec<_>, Problem>>()?;
    let taken = ops
        .feed
        .publish(facts.clone())
        .await
        .map_err(|error| not_published("not_purged", &error))?;
    check_taken(&taken)?;
    for fact in &facts {
        if let Fact::CachePurged { scope, .. } = fact {
            tracing::info!(target: "audit", who, act = "purge", is_soft, ?scope, "done");
        }
    }
    Ok(json(&json!({
        "purged": taken.news,
        "soft": is_soft,
        "cached_here": ops.backend.cache().is_some(),
        "durable": !taken.is_forgetful,
        "followers": ops.feed.followers(),
    })))
}

/// What will probably be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrefetchRequest {
    urls: Vec<String>,
}

pub(super) fn prefetch(ops: &Ops, request: PrefetchRequest, who: &str) -> Answered {
    let Some(cache) = ops.backend.cache() else {
        let reason = "this server packages titles itself and keeps no answers; ask an edge";
        return Err(Problem::new(StatusCode::CONFLICT, "no_cache", reason));
    };
    if PREFETCHES_MAX < request.urls.len() {
        let reason = format!("at most {PREFETCHES_MAX} are taken at a time");
        return Err(Problem::bad_request(reason));
    }
    check_count(request.urls.len(), "what to prefetch in `urls`")?;
    let mut targets = Vec::with_capacity(request.urls.len());
    for url in request.urls {
        match canonical(PurgeScope::Url(url)) {
            Ok(PurgeScope::Url(target)) => targets.push(target),
            Ok(_) => {}
            Err(error) => return Err(Problem::bad_request(error.to_string())),
        }
    }
    let (now, headers) = (SystemTime::now(), HeaderMap::new());
    let (started, left_out): (Vec<_>, Vec<_>) = targets
        .into_iter()
        .partition(|target| cache.prefetch(HOST.as_str(), target, &headers, now));
    let count = started.len();
    tracing::info!(target: "audit", who, act = "prefetch", started = count, "done");
    // There already, on its way, not storable, or beyond the budget: none is a failure.
    Ok(json(&json!({ "started": started, "left_out": left_out })))
}
