//! What the store's thread does in one round: write, look for new rules, let old things go; and what it does when the
//! file is damaged or gone. It must never give up for good: each failure is one more attempt later.

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};

use super::{
    Database, Place, StoreError, Update,
    retention::{Retention, Swept},
    schema::{self, failed},
    writer::Rules,
};
use crate::{
    metrics::{Metrics, label::Forgotten},
    service::clock,
};

/// How often retention looks for what is too old.
const SWEEP_NS: u64 = 3_600_000_000_000;
/// Written updates after which retention looks at the size again.
const SWEEP_UPDATES: u64 = 10_000;

/// The database of the store's thread and what it knows of it.
#[derive(Debug)]
pub(super) struct Keeper {
    place: Place,
    rules: Rules,
    retention: Retention,
    held: Option<Held>,
    /// The last number that was given: a new file goes on behind it.
    last_seq: u64,
    next_sweep_ns: u64,
    unswept: u64,
    sweeping: bool,
    /// Whether the file is to be read through before it is used: after the start, and when a reader met damage.
    unchecked: bool,
}

#[derive(Debug)]
struct Held {
    database: Database,
    /// The file as it was opened: device and inode.
    identity: (u64, u64),
    /// SQLite's count of what other connections have written.
    data_version: Option<i64>,
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Held {
    fn new(database: Database) -> Self {
        Self {
            identity: identity(&database.path).unwrap_or_default(),
            database,
            data_version: None,
        }
    }
}

/// Opens the database for the daemon; a damaged one is set aside and a new one begun.
///
/// # Errors
/// If the file must not be used (another program's, a later version's) or cannot be made.
pub fn open(path: &Path) -> Result<Database, StoreError> {
    match Database::create(path) {
        Err(cause) if cause.is_damage() => {
            set_aside(path, &cause)?;
            Database::create(path)
        }
        outcome => outcome,
    }
}

fn set_aside(path: &Path, cause: &StoreError) -> Result<(), StoreError> {
    let now = jiff::Timestamp::from_nanosecond(i128::from(clock::unix_ns())).unwrap_or_default();
    let aside = schema::set_aside(path, &now.strftime("%Y%m%dT%H%M%S%3fZ").to_string())?;
    tracing::error!(
        "{cause}: it was moved to {} and a new one is begun; `sqlite3 FILE .recover` may get back what it held",
        aside.display()
    );
    Ok(())
}

impl Keeper {
    pub(super) fn new(database: Database, place: Place, rules: Rules, retention: Retention) -> Self {
        Self {
            place,
            rules,
            retention,
            held: Some(Held::new(database)),
            last_seq: 0,
            next_sweep_ns: 0,
            unswept: 0,
            sweeping: true,
            unchecked: true,
        }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether there is more housekeeping to do at once.
    pub(super) const fn is_busy(&self) -> bool {
        self.sweeping
    }

    /// Writes a batch, or does some housekeeping if it is empty.
    ///
    /// # Errors
    /// If nothing of the batch was written; the next round tries again.
    pub(super) fn round(&mut self, batch: &[Update], metrics: &Metrics) -> Result<(), StoreError> {
        match self.attempt(batch, metrics) {
            Err(cause) if cause.is_damage() => {
                self.held = None;
                set_aside(self.place.path(), &cause)?;
                self.attempt(batch, metrics)
            }
            Err(cause) => {
                // The next attempt begins with a new connection: what was wrong with this one goes with it.
                self.held = None;
                Err(cause)
            }
            Ok(()) => Ok(()),
        }
    }

    fn attempt(&mut self, batch: &[Update], metrics: &Metrics) -> Result<(), StoreError> {
        let held = self.held()?;
        if !batch.is_empty() {
            let last_seq = held.database.record(batch)?;
            self.last_seq = last_seq;
            self.unswept += batch.len() as u64;
            self.place.wake().written();
        }
        match self.housekeeping(batch.is_empty(), metrics) {
            Err(cause) if !batch.is_empty() => {
                // The batch is committed and must not be written again; the next round meets the same trouble.
                tracing::debug!("{cause}");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The open file; opens it if there is none, or another under its name.
    fn held(&mut self) -> Result<&mut Held, StoreError> {
        let path = self.place.path();
        if self
            .held
            .as_ref()
            .is_some_and(|held| identity(path) != Some(held.identity))
        {
            tracing::error!(path = %path.display(), "the incident database was removed or replaced");
            self.held = None;
        }
        let held = if let Some(held) = self.held.take() {
            held
        } else {
            let database = Database::create(path)?;
            if self.last_seq > 0 {
                database.continue_after(self.last_seq)?;
            }
            self.place.replaced();
            Held::new(database)
        };
        self.unchecked |= self.place.take_suspicion();
        if self.unchecked {
            held.database.check()?;
            self.unchecked = false;
        }
        Ok(self.held.insert(held))
    }

    fn housekeeping(&mut self, idle: bool, metrics: &Metrics) -> Result<(), StoreError> {
        let Some(held) = self.held.as_mut() else {
            return Ok(());
        };
        let version = held.database.data_version()?;
        if held.data_version.replace(version) != Some(version) {
            let rules = held.database.rules(clock::unix_ns())?;
            if rules != **self.rules.load() {
                tracing::info!(in_force = rules.len(), "suppressions have changed");
                self.rules.store(Arc::new(rules));
            }
        }
        if idle || self.unswept >= SWEEP_UPDATES {
            self.sweep(metrics)?;
        }
        Ok(())
    }

    /// A bounded piece of retention at a time, so that updates never wait long.
    fn sweep(&mut self, metrics: &Metrics) -> Result<(), StoreError> {
        let now_ns = clock::monotonic_ns();
        self.sweeping |= now_ns >= self.next_sweep_ns || self.unswept >= SWEEP_UPDATES;
        let Some(held) = self.held.as_mut().filter(|_| self.sweeping) else {
            return Ok(());
        };
        let Swept { old, surplus, more } = held.database.sweep(&self.retention, clock::unix_ns())?;
        for (reason, count) in [(Forgotten::Age, old), (Forgotten::Size, surplus)] {
            metrics
                .incident_updates_forgotten
                .with_label_values(&[reason.as_str()])
                .inc_by(count);
        }
        self.sweeping = more;
        if !more {
            self.next_sweep_ns = now_ns.saturating_add(SWEEP_NS);
            self.unswept = 0;
        }
        Ok(())
    }
}

impl Database {
    /// SQLite's count of what other connections have written to the file.
    fn data_version(&self) -> Result<i64, StoreError> {
        self.connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(failed("look at it", &self.path))
    }

    /// Reads the whole file and reports the first thing that is wrong with it.
    fn check(&self) -> Result<(), StoreError> {
        let found: String = self
            .connection
            .pragma_query_value(None, "quick_check", |row| row.get(0))
            .map_err(failed("check it", &self.path))?;
        if found == "ok" {
            Ok(())
        } else {
            Err(StoreError::Damaged {
                path: self.path.clone(),
                cause: found,
            })
        }
    }
}
