//! What people say about incidents: benign, confirmed, or a note. It must never store text without bounds, or text that
//! could steer a terminal.

use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Database, StoreError,
    schema::failed,
    suppression::{NewSuppression, Suppression},
};
use crate::alert::rfc3339;

/// Characters of a name, and of any longer text.
const NAME_CHARS: usize = 100;
const TEXT_CHARS: usize = 4000;
/// Entries per incident.
const MAX_ENTRIES: i64 = 200;

/// What is said about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// True or not, it is no reason to act.
    Benign,
    /// It was what it says.
    Confirmed,
    /// Only a text.
    Note,
}

impl Judgement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Benign, Self::Confirmed, Self::Note];

    /// Its name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Confirmed => "confirmed",
            Self::Note => "note",
        }
    }
}

impl std::str::FromStr for Judgement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|judgement| judgement.label() == text)
            .ok_or_else(|| format!("\"{text}\" is no verdict: write benign, confirmed or note"))
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The incident.
    pub incident: String,
    /// What was said.
    pub verdict: Judgement,
    /// By whom.
    pub author: String,
    /// In which words; may be empty.
    pub text: String,
    /// When, Unix nanoseconds.
    pub ts_ns: i64,
}

impl Feedback {
    /// For the API and for `--json`.
    pub fn to_json(&self) -> Value {
        json!({
            "verdict": self.verdict.label(),
            "author": self.author,
            "note": self.text,
            "ts": rfc3339(self.ts_ns),
        })
    }
}

/// A text of people, without the spaces around it.
///
/// # Errors
/// If it is missing, too long, or holds control characters other than line ends and tabs.
pub(super) fn checked(what: &str, text: &str, needed: bool) -> Result<String, String> {
    let text = text.trim();
    let most = if what == "author" { NAME_CHARS } else { TEXT_CHARS };
    if needed && text.is_empty() {
        return Err(format!("{what}: it must say something"));
    }
    if text.chars().count() > most {
        return Err(format!("{what}: longer than {most} characters"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(format!("{what}: holds control characters"));
    }
    Ok(text.to_owned())
}

/// What somebody has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// The verdict.
    pub verdict: Judgement,
    /// Who says so.
    pub author: String,
    /// In which words; a note needs some.
    pub text: String,
}

impl Database {
    /// Stores what somebody says about the incident of this id, and a suppression that goes with it: both or neither. A
    /// verdict replaces the one before it.
    ///
    /// # Errors
    /// If there is no such incident, a text is missing or too long, the suppression is refused, or it cannot be written.
    pub fn judge(
        &mut self,
        incident: &str,
        opinion: &Opinion,
        suppression: Option<&NewSuppression>,
        now_ns: i64,
    ) -> Result<(Feedback, Option<Suppression>), StoreError> {
        let refused = |cause: String| StoreError::Refused { cause };
        let entry = Feedback {
            incident: incident.to_owned(),
            verdict: opinion.verdict,
            author: checked("author", &opinion.author, true).map_err(refused)?,
            text: checked("note", &opinion.text, opinion.verdict == Judgement::Note).map_err(refused)?,
            ts_ns: now_ns,
        };
        self.together("write feedback", |database| {
            database.add_feedback(&entry)?;
            let written = suppression
                .map(|new| database.add_suppression(new, now_ns))
                .transpose()?;
            Ok((entry, written))
        })
    }

    fn add_feedback(&self, entry: &Feedback) -> Result<(), StoreError> {
        let (known, entries): (bool, i64) = self
            .connection
            .query_row(
                "SELECT EXISTS(SELECT 1 FROM incidents WHERE id = ?1),
                        (SELECT count(*) FROM feedback WHERE incident = ?1)",
                [&entry.incident],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(failed("read feedback", &self.path))?;
        if !known {
            return Err(super::query::unknown(&entry.incident));
        }
        if entries >= MAX_ENTRIES {
            let cause = format!("incident {} has {MAX_ENTRIES} entries already", entry.incident);
            return Err(StoreError::Refused { cause });
        }
        let write = || {
            self.connection.execute(
                "INSERT INTO feedback(incident, verdict, author, text, ts_ns) VALUES(?1, ?2, ?3, ?4, ?5)",
                params![
                    entry.incident,
                    entry.verdict.label(),
                    entry.author,
                    entry.text,
                    entry.ts_ns
                ],
            )?;
            if entry.verdict != Judgement::Note {
                self.connection.execute(
                    "UPDATE incidents SET verdict = ?2 WHERE id = ?1",
                    params![entry.incident, entry.verdict.label()],
                )?;
            }
            Ok(())
        };
        write().map_err(failed("write feedback", &self.path))
    }

    /// What was said about an incident, oldest first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn feedback_on(&self, incident: &str) -> Result<Vec<Feedback>, StoreError> {
        let read = || {
            self.connection
                .prepare("SELECT verdict, author, text, ts_ns FROM feedback WHERE incident = ?1 ORDER BY id")?
                .query_map([incident], |row| {
                    Ok(Feedback {
                        incident: incident.to_owned(),
                        verdict: row.get::<_, String>(0)?.parse().unwrap_or(Judgement::Note),
                        author: row.get(1)?,
                        text: row.get(2)?,
                        ts_ns: row.get(3)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(failed("read feedback", &self.path))
    }
}
