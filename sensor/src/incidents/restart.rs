//! What the sensor had open when it ended: it does not know any more what became of it, so it is closed at the next start,
//! and whoever was told of it is told of that. It must never leave an incident open for ever.

use super::{Database, StoreError, schema::failed};
use crate::alert::{Alert, State, rfc3339};

/// A closing update for an incident of an earlier run.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    /// The update.
    pub alert: Alert,
    /// The suppression that hides it: nothing of this incident was ever told.
    pub suppressed_by: Option<i64>,
}

/// Closes what an earlier run left open, at `now_ns`. The updates are not written here: they go the way of all others.
/// Only an incident whose line cannot be read any more (of another version) is closed here and now, in silence.
///
/// # Errors
/// If the incidents cannot be read.
pub fn leftovers(database: &Database, now_ns: i64) -> Result<Vec<Leftover>, StoreError> {
    let mut found = Vec::new();
    for listed in database.not_closed()? {
        let Ok(mut alert) = serde_json::from_value::<Alert>(listed.alert) else {
            database.close_silently(&listed.id)?;
            continue;
        };
        alert.ts = rfc3339(now_ns);
        alert.state = State::Closed;
        alert.summary.push_str(" (closed: the sensor was restarted)");
        found.push(Leftover {
            alert,
            suppressed_by: listed.suppressed_by.filter(|_| !listed.told),
        });
    }
    Ok(found)
}

impl Database {
    fn close_silently(&self, id: &str) -> Result<(), StoreError> {
        self.connection
            .execute("UPDATE incidents SET state = 'closed' WHERE id = ?1", [id])
            .map(|_| ())
            .map_err(failed("close an incident", &self.path))
    }
}
