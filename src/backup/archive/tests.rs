use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tar::{Archive, Builder, Header};

use super::*;

/// Path, mode, time and content of everything below a folder.
type Tree = BTreeMap<String, (u32, u64, Vec<u8>)>;

fn tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    crate::backup::tree::walk(folder, &mut |name, path, metadata| -> io::Result<()> {
        let is_folder = metadata.is_dir();
        let content = if is_folder { Vec::new() } else { std::fs::read(path)? };
        let ns = metadata.mtime() as u64 * 1_000_000_000 + metadata.mtime_nsec() as u64;
        // A folder's time is when something was last put into it.
        let modified_ns = if is_folder { 0 } else { ns };
        tree.insert(name.to_owned(), (metadata.mode(), modified_ns, content));
        Ok(())
    })
    .unwrap();
    tree
}

fn long_name() -> String {
    format!("folder/{}/{}-ü", "n".repeat(120), "f".repeat(200))
}

/// A folder with what makes a tar difficult.
fn example(folder: &Path) {
    let files = [
        ("empty", 0_usize, 0o600, 1_700_000_000_000_000_001),
        ("block", 512, 0o444, 1_700_000_000_123_456_789),
        ("folder/odd", 1_237, 0o640, 999_999_999),
        (&long_name(), 300_001, 0o444, 4_102_444_800_000_000_000),
    ];
    for (index, (name, len_bytes, mode, modified_ns)) in files.into_iter().enumerate() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content: Vec<u8> = (0..len_bytes).map(|at| (at * 31 + index) as u8).collect();
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(modified_ns)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

fn pack(folder: &Path) -> Vec<u8> {
    let sums = tempfile::tempfile().unwrap();
    let mut writer = Writer::new(Vec::new(), sums, b"{\"kind\":\"test\"}", 1).unwrap();
    crate::backup::tree::walk(folder, &mut |name, path, metadata| {
        let ns = metadata.mtime() as u64 * 1_000_000_000 + metadata.mtime_nsec() as u64;
        let meta = Meta { mode: metadata.mode(), modified_ns: ns };
        match metadata.is_dir() {
            true => writer.folder(name, meta),
            false => writer.file(name, meta, metadata.len(), path, &mut |_| {}),
        }
        .map_err(|error| io::Error::other(error.to_string()))
    })
    .unwrap();
    writer.finish().unwrap()
}

const PLENTY: Unpacked = Unpacked { entries: 100, bytes: 1 << 30 };

/// What comes out when so much is promised, and the error.
fn unpack_with(archive: &[u8], max: Unpacked) -> (Tree, Result<Unpacked, ArchiveError>) {
    let into = tempfile::tempdir().unwrap();
    let mut archive = Archive::new(archive);
    let sums = tempfile::tempfile().unwrap();
    let outcome = Reader::open(&mut archive)
        .and_then(|reader| reader.unpack(into.path(), sums, max, &mut |_| {}));
    (tree(into.path()), outcome)
}

#[test]
fn what_goes_in_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    example(folder.path());
    let archive = pack(folder.path());
    let expected = tree(folder.path());
    let bytes = expected.values().map(|(_, _, content)| content.len() as u64).sum();
    let counts = Unpacked { entries: expected.len() as u64, bytes };
    let (found, outcome) = unpack_with(&archive, counts);
    assert_eq!(outcome.unwrap(), counts);
    assert_eq!(found, expected);
    // Two archives of one folder are one.
    assert!(pack(folder.path()) == archive);

    let fewer = Unpacked { entries: counts.entries - 1, ..counts };
    assert!(matches!(unpack_with(&archive, fewer).1, Err(ArchiveError::Refused { .. })));
    let smaller = Unpacked { bytes: counts.bytes - 1, ..counts };
    assert!(matches!(unpack_with(&archive, smaller).1, Err(ArchiveError::Refused { .. })));
    assert!(matches!(unpack_with(&archive, PLENTY).1, Err(ArchiveError::CutOff)));
}

/// `tar` of the system reads it, and reads what we read.
#[test]
fn another_tar_agrees() {
    let folder = tempfile::tempdir().unwrap();
    example(folder.path());
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("archive.tar");
    std::fs::write(&path, pack(folder.path())).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xpf").arg(&path).arg("-C").arg(out.path());
    let said = tar.output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(tree(&out.path().join("files")), tree(folder.path()));
}

