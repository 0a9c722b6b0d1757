//! Incidents that outlive the process: every update, what people said about it, and what they do not want to hear of
//! again, in one SQLite file of the state directory. It must never stop detection: a file that cannot be written is
//! waited for, one that is damaged is set aside.
//!
//! - [`database`]: one connection and what is written through it; [`schema`]: the tables and their versions.
//! - [`writer`]: the thread that writes; `keeper`: what it does in one round; [`retention`]: what goes when.
//! - [`place`]: where the file is, for those beside the writer.
//! - [`outbox`]: updates in the order they were written, for sinks that come back after a pause.
//! - [`query`]: lists and single incidents; [`feedback`]: what people say; [`suppression`]: what they hide, and [`scope`] of it;
//!   [`labels`]: what they confirmed, as labels to train with; [`restart`]: what a crash left open.

use std::path::PathBuf;

pub mod database;
pub mod feedback;
mod keeper;
pub mod labels;
pub mod outbox;
pub mod place;
pub mod query;
pub mod restart;
pub mod retention;
pub mod schema;
pub mod scope;
pub mod suppression;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
pub(crate) mod tests;
pub mod writer;

pub use database::{Database, Update, unix_ns};
pub use keeper::open;
pub use outbox::{Outbox, Stored, Wake};
pub use place::{Place, Reader};
pub use retention::Retention;
pub use writer::{Rules, Sender, Writer, WriterSettings};

/// Name of the file in the state directory.
pub const FILE: &str = "incidents.db";

/// What is wrong with the incident database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error(
        "{path}: no incidents were stored here; name the state directory of `sensor run` with --state-dir"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("incident database {path}: cannot {op}: {source}; it belongs to the user that runs the sensor")]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// This user may not.
    #[error("incident database {path}: cannot {op}: {source}; run this as root or as the user of the sensor")]
    Denied {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// SQLite refuses.
    #[error("incident database {path}: cannot {op}: {source}")]
    Sqlite {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It cannot be read as a database any more.
    #[error("incident database {path} is damaged: {cause}; `sensor run` sets it aside and begins a new one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// It is a database of something else.
    #[error("{path} is a database of another program; move it away, or choose another state directory")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version.
    #[error(
        "incident database {path} has version {found}, this sensor knows versions up to {known}; run the newer sensor, \
         or move the file away to begin a new one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that is known here.
        known: i64,
    },
    /// It was written by an earlier version and the sensor has not been started since.
    #[error(
        "incident database {path} has version {found}, this program needs {known}; restart the sensor to have it updated"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that is needed.
        known: i64,
    },
    /// There is no such incident or suppression.
    #[error("{what}")]
    Unknown {
        /// What was asked for, and where to look.
        what: String,
    },
    /// What was asked for makes no sense, or goes over a bound.
    #[error("{cause}")]
    Refused {
        /// Why, and what to write instead.
        cause: String,
    },
}

impl StoreError {
    /// Whether the file itself is broken, so that trying again is of no use.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
