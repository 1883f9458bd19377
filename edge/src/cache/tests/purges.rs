//! Purges reach every tier at once, and outlast a restart.

use super::origin::{answer, streaming};
use super::*;

fn origin() -> Origin {
    Origin::new(|request, count| async move {
        let tag = if request.uri().path().starts_with("/a") { "film" } else { "show, other" };
        let lines = [("cache-control", "max-age=1000"), ("etag", "\"a\""), ("cache-tag", tag)];
        Ok(match request.headers().contains_key("if-none-match") {
            true => answer(304, &lines, ""),
            false => answer(200, &lines, count.to_string()),
        })
    })
}

fn purge(scope: Scope) -> Purge {
    Purge { scope, is_soft: false }
}

fn url(target: &str) -> Scope {
    Scope::Url(CacheKey::new("cdn.example", target, &[]).unwrap())
}

/// Which of four objects are still hits after a purge.
async fn hits_after(scope: Scope) -> Vec<&'static str> {
    let origin = origin();
    let cache = cache(&origin);
    for target in ["/a/1", "/a/2", "/b/1", "/c"] {
        get(&cache, target, start()).await;
    }
    settle().await;
    cache.purge(purge(scope), start()).await;
    let mut hits = Vec::new();
    for target in ["/a/1", "/a/2", "/b/1", "/c"] {
        if get(&cache, target, start()).await.cache_status().contains(";hit") {
            hits.push(target);
        }
        settle().await;
        let again = get(&cache, target, start()).await;
        assert!(again.cache_status().contains(";hit"), "what came after the purge stays");
    }
    hits
}

#[tokio::test(start_paused = true)]
async fn by_url_prefix_and_tag() {
    assert_eq!(hits_after(url("/a/1")).await, ["/a/2", "/b/1", "/c"]);
    let prefix = |text: &str| Scope::Prefix(text.to_owned());
    assert_eq!(hits_after(prefix("cdn.example/a/")).await, ["/b/1", "/c"]);
    assert_eq!(hits_after(prefix("other.example/")).await.len(), 4);
    let tag = |text: &str| Scope::Tag(text.to_owned());
    assert_eq!(hits_after(tag("film")).await, ["/b/1", "/c"]);
    assert_eq!(hits_after(tag("other")).await, ["/a/1", "/a/2"]);
    assert_eq!(hits_after(tag("cdn.example/c")).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_soft_purge_validates_instead_of_forgetting() {
    let origin = origin();
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    settle().await;
    cache.purge(Purge { scope: url("/a"), is_soft: true }, start()).await;
    let validated = get(&cache, "/a", start()).await;
    assert_eq!(validated.text(), "0");
    assert!(validated.cache_status().contains(";fwd=stale;fwd-status=304"));
    assert!(get(&cache, "/a", start()).await.cache_status().contains(";hit"));
}

#[tokio::test(start_paused = true)]
async fn a_purge_reaches_a_fill_under_way() {
    let (sender, first) = streaming(&[("cache-control", "max-age=9"), ("content-length", "4")]);
    let first = std::sync::Mutex::new(Some(first));
    let origin = Origin::new(move |_, _| {
        let first = first.lock().unwrap().take();
        async move { Ok(first.unwrap_or_else(|| answer(200, &[("cache-control", "max-age=9")], "new"))) }
    });
    let cache = cache(&origin);
    sender.send(Ok("ol".into())).unwrap();
    let old = cache.answer(request("/a", &[]), start()).await;
    cache.purge(purge(url("/a")), start()).await;
    assert_eq!(get(&cache, "/a", start()).await.text(), "new");
    sender.send(Ok("d.".into())).unwrap();
    drop(sender);
    assert_eq!(Answer::of(old).await.text(), "old.", "who asked before it gets what was");
    settle().await;
    let after = get(&cache, "/a", start()).await;
    assert_eq!(after.text(), "new", "what was asked for before never comes back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_outlasts_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = super::disk::settings(folder.path());
    let origin = origin();
    let cache = cache_with(&origin, settings.clone());
    for target in ["/a/1", "/b/1"] {
        super::disk::put_on_disk(&cache, target).await;
    }
    let report = cache.purge(purge(Scope::Tag("film".to_owned())), start()).await;
    assert!(report.is_durable);
    cache.save();
    drop(cache);
    let cache = cache_with(&origin, settings);
    let purged = get(&cache, "/a/1", start()).await;
    assert!(purged.cache_status().contains(";fwd=uri-miss"), "{}", purged.cache_status());
    let kept = get(&cache, "/b/1", start()).await;
    assert!(kept.cache_status().contains(";hit"), "{}", kept.cache_status());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_purges_are_one_write_and_outlast_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = super::disk::settings(folder.path());
    let origin = origin();
    let cache = cache_with(&origin, settings.clone());
    for target in ["/a/1", "/a/2", "/b/1"] {
        super::disk::put_on_disk(&cache, target).await;
    }
    let purges = vec![purge(url("/a/1")), purge(Scope::Tag("show".to_owned()))];
    assert!(cache.purge_all(purges, start()).await.is_durable);
    assert!(cache.purge_all(Vec::new(), start()).await.is_durable);
    assert_eq!(cache.metrics().purges.get(), 2);
    cache.save();
    drop(cache);
    let cache = cache_with(&origin, settings);
    for (target, is_hit) in [("/a/1", false), ("/a/2", true), ("/b/1", false)] {
        let answer = get(&cache, target, start()).await;
        assert_eq!(answer.cache_status().contains(";hit"), is_hit, "{target}");
    }
}

/// A hard purge gives the room back, too: at once in memory, soon on disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_purge_frees_memory_and_disk() {
    for scope in
        [url("/a/1"), Scope::Tag("film".to_owned()), Scope::Prefix("cdn.example/a/".to_owned())]
    {
        let folder = tempfile::tempdir().unwrap();
        let origin = origin();
        let cache = cache_with(&origin, super::disk::settings(folder.path()));
        let maintained = cache.clone();
        let maintaining = tokio::spawn(async move { maintained.maintain().await });
        for target in ["/a/1", "/b/1"] {
            super::disk::put_on_disk(&cache, target).await;
        }
        cache.show();
        let before = cache.metrics().vod_bytes.get();
        assert_eq!(super::disk::files(folder.path()).len(), 2);
        cache.purge(purge(scope.clone()), start()).await;
        cache.show();
        let after = cache.metrics().vod_bytes.get();
        assert!(0 < after && after < before, "{scope:?}: {before} {after}");
        for _ in 0..1_000 {
            if super::disk::files(folder.path()).len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(super::disk::files(folder.path()).len(), 1, "{scope:?}");
        assert_eq!(cache.metrics().disk_objects.get(), 1);
        maintaining.abort();
        assert!(get(&cache, "/b/1", start()).await.cache_status().contains(";hit"));
        let purged = get(&cache, "/a/1", start()).await;
        assert!(purged.cache_status().contains(";fwd=uri-miss"), "{}", purged.cache_status());
    }
}
