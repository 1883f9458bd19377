//! Segments of a journal as a crash, a broken disk or somebody else may have left them.

use std::io;
use std::sync::{Arc, Mutex};

use platform::journal::format::{RecordRef, SegmentHeader};
use platform::journal::{BatchLimit, Journal, JournalOptions, Storage, StorageFile};

/// One segment of any bytes: a journal opens it or names the fault, and then reads the same records
/// twice, in order, and takes none that a reader of single records would not.
pub fn journal(data: &[u8]) {
    if let Ok(header) = SegmentHeader::parse(data) {
        assert_eq!(header.to_bytes(), data[..40]);
        if let Ok(record) = RecordRef::parse(&data[40..], header.salt) {
            let mut bytes = Vec::new();
            record.write(header.salt, &mut bytes);
            assert!(bytes.len() == record.len_bytes());
        }
    }
    let first = SegmentHeader::parse(data).map_or(1, |header| header.first_sequence);
    let memory = Memory::default();
    memory
        .0
        .lock()
        .unwrap()
        .push((format!("{first:020}.journal"), Arc::new(Mutex::new(data.to_vec()))));
    let Some(found) = read(&memory) else { return };
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    let rest = read(&memory).expect("what was recovered is whole");
    assert_eq!(found, rest);
}

/// The sequences of all records.
fn read(memory: &Memory) -> Option<Vec<u64>> {
    let journal =
        Journal::open_in(Arc::new(memory.clone()), JournalOptions::default(), || 1).ok()?;
    let mut reader = journal.reader("fuzz").ok()?;
    let batch = reader.read(BatchLimit { records: usize::MAX, bytes: usize::MAX }).ok()?;
    Some(batch.entries.iter().map(|entry| entry.sequence).collect())
}

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<(String, Content)>>>);

struct Opened(Content);

impl Memory {
    fn find(&self, name: &str) -> io::Result<Content> {
        let files = self.0.lock().unwrap();
        let found = files.iter().find(|(known, _)| known == name);
        found.map(|(_, content)| content.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().iter().map(|(name, _)| name.clone()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let content = Content::default();
        self.0.lock().unwrap().push((name.to_owned(), content.clone()));
        Ok(Box::new(Opened(content)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(Opened(self.find(name)?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().retain(|(known, _)| known != name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.find(from)?;
        self.remove(from)?;
        self.remove(to)?;
        self.0.lock().unwrap().push((to.to_owned(), content));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageFile for Opened {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.0.lock().unwrap();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        let end = offset as usize + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.lock().unwrap().truncate(len_bytes as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