#[test]
fn an_archive_that_ends_early_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    example(folder.path());
    let archive = pack(folder.path());
    let counts = Unpacked { entries: 6, bytes: 301_750 };
    assert!(unpack_with(&archive, counts).1.is_ok());
    // What follows the last entry is zeros.
    let last = archive.iter().rposition(|byte| *byte != 0).unwrap();
    let ends = (0..3_000).chain((3_000..last).step_by(997)).chain(last - 1_500..=last);
    for end in ends {
        let outcome = unpack_with(&archive[..end], counts).1;
        assert!(outcome.is_err(), "at {end} of {}", archive.len());
    }
}

/// A bit that flips anywhere is found, or changes nothing that comes out.
#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    example(folder.path());
    std::fs::remove_dir_all(folder.path().join("folder").join("n".repeat(120))).unwrap();
    let archive = pack(folder.path());
    let expected = tree(folder.path());
    let counts = Unpacked { entries: 4, bytes: 1_749 };
    let mut harmless = 0;
    for at in (0..archive.len()).step_by(3) {
        let mut damaged = archive.clone();
        damaged[at] ^= 1 << (at % 8);
        let (found, outcome) = unpack_with(&damaged, counts);
        if outcome.is_ok() {
            harmless += 1;
            assert_eq!(found, expected, "byte {at}");
        }
    }
    assert!(harmless < archive.len() / 4, "{harmless} of {}", archive.len());
}

/// An entry as somebody else may write it.
struct Forged<'a> {
    records: &'a str,
    kind: u8,
    name: &'a str,
    content: &'a [u8],
    /// Said instead of the content's length.
    len_bytes: Option<u64>,
}

const TIME: &str = "24 mtime=1.000000000\n";

fn forged<'a>(kind: u8, name: &'a str, content: &'a [u8]) -> Forged<'a> {
    Forged { records: "21 mtime=1.000000000\n", kind, name, content, len_bytes: None }
}

fn header(kind: u8, name: &[u8], len_bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..6].copy_from_slice(b"/etc/x");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(len_bytes);
    header.set_mode(0o4755);
    header.set_mtime(1);
    header.set_cksum();
    header
}

/// An archive of these entries, with the checksums that they have.
fn forge(entries: &[Forged<'_>]) -> Vec<u8> {
    let mut out = Builder::new(Vec::new());
    let manifest = forged(b'0', MANIFEST, b"{}");
    let mut sums = String::new();
    for entry in std::iter::once(&manifest).chain(entries) {
        put(&mut out, entry);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, entry.content);
        let digest = (entry.kind == b'0').then_some(&digest);
        let meta = Meta { mode: 0o755, modified_ns: 1_000_000_000 };
        sums += &sum_line(digest, entry.content.len() as u64, meta, entry.name);
    }
    put(&mut out, &forged(b'0', CHECKSUMS, sums.as_bytes()));
    out.into_inner().unwrap()
}

fn put(out: &mut Builder<Vec<u8>>, entry: &Forged<'_>) {
    let mut write = |header: Header, content: &[u8]| {
        out.get_mut().write_all(header.as_bytes()).unwrap();
        out.get_mut().write_all(content).unwrap();
        let over = content.len() % 512;
        let zeros = if over == 0 { 0 } else { 512 - over };
        out.get_mut().write_all(&[0; 512][..zeros]).unwrap();
    };
    if !entry.records.is_empty() {
        write(header(b'x', b"x", entry.records.len() as u64), entry.records.as_bytes());
    }
    let len_bytes = entry.len_bytes.unwrap_or(entry.content.len() as u64);
    write(header(entry.kind, entry.name.as_bytes(), len_bytes), entry.content);
}

