//! What to do with a request, given what is stored (RFC 9111 4).

use std::time::SystemTime;

use super::{Policy, RequestControl, StoredHead};

/// What purges say about a stored answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Purged {
    #[default]
    No,
    /// Stale from now on, whatever its lifetime.
    Soft,
    /// Gone.
    Hard,
}

/// What is known when a request comes.
pub struct Lookup<'a> {
    pub stored: Option<&'a StoredHead>,
    pub purged: Purged,
    pub control: &'a RequestControl,
    pub now: SystemTime,
}

/// Why a request goes on to the origin: `fwd` of RFC 9211 2.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    UriMiss,
    VaryMiss,
    Stale,
    Request,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Answer with what is stored.
    Serve,
    /// Answer with what is stored, and ask the origin behind the viewer's back (RFC 5861 3).
    ServeAndRevalidate,
    /// Ask the origin whether what is stored still holds (RFC 9111 4.3).
    Revalidate(Why),
    Fetch(Why),
    /// 504: the request wants nothing that isn't stored (RFC 9111 5.2.1.7).
    OnlyIfCached,
}

pub fn decide(lookup: &Lookup<'_>, policy: &Policy) -> Decision {
    let control = lookup.control;
    let decision = decide_online(lookup, policy);
    let needs_origin = !matches!(decision, Decision::Serve | Decision::ServeAndRevalidate);
    if control.only_if_cached && needs_origin { Decision::OnlyIfCached } else { decision }
}

fn decide_online(lookup: &Lookup<'_>, policy: &Policy) -> Decision {
    let Some(stored) = lookup.stored.filter(|_| lookup.purged != Purged::Hard) else {
        return Decision::Fetch(Why::UriMiss);
    };
    let control = lookup.control;
    let obeys = policy.client_directives;
    if obeys && control.no_cache {
        return Decision::Revalidate(Why::Request);
    }
    if stored.control.no_cache {
        return Decision::Revalidate(Why::Stale);
    }
    let age = stored.age(lookup.now);
    if stored.is_fresh(lookup.now) && lookup.purged == Purged::No {
        let too_old = control.max_age.is_some_and(|max| age > max);
        let left = stored.lifetime.saturating_sub(age);
        let too_near = control.min_fresh.is_some_and(|min| left < min);
        return if obeys && (too_old || too_near) {
            Decision::Revalidate(Why::Request)
        } else {
            Decision::Serve
        };
    }
    decide_stale(lookup, stored, policy)
}

fn decide_stale(lookup: &Lookup<'_>, stored: &StoredHead, policy: &Policy) -> Decision {
    let staleness = stored.staleness(lookup.now);
    let control = &stored.control;
    // RFC 9111 5.2.1.2.
    let bound = lookup.control.max_stale.filter(|_| policy.client_directives);
    let accepted = bound.is_some_and(|bound| bound.is_none_or(|bound| staleness <= bound));
    let may = !control.forbids_stale() && control.shared_max_age.is_none();
    if accepted && may && lookup.purged == Purged::No {
        return Decision::Serve;
    }
    if staleness < control.grace(control.stale_while_revalidate, policy.stale_while_revalidate) {
        return Decision::ServeAndRevalidate;
    }
    Decision::Revalidate(Why::Stale)
}

/// Whether what is stored may be sent because the origin can't be asked, or fails
/// (RFC 5861 4, RFC 9111 4.2.4). A soft purge makes stale what it finds fresh, and no staler.
pub fn may_serve_on_error(lookup: &Lookup<'_>, policy: &Policy) -> bool {
    let Some(stored) = lookup.stored.filter(|_| lookup.purged != Purged::Hard) else {
        return false;
    };
    if policy.client_directives && lookup.control.no_cache {
        return false;
    }
    let control = &stored.control;
    stored.staleness(lookup.now) < control.grace(control.stale_if_error, policy.stale_if_error)
}
