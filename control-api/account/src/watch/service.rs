//! Heartbeats, history, what to go on with, and the watchlist.

use api::{ApiError, Fields, Result};
use platform::db::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, After, Progress};
use crate::accounts::Accounts;

/// Titles of one watchlist. A bound of storage: two who add at once may pass it by one.
const WATCHLIST_MAX: i64 = 1_000;
/// Longest title, in milliseconds: a week.
const DURATION_MS_MAX: i64 = 7 * 24 * 3_600 * 1_000;
/// A playback may not begin in the future, beyond what clocks differ by.
const CLOCK_LEEWAY_MS: i64 = 5 * 60_000;
const CONTENT_ID_BYTES_MAX: usize = 64;

/// Where a player is, as it came.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// UUIDv7 of the playback.
    pub playback_id: String,
    /// Counts up within the playback.
    pub client_seq: i64,
    pub position_ms: i64,
    pub duration_ms: i64,
    /// Where the credits begin, if it is known.
    pub credits_ms: Option<i64>,
}

/// A place in a title.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryItem {
    pub content_id: String,
    pub position_ms: i64,
    pub duration_ms: i64,
    pub is_completed: bool,
    /// When it was seen to the end last.
    pub completed_at_ms: Option<i64>,
    pub updated_at_ms: i64,
}

/// A title that is kept for later.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListItem {
    pub content_id: String,
    pub added_at_ms: i64,
}

impl Heartbeat {
    /// Seen to the end: at the credits, or at 95 % where nobody says where those are.
    pub fn is_completed(&self) -> bool {
        let end_ms = self.credits_ms.unwrap_or(self.duration_ms - self.duration_ms / 20);
        self.duration_ms > 0 && end_ms <= self.position_ms
    }

    fn check(&self, now_ms: i64) -> Result<()> {
        let mut fields = Fields::default();
        let began_ms = began_ms(&self.playback_id);
        let detail = "Take the UUIDv7 of a playback that has begun.";
        let has_begun = began_ms.is_some_and(|began| began <= now_ms + CLOCK_LEEWAY_MS);
        fields.require(has_begun, "/playback_id", "invalid_text", detail);
        let in_title = |ms: i64| (0..=self.duration_ms).contains(&ms);
        let is_length = (1..=DURATION_MS_MAX).contains(&self.duration_ms);
        fields.require(is_length, "/duration_ms", "invalid_number", "Take 1 ms to a week.");
        let detail = "Take a place within the title.";
        fields.require(in_title(self.position_ms), "/position_ms", "invalid_number", detail);
        let credits = self.credits_ms.is_none_or(in_title);
        fields.require(credits, "/credits_ms", "invalid_number", detail);
        let detail = "Count up from 0.";
        fields.require(self.client_seq >= 0, "/client_seq", "invalid_number", detail);
        fields.finish()
    }
}

/// When a playback began, by its id in the one form in which ids compare as texts.
fn began_ms(playback_id: &str) -> Option<i64> {
    let id = uuid::Uuid::try_parse(playback_id).ok()?;
    if id.get_version_num() != 7 || id.to_string() != playback_id {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1_000 + u64::from(nanos / 1_000_000)).ok()
}

pub(crate) fn check_content_id(content_id: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_id =
        (1..=CONTENT_ID_BYTES_MAX).contains(&content_id.len()) && content_id.bytes().all(is_plain);
    if is_id { Ok(()) } else { Err(ApiError::not_found("not_in_list", "There is no such title.")) }
}

impl Accounts {
    /// `PUT /v1/profiles/{id}/history/{content_id}`: what is kept then, which may be newer.
    pub async fn heartbeat(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        content_id: &str,
        beat: Heartbeat,
    ) -> Result<HistoryItem> {
        let now_ms = self.now_ms();
        check_content_id(content_id)?;
        beat.check(now_ms)?;
        self.require_profile(tenant, user_id, profile_id).await?;
        let is_completed = beat.is_completed();
        let progress = Progress {
            content_id: content_id.to_owned(),
            position_ms: beat.position_ms,
            duration_ms: beat.duration_ms,
            is_completed,
            completed_at_ms: is_completed.then_some(now_ms),
            updated_at_ms: now_ms,
        };
        let scope = self.scope(tenant);
        let input = (profile_id.to_owned(), beat.playback_id, beat.client_seq, progress);
        let advanced = scope.tx(input, |tx, (profile_id, playback_id, client_seq, progress)| {
            Box::pin(store::advance(tx, profile_id, (playback_id, *client_seq), progress))
        });
        advanced.await?;
        let kept = store::get(&scope, profile_id, content_id).await?;
        kept.map(Progress::item).ok_or_else(gone)
    }

