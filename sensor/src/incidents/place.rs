//! Where the incident database is, for everybody in the process beside its writer: sinks and the listener. A file that
//! was set aside is replaced under the same name; readers notice and open the new one. It must never make the file.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
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
    /// Somebody found it damaged: the writer looks itself before it believes that.
    suspicion: AtomicBool,
    /// Why nothing can be written now.
    problem: Mutex<Option<String>>,
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
            suspicion: AtomicBool::new(false),
            problem: Mutex::default(),
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

    /// Why incidents cannot be stored now, in a sentence.
    pub fn problem(&self) -> Option<String> {
        self.0
            .problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_problem(&self, problem: Option<String>) {
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Whether a reader has found damage since the last call.
    pub(super) fn take_suspicion(&self) -> bool {
        self.0.suspicion.swap(false, Ordering::AcqRel)
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
    /// Does something with the database. Damage that comes to light is reported to the writer.
    ///
    /// # Errors
    /// If it cannot be opened now, and whatever `work` reports.
    pub fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let generation = self.place.0.generation.load(Ordering::Acquire);
        let outcome = match self.held.take() {
            Some(held) if held.0 == generation => Ok(held),
            _ => Database::open(self.place.path()).map(|database| (generation, database)),
        };
        let outcome = outcome.and_then(|held| work(&mut self.held.insert(held).1));
        if outcome.as_ref().is_err_and(StoreError::is_damage) {
            self.held = None;
            self.place.0.suspicion.store(true, Ordering::Release);
        }
        outcome
    }
}

impl Outbox for Reader {
    fn after(&mut self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.with(|database| database.after(seq, limit))
    }

    fn cursor(&mut self, sink: &str) -> Result<Option<u64>, StoreError> {
        self.with(|database| database.cursor(sink))
    }

    fn advance(&mut self, sink: &str, seq: u64) -> Result<(), StoreError> {
        self.with(|database| database.advance(sink, seq))
    }

    fn newest(&mut self) -> Result<u64, StoreError> {
        self.with(Outbox::newest)
    }

    fn oldest(&mut self) -> Result<u64, StoreError> {
        self.with(Outbox::oldest)
    }
}
