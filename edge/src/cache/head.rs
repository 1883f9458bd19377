//! HEAD: answered from a GET's object, and what its answer tells of that object (RFC 9111 4.3.5).
//!
//! A HEAD that finds something fresh never comes here. One that misses joins a fill of the object
//! that is under way, whose head is all it wants; else it goes to the origin as a HEAD, since
//! whoever asks for a length does not want the bytes fetched. Where a stale object lies, the answer
//! makes it fresh, or unfit for use until it is validated.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::answer::Asking;
use super::body::CacheBody;
use super::front::Shared;
use super::key::KeyHash;
use super::object::Object;
use super::policy::{
    CacheStatus, Forward, Freshened, Lookup, Purged, freshen_by_head, may_serve_on_error,
};
use super::writer::is_failure;
use crate::fetch::Fetch;

impl<F: Fetch> Shared<F> {
    pub(super) fn is_filling(&self, hash: &KeyHash) -> bool {
        self.fills.lock().expect("no holder panics").contains_key(hash)
    }

    /// Asks the origin by HEAD.
    pub(super) async fn pass_head(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        forward: Forward,
        stored: Option<&Arc<Object>>,
    ) -> Response<CacheBody> {
        let stamp = self.purges.stamp();
        let request_time = asking.clock.now();
        let mut status = CacheStatus::forwarded(forward);
        self.metrics.misses.inc();
        let result = self.fetch(self.alone_request(asking)).await;
        let code = result.as_ref().ok().map(Response::status);
        if let Some(object) = stored.filter(|_| code.is_none_or(is_failure))
            && self.may_stand_in(asking, object)
        {
            self.metrics.stale_hits.inc();
            return self.respond_stale(asking, object, code, status);
        }
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.fail(asking, &error, &status),
        };
        if let Some(object) = stored {
            let times = (request_time, asking.clock.now());
            let answer = (response.status(), response.headers().clone());
            let policy = &self.settings.policy;
            let len_bytes = object.body.len_bytes();
            match freshen_by_head(&object.head, len_bytes, answer, times, stamp, policy) {
                Some(Freshened::Updated(head)) => {
                    status.is_stored = self.replace(object, object.with_head(*head));
                }
                // Every variant of the URL: which of them changed, a HEAD doesn't say. Said once.
                Some(Freshened::Mismatch)
                    if self.purges.check(&object.key, &object.head) == Purged::No =>
                {
                    self.invalidate(asking.key.clone(), true, asking.clock.now());
                }
                Some(Freshened::Mismatch) | None => {}
            }
        }
        self.pass_response(asking, response, status)
    }

    fn may_stand_in(&self, asking: &Asking<'_>, object: &Object) -> bool {
        let lookup = Lookup {
            stored: Some(&object.head),
            purged: self.purges.check(&object.key, &object.head),
            control: &asking.control,
            now: asking.clock.now(),
        };
        may_serve_on_error(&lookup, &self.settings.policy)
    }

    fn respond_stale(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        object: &Object,
        code: Option<StatusCode>,
        mut status: CacheStatus,
    ) -> Response<CacheBody> {
        status.forward_status = code.map(|code| code.as_u16());
        status.ttl_seconds = Some(object.head.ttl_seconds(asking.clock.now()));
        status.detail = Some("stale-if-error");
        self.respond_object(asking, object, status)
    }

    /// Puts one object in another's place, unless something newer took it.
    fn replace(self: &Arc<Self>, old: &Arc<Object>, new: Object) -> bool {
        let fills = self.fills.lock().expect("no holder panics");
        let is_current = self.memory.get(&old.hash).is_some_and(|now| Arc::ptr_eq(&now, old));
        let is_replaced = is_current && !fills.contains_key(&old.hash);
        if is_replaced {
            self.insert(Arc::new(new));
        }
        is_replaced
    }
}
