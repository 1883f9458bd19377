//! `streamverse cache purge | prefetch | stats`, on a running server.

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::ops::call;
use crate::cli::CacheCommand;
use crate::output;

pub fn run(arguments: &CacheCommand) -> anyhow::Result<ExitCode> {
    let runtime = crate::runtime()?;
    match arguments {
        CacheCommand::Purge { url, prefix, tag, soft, server, json: as_json } => {
            let body = json!({ "urls": url, "prefixes": prefix, "tags": tag, "soft": soft });
            let asking = call(server, Method::POST, "/cache/purge", Some(&body));
            let answer = runtime.block_on(asking)?;
            if *as_json {
                output::json(&answer);
            } else {
                print_purged(&answer);
            }
        }
        CacheCommand::Prefetch { urls, server, json: as_json } => {
            let body = json!({ "urls": urls });
            let asking = call(server, Method::POST, "/cache/prefetch", Some(&body));
            let answer = runtime.block_on(asking)?;
            if *as_json {
                output::json(&answer);
            } else {
                for (what, key) in [("fetching", "started"), ("left out", "left_out")] {
                    for url in list(&answer[key]).filter_map(Value::as_str) {
                        output::line(&format!("{what} {url}"));
                    }
                }
            }
        }
        CacheCommand::Stats { tags, server, json: as_json } => {
            let path = format!("/stats?tags={tags}");
            let stats = runtime.block_on(call(server, Method::GET, &path, None))?;
            if *as_json {
                output::json(&stats);
            } else {
                print_stats(&stats);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn print_purged(answer: &Value) {
    let place = if answer["cached_here"] == true { "here and " } else { "" };
    output::line(&format!(
        "purged {}, {place}at {} connected followers",
        answer["purged"], answer["followers"]
    ));
    if answer["durable"] == false {
        output::line("the disk did not take it: it is forgotten when the server restarts");
    }
}

fn print_stats(stats: &Value) {
    let drain = stats["drain"]["state"].as_str().unwrap_or_default();
    output::line(&format!("{drain}, {} requests under way", stats["drain"]["requests_in_flight"]));
    let connections = stats["connections"].as_object();
    for (name, count) in connections.into_iter().flatten() {
        output::line(&format!("  {name:16} {count} connections"));
    }
    let cache = &stats["cache"];
    if cache.is_object() {
        print_cache(cache);
    } else {
        output::line("no cache: this server packages titles itself");
    }
    for upstream in list(&stats["upstreams"]) {
        let is_up = if upstream["up"] == true { "up" } else { "DOWN" };
        let breaker = upstream["breaker"].as_str().unwrap_or_default();
        let name = upstream["name"].as_str().unwrap_or_default();
        output::line(&format!("upstream {name}: {is_up}, breaker {breaker}"));
    }
    let feed = &stats["feed"];
    output::line(&format!(
        "feed: {} facts, {} followers, {} revoked sessions",
        feed["facts"], feed["followers"], feed["revoked_sessions"]
    ));
    for source in list(&feed["sources"]) {
        let url = source["url"].as_str().unwrap_or_default();
        match source["error"].as_str() {
            Some(error) => output::line(&format!("  from {url}: NOT FOLLOWED, {error}")),
            None if source["is_up"] == true => output::line(&format!("  from {url}: followed")),
            None => output::line(&format!("  from {url}: connecting")),
        }
    }
}

fn print_cache(cache: &Value) {
    let (memory, requests) = (&cache["memory"], &cache["requests"]);
    let megabytes = |value: &Value| value.as_u64().unwrap_or(0) / 1_000_000;
    for (name, bytes, max) in [
        ("live", &memory["live_bytes"], &memory["live_bytes_max"]),
        ("vod", &memory["vod_bytes"], &memory["vod_bytes_max"]),
        ("disk", &cache["disk"]["bytes"], &cache["disk"]["bytes_max"]),
    ] {
        if !max.is_null() {
            let (bytes, max) = (megabytes(bytes), megabytes(max));
            output::line(&format!("cache {name:5} {bytes:>8} of {max} MB"));
        }
    }
    output::line(&format!(
        "hits: {} memory, {} disk, {} stale; {} misses, {} joined another's fetch",
        requests["memory_hits"],
        requests["disk_hits"],
        requests["stale_hits"],
        requests["misses"],
        requests["collapsed"],
    ));
    for row in list(&cache["tags"]) {
        output::line(&format!(
            "  {:32} {:>10} hits {:>8} misses {:>8} MB fetched",
            row["tag"].as_str().unwrap_or_default(),
            row["hits"],
            row["misses"],
            megabytes(&row["filled_bytes"]),
        ));
    }
}
