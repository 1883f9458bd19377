//! What a million objects on disk cost: memory of the index, and time until it is there again.
//!
//! ```text
//! cargo run --release -p edge --example cache_million [ROWS] [FILES]
//! ```
//!
//! Rows are index entries without files; files are real objects of 100 bytes, in a folder under
//! `TMPDIR`, for what a scan takes where no snapshot is.

use std::time::{Duration, Instant, UNIX_EPOCH};

use edge::cache::disk::{DiskIndex, DiskTier};
use edge::cache::policy::{Policy, StoredHead};
use edge::cache::{CacheKey, CacheMetrics, DiskSettings, KeyHash, Object, Pieces};
use http::{HeaderMap, StatusCode};

fn main() {
    let mut counts = std::env::args().skip(1).map(|count| count.parse().expect("a count"));
    let rows: usize = counts.next().unwrap_or(1_000_000);
    let files: usize = counts.next().unwrap_or(20_000);
    let folder = std::env::temp_dir().join(format!("cache-million-{}", std::process::id()));
    let settings = DiskSettings {
        folder: folder.clone(),
        bytes_max: u64::MAX,
        object_bytes_max: 1 << 20,
        write_bytes_per_second: 0,
        snapshot_interval: Duration::from_secs(60),
    };

    let before = resident_bytes();
    let mut index = DiskIndex::default();
    for row in 0..rows {
        index.insert(hash(row), 2_000_000);
    }
    let each = (resident_bytes() - before) as f64 / rows as f64;
    report(&format!("{rows} rows: {each:.0} bytes of resident memory each"));
    let snapshot = index.encode();
    drop(index);

    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("index.snapshot"), &snapshot).expect("room");
    report(&format!("snapshot: {} bytes", snapshot.len()));
    drop(snapshot);
    let start = Instant::now();
    let tier = DiskTier::open(settings.clone(), CacheMetrics::default()).expect("a tier");
    report(&format!(
        "open with the snapshot: {} rows in {:?}",
        tier.hashes().len(),
        start.elapsed()
    ));
    drop(tier);
    std::fs::remove_file(folder.join("index.snapshot")).expect("written above");

    let tier = DiskTier::open(settings.clone(), CacheMetrics::default()).expect("a tier");
    let start = Instant::now();
    for number in 0..files {
        assert!(tier.write(&object(number)), "object {number}");
    }
    report(&format!("{files} objects written in {:?}", start.elapsed()));
    drop(tier);
    let tier = DiskTier::open(settings, CacheMetrics::default()).expect("a tier");
    let start = Instant::now();
    tier.scan();
    report(&format!("scan without a snapshot: {} in {:?}", tier.hashes().len(), start.elapsed()));
    std::fs::remove_dir_all(&folder).expect("our own folder");
}

#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
fn report(line: &str) {
    println!("{line}");
}

fn hash(number: usize) -> KeyHash {
    let hash = blake3::hash(&number.to_le_bytes());
    KeyHash(hash.as_bytes()[..16].try_into().expect("sixteen"))
}

fn object(number: usize) -> Object {
    let key = CacheKey::new("cdn.example", &format!("/vod/film/{number}.m4s"), &[]);
    let times = (UNIX_EPOCH, UNIX_EPOCH);
    let policy = Policy::default();
    let head = StoredHead::new(StatusCode::OK, HeaderMap::new(), times, Vec::new(), 0, &policy);
    let body: Pieces = [bytes::Bytes::from(vec![7; 100])].into_iter().collect();
    Object::new(key.expect("a good key"), head, body.into(), Vec::new())
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}