    /// `GET /v1/profiles/{id}/history` and `…/continue-watching`.
    pub async fn history(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        is_continue: bool,
        after: Option<After>,
        rows: i64,
    ) -> Result<Vec<HistoryItem>> {
        self.require_profile(tenant, user_id, profile_id).await?;
        let after = after.unwrap_or_else(store::beginning);
        let scope = self.scope(tenant);
        let rows = store::history(&scope, profile_id, is_continue, after, rows).await?;
        Ok(rows.into_iter().map(Progress::item).collect())
    }

    /// `DELETE /v1/profiles/{id}/history`, whole or one title of it.
    pub async fn forget_history(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        content_id: Option<&str>,
    ) -> Result<()> {
        self.require_profile(tenant, user_id, profile_id).await?;
        let input = (profile_id.to_owned(), content_id.map(str::to_owned));
        let scope = self.scope(tenant);
        let forgotten = scope.tx(input, |tx, (profile_id, content_id)| {
            Box::pin(store::forget(tx, profile_id, content_id.as_deref()))
        });
        match (forgotten.await?, content_id) {
            (0, Some(_)) => Err(gone()),
            _ => Ok(()),
        }
    }

    /// `PUT /v1/profiles/{id}/watchlist/{content_id}`.
    pub async fn keep_for_later(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        content_id: &str,
    ) -> Result<()> {
        check_content_id(content_id)?;
        self.require_profile(tenant, user_id, profile_id).await?;
        let input = (profile_id.to_owned(), content_id.to_owned(), self.now_ms());
        let scope = self.scope(tenant);
        let kept = scope.tx(input, |tx, (profile_id, content_id, now_ms)| {
            Box::pin(store::add(tx, profile_id, content_id, WATCHLIST_MAX, *now_ms))
        });
        if kept.await? {
            return Ok(());
        }
        let detail = format!("A watchlist holds {WATCHLIST_MAX} titles.");
        Err(ApiError::conflict("list_full", detail))
    }

    /// `GET /v1/profiles/{id}/watchlist`.
    pub async fn watchlist(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        after: Option<After>,
        rows: i64,
    ) -> Result<Vec<ListItem>> {
        self.require_profile(tenant, user_id, profile_id).await?;
        let after = after.unwrap_or_else(store::beginning);
        let rows = store::list(&self.scope(tenant), profile_id, after, rows).await?;
        let item = |(content_id, added_at_ms)| ListItem { content_id, added_at_ms };
        Ok(rows.into_iter().map(item).collect())
    }

    /// `DELETE /v1/profiles/{id}/watchlist/{content_id}`.
    pub async fn drop_from_list(
        &self,
        tenant: &TenantId,
        (user_id, profile_id): (&str, &str),
        content_id: &str,
    ) -> Result<()> {
        self.require_profile(tenant, user_id, profile_id).await?;
        let input = (profile_id.to_owned(), content_id.to_owned());
        let scope = self.scope(tenant);
        let removed = scope.tx(input, |tx, (profile_id, content_id)| {
            Box::pin(store::remove(tx, profile_id, content_id))
        });
        if removed.await? == 0 { Err(gone()) } else { Ok(()) }
    }
}

impl Progress {
    fn item(self) -> HistoryItem {
        HistoryItem {
            content_id: self.content_id,
            position_ms: self.position_ms,
            duration_ms: self.duration_ms,
            is_completed: self.is_completed,
            completed_at_ms: self.completed_at_ms,
            updated_at_ms: self.updated_at_ms,
        }
    }
}

fn gone() -> ApiError {
    ApiError::not_found("not_in_list", "The title is not there.")
}
