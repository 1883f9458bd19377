//! Real files.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::*;

struct Folder {
    _dir: tempfile::TempDir,
    store: LocalStore,
}

/// Beside the build, since a system's temporary folder may lie in memory, where no page is cold.
fn folder() -> Folder {
    let program = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let store = LocalStore::at(&dir.path().join("objects")).unwrap();
    Folder { _dir: dir, store }
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Changes a sealed file behind the store's back.
fn unseal(path: &Path) -> File {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap()
}

fn unfinished_count(store: &LocalStore) -> usize {
    std::fs::read_dir(store.folder.join(UNFINISHED)).unwrap().count()
}

#[tokio::test]
async fn objects_are_written_read_listed_and_removed() {
    let Folder { store, _dir } = folder();
    let bytes = pattern(10_000);
    let put = store.put(&key("a/b/c"), bytes.clone(), PutMode::Overwrite).await.unwrap();
    store.put(&key("a/d"), Bytes::new(), PutMode::Overwrite).await.unwrap();
    assert_eq!(put.len_bytes, 10_000);
    assert_eq!(store.head(&key("a/b/c")).await.unwrap(), put);
    assert_eq!(store.get_versioned(&key("a/b/c"), 10_000).await.unwrap().0, bytes);
    let error = store.get_versioned(&key("a/b/c"), 9_999).await.unwrap_err();
    assert!(matches!(error, ObjectError::TooLarge { len_bytes: 10_000, .. }), "{error}");
    for absent in ["a", "a/b", "x", "a/d/e"] {
        let error = store.head(&key(absent)).await.unwrap_err();
        assert!(matches!(error, ObjectError::NotFound { .. }), "{absent}: {error}");
    }

    let listed = store.list(None, 2).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| (entry.key.as_str(), entry.len_bytes)).collect();
    assert_eq!(listed, [("a/b/c", 10_000), ("a/d", 0)]);
    assert_eq!(store.list(Some(&key("a/b")), 9).await.unwrap().len(), 1);
    assert_eq!(store.list(Some(&key("nothing")), 9).await.unwrap().len(), 0);
    let error = store.list(None, 1).await.unwrap_err();
    assert!(matches!(error, ObjectError::TooMany { max_entries: 1, .. }), "{error}");

    store.delete(&key("a/b/c")).await.unwrap();
    store.delete(&key("a/b/c")).await.unwrap();
    assert!(!store.path(&key("a/b")).exists());
    assert!(store.path(&key("a")).exists());
    assert_eq!(unfinished_count(&store), 0);
}

#[tokio::test]
async fn of_concurrent_writers_exactly_one_wins() {
    let Folder { store, _dir } = folder();
    let barrier = Arc::new(tokio::sync::Barrier::new(32));
    let writers: Vec<_> = (0..32_u8)
        .map(|writer| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let bytes = Bytes::from(vec![writer; 1_000]);
                store.put(&key("asset/asset.json"), bytes, PutMode::IfAbsent).await
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (writer, handle) in writers.into_iter().enumerate() {
        match handle.await.unwrap() {
            Ok(_) => winners.push(writer as u8),
            Err(error) => assert!(matches!(error, ObjectError::Exists { .. }), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let bytes = store.get_versioned(&key("asset/asset.json"), 2_000).await.unwrap().0;
    assert_eq!(bytes, vec![winners[0]; 1_000]);
    assert_eq!(unfinished_count(&store), 0);
}

/// Writers and removers of one folder don't trip over each other.
#[tokio::test]
async fn folders_may_vanish_under_a_writer() {
    let Folder { store, _dir } = folder();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                store.put(&key("f/one"), Bytes::new(), PutMode::Overwrite).await.unwrap();
            }
        })
    };
    for _ in 0..200 {
        store.put(&key("f/two"), Bytes::new(), PutMode::Overwrite).await.unwrap();
        store.delete(&key("f/two")).await.unwrap();
        store.delete(&key("f/one")).await.unwrap();
    }
    writer.await.unwrap();
}

