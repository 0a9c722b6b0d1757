//! Lists of incidents and everything about one of them, for people and for the API. It must never read more than it is
//! asked for: a list reads the lines of its own page only.

use rusqlite::{Row, params_from_iter, types::Value as Sql};
use serde::Serialize;
use serde_json::Value;

use super::{Database, StoreError, schema::failed, unix_ns};
use crate::{
    alert::{Behaviour, Severity},
    config::value::parse_duration,
};

/// Incidents on a page at most.
pub const MAX_PAGE: usize = 1000;
/// Ids named when a prefix fits several.
const NAMED: usize = 5;

/// Which incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only those that go on (`true`), or only those that are over (`false`).
    pub open: Option<bool>,
    /// Only those at least this severe.
    pub severity: Option<Severity>,
    /// Only those of this behaviour.
    pub behaviour: Option<Behaviour>,
    /// Only those with an update since then, Unix nanoseconds.
    pub since_ns: Option<i64>,
    /// Only those opened before the incident of this number: the last of the page before.
    pub before: Option<i64>,
    /// At most so many, and never more than [`MAX_PAGE`].
    pub limit: usize,
}

/// One incident of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its number, rising in the order in which incidents were opened: the cursor of the next page.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// Updates so far.
    pub updates: u64,
    /// The suppression that hides its latest update.
    pub suppressed_by: Option<i64>,
    /// Whether anything of it was told.
    pub told: bool,
    /// `benign`, `confirmed` or empty.
    pub verdict: String,
    /// Its latest journal line.
    pub alert: Value,
}

impl Listed {
    /// The journal line with what the store knows besides.
    pub fn into_json(self) -> Value {
        let mut json = self.alert;
        if let Some(fields) = json.as_object_mut() {
            fields.insert("updates".to_owned(), self.updates.into());
            fields.insert("suppressed_by".to_owned(), self.suppressed_by.into());
            fields.insert("told".to_owned(), self.told.into());
            let verdict = Some(self.verdict).filter(|verdict| !verdict.is_empty());
            fields.insert("verdict".to_owned(), verdict.into());
        }
        json
    }
}

/// One update in the life of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Its number in the store.
    pub seq: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Open, update or closed.
    pub state: String,
    /// Severity then.
    pub severity: String,
    /// Behaviour then.
    pub behaviour: String,
    /// What was told, or would have been.
    pub summary: String,
    /// The suppression that kept it from the outputs.
    pub suppressed_by: Option<i64>,
}

/// A severity by its name.
///
/// # Errors
/// All names, if it is none of them.
pub fn severity(text: &str) -> Result<Severity, String> {
    Severity::ALL
        .into_iter()
        .find(|severity| severity.label() == text)
        .ok_or_else(|| format!("severity: \"{text}\" is none of info, low, medium, high, critical"))
}

/// A moment, as a time (RFC 3339) or as so long ago (`7d`), in Unix nanoseconds.
///
/// # Errors
/// Both forms, if it is neither.
pub fn since_ns(text: &str, now_ns: i64) -> Result<i64, String> {
    if let Some(ago) = parse_duration(text) {
        return Ok(now_ns.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)));
    }
    match unix_ns(text) {
        0 => Err(format!(
            "since: \"{text}\" is neither 7d nor 2026-01-31T12:00:00Z"
        )),
        found => Ok(found),
    }
}

/// Why an id finds nothing.
pub(super) fn unknown(id: &str) -> StoreError {
    StoreError::Unknown {
        what: format!("no incident has the id {id}; `sensor incidents list` shows them"),
    }
}

const COLUMNS: &str = "number, id, updates, i.suppressed_by, told, verdict, json";

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let json: String = row.get(6)?;
    Ok(Listed {
        number: row.get(0)?,
        id: row.get(1)?,
        updates: row.get::<_, i64>(2)? as u64,
        suppressed_by: row.get(3)?,
        told: row.get(4)?,
        verdict: row.get(5)?,
        // The store wrote it; a page must not fail for one line that a disk has changed.
        alert: serde_json::from_str(&json).unwrap_or(Value::Null),
    })
}

