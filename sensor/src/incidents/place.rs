//! Where the incident database is, for everybody in the process beside its writer: sinks and the listener. A file that
//! was set aside is replaced under the same name; readers notice and open the new one. It must never make the file.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Database, StoreError,
    outbox::{Outbox, Stored, Wake},
};

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Rises when the file is replaced.
    generation: AtomicU64,
    wake: Wake,
}

/// Where the database is; cheap to clone.
#[derive(Clone, Debug)]
pub struct Place(Arc<Inner>);

impl Place {
    /// The database at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner {
            path,
            generation: AtomicU64::new(0),
            wake: Wake::default(),
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Wakes whoever waits for updates.
    pub fn wake(&self) -> &Wake {
        &self.0.wake
    }

    /// A connection of its own, opened when it is first used.
    pub fn reader(&self) -> Reader {
        Reader {
            place: self.clone(),
            held: None,
        }
    }

    /// The file was replaced by a new one.
    pub(super) fn replaced(&self) {
        self.0.generation.fetch_add(1, Ordering::Release);
    }
}

/// A connection that is opened when it is needed, and anew after the file was replaced.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    held: Option<(u64, Database)>,
}

impl Reader {
    /// The database.
    ///
    /// # Errors
    /// If it cannot be opened now.
    pub fn database(&mut self) -> Result<&mut Database, StoreError> {
        let generation = self.place.0.generation.load(Ordering::Acquire);
        let current = match self.held.take() {
            Some(held) if held.0 == generation => held,
            _ => (generation, Database::open(self.place.path())?),
        };
        Ok(&mut self.held.insert(current).1)
    }
}

impl Outbox for Reader {
    fn after(&mut self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.database()?.after(seq, limit)
    }

    fn cursor(&mut self, sink: &str) -> Result<Option<u64>, StoreError> {
        self.database()?.cursor(sink)
    }

    fn advance(&mut self, sink: &str, seq: u64) -> Result<(), StoreError> {
        self.database()?.advance(sink, seq)
    }

    fn newest(&mut self) -> Result<u64, StoreError> {
        self.database()?.newest()
    }

    fn oldest(&mut self) -> Result<u64, StoreError> {
        self.database()?.oldest()
    }
}
