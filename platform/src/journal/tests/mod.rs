mod bytes;
mod disk;
mod durability;

use std::sync::Arc;
use std::time::Duration;

use super::*;

use disk::Disk;

/// Small enough that a test has many segments, without delay.
fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 2_000,
        group_delay: Duration::ZERO,
        queue_bytes: 1 << 20,
        ..JournalOptions::default()
    }
}

fn open(disk: &Disk) -> Journal {
    Journal::open_in(Arc::new(disk.clone()), options(), || 1_000_000).unwrap()
}

fn record<'a>(key: &'a str, payload: &'a str) -> Record<'a> {
    Record { time_ms: 7, kind: 1, key: key.as_bytes(), payload: payload.as_bytes() }
}

const ALL: BatchLimit = BatchLimit { records: usize::MAX, bytes: usize::MAX };

/// What a reader that begins anew sees: key, payload, sequence.
fn read_all(journal: &Journal) -> Vec<(String, String, u64)> {
    let mut reader = journal.reader("all").unwrap();
    reader.seek(1);
    let batch = reader.read(ALL).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let entries = batch.entries.into_iter();
    entries.map(|entry| (text(entry.key), text(entry.payload), entry.sequence)).collect()
}

fn payloads(journal: &Journal) -> Vec<String> {
    read_all(journal).into_iter().map(|(_, payload, _)| payload).collect()
}

