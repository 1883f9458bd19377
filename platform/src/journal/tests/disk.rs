//! A disk that keeps what was synced, and of the rest what chance keeps: single sectors of writes, in
//! any order, and the first few changes of names. It can be full, and its syncs can fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::storage::{Storage, StorageFile};

const SECTOR_BYTES: usize = 512;

/// Chance from a seed (xorshift64*).
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound.max(1)
    }
}

#[derive(Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    now: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone, Default)]
struct Names {
    now: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    since: Vec<(String, Option<usize>)>,
}

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    operations: u64,
    /// Bytes that all files together may have.
    capacity_bytes: Option<u64>,
    syncs_failing: u32,
}

type Watch = Box<dyn FnMut(u64, &Disk) + Send>;

#[derive(Clone, Default)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    watch: Arc<Mutex<Option<Watch>>>,
}

struct Open {
    disk: Disk,
    inode: usize,
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Called before each change, with its number.
    pub(super) fn watch(&self, watch: impl FnMut(u64, &Self) + Send + 'static) {
        *self.watch.lock().unwrap() = Some(Box::new(watch));
    }

    fn change(&self) -> MutexGuard<'_, State> {
        let number = {
            let mut state = self.lock();
            state.operations += 1;
            state.operations
        };
        if let Some(watch) = self.watch.lock().unwrap().as_mut() {
            watch(number, self);
        }
        self.lock()
    }

    pub(super) fn fail_syncs(&self, count: u32) {
        self.lock().syncs_failing = count;
    }

    /// Lets nothing more in, or everything again.
    pub(super) fn set_full(&self, is_full: bool) {
        let mut state = self.lock();
        let used = state.used_bytes();
        state.capacity_bytes = is_full.then_some(used);
    }

    /// What the machine finds after its power was lost now.
    pub(super) fn after_power_loss(&self, chance: &mut Chance) -> Self {
        let state = self.lock().clone();
        let mut names = state.names.synced.clone();
        let kept = chance.below(state.names.since.len() as u64 + 1) as usize;
        for change in &state.names.since[..kept] {
            apply_name(&mut names, change);
        }
        let inodes = state.inodes.iter().map(|inode| {
            let content = inode.after_power_loss(chance);
            Inode { synced: content.clone(), now: content, since: Vec::new() }
        });
        let inodes = inodes.collect();
        let names = Names { now: names.clone(), synced: names, since: Vec::new() };
        let state = State { inodes, names, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), watch: Arc::default() }
    }

    /// What a new process finds after the old one was killed: all that was written.
    pub(super) fn after_kill(&self) -> Self {
        let state = State { capacity_bytes: None, syncs_failing: 0, ..self.lock().clone() };
        Self { state: Arc::new(Mutex::new(state)), watch: Arc::default() }
    }

    /// Changes a file's bytes behind everybody's back.
    pub(super) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let inode = state.names.now[name];
        let inode = &mut state.inodes[inode];
        change(&mut inode.now);
        inode.synced.clone_from(&inode.now);
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.inodes[state.names.now[name]].now.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.lock().names.now.keys().cloned().collect()
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.names.now.values().map(|inode| self.inodes[*inode].now.len() as u64).sum()
    }

    fn name(&mut self, change: (String, Option<usize>)) {
        apply_name(&mut self.names.now, &change);
        self.names.since.push(change);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.now.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs_failing > 0 {
            self.syncs_failing -= 1;
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }
}

fn apply_name(names: &mut BTreeMap<String, usize>, (name, inode): &(String, Option<usize>)) {
    match inode {
        Some(inode) => names.insert(name.clone(), *inode),
        None => names.remove(name),
    };
}

impl Inode {
    fn apply(content: &mut Vec<u8>, change: &Change) {
        match change {
            Change::SetLen(len_bytes) => content.resize(*len_bytes as usize, 0),
            Change::Write(offset, bytes) => {
                let end = *offset as usize + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset as usize..end].copy_from_slice(bytes);
            }
        }
    }

    fn after_power_loss(&self, chance: &mut Chance) -> Vec<u8> {
        let mut content = self.synced.clone();
        // Nothing, about half, or nearly all of it arrived.
        let odds = [0, 5, 9][chance.below(3) as usize];
        for change in &self.since {
            match change {
                Change::SetLen(_) if chance.below(10) < odds => Self::apply(&mut content, change),
                Change::SetLen(_) => {}
                Change::Write(offset, bytes) => {
                    for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if chance.below(10) < odds {
                            let at = offset + (index * SECTOR_BYTES) as u64;
                            Self::apply(&mut content, &Change::Write(at, sector.to_vec()));
                        }
                    }
                }
            }
        }
        content
    }
}

impl Storage for Disk {
    fn name(&self) -> String {
        "disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.change();
        if state.names.now.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.name((name.to_owned(), Some(inode)));
        Ok(Box::new(Open { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let inode = self.lock().find(name)?;
        Ok(Box::new(Open { disk: self.clone(), inode }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.change();
        state.find(name)?;
        state.name((name.to_owned(), None));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.change();
        let inode = state.find(from)?;
        // Power may go between the two: then the file has both names, which is worse than POSIX allows.
        state.name((to.to_owned(), Some(inode)));
        state.name((from.to_owned(), None));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.change();
        state.sync()?;
        state.names.synced = state.names.now.clone();
        state.names.since.clear();
        Ok(())
    }
}

impl StorageFile for Open {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.lock();
        let content = &state.inodes[self.inode].now;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.change();
        let used = state.used_bytes();
        let end = offset + bytes.len() as u64;
        let grows = end.saturating_sub(state.inodes[self.inode].now.len() as u64);
        let fits = state.capacity_bytes.is_none_or(|capacity| used + grows <= capacity);
        // A full disk takes the part that it has room for.
        let bytes = if fits { bytes } else { &bytes[..bytes.len() / 2] };
        let inode = &mut state.inodes[self.inode];
        let change = Change::Write(offset, bytes.to_vec());
        Inode::apply(&mut inode.now, &change);
        inode.since.push(change);
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let mut state = self.disk.change();
        let inode = &mut state.inodes[self.inode];
        let change = Change::SetLen(len_bytes);
        Inode::apply(&mut inode.now, &change);
        inode.since.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.change();
        state.sync()?;
        let inode = &mut state.inodes[self.inode];
        inode.synced.clone_from(&inode.now);
        inode.since.clear();
        Ok(())
    }
}