/// A writer that dies at any point leaves the old object in place: the new one has another name
/// until it is whole.
#[tokio::test]
async fn a_failed_write_leaves_the_old_object() {
    let Folder { store, _dir } = folder();
    store.put(&key("o"), pattern(100), PutMode::Overwrite).await.unwrap();
    let outcome = store.write(&key("o"), PutMode::Overwrite, |file, path| {
        use std::io::Write;
        file.write_all(b"half").unwrap();
        assert_ne!(path, store.path(&key("o")));
        Err(ObjectError::NotFound { key: key("o") })
    });
    assert!(outcome.is_err());
    assert_eq!(store.get_versioned(&key("o"), 100).await.unwrap().0, pattern(100));
    assert_eq!(unfinished_count(&store), 0);

    // What a killed process leaves is swept up when it is old, and not while it is young.
    let left = store.folder.join(UNFINISHED).join("left");
    std::fs::write(&left, "half").unwrap();
    LocalStore::at(&store.folder).unwrap();
    assert!(left.exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 3600);
    File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    LocalStore::at(&store.folder).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn files_are_copied_and_sealed() {
    let Folder { store, _dir } = folder();
    let source = _dir.path().join("source.mp4");
    let bytes = pattern(3_000_000);
    std::fs::write(&source, &bytes).unwrap();
    let meta = store.put_file(&key("title/source.mp4"), &source).await.unwrap();
    assert_eq!(meta.len_bytes, 3_000_000);
    // The copy has its own life.
    std::fs::write(&source, "changed").unwrap();
    let path = store.path(&key("title/source.mp4"));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);

    let error = store.put_file(&key("x"), &_dir.path().join("absent")).await.unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    assert!(store.put_file(&key("x"), _dir.path()).await.is_err());
    assert!(store.head(&key("x")).await.is_err());
}

#[tokio::test]
async fn ranges_are_sliced_and_read() {
    let Folder { store, _dir } = folder();
    let bytes = pattern(1_000_000);
    store.put(&key("o"), bytes.clone(), PutMode::Overwrite).await.unwrap();
    let reader = store.open(&key("o"), None).await.unwrap();
    let mut buffer = vec![0; 700];
    for start in [0_usize, 1, 4_095, 4_096, 500_000, 999_300] {
        let range = start as u64..start as u64 + 700;
        // Comparing looks at the bytes, which is right here: the file is ours alone.
        assert_eq!(reader.slice(range).await.unwrap(), bytes[start..start + 700]);
        reader.read_at(start as u64, &mut buffer).await.unwrap();
        assert_eq!(buffer, bytes[start..start + 700]);
    }
    assert_eq!(reader.slice(7..7).await.unwrap(), Bytes::new());
    for (start, end) in [(999_999, 1_000_001), (2, 1), (u64::MAX, u64::MAX)] {
        let error = reader.slice(start..end).await.unwrap_err();
        assert!(matches!(error, ObjectError::OutOfRange { .. }), "{error}");
    }
    let error = reader.read_at(u64::MAX - 3, &mut buffer).await.unwrap_err();
    assert!(matches!(error, ObjectError::OutOfRange { .. }), "{error}");

    store.put(&key("empty"), Bytes::new(), PutMode::Overwrite).await.unwrap();
    let empty = store.open(&key("empty"), None).await.unwrap();
    assert_eq!(empty.slice(0..0).await.unwrap(), Bytes::new());
    empty.prepare(&[0..0, 0..0]).await.unwrap();
}

/// Cold pages are noticed, and are warm after they were prepared.
#[tokio::test]
async fn cold_pages_are_read_before_they_are_sent() {
    let Folder { store, _dir } = folder();
    const LEN: u64 = 4 << 20;
    store.put(&key("o"), pattern(LEN as usize), PutMode::Overwrite).await.unwrap();
    let reader = store.open(&key("o"), None).await.unwrap();
    let chill = || {
        let file = File::open(store.path(&key("o"))).unwrap();
        fadvise(file.as_fd(), 0, None, Advice::DontNeed).unwrap();
    };
    let metrics = store.metrics();
    let ranges = [1_000..9_000, 12_000..600_000, LEN - 5..LEN];

    chill();
    reader.prepare(&ranges).await.unwrap();
    assert_eq!((metrics.pages_cold.get(), metrics.pages_warm.get()), (1, 0));
    reader.prepare(&ranges).await.unwrap();
    assert_eq!((metrics.pages_cold.get(), metrics.pages_warm.get()), (1, 1));

    drop(reader);
    chill();
    let reader = store.open(&key("o"), None).await.unwrap();
    let mut buffer = vec![0; 300_000];
    reader.read_at(2 << 20, &mut buffer).await.unwrap();
    assert_eq!((metrics.pages_cold.get(), metrics.pages_warm.get()), (2, 1));
    reader.read_at(2 << 20, &mut buffer).await.unwrap();
    assert_eq!((metrics.pages_cold.get(), metrics.pages_warm.get()), (2, 2));
    assert_eq!(buffer, pattern(LEN as usize)[2 << 20..(2 << 20) + 300_000]);
    assert_eq!(metrics.files_open.get(), 1);
    drop(reader);
    assert_eq!(metrics.files_open.get(), 0);
}

