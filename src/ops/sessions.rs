//! Ending sessions, and which have been ended.

use platform::feed::Fact;
use platform::url_token::Revocations;
use serde::Deserialize;
use serde_json::json;

use super::{
    Answered, Ops, Problem, check_count, check_taken, count_parameter, json, not_published,
    parameter,
};
use crate::clock;

/// Sessions of one answer.
const LISTED_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeRequest {
    sessions: Vec<String>,
}

pub(super) async fn revoke(ops: &Ops, request: RevokeRequest, who: &str) -> Answered {
    let sessions = request.sessions;
    check_count(sessions.len(), "what to revoke in `sessions`")?;
    let until = Revocations::until(clock::now_s());
    let fact = |session: &String| Fact::SessionRevoked { session: session.clone(), until };
    let facts: Vec<_> = sessions.iter().map(fact).collect();
    for fact in &facts {
        fact.check().map_err(|error| Problem::bad_request(error.to_string()))?;
    }
    let taken =
        ops.feed.publish(facts).await.map_err(|error| not_published("not_revoked", &error))?;
    check_taken(&taken)?;
    for session in &sessions {
        tracing::info!(target: "audit", who, act = "revoke session", session, "done");
    }
    Ok(json(&json!({
        "revoked": sessions,
        "durable": !taken.is_forgetful,
        "followers": ops.feed.followers(),
    })))
}

/// In alphabetical order; `after` is where an earlier answer ended.
pub(super) fn revoked(ops: &Ops, query: &str) -> Answered {
    let limit = count_parameter(query, "limit", LISTED_MAX)?;
    let after = parameter(query, "after").unwrap_or_default();
    let mut all = ops.feed.revocations().list(0, clock::now_s());
    let total = all.len();
    all.retain(|(session, _)| after < &**session);
    all.sort_unstable();
    let is_more = limit < all.len();
    all.truncate(limit);
    let next = all.last().filter(|_| is_more).map(|(session, _)| session.clone());
    let rows = all
        .iter()
        .map(|(session, until)| json!({ "session": session, "until": clock::rfc3339(*until) }));
    Ok(json(&json!({ "total": total, "sessions": rows.collect::<Vec<_>>(), "next": next })))
}
