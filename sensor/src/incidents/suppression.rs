//! Suppressions: what people wrote down as not worth telling, with author, reason and expiry, and what one would have
//! hidden. They are never deleted while an incident names them. It must never accept one without scope, reason or end.

use std::time::Duration;

use rusqlite::{Row, params};
use serde_json::{Value, json};

use super::{Database, StoreError, feedback::checked, schema::failed, scope::ScopeText};
use crate::{
    alert::{Alert, rfc3339, suppress::Rule},
    config::value::Value as Setting,
};

/// Suppressions in force at once.
pub const MAX_IN_FORCE: i64 = 1000;
/// Suppressions that are over and still kept.
const MAX_OVER: i64 = 10_000;
/// Shortest and longest life of a suppression.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// Incidents that a dry run names.
const NAMED: usize = 10;

/// A stored suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub scope: ScopeText,
    /// Who wrote it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When, Unix nanoseconds.
    pub created_ns: i64,
    /// Until when, Unix nanoseconds.
    pub expires_ns: i64,
    /// Incidents it has hidden.
    pub hidden: u64,
    /// When somebody ended it early.
    pub removed_ns: Option<i64>,
}

impl Suppression {
    /// Whether it hides anything at `now_ns`.
    pub const fn in_force(&self, now_ns: i64) -> bool {
        self.removed_ns.is_none() && self.expires_ns > now_ns
    }

    /// For the API and for `--json`.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "scope": self.scope,
            "author": self.author,
            "reason": self.reason,
            "created": rfc3339(self.created_ns),
            "expires": rfc3339(self.expires_ns),
            "removed": self.removed_ns.map(rfc3339),
            "hidden": self.hidden,
        })
    }
}

/// A suppression to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSuppression {
    /// What it is about.
    pub scope: ScopeText,
    /// Who writes it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// For how long, such as `30d`.
    pub expires: String,
}

/// What a suppression would have hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    /// Incidents of that time.
    pub incidents: u64,
    /// Those that it fits.
    pub hidden: u64,
    /// Those among them that would have been told when they became more severe.
    pub escalated: u64,
    /// Ids and summaries of the latest of those that it fits.
    pub examples: Vec<(String, String)>,
}

impl DryRun {
    /// For the API and for `--json`.
    pub fn to_json(&self) -> Value {
        let examples = self.examples.iter();
        json!({
            "incidents": self.incidents,
            "hidden": self.hidden,
            "escalated": self.escalated,
            "examples": examples.map(|(id, summary)| json!({"id": id, "summary": summary})).collect::<Vec<_>>(),
        })
    }
}

const COLUMNS: &str =
    "id, actor, target, behaviour, service, author, reason, created_ns, expires_ns, hidden, removed_ns";

fn suppression(row: &Row<'_>) -> rusqlite::Result<Suppression> {
    Ok(Suppression {
        id: row.get(0)?,
        scope: ScopeText {
            actor: row.get(1)?,
            target: row.get(2)?,
            behaviour: row.get(3)?,
            service: row.get(4)?,
        },
        author: row.get(5)?,
        reason: row.get(6)?,
        created_ns: row.get(7)?,
        expires_ns: row.get(8)?,
        hidden: row.get::<_, i64>(9)? as u64,
        removed_ns: row.get(10)?,
    })
}

impl Database {
    fn suppressions_where(&self, condition: &str, now_ns: i64) -> Result<Vec<Suppression>, StoreError> {
        let read = || {
            self.connection
                .prepare(&format!(
                    "SELECT {COLUMNS} FROM suppressions WHERE {condition} ORDER BY id"
                ))?
                .query_map([now_ns], suppression)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(failed("read suppressions", &self.path))
    }

    /// All suppressions that are still kept, those that are over too, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn suppressions(&self) -> Result<Vec<Suppression>, StoreError> {
        self.suppressions_where("?1 IS NOT NULL", 0)
    }