#[track_caller]
fn check_refused(entries: &[Forged<'_>], reason: &str) {
    let counts = Unpacked { entries: entries.len() as u64, bytes: 1 << 30 };
    let (_, outcome) = unpack_with(&forge(entries), counts);
    let error = outcome.expect_err(reason).to_string();
    assert!(error.contains(reason), "{reason}: {error}");
}

#[test]
fn what_is_forged_well_is_taken() {
    let entries = [
        forged(b'5', "files/a/", b""),
        forged(b'0', "files/a/b", b"content"),
        Forged { records: "21 mtime=1.000000000\n16 path=files/c\n", ..forged(b'0', "d", b"") },
    ];
    let mut archive = forge(&entries);
    // The checksums name what the pax record does.
    let at = archive.windows(4).rposition(|window| window == b" d\n\0").unwrap();
    archive.truncate(at);
    let (found, outcome) = unpack_with(&archive, Unpacked { entries: 3, bytes: 7 });
    assert!(outcome.is_err());
    assert_eq!(found["a/b"].2, b"content");
    // Nobody gets the rights of another by a file.
    assert_eq!(found["a/b"].0 & 0o7777, 0o755);
    assert!(found.contains_key("c") && !found.contains_key("d"));
    let entries = &entries[..2];
    let (_, outcome) = unpack_with(&forge(entries), Unpacked { entries: 2, bytes: 7 });
    assert_eq!(outcome.unwrap().bytes, 7);
}

#[test]
fn hostile_archives_are_refused() {
    let file = |name| forged(b'0', name, b"x");
    check_refused(&[file("/etc/passwd")], "none of the files");
    check_refused(&[file("other")], "none of the files");
    check_refused(&[file("files//etc/passwd")], "absolute");
    check_refused(&[file("files/../up")], "leads elsewhere");
    check_refused(&[file("files/a/../../up")], "leads elsewhere");
    check_refused(&[file("files/./a")], "leads elsewhere");
    check_refused(&[file("files/a/")], "named as a folder");
    check_refused(&[file("files/a\nb")], "control character");
    check_refused(&[file("files/a/b")], "its folder did not come before");
    check_refused(&[file("files/a"), file("files/a")], "comes twice");
    check_refused(&[file("files/a"), file("files/a/b")], "its folder did not come before");
    check_refused(&[forged(b'5', "files/a/", b""), file("files/a")], "comes twice");
    check_refused(&[forged(b'5', "files/a/", b"x")], "a folder with content");
    for link in [b'1', b'2'] {
        check_refused(&[forged(link, "files/a", b"")], "it is a link");
        check_refused(&[Forged { records: "", ..forged(link, "files/a", b"") }], "it is a link");
    }
    for other in *b"3467LKgSVMDN" {
        check_refused(&[forged(other, "files/a", b"")], "neither a file nor a folder");
    }
    check_refused(&[Forged { records: "", ..file("files/a") }], "it has no time");
    let deep =
        format!("21 mtime=1.000000000\n{}", record("path", &format!("files/{}b", "a/".repeat(70))));
    check_refused(&[Forged { records: &deep, ..file("files/a") }], "too long");
    let long = format!("21 mtime=1.000000000\n{}", record("path", &"f".repeat(9_000)));
    check_refused(&[Forged { records: &long, ..file("files/a") }], "pax record is too long");
    for (records, reason) in [
        (TIME, "can't be read"),
        ("21 mtime=1.000000000\n10 size=9\n", "unknown pax record"),
        ("21 mtime=1.000000000\n21 mtime=2.000000000\n", "unknown pax record"),
        ("14 mtime=-1.0\n", "time can't be read"),
        ("31 mtime=99999999999.000000000\n", "time can't be read"),
        ("21 mtime=1.000000000\n23 path=files/../../up\n", "leads elsewhere"),
    ] {
        check_refused(&[Forged { records, ..file("files/a") }], reason);
    }
    // More than it was said to be, and far more than there is.
    let huge = Forged { len_bytes: Some(1 << 40), ..file("files/a") };
    check_refused(&[huge], "more than the manifest says");
    let huge = Forged { len_bytes: Some(1 << 29), ..file("files/a") };
    check_refused(&[huge], "ends in the middle");
    let mut archive = forge(&[file("files/a")]);
    archive.truncate(archive.len() - 1_024);
    let late = forge(&[file("files/b")]);
    archive.extend(&late);
    let (_, outcome) = unpack_with(&archive, Unpacked { entries: 1, bytes: 1 });
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("comes after the checksums"), "{error}");
}

fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut len = rest;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    format!("{len} {key}={value}\n")
}

#[test]
fn what_is_no_archive_is_told_so() {
    for bytes in [&b""[..], b"text", &[0; 2_048], &[0xFF; 4_096]] {
        let (_, outcome) = unpack_with(bytes, PLENTY);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("no backup of StreamVerse"), "{error}");
    }
    let other = {
        let mut out = Builder::new(Vec::new());
        put(&mut out, &forged(b'0', "readme", b"x"));
        out.into_inner().unwrap()
    };
    let error = unpack_with(&other, PLENTY).1.unwrap_err().to_string();
    assert!(error.contains("first entry is not manifest.json"), "{error}");
}
