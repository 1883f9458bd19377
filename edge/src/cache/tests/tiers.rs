//! One cache in front of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::origin::answer;
use super::*;
use crate::fetch::{Fetch, FetchBody};

/// A cache as the upstream of others.
#[derive(Clone)]
struct Shield(Cache<Origin>);

impl Fetch for Shield {
    async fn fetch(&self, request: Request<()>) -> Result<Response<FetchBody>, FetchError> {
        Ok(self.0.answer(request, start()).await.map(BodyExt::boxed_unsync))
    }
}

/// An edge, its shield, and what the origin's object is at the moment.
fn tiers() -> (Cache<Shield>, Cache<Origin>, Origin, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(1));
    let now = version.clone();
    let origin = Origin::new(move |request, _| {
        let version = now.load(Ordering::SeqCst);
        async move {
            let etag = format!("\"{version}\"");
            let lines = [("cache-control", "max-age=1000"), ("etag", etag.as_str())];
            Ok(match request.headers().get("if-none-match") {
                Some(known) if *known == etag => answer(304, &lines, ""),
                _ => answer(200, &lines, format!("version {version}")),
            })
        }
    });
    let shield = cache(&origin);
    let edge = Cache::open(Shield(shield.clone()), Settings::default(), CacheMetrics::default());
    (edge, shield, origin, version)
}

async fn ask(edge: &Cache<Shield>) -> String {
    let answer = Answer::of(edge.answer(request("/a", &[]), start()).await).await;
    settle().await;
    answer.text().to_owned()
}

fn purge(is_soft: bool) -> Purge {
    let key = CacheKey::new("cdn.example", "/a", &[]).unwrap();
    Purge { scope: Scope::Url(key), is_soft }
}

#[tokio::test(start_paused = true)]
async fn the_shield_is_purged_before_its_edges() {
    for is_soft in [false, true] {
        let (edge, shield, origin, version) = tiers();
        assert_eq!(ask(&edge).await, "version 1");
        version.store(2, Ordering::SeqCst);
        assert_eq!(ask(&edge).await, "version 1");
        // The other way round, the edge takes the old one from the shield once more.
        edge.purge(purge(is_soft), start()).await;
        assert_eq!(ask(&edge).await, "version 1");
        shield.purge(purge(is_soft), start()).await;
        assert_eq!(ask(&edge).await, "version 1");

        shield.purge(purge(is_soft), start()).await;
        edge.purge(purge(is_soft), start()).await;
        assert_eq!(ask(&edge).await, "version 2");
        assert_eq!(origin.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_edge_validates_with_a_shield_that_answers_itself() {
    let (edge, _shield, origin, _) = tiers();
    ask(&edge).await;
    edge.purge(purge(true), start()).await;
    let answer = Answer::of(edge.answer(request("/a", &[]), start()).await).await;
    let members: Vec<_> = answer.headers.get_all("cache-status").iter().collect();
    assert_eq!(members.len(), 2, "{members:?}");
    assert_eq!(members[0], "StreamVerse;hit;ttl=1000");
    assert_eq!(members[1], "StreamVerse;fwd=stale;fwd-status=304;ttl=1000;stored");
    assert_eq!(origin.count(), 1);
}