#[tokio::test]
async fn neighbouring_ranges_are_prepared_together() {
    let Folder { store, _dir } = folder();
    store.put(&key("o"), pattern(200_000), PutMode::Overwrite).await.unwrap();
    let reader = store.open(&key("o"), None).await.unwrap();
    let spans = reader.spans(&[90_000..91_000, 0..10, 26_000..27_000, 5..9, 50..50]).unwrap();
    assert_eq!(spans, [0..10, 26_000..27_000, 90_000..91_000]);
    let spans = reader.spans(&[0..100_000, 10..20, 110_000..120_000]).unwrap();
    assert_eq!(spans, std::slice::from_ref(&(0..120_000)));
}

#[tokio::test]
async fn changes_are_noticed() {
    let Folder { store, _dir } = folder();
    let recorded = store.put(&key("o"), pattern(9_000), PutMode::Overwrite).await.unwrap().version;
    let reader = store.open(&key("o"), Some(&recorded)).await.unwrap();
    reader.check().unwrap();

    // Replaced by name: the open reader keeps its bytes, a new one is refused.
    store.put(&key("o"), pattern(9_001), PutMode::Overwrite).await.unwrap();
    reader.check().unwrap();
    assert_eq!(reader.slice(0..9_000).await.unwrap(), pattern(9_000));
    let error = store.open(&key("o"), Some(&recorded)).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");

    // Changed in place, which nothing of ours does.
    let reader = store.open(&key("o"), None).await.unwrap();
    let file = unseal(&store.path(&key("o")));
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(reader.check().unwrap_err().to_string().contains("modified"));
    file.set_len(5_000).unwrap();
    assert!(reader.check().unwrap_err().to_string().contains("had 9001 bytes and has 5000"));
    let mut buffer = vec![0; 8_000];
    let error = reader.read_at(0, &mut buffer).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
    let error = reader.prepare(std::slice::from_ref(&(8_500..9_000))).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
}

/// A backup that was restored has other inodes: the portable form of a version ignores them.
#[test]
fn versions_compare_what_was_recorded() {
    let file = |modified_ns, inode| SourceVersion::File { len_bytes: 5, modified_ns, inode };
    assert_eq!(file(1, Some(7)).difference(&file(1, Some(7))), None);
    assert!(file(1, Some(7)).difference(&file(1, Some(8))).unwrap().contains("another file"));
    assert_eq!(file(1, Some(7)).portable().difference(&file(1, Some(8))), None);
    assert!(file(1, None).difference(&file(2, None)).is_some());
    let etag = |etag: &str| SourceVersion::Etag { len_bytes: 5, etag: etag.to_owned() };
    assert!(etag("\"a\"").difference(&etag("\"b\"")).is_some());
    assert!(etag("\"a\"").difference(&file(1, None)).is_some());
    let json = serde_json::to_string(&file(1, Some(7)).portable()).unwrap();
    assert_eq!(json, r#"{"kind":"file","len_bytes":5,"modified_ns":1}"#);
    assert_eq!(serde_json::from_str::<SourceVersion>(&json).unwrap(), file(1, None));
}

/// A mapped file that was cut short: `writev(2)` fails on it and the process lives.
#[tokio::test]
async fn a_truncated_mapping_fails_in_the_kernel() {
    use std::io::{IoSlice, Write};
    let Folder { store, _dir } = folder();
    store.put(&key("o"), pattern(1 << 20), PutMode::Overwrite).await.unwrap();
    let reader = store.open(&key("o"), None).await.unwrap();
    let piece = reader.slice(0..1 << 20).await.unwrap();
    unseal(&store.path(&key("o"))).set_len(0).unwrap();

    let (mut socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = socket.write_vectored(&[IoSlice::new(&piece)]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFAULT), "{error}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let error = socket.write_vectored(&[IoSlice::new(&piece)]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFAULT), "{error}");
}

/// A listener finds the file behind a slice, for as long as slices of it live and no longer.
#[tokio::test]
async fn slices_know_their_file() {
    let Folder { store, _dir } = folder();
    store.put(&key("o"), pattern(100_000), PutMode::Overwrite).await.unwrap();
    let reader = store.open(&key("o"), None).await.unwrap();
    let piece = reader.slice(70_000..90_000).await.unwrap();
    drop(reader);
    let (file, offset_bytes) = mapped::file_of(&piece).unwrap();
    assert_eq!((file.metadata().unwrap().len(), offset_bytes), (100_000, 70_000));
    assert_eq!(mapped::file_of(&piece[19_999..]).unwrap().1, 89_999);
    assert!(mapped::file_of(&pattern(10)).is_none());
    let address = piece.as_ptr();
    drop(piece);
    assert_eq!(Arc::strong_count(&file), 1, "{address:?} is still registered");
}