async fn fill(journal: &Journal, count: usize) {
    for number in 0..count {
        let key = format!("k{}", number % 3);
        journal.append(record(&key, &format!("p{number}"))).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_appended_is_read_in_order() {
    let disk = Disk::default();
    let journal = open(&disk);
    for number in 1..=100 {
        let sequence = journal.append(record("k", &format!("p{number}"))).await.unwrap();
        assert_eq!(sequence, number);
    }
    let read = read_all(&journal);
    assert_eq!(read.len(), 100);
    for (index, (key, payload, sequence)) in read.iter().enumerate() {
        let number = index as u64 + 1;
        assert_eq!(
            (key.as_str(), payload.as_str(), *sequence),
            ("k", &*format!("p{number}"), number)
        );
    }
    let segments = disk.names().iter().filter(|name| name.ends_with(".journal")).count();
    assert!(segments > 1, "{segments}");
    assert_eq!(journal.metrics().segments.get(), segments as i64);
    journal.close().await;
    let journal = open(&disk);
    assert_eq!(read_all(&journal), read);
    assert_eq!(journal.append(record("", "")).await.unwrap(), 101);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_committed() {
    let disk = Disk::default();
    let journal = open(&disk);
    fill(&journal, 50).await;
    let limit = BatchLimit { records: 7, bytes: usize::MAX };
    let mut reader = journal.reader("analytics").unwrap();
    let first = reader.read(limit).unwrap();
    assert_eq!(first.entries.len(), 7);
    reader.commit(&first).unwrap();
    let second = reader.read(limit).unwrap();
    assert_eq!(second.entries[0].payload, b"p7");
    reader.rewind();
    assert_eq!(reader.read(limit).unwrap(), second);
    drop(reader);
    journal.close().await;

    let journal = open(&disk.after_kill());
    let mut reader = journal.reader("analytics").unwrap();
    assert_eq!(reader.committed(), 8);
    let (mut seen, mut batches) = (7, 0);
    while reader.committed() <= 50 {
        assert!(reader.ready().await);
        let batch = reader.read(limit).unwrap();
        assert_eq!(batch.skipped, 0);
        for entry in &batch.entries {
            assert_eq!(entry.payload, format!("p{seen}").into_bytes());
            seen += 1;
        }
        reader.commit(&batch).unwrap();
        batches += 1;
    }
    assert_eq!((seen, batches), (50, 7));
    // Wakes for what comes later.
    let later = tokio::spawn(async move {
        assert!(reader.ready().await);
        reader.read(limit).unwrap().entries.len()
    });
    tokio::task::yield_now().await;
    journal.append(record("k", "later")).await.unwrap();
    assert_eq!(later.await.unwrap(), 1);
}

#[tokio::test]
async fn names_of_readers_and_broken_cursors_are_refused() {
    let disk = Disk::default();
    let journal = open(&disk);
    for name in ["", "a/b", "..", "A", &"a".repeat(65)] {
        assert!(matches!(journal.reader(name), Err(JournalError::ReaderName { .. })), "{name}");
    }
    let mut reader = journal.reader("a").unwrap();
    journal.append(record("k", "p")).await.unwrap();
    let batch = reader.read(ALL).unwrap();
    reader.commit(&batch).unwrap();
    let whole = disk.content("a.cursor");
    for index in 0..whole.len() {
        disk.damage("a.cursor", |bytes| bytes[index] ^= 1);
        let error = journal.reader("a").err().unwrap();
        assert!(error.to_string().contains("a.cursor"), "{error}");
        disk.damage("a.cursor", |bytes| bytes[index] ^= 1);
    }
    assert_eq!(journal.reader("a").unwrap().committed(), 2);
}

#[tokio::test]
async fn erasure_takes_a_key_out_and_leaves_the_numbers() {
    let disk = Disk::default();
    let journal = open(&disk);
    fill(&journal, 90).await;
    let before = read_all(&journal);
    let mut reader = journal.reader("slow").unwrap();
    let limit = BatchLimit { records: 10, bytes: usize::MAX };
    let first = reader.read(limit).unwrap();
    assert_eq!(journal.erase(b"k1").await.unwrap(), 30);
    assert_eq!(journal.erase(b"k1").await.unwrap(), 0);
    let kept = |read: &[(String, String, u64)]| {
        read.iter().filter(|(key, ..)| key != "k1").cloned().collect::<Vec<_>>()
    };
    assert_eq!(read_all(&journal), kept(&before));
    // A reader in the middle finds its place in the new file.
    let rest = reader.read(ALL).unwrap();
    assert_eq!(rest.entries.len(), 60 - 7 + usize::from(first.entries.len() < 10));
    assert!(rest.entries.iter().all(|entry| entry.key != b"k1" && entry.sequence > 10));
    assert_eq!(rest.skipped, 0);
    for name in disk.names().iter().filter(|name| name.ends_with(".journal")) {
        let content = disk.content(name);
        assert!(!content.windows(2).any(|bytes| bytes == b"k1"), "{name}");
    }
    journal.append(record("k1", "new")).await.unwrap();
    assert_eq!(read_all(&journal).len(), 61);
    journal.close().await;
    let journal = open(&disk.after_kill());
    assert_eq!(read_all(&journal).len(), 61);
    assert_eq!(journal.append(record("k", "p")).await.unwrap(), 92);
}

#[tokio::test]
async fn retention_removes_the_oldest_segments() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000);
    let disk = Disk::default();
    let clock: Clock = || NOW_MS.load(Ordering::Relaxed);
    let journal = Journal::open_in(Arc::new(disk.clone()), options(), clock).unwrap();
    fill(&journal, 300).await;
    let retention = |seconds, bytes| Retention { age: Duration::from_secs(seconds), bytes };
    assert_eq!(journal.retain(retention(60, u64::MAX), 1_050_000).await.unwrap(), 0);
    assert!(journal.retain(retention(60, 5_000), 1_050_000).await.unwrap() > 0);
    assert!(journal.metrics().stored_bytes.get() <= 5_000);
    let read = read_all(&journal);
    assert!(!read.is_empty() && read.len() < 150, "{}", read.len());
    let mut reader = journal.reader("late").unwrap();
    let batch = reader.read(ALL).unwrap();
    assert_eq!(batch.skipped, read[0].2 - 1);

    // By age everything goes, in two steps, since the end of a segment is known by the next one; and
    // the numbers go on.
    for now_ms in [1_100_000, 1_170_000] {
        NOW_MS.store(now_ms, Ordering::Relaxed);
        journal.retain(retention(60, u64::MAX), now_ms).await.unwrap();
    }
    assert_eq!(read_all(&journal), []);
    assert_eq!(journal.metrics().segments.get(), 1);
    journal.close().await;
    let journal = open(&disk.after_kill());
    assert_eq!(journal.append(record("k", "p")).await.unwrap(), 301);
}

#[tokio::test]
async fn a_segment_ends_by_age() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000);
    let disk = Disk::default();
    let clock: Clock = || NOW_MS.load(Ordering::Relaxed);
    let journal = Journal::open_in(Arc::new(disk.clone()), options(), clock).unwrap();
    journal.append(record("k", "a")).await.unwrap();
    journal.append(record("k", "b")).await.unwrap();
    assert_eq!(journal.metrics().segments.get(), 1);
    NOW_MS.store(1_000_000 + 3_600_000, Ordering::Relaxed);
    journal.append(record("k", "c")).await.unwrap();
    assert_eq!(journal.metrics().segments.get(), 2);
    assert_eq!(payloads(&journal), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted() {
    let disk = Disk::default();
    // The disk is held, so that the queue can fill.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    disk.watch(move |_, _| {
        let _ = held.lock().unwrap().recv();
    });
    let options = JournalOptions { queue_bytes: 1_000, ..options() };
    let journal = Journal::open_in(Arc::new(disk.clone()), options, || 1).unwrap();
    let taken = (0..100).filter(|_| journal.offer(&record("k", "payload"))).count();
    assert_eq!(taken, 1_000 / (32 + 8));
    assert_eq!(journal.metrics().dropped.get(), 75);
    let too_large = "x".repeat(1_000);
    assert!(!journal.offer(&record("k", &too_large)));
    let error = journal.append(record("k", &too_large)).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { bytes: 1_001, bytes_max: 968 }), "{error}");
    let error = journal.append(record(&"k".repeat(2_000), "")).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    // One that waits for room gets it.
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(record("k", "waited")).await }
    });
    tokio::task::yield_now().await;
    drop(release);
    assert_eq!(waiting.await.unwrap().unwrap(), 26);
    assert_eq!(read_all(&journal).len(), 26);
    let metrics = journal.metrics().clone();
    journal.close().await;
    assert_eq!(metrics.records.get(), 26);
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_heals() {
    let disk = Disk::default();
    let journal = open(&disk);
    fill(&journal, 5).await;
    disk.set_full(true);
    for _ in 0..3 {
        let error = journal.append(record("k", "lost")).await.unwrap_err();
        assert!(matches!(error, JournalError::NotStored { .. }), "{error}");
    }
    assert_eq!(journal.metrics().failed.get(), 3);
    assert_eq!(read_all(&journal).len(), 5);
    disk.set_full(false);
    journal.append(record("k", "again")).await.unwrap();
    assert_eq!(payloads(&journal), ["p0", "p1", "p2", "p3", "p4", "again"]);
    journal.close().await;
    let journal = open(&disk.after_kill());
    assert_eq!(payloads(&journal), ["p0", "p1", "p2", "p3", "p4", "again"]);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_goes_into_that_file() {
    let disk = Disk::default();
    let journal = open(&disk);
    fill(&journal, 5).await;
    let before = disk.names();
    disk.fail_syncs(2);
    journal.append(record("k", "unknown")).await.unwrap_err();
    journal.append(record("k", "sure")).await.unwrap();
    assert!(disk.names().len() > before.len());
    let mut chance = disk::Chance::new(1);
    for _ in 0..50 {
        let after = open(&disk.after_power_loss(&mut chance));
        let mut found = payloads(&after);
        found.retain(|payload| payload != "unknown");
        assert_eq!(found, ["p0", "p1", "p2", "p3", "p4", "sure"]);
    }
}

#[tokio::test]
async fn damage_of_synced_records_is_not_cut_off() {
    let disk = Disk::default();
    let journal = open(&disk);
    for number in 0..10 {
        journal.append(record("k", &format!("p{number}"))).await.unwrap();
    }
    journal.close().await;
    let name = disk.names().remove(0);
    // A bit of the fourth record: 40 for the header, 35 for each record.
    disk.damage(&name, |bytes| bytes[40 + 35 * 3 + 33] ^= 4);
    let journal = open(&disk);
    assert_eq!(journal.metrics().torn_bytes.get(), 0);
    assert_eq!(journal.metrics().damages.get(), 1);
    let kept = ["p0", "p1", "p2", "p4", "p5", "p6", "p7", "p8", "p9"];
    assert_eq!(payloads(&journal), kept);
    let mut reader = journal.reader("r").unwrap();
    let batch = reader.read(ALL).unwrap();
    assert!(batch.skipped >= 1);
    let next = journal.append(record("k", "new")).await.unwrap();
    assert!(next > 10, "{next}");
    assert_eq!(journal.erase(b"k").await.unwrap(), 10);
    assert!(payloads(&journal).is_empty());
}

#[tokio::test]
async fn a_payload_that_looks_like_a_record_is_none() {
    let disk = Disk::default();
    let journal = open(&disk);
    let salt = 0;
    let fake = format::RecordRef {
        sequence: 2,
        time_ms: 0,
        group_index: 0,
        kind: 0,
        is_erased: false,
        key: b"other",
        payload: b"fake",
    };
    let mut bytes = Vec::new();
    fake.write(salt, &mut bytes);
    journal.append(Record { payload: &bytes, ..record("k", "") }).await.unwrap();
    journal.append(record("k", "true")).await.unwrap();
    journal.close().await;
    let name = disk.names().remove(0);
    disk.damage(&name, |bytes| bytes[41] ^= 4);
    let journal = open(&disk);
    assert_eq!(payloads(&journal), ["true"]);
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/journal");
    let first = Journal::open(&path, options()).unwrap();
    let error = Journal::open(&path, options()).err().unwrap();
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(first);
    Journal::open(&path, options()).unwrap();
}

#[tokio::test]
async fn a_segment_of_another_release_is_left_alone() {
    let disk = Disk::default();
    let journal = open(&disk);
    fill(&journal, 1).await;
    journal.close().await;
    let name = disk.names().remove(0);
    disk.damage(&name, |bytes| {
        bytes[8] = 2;
        let checksum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
    });
    let before = disk.content(&name);
    let error = Journal::open_in(Arc::new(disk.clone()), options(), || 1).err().unwrap();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(disk.content(&name), before);
}
