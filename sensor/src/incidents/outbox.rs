//! Updates in the order they were written, for the sinks: each reads from its own cursor, which is kept in the database,
//! so that a dead sink loses nothing within retention and memory stays bounded. It must never hand out an update that a
//! suppression hides, nor one that was not committed.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{OptionalExtension, params};

use super::{Database, StoreError, schema::failed};
use crate::alert::Alert;

/// One stored update.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number: rising, not without gaps.
    pub seq: u64,
    /// What it says.
    pub alert: Alert,
}

/// What a sink reads. A sink that fails keeps its cursor and asks again later.
pub trait Outbox: Send {
    /// The updates after `seq`, oldest first, at most `limit`. Empty means that there is none yet.
    ///
    /// # Errors
    /// If the database cannot be read now.
    fn after(&mut self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError>;

    /// Up to where a sink has sent; `None` if it never ran, and begins at the newest.
    ///
    /// # Errors
    /// If the database cannot be read now.
    fn cursor(&mut self, sink: &str) -> Result<Option<u64>, StoreError>;

    /// Remembers up to where a sink has sent.
    ///
    /// # Errors
    /// If the database cannot be written now (a full disk): the sink goes on and tries again later.
    fn advance(&mut self, sink: &str, seq: u64) -> Result<(), StoreError>;

    /// Number of the newest update; of the last one that ever was if there is none. 0 before the first.
    ///
    /// # Errors
    /// If the database cannot be read now.
    fn newest(&mut self) -> Result<u64, StoreError>;

    /// Number of the oldest update that is still there; `newest() + 1` if there is none. What lies between a cursor and
    /// this was taken by retention before the sink read it.
    ///
    /// # Errors
    /// If the database cannot be read now.
    fn oldest(&mut self) -> Result<u64, StoreError>;
}

impl Outbox for Database {
    fn after(&mut self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let (connection, path) = (&self.connection, &self.path);
        let read = || {
            let mut query = connection.prepare(
                "SELECT seq, json FROM updates WHERE seq > ?1 AND suppressed_by IS NULL ORDER BY seq",
            )?;
            let mut rows = query.query([seq as i64])?;
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let (seq, json): (i64, String) = (row.get(0)?, row.get(1)?);
                match serde_json::from_str(&json) {
                    Ok(alert) => found.push(Stored {
                        seq: seq as u64,
                        alert,
                    }),
                    // A line of another version: later ones must not wait for it for ever.
                    Err(cause) => {
                        tracing::warn!(seq, %cause, "this stored update cannot be read and is not sent");
                    }
                }
            }
            Ok(found)
        };
        read().map_err(failed("read updates", path))
    }

    fn cursor(&mut self, sink: &str) -> Result<Option<u64>, StoreError> {
        self.connection
            .query_row("SELECT seq FROM cursors WHERE sink = ?1", [sink], |row| {
                row.get::<_, i64>(0)
            })
            .optional()
            .map(|seq| seq.map(|seq| seq as u64))
            .map_err(failed("read a cursor", &self.path))
    }

    fn advance(&mut self, sink: &str, seq: u64) -> Result<(), StoreError> {
        self.connection
            .execute(
                "INSERT INTO cursors(sink, seq) VALUES(?1, ?2) ON CONFLICT(sink) DO UPDATE SET seq = excluded.seq",
                params![sink, seq as i64],
            )
            .map(|_| ())
            .map_err(failed("write a cursor", &self.path))
    }

    fn newest(&mut self) -> Result<u64, StoreError> {
        self.number("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'updates'), 0)")
    }

    fn oldest(&mut self) -> Result<u64, StoreError> {
        self.number(
            "SELECT coalesce((SELECT min(seq) FROM updates),
                             (SELECT seq FROM sqlite_sequence WHERE name = 'updates') + 1, 1)",
        )
    }
}

impl Database {
    fn number(&self, query: &str) -> Result<u64, StoreError> {
        self.connection
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .map(|seq| seq as u64)
            .map_err(failed("read its numbers", &self.path))
    }
}

#[derive(Debug, Default)]
struct News {
    /// How often something was written.
    times: u64,
    ended: bool,
}

/// Wakes the sinks when something was written, so that they need not ask.
#[derive(Debug, Default)]
pub struct Wake {
    news: Mutex<News>,
    changed: Condvar,
}

impl Wake {
    /// Waits until something was written since the call that returned `seen` (0 for the first), until [`Wake::end`], or
    /// until `timeout` is over. Returns what to pass the next time: nothing that comes between two calls is missed.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed
            .wait_timeout_while(news, timeout, |news| news.times <= seen && !news.ended)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .times
    }

    /// Whether [`Wake::end`] was called: send what is there and stop.
    pub fn ended(&self) -> bool {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Wakes everybody for the last time.
    pub fn end(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.changed.notify_all();
    }

    /// Wakes everybody who waits.
    pub(super) fn written(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).times += 1;
        self.changed.notify_all();
    }
}