    /// The rules in force at `now_ns`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn rules(&self, now_ns: i64) -> Result<Vec<Rule>, StoreError> {
        let found = self.suppressions_where("removed_ns IS NULL AND expires_ns > ?1", now_ns)?;
        let rule = |found: Suppression| match found.scope.parse() {
            Ok((scope, _)) => Some(Rule {
                id: found.id,
                scope,
                expires_ns: found.expires_ns,
            }),
            Err(cause) => {
                tracing::warn!(
                    suppression = found.id,
                    "this suppression hides nothing, it was changed by hand: {cause}"
                );
                None
            }
        };
        Ok(found.into_iter().filter_map(rule).collect())
    }

    /// Writes a suppression, and returns it as it was stored.
    ///
    /// # Errors
    /// If the scope, the reason, the author or the expiry is missing or wrong, there are too many in force, or it cannot
    /// be written.
    pub fn suppress(&mut self, new: &NewSuppression, now_ns: i64) -> Result<Suppression, StoreError> {
        self.together("write a suppression", |database| {
            database.add_suppression(new, now_ns)
        })
    }

    /// The same inside of a transaction.
    pub(super) fn add_suppression(
        &self,
        new: &NewSuppression,
        now_ns: i64,
    ) -> Result<Suppression, StoreError> {
        let refused = |cause: String| StoreError::Refused { cause };
        let (_, scope) = new.scope.parse().map_err(refused)?;
        let author = checked("author", &new.author, true).map_err(refused)?;
        let reason = checked("reason", &new.reason, true).map_err(refused)?;
        let lasts = Setting::Text(new.expires.clone())
            .duration(SHORTEST, LONGEST)
            .map_err(|cause| refused(format!("expires: {cause}")))?;
        if self.rules(now_ns)?.len() as i64 >= MAX_IN_FORCE {
            return Err(refused(format!(
                "{MAX_IN_FORCE} suppressions are in force: end some with `sensor incidents unsuppress`, or write one with a wider scope"
            )));
        }
        let expires_ns = now_ns.saturating_add(i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX));
        let write = || {
            self.connection.execute(
                "INSERT INTO suppressions(actor, target, behaviour, service, author, reason, created_ns, expires_ns)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    scope.actor,
                    scope.target,
                    scope.behaviour,
                    scope.service,
                    author,
                    reason,
                    now_ns,
                    expires_ns
                ],
            )?;
            let id = self.connection.last_insert_rowid();
            self.connection.execute(
                "DELETE FROM suppressions WHERE id IN (
                   SELECT id FROM suppressions WHERE removed_ns IS NOT NULL OR expires_ns <= ?1
                   ORDER BY id DESC LIMIT -1 OFFSET ?2)",
                params![now_ns, MAX_OVER],
            )?;
            Ok(id)
        };
        let id = write().map_err(failed("write a suppression", &self.path))?;
        Ok(Suppression {
            id,
            scope,
            author,
            reason,
            created_ns: now_ns,
            expires_ns,
            hidden: 0,
            removed_ns: None,
        })
    }

    /// Ends a suppression early.
    ///
    /// # Errors
    /// If there is none of this number in force, or it cannot be written.
    pub fn unsuppress(&mut self, id: i64, now_ns: i64) -> Result<(), StoreError> {
        let changed = self
            .connection
            .execute(
                "UPDATE suppressions SET removed_ns = ?2 WHERE id = ?1 AND removed_ns IS NULL AND expires_ns > ?2",
                params![id, now_ns],
            )
            .map_err(failed("end a suppression", &self.path))?;
        if changed == 0 {
            let what = format!("no suppression {id} is in force; `sensor incidents suppressions` lists them");
            return Err(StoreError::Unknown { what });
        }
        Ok(())
    }

    /// What a scope would have hidden since `since_ns`, by the latest state of each incident.
    ///
    /// # Errors
    /// If the scope makes no sense or the incidents cannot be read.
    pub fn would_hide(&self, scope: &ScopeText, since_ns: i64) -> Result<DryRun, StoreError> {
        let (scope, _) = scope.parse().map_err(|cause| StoreError::Refused { cause })?;
        let read = || {
            let mut query = self.connection.prepare(
                "SELECT json, i.severity <> i.first_severity FROM incidents i JOIN updates ON seq = last_seq
                 WHERE last_ns >= ?1 ORDER BY last_ns DESC",
            )?;
            let mut rows = query.query([since_ns])?;
            let mut found = DryRun::default();
            while let Some(row) = rows.next()? {
                found.incidents += 1;
                let json: String = row.get(0)?;
                // A line of another version has no part that a scope could fit.
                let Ok(alert) = serde_json::from_str::<Alert>(&json) else {
                    continue;
                };
                if scope.holds(&alert) {
                    found.hidden += 1;
                    found.escalated += u64::from(row.get::<_, bool>(1)?);
                    if found.examples.len() < NAMED {
                        found.examples.push((alert.id, alert.summary));
                    }
                }
            }
            Ok(found)
        };
        read().map_err(failed("read incidents", &self.path))
    }
}
