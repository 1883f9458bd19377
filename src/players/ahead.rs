//! The next object, fetched before somebody asks for it: what a player names (CMCD `nor`), or the
//! segment with the next number. One step ahead and no further, and only while there is nothing
//! better to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use edge::cmcd::{Cmcd, next_target};
use edge::limit::Recent;
use edge::target::Target;
use http::{Method, Request};
use platform::config::Prefetch;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::access::Opens;
use crate::backend::Backend;
use crate::limits::Gate;

/// Objects that are remembered as fetched ahead.
const AHEAD_MAX: usize = 16_384;
/// What nobody asked for within this time was fetched in vain.
const USED_WITHIN: Duration = Duration::from_secs(60);

/// Clones share everything.
#[derive(Clone)]
pub struct Ahead {
    shared: Arc<Shared>,
}

struct Shared {
    mode: Prefetch,
    began: Instant,
    /// Targets that were fetched ahead and not asked for yet.
    fetched: Recent,
    outstanding: AtomicUsize,
    used: Counter,
    unused: Counter,
}

/// A target that is worth fetching once its predecessor was answered.
pub struct Planned(String);

impl Ahead {
    pub fn new(mode: Prefetch) -> Self {
        let lifetime_nanos = u64::try_from(USED_WITHIN.as_nanos()).unwrap_or(u64::MAX);
        let shared = Shared {
            mode,
            began: Instant::now(),
            fetched: Recent::new(AHEAD_MAX, lifetime_nanos),
            outstanding: AtomicUsize::new(0),
            used: Counter::default(),
            unused: Counter::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("prefetch");
        let help = "Objects fetched ahead that were asked for within a minute";
        registry.register("used", help, self.shared.used.clone());
        let help = "Objects fetched ahead in vain";
        registry.register("unused", help, self.shared.unused.clone());
    }

    /// Notes that `key` was asked for.
    pub fn asked(&self, key: &str) {
        let shared = &self.shared;
        if shared.outstanding.load(Ordering::Relaxed) > 0 && shared.fetched.take(key, self.now()) {
            shared.outstanding.fetch_sub(1, Ordering::Relaxed);
            shared.used.inc();
        }
    }

    /// What to fetch behind a canonical request, if the same token opens it.
    pub fn plan(
        &self,
        request: &Request<()>,
        cmcd: Option<&Cmcd>,
        opens: &Opens,
    ) -> Option<Planned> {
        let path = request.uri().path();
        if self.shared.mode == Prefetch::Off || *request.method() != Method::GET {
            return None;
        }
        let target = match cmcd.and_then(|cmcd| cmcd.next.as_deref()) {
            Some(next) => next_target(path, next)?,
            None if self.shared.mode == Prefetch::Order => next_in_order(path)?,
            None => return None,
        };
        opens.has(&target).then(|| Planned(target.key()))
    }

    /// Fetches it, unless others are waiting.
    pub fn fetch(&self, Planned(key): Planned, backend: &Backend, gate: &Gate) {
        let (shared, now) = (&self.shared, self.now());
        if shared.fetched.contains(&*key, now) || !gate.has_room_ahead() || !backend.prefetch(&key)
        {
            return;
        }
        let noted = shared.fetched.note(&*key, now);
        // One that had to go makes room for this one.
        if noted.lost {
            shared.unused.inc();
        } else {
            shared.outstanding.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts what was fetched in vain. Never ends.
    pub async fn maintain(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.expire(self.now());
        }
    }

    fn expire(&self, now: u64) {
        let expired = self.shared.fetched.expire(now);
        self.shared.outstanding.fetch_sub(expired, Ordering::Relaxed);
        self.shared.unused.inc_by(expired as u64);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.shared.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The segment with the next number: `…/17.m4s` after `…/16.m4s`, as playlists and templates list
/// them. Behind the last one there is nothing, which the cache remembers for a moment.
fn next_in_order(path: &str) -> Option<Target> {
    let (folder, file) = path.rsplit_once('/')?;
    let (number, extension) = file.split_once('.')?;
    let is_segment =
        matches!(extension, "m4s" | "ts") && number.bytes().all(|b| b.is_ascii_digit());
    let next = number.parse::<u32>().ok().filter(|_| is_segment)?.checked_add(1)?;
    Target::parse(&format!("{folder}/{next}.{extension}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on() {
        let next = |path| next_in_order(path).map(|target| target.path().to_owned());
        assert_eq!(next("/vod/a/fmp4/sd/v1/9.m4s").as_deref(), Some("/vod/a/fmp4/sd/v1/10.m4s"));
        for path in
            ["/vod/a/init.mp4", "/vod/a/i7.m4s", "/vod/a/x.m4s", "/vod/a/4294967295.m4s", "/9.mp4"]
        {
            assert_eq!(next(path), None, "{path}");
        }
    }
}
