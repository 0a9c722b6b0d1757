//! One connection to the incident database: opening it, and writing updates. It must never leave half an update: each
//! batch is one transaction.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{
    StoreError,
    schema::{self, Found, VERSION, failed},
};
use crate::alert::{Alert, State};

/// How long a connection waits while another one writes. Transactions here take milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// One update on its way into the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Time of the update, Unix nanoseconds.
    pub ts_ns: i64,
    /// Id of the incident.
    pub incident: String,
    /// Its state.
    pub state: State,
    /// Its severity.
    pub severity: &'static str,
    /// Its behaviour.
    pub behaviour: &'static str,
    /// The suppression that keeps it from the outputs.
    pub suppressed_by: Option<i64>,
    /// The journal line.
    pub json: String,
}

impl Update {
    /// An update of an alert whose journal line is `json`.
    pub fn of(alert: &Alert, json: String, suppressed_by: Option<i64>) -> Self {
        Self {
            ts_ns: unix_ns(&alert.ts),
            incident: alert.id.clone(),
            state: alert.state,
            severity: alert.severity.label(),
            behaviour: alert.behaviour.label(),
            suppressed_by,
            json,
        }
    }
}

/// RFC 3339 as Unix nanoseconds; 0 for what is no time, which an alert never holds.
pub fn unix_ns(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>()
        .map_or(0, |time| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX))
}

/// Name of a state in the database, as in the journal.
pub(super) const fn state_label(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Update => "update",
        State::Closed => "closed",
    }
}

/// A connection.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens the file for the daemon: makes it with mode 0600 if it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// If it cannot be opened, is damaged, of another program, or of a later version.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        schema::make_private(path)?;
        let mut database = Self::connect(path)?;
        schema::migrate(&mut database.connection, path)?;
        Ok(database)
    }

    /// Opens the file beside a running daemon; it must be there.
    ///
    /// # Errors
    /// If it is missing, cannot be opened, is damaged, of another program, or of another version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match std::fs::metadata(path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing {
                    path: path.to_owned(),
                });
            }
            Err(source) => {
                return Err(StoreError::Io {
                    op: "open it",
                    path: path.to_owned(),
                    source,
                });
            }
            Ok(_) => {}
        }
        let database = Self::connect(path)?;
        match schema::look(&database.connection, path)? {
            Found::Fresh => Err(StoreError::Missing {
                path: path.to_owned(),
            }),
            Found::Version(VERSION) => Ok(database),
            Found::Version(found) => Err(StoreError::Older {
                path: path.to_owned(),
                found,
                known: VERSION,
            }),
        }
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed("open it", path))?;
        let prepare = || {
            connection.busy_timeout(BUSY)?;
            // With a write-ahead log, killing the process at any instant loses nothing that was committed; only a
            // crash of the whole host can take the last commits, and even that leaves a whole file.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // A file that somebody else prepared must not run anything, and a damaged page is to be noticed.
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)
        };
        prepare().map_err(failed("open it", path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// Writes updates in one transaction: all of them or none. Returns the sequence number of the last.
    ///
    /// # Errors
    /// If the transaction fails; nothing is written then.
    pub fn record(&mut self, updates: &[Update]) -> Result<u64, StoreError> {
        let path = &self.path;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("write updates", path))?;
        let last = write(&transaction, updates).map_err(failed("write updates", path))?;
        transaction.commit().map_err(failed("write updates", path))?;
        Ok(last)
    }

    /// Does several things in one transaction: all of them or none.
    pub(super) fn together<T>(
        &mut self,
        op: &'static str,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let run = |sql: &str| self.connection.execute_batch(sql).map_err(failed(op, &self.path));
        run("BEGIN IMMEDIATE")?;
        let outcome = work(self).and_then(|done| run("COMMIT").map(|()| done));
        if outcome.is_err() {
            // What failed is reported; a rollback that fails too has nothing to add, and closing undoes the rest.
            let _ = run("ROLLBACK");
        }
        outcome
    }

    /// Makes the next update have a number above `seq`: readers that know a lost file go on in the new one.
    pub(super) fn continue_after(&self, seq: u64) -> Result<(), StoreError> {
        let raise = || {
            let raised = self.connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'updates'",
                [seq as i64],
            )?;
            if raised == 0 {
                self.connection.execute(
                    "INSERT INTO sqlite_sequence(name, seq) VALUES('updates', ?1)",
                    [seq as i64],
                )?;
            }
            Ok(())
        };
        raise().map_err(failed("set it up", &self.path))
    }
}

fn write(transaction: &rusqlite::Transaction<'_>, updates: &[Update]) -> rusqlite::Result<u64> {
    let mut line = transaction.prepare(
        "INSERT INTO updates(ts_ns, incident, state, severity, behaviour, suppressed_by, json)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut hidden_by = transaction.prepare("SELECT hidden_by FROM incidents WHERE id = ?1")?;
    let mut count = transaction.prepare("UPDATE suppressions SET hidden = hidden + 1 WHERE id = ?1")?;
    let mut latest = transaction.prepare(
        "INSERT INTO incidents(id, first_seq, last_seq, first_ns, last_ns, state, first_severity, severity, behaviour,
                               updates, told, suppressed_by, hidden_by)
         VALUES(?1, ?2, ?2, ?3, ?3, ?4, ?5, ?5, ?6, 1, ?7, ?8, ?8)
         ON CONFLICT(id) DO UPDATE SET
           last_seq = excluded.last_seq, last_ns = excluded.last_ns, state = excluded.state,
           severity = excluded.severity, behaviour = excluded.behaviour, updates = updates + 1,
           told = max(told, excluded.told), suppressed_by = excluded.suppressed_by,
           hidden_by = coalesce(excluded.hidden_by, hidden_by)",
    )?;
    for update in updates {
        let state = state_label(update.state);
        line.execute(params![
            update.ts_ns,
            update.incident,
            state,
            update.severity,
            update.behaviour,
            update.suppressed_by,
            update.json,
        ])?;
        let seq = transaction.last_insert_rowid();
        if let Some(rule) = update.suppressed_by {
            // A rule counts incidents, not their updates.
            let before: Option<Option<i64>> = hidden_by
                .query_row([&update.incident], |row| row.get(0))
                .optional()?;
            if before.flatten() != Some(rule) {
                count.execute([rule])?;
            }
        }
        latest.execute(params![
            update.incident,
            seq,
            update.ts_ns,
            state,
            update.severity,
            update.behaviour,
            update.suppressed_by.is_none(),
            update.suppressed_by,
        ])?;
    }
    Ok(transaction.last_insert_rowid() as u64)
}