impl Database {
    fn incidents_where(&self, clause: &str, values: Vec<Sql>) -> Result<Vec<Listed>, StoreError> {
        let read = || {
            self.connection
                .prepare(&format!(
                    "SELECT {COLUMNS} FROM incidents i JOIN updates ON seq = last_seq WHERE {clause}"
                ))?
                .query_map(params_from_iter(values), listed)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(failed("read incidents", &self.path))
    }

    /// A page of incidents, the latest opened first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Listed>, StoreError> {
        let mut clause = "1".to_owned();
        let mut values = Vec::new();
        let mut condition = |text: &str, value: Sql| {
            clause.push_str(" AND ");
            clause.push_str(text);
            values.push(value);
        };
        if let Some(behaviour) = filter.behaviour {
            condition("i.behaviour = ?", behaviour.label().to_owned().into());
        }
        if let Some(since_ns) = filter.since_ns {
            condition("last_ns >= ?", since_ns.into());
        }
        if let Some(before) = filter.before {
            condition("number < ?", before.into());
        }
        if let Some(least) = filter.severity {
            let severe: Vec<_> = Severity::ALL
                .iter()
                .filter(|severity| **severity >= least)
                .map(|severity| format!("'{}'", severity.label()))
                .collect();
            clause.push_str(" AND i.severity IN (");
            clause.push_str(&severe.join(", "));
            clause.push(')');
        }
        match filter.open {
            Some(true) => clause.push_str(" AND i.state <> 'closed'"),
            Some(false) => clause.push_str(" AND i.state = 'closed'"),
            None => {}
        }
        clause.push_str(" ORDER BY number DESC LIMIT ?");
        values.push((filter.limit.min(MAX_PAGE) as i64).into());
        self.incidents_where(&clause, values)
    }

    /// The incident of this id.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn incident(&self, id: &str) -> Result<Option<Listed>, StoreError> {
        let found = self.incidents_where("i.id = ?", vec![id.to_owned().into()])?;
        Ok(found.into_iter().next())
    }

    /// The incident whose id begins with `prefix`.
    ///
    /// # Errors
    /// If there is none, or more than one, or they cannot be read.
    pub fn incident_of(&self, prefix: &str) -> Result<Listed, StoreError> {
        let end = format!("{prefix}\u{10ffff}");
        let values: Vec<Sql> = vec![prefix.to_owned().into(), end.into(), (NAMED as i64).into()];
        let mut found = self.incidents_where("i.id >= ? AND i.id < ? ORDER BY i.id LIMIT ?", values)?;
        match found.len() {
            _ if prefix.is_empty() => Err(unknown(prefix)),
            0 => Err(unknown(prefix)),
            1 => Ok(found.remove(0)),
            _ => {
                let ids: Vec<_> = found.iter().map(|one| one.id.as_str()).collect();
                let what = format!(
                    "several incidents begin with {prefix}: {}; write more of it",
                    ids.join(", ")
                );
                Err(StoreError::Unknown { what })
            }
        }
    }

    /// All incidents with this verdict, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn judged(&self, verdict: &str) -> Result<Vec<Listed>, StoreError> {
        // The condition on the empty text lets SQLite use the index of what was judged.
        self.incidents_where(
            "verdict <> '' AND verdict = ? ORDER BY number",
            vec![verdict.to_owned().into()],
        )
    }

    /// The incidents that are not closed, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn not_closed(&self) -> Result<Vec<Listed>, StoreError> {
        self.incidents_where("i.state <> 'closed' ORDER BY number", Vec::new())
    }

    /// The latest updates of an incident, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn timeline(&self, id: &str, limit: usize) -> Result<Vec<Moment>, StoreError> {
        let read = || {
            let mut moments = self
                .connection
                .prepare(
                    "SELECT seq, state, severity, behaviour, suppressed_by, json FROM updates WHERE incident = ?1
                     ORDER BY seq DESC LIMIT ?2",
                )?
                .query_map((id, limit as i64), |row| {
                    let json: String = row.get(5)?;
                    let line: Value = serde_json::from_str(&json).unwrap_or(Value::Null);
                    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                    Ok(Moment {
                        seq: row.get::<_, i64>(0)? as u64,
                        ts: text("ts"),
                        state: row.get(1)?,
                        severity: row.get(2)?,
                        behaviour: row.get(3)?,
                        summary: text("summary"),
                        suppressed_by: row.get(4)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            moments.reverse();
            Ok(moments)
        };
        read().map_err(failed("read updates", &self.path))
    }
}
