//! The tier on its own: bounds, full disks, disks that take no writing.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::cache::key::CacheKey;
use crate::cache::policy::{Policy, StoredHead};

fn object(number: usize, bytes: usize) -> Object {
    let key = CacheKey::new("a.example", &format!("/{number}"), &[]).unwrap();
    let times = (UNIX_EPOCH, UNIX_EPOCH);
    let head =
        StoredHead::new(StatusCode::OK, HeaderMap::new(), times, Vec::new(), 0, &Policy::default());
    let body: Pieces = [Bytes::from(vec![number as u8; bytes])].into_iter().collect();
    Object::new(key, head, Arc::new(body), Vec::new())
}

fn tier(folder: &Path, bytes_max: u64) -> DiskTier {
    let settings = DiskSettings {
        folder: folder.to_owned(),
        bytes_max,
        object_bytes_max: 1 << 20,
        write_bytes_per_second: 0,
        snapshot_interval: Duration::from_secs(60),
    };
    DiskTier::open(settings, CacheMetrics::default()).unwrap()
}

/// Every object that the tier says it has, checked.
fn check_all(tier: &DiskTier) -> usize {
    let hashes = tier.hashes();
    for hash in &hashes {
        let (meta, body) = tier.read(hash).expect("what is listed can be read");
        let number: usize = meta.key.target()[1..].parse().unwrap();
        assert!(body.iter().all(|part| part.iter().all(|byte| *byte == number as u8)));
    }
    hashes.len()
}

#[test]
fn the_bound_holds_and_the_files_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let tier = tier(folder.path(), 1 << 20);
    for number in 0..50 {
        assert!(tier.write(&object(number, 100_000)));
        let on_disk: u64 =
            files(folder.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(on_disk <= 1 << 20, "{on_disk}");
        assert_eq!(on_disk, tier.metrics.disk_bytes.get() as u64);
    }
    assert_eq!(check_all(&tier), 10);
    assert!(!tier.write(&object(0, 2 << 20)), "larger than an object may be");
    assert_eq!(tier.metrics.disk_evictions.get(), 40);
}

#[test]
fn a_scan_finds_what_no_snapshot_knows() {
    let folder = tempfile::tempdir().unwrap();
    let first = tier(folder.path(), 1 << 30);
    assert!(first.write(&object(1, 10)));
    first.save_snapshot();
    assert!(first.write(&object(2, 10)) && first.write(&object(3, 0)));
    drop(first);
    std::fs::write(folder.path().join("objects/00"), "no folder").ok();
    let second = tier(folder.path(), 1 << 30);
    assert_eq!(second.hashes().len(), 1);
    second.scan();
    assert_eq!(check_all(&second), 3);
}

#[test]
fn writes_over_the_budget_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = tier(folder.path(), 1 << 30).settings;
    settings.write_bytes_per_second = 50_000;
    let tier = DiskTier::open(settings, CacheMetrics::default()).unwrap();
    let written = (0..20).filter(|number| tier.write(&object(*number, 100_000))).count();
    assert!((1..10).contains(&written), "{written}");
    assert_eq!(tier.metrics.disk_writes_dropped.get() as usize, 20 - written);
    assert_eq!(check_all(&tier), written);
}

#[test]
fn leftovers_of_dead_processes_go() {
    let folder = tempfile::tempdir().unwrap();
    drop(tier(folder.path(), 1 << 20));
    // Above the largest number that Linux gives a process.
    let left = folder.path().join("tmp/99999999-0");
    let own = folder.path().join(format!("tmp/{}-7", std::os::unix::process::parent_id()));
    std::fs::write(&left, "half").unwrap();
    std::fs::write(&own, "being written").unwrap();
    drop(tier(folder.path(), 1 << 20));
    assert!(!left.exists() && own.exists());
}

#[test]
fn a_failing_disk_costs_no_object_that_is_there() {
    for error in [libc_enospc(), 30, 122, 5] {
        let folder = tempfile::tempdir().unwrap();
        let tier = tier(folder.path(), 1 << 30);
        for number in 0..200 {
            assert!(tier.write(&object(number, 10_000)));
        }
        tier.fault.store(error, Ordering::Relaxed);
        for number in 200..220 {
            assert!(!tier.write(&object(number, 10_000)));
        }
        assert_eq!(tier.metrics.disk_errors.get(), 1, "one attempt a second");
        let is_full = error == libc_enospc() || error == 122;
        assert_eq!(tier.hashes().len() < 200, is_full, "a full disk is made less so");
        assert!(check_all(&tier) >= 190);
        assert!(std::fs::read_dir(folder.path().join("tmp")).unwrap().next().is_none());
        tier.fault.store(0, Ordering::Relaxed);
        tier.trouble.lock().unwrap().paused_until = None;
        assert!(tier.write(&object(300, 10)));
    }
}

/// No space left on device.
fn libc_enospc() -> i32 {
    28
}

/// A disk that is really full, where this process may mount one; the errors above are the same.
#[test]
fn a_full_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    // Without a small file system the bound is our own, and the rest of the test is the same.
    let bytes_max = if mounted { 1 << 30 } else { 1 << 20 };
    let tier = tier(folder.path(), bytes_max);
    for number in 0..100 {
        tier.write(&object(number, 50_000));
        tier.trouble.lock().unwrap().paused_until = None;
    }
    let found = check_all(&tier);
    assert!((10..=20).contains(&found), "{found}");
    if mounted {
        assert!(tier.metrics.disk_errors.get() > 10);
        drop(tier);
        std::process::Command::new("umount").arg(folder.path()).status().unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let shards = fs::read_dir(folder.join("objects")).unwrap().flatten();
    shards
        .flat_map(|shard| fs::read_dir(shard.path()).unwrap().flatten().map(|file| file.path()))
        .collect()
}

/// While another process writes to the folder, this one reads what it knows and touches nothing.
#[test]
fn a_frozen_tier_reads_and_leaves_the_disk_alone() {
    let folder = tempfile::tempdir().unwrap();
    let one = tier(folder.path(), 1 << 20);
    let (first, second) = (object(1, 1_000), object(2, 1_000));
    assert!(one.write(&first));
    one.freeze();
    let list = || {
        let mut list = files(folder.path());
        list.sort();
        list
    };
    let before = list();
    assert!(folder.path().join("index.snapshot").exists());
    assert!(!one.write(&second));
    assert!(one.read(&first.hash).is_some());
    one.remove(&first.hash);
    one.save_snapshot();
    assert_eq!(list(), before);

    // The other process has all of it by the index alone.
    let two = tier(folder.path(), 1 << 20);
    assert!(two.read(&first.hash).is_some());
    assert!(two.write(&second));
    drop(two);
    one.thaw();
    assert!(one.write(&first) && one.write(&second));
}
