//! What is kept how long: updates go oldest first, by age and by the size of the file; with its last update an incident
//! goes, and what was said about it. It must never remove a suppression in force, nor work for long at a time.

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Database, StoreError, schema::failed};

/// Updates removed in one transaction at most.
const STEP: i64 = 500;
/// Pages given back to the file system at a time.
const PAGES: i64 = 1024;

/// Bounds of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Updates older than this go.
    pub age_ns: i64,
    /// While the file holds more, the oldest updates go.
    pub max_bytes: u64,
}

/// What one piece of retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Updates that were too old.
    pub(super) old: u64,
    /// Updates beyond the size.
    pub(super) surplus: u64,
    /// Whether there may be more to remove.
    pub(super) more: bool,
}

impl Database {
    /// Removes a bounded number of updates that retention no longer covers.
    pub(super) fn sweep(&mut self, retention: &Retention, now_ns: i64) -> Result<Swept, StoreError> {
        let used_bytes = self.used_bytes()?;
        let path = &self.path;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed("remove old incidents", path))?;
        let cutoff_ns = now_ns.saturating_sub(retention.age_ns);
        let swept = remove(&transaction, cutoff_ns, used_bytes > retention.max_bytes)
            .map_err(failed("remove old incidents", path))?;
        transaction
            .commit()
            .map_err(failed("remove old incidents", path))?;
        if swept.old + swept.surplus > 0 {
            self.connection
                .execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))
                .map_err(failed("shrink it", path))?;
        }
        Ok(swept)
    }

    /// Bytes of the file that hold something.
    pub(super) fn used_bytes(&self) -> Result<u64, StoreError> {
        self.connection
            .query_row(
                "SELECT (page_count - freelist_count) * page_size
                 FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map(|bytes| bytes as u64)
            .map_err(failed("look at its size", &self.path))
    }
}

fn remove(transaction: &Transaction<'_>, cutoff_ns: i64, too_large: bool) -> rusqlite::Result<Swept> {
    // The oldest come first; those of a clock that was set back go with their neighbours.
    let (seen, old_until): (i64, Option<i64>) = transaction.query_row(
        "SELECT count(*), max(CASE WHEN ts_ns < ?1 THEN seq END)
         FROM (SELECT seq, ts_ns FROM updates ORDER BY seq LIMIT ?2)",
        params![cutoff_ns, STEP],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let removed = if let Some(until) = old_until {
        until_and_with(transaction, until)?
    } else if too_large && seen > 0 {
        let until: i64 = transaction.query_row(
            "SELECT max(seq) FROM (SELECT seq FROM updates ORDER BY seq LIMIT ?1)",
            [STEP],
            |row| row.get(0),
        )?;
        until_and_with(transaction, until)?
    } else {
        transaction.execute(
            "DELETE FROM suppressions WHERE coalesce(removed_ns, expires_ns) < ?1
               AND id NOT IN (SELECT hidden_by FROM incidents WHERE hidden_by IS NOT NULL)",
            [cutoff_ns],
        )?;
        0
    };
    Ok(Swept {
        old: if old_until.is_some() { removed } else { 0 },
        surplus: if old_until.is_some() { 0 } else { removed },
        more: removed > 0,
    })
}

fn until_and_with(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<u64> {
    let removed = transaction.execute("DELETE FROM updates WHERE seq <= ?1", [seq])?;
    transaction.execute(
        "DELETE FROM feedback WHERE incident IN (SELECT id FROM incidents WHERE last_seq <= ?1)",
        [seq],
    )?;
    transaction.execute("DELETE FROM incidents WHERE last_seq <= ?1", [seq])?;
    Ok(removed as u64)
}
