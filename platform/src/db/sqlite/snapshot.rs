//! A copy of a database as it is at one moment, while others write to it.
//!
//! A read transaction in WAL mode sees the database as it was at its begin, whatever is committed
//! after it. The copy takes the pages of that moment in one step, so no commit makes it begin anew
//! and nobody waits for it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::super::error::DbError;
use super::super::migrate::sqlite_applied;

/// The first bytes of every database (SQLite file format, 1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Damages that are told of.
const DAMAGES_MAX: usize = 10;

/// A database at one moment, as long as it is held.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    connection: Connection,
}

/// What a database file holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inspected {
    /// The newest migration of each schema, by name.
    pub schemas: Vec<(String, i64)>,
    /// What `PRAGMA integrity_check` and `foreign_key_check` complain of.
    pub damages: Vec<String>,
}

/// Whether a file is a database of SQLite.
///
/// # Errors
/// When it can't be read.
pub fn is_sqlite(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head == MAGIC)
}

impl Snapshot {
    /// The database as it is now.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn begin(path: &Path) -> Result<Self, DbError> {
        let open = || {
            let connection = open_existing(path)?;
            // The moment is that of the first read.
            connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
            Ok(connection)
        };
        let connection = open().map_err(|error| failed("read", path, &error))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Writes it into a new file.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub fn write_to(&self, path: &Path) -> Result<(), DbError> {
        let write = || {
            let mut copy = Connection::open(path)?;
            copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")?;
            let backup = Backup::new(&self.connection, &mut copy)?;
            let outcome = backup.step(-1)?;
            drop(backup);
            drop(copy);
            Ok(outcome)
        };
        match write().map_err(|error| failed("copy", &self.path, &error))? {
            StepResult::Done => Ok(()),
            _ => Err(DbError::open(format!("{} is locked; try again", self.path.display()))),
        }
    }
}

/// Reads the whole file and looks for damage; nobody else has it open.
///
/// # Errors
/// When it is no database.
pub fn inspect(path: &Path) -> Result<Inspected, DbError> {
    let connection = open_existing(path).map_err(|error| failed("read", path, &error))?;
    let damages = damages(&connection).map_err(|error| failed("check", path, &error))?;
    let mut schemas: Vec<(String, i64)> = Vec::new();
    if damages.is_empty() {
        for (schema, version) in sqlite_applied(&connection)? {
            match schemas.last_mut() {
                Some((last, newest)) if *last == schema => *newest = version,
                _ => schemas.push((schema, version)),
            }
        }
    }
    Ok(Inspected { schemas, damages })
}

/// Where a check itself can't go on for damage, that is one more.
fn damages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut damages = Vec::new();
    match look_for_damages(connection, &mut damages) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            damages.push(error.to_string());
        }
        outcome => outcome?,
    }
    Ok(damages)
}

fn look_for_damages(connection: &Connection, damages: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({DAMAGES_MAX})"))?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            damages.push(said);
        }
    }
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()?
        && damages.len() < DAMAGES_MAX
    {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        damages.push(format!("a row of {table} refers to a row of {parent} that is missing"));
    }
    Ok(())
}

/// Nothing in the file is trusted: it may have come out of an archive.
fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(super::connection::LOCKED_MAX)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")?;
    Ok(connection)
}

fn failed(action: &str, path: &Path, error: &rusqlite::Error) -> DbError {
    DbError::open(format!("cannot {action} the database {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Ends the writers of a test, also when one of its assertions fails.
    struct Over<'a>(&'a AtomicBool);

    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    const TABLES: &str = "PRAGMA journal_mode = WAL; CREATE TABLE a (n INTEGER) STRICT;
        CREATE TABLE b (n INTEGER) STRICT; INSERT INTO a VALUES (0); INSERT INTO b VALUES (0)";

    fn sums(path: &Path) -> (i64, i64) {
        let sums = "SELECT (SELECT sum(n) FROM a), (SELECT sum(n) FROM b)";
        let connection = open_existing(path).unwrap();
        connection.query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// Every transaction adds to one table what it takes from the other: no copy has half of one,
    /// and each has what was committed before it began.
    #[test]
    fn a_snapshot_is_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        Connection::open(&path).unwrap().execute_batch(TABLES).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _over = Over(&is_over);
            for _ in 0..3 {
                scope.spawn(|| {
                    let writer = open_existing(&path).unwrap();
                    writer.execute_batch("PRAGMA synchronous = OFF").unwrap();
                    while !is_over.load(Ordering::Relaxed) {
                        let step = "BEGIN IMMEDIATE; INSERT INTO a VALUES (1);
                            INSERT INTO b VALUES (-1); COMMIT";
                        writer.execute_batch(step).unwrap();
                    }
                });
            }
            let mut last = -1;
            for round in 0..40 {
                let least = sums(&path).0;
                let snapshot = Snapshot::begin(&path).unwrap();
                let most = sums(&path).0;
                std::thread::sleep(std::time::Duration::from_millis(5));
                let copy = folder.path().join(format!("copy-{round}.db"));
                snapshot.write_to(&copy).unwrap();
                let (a, b) = sums(&copy);
                assert_eq!(a + b, 0);
                assert!(least <= a && a <= most, "{least} {a} {most}");
                assert!(last <= a);
                last = a;
                assert_eq!(inspect(&copy).unwrap().damages, Vec::<String>::new());
            }
            assert!(0 < last);
        });
    }

    #[test]
    fn damage_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        assert!(Snapshot::begin(&path).is_err());
        assert!(inspect(&path).is_err());
        let live = Connection::open(&path).unwrap();
        live.execute_batch(TABLES).unwrap();
        live.execute_batch("CREATE TABLE c (t TEXT PRIMARY KEY)").unwrap();
        for row in 0..2_000 {
            live.execute("INSERT INTO c VALUES (?1)", [format!("{row:0200}")]).unwrap();
        }
        drop(live);
        assert!(is_sqlite(&path).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 6_000].fill(0x5A);
        std::fs::write(&path, &bytes).unwrap();
        assert!(!inspect(&path).unwrap().damages.is_empty());
        std::fs::write(&path, b"SQLite format 3").unwrap();
        assert!(!is_sqlite(&path).unwrap());
    }
}
