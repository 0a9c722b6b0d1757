//! Tables of the incident database, their version, and what a file must be to be taken for one. Kept apart so that a
//! change of tables is one more step here. It must never change a file of another program or of a later version.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Transaction};

use super::StoreError;

/// Marks the file as ours in its header ("snsr").
const APPLICATION_ID: i64 = 0x736e_7372;

/// One step per version: the first makes a new file, each later one changes the tables of the version before.
const STEPS: [&str; 1] = [VERSION_1];

/// Version of the tables that this sensor reads and writes.
pub const VERSION: i64 = STEPS.len() as i64;

/// `updates` holds every journal line in order; `incidents` the latest state of each, so that lists read no lines;
/// `suppressions` keep what was removed too, because hidden incidents name them. Texts that are absent are empty.
const VERSION_1: &str = "
CREATE TABLE updates(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  ts_ns INTEGER NOT NULL,
  incident TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  behaviour TEXT NOT NULL,
  suppressed_by INTEGER,
  json TEXT NOT NULL
) STRICT;
CREATE INDEX updates_of_incident ON updates(incident);
CREATE TABLE incidents(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  state TEXT NOT NULL,
  first_severity TEXT NOT NULL,
  severity TEXT NOT NULL,
  behaviour TEXT NOT NULL,
  updates INTEGER NOT NULL,
  told INTEGER NOT NULL,
  suppressed_by INTEGER,
  hidden_by INTEGER,
  verdict TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX incidents_by_last_seq ON incidents(last_seq);
CREATE INDEX incidents_by_last_ns ON incidents(last_ns);
CREATE INDEX incidents_not_closed ON incidents(number) WHERE state <> 'closed';
CREATE INDEX incidents_judged ON incidents(number) WHERE verdict <> '';
CREATE TABLE feedback(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  incident TEXT NOT NULL,
  verdict TEXT NOT NULL,
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  ts_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_on_incident ON feedback(incident);
CREATE TABLE suppressions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  actor TEXT NOT NULL,
  target TEXT NOT NULL,
  behaviour TEXT NOT NULL,
  service TEXT NOT NULL,
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_ns INTEGER NOT NULL,
  expires_ns INTEGER NOT NULL,
  hidden INTEGER NOT NULL DEFAULT 0,
  removed_ns INTEGER
) STRICT;
CREATE TABLE cursors(
  sink TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;
";

/// Tables and indices there are at least, SQLite's own not counted.
const TABLES: i64 = 11;

/// Damaged files that are kept; older ones are removed.
const KEPT_ASIDE: usize = 3;

fn io_failed<'a>(op: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        op,
        path: path.to_owned(),
        source,
    }
}

/// Turns SQLite's word into ours: damage is told apart, because only that is not worth another attempt. Values of another
/// type than their column and rows that exclude each other are damage too: no statement here can make them.
pub(super) fn failed<'a>(
    op: &'static str,
    path: &'a Path,
) -> impl FnOnce(rusqlite::Error) -> StoreError + 'a {
    use rusqlite::{
        Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error},
        ErrorCode::{
            CannotOpen, ConstraintViolation, DatabaseCorrupt, NotADatabase, PermissionDenied, ReadOnly,
        },
    };
    move |source| {
        let path = path.to_owned();
        let code = source.sqlite_error_code();
        match (&source, code) {
            (_, Some(DatabaseCorrupt | NotADatabase | ConstraintViolation))
            | (
                FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..),
                _,
            ) => StoreError::Damaged {
                path,
                cause: source.to_string(),
            },
            (_, Some(CannotOpen | PermissionDenied | ReadOnly)) => StoreError::Denied { op, path, source },
            _ => StoreError::Sqlite { op, path, source },
        }
    }
}

/// Makes the file with mode 0600, and closes one that others could read. SQLite gives the files beside it the same mode.
///
/// A file that is there is not opened here: closing it would take the locks of all other connections of this process with
/// it (fcntl(2)), and the next program to leave the database, such as an older sqlite3, could then remove the log that they
/// write to.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => return Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(io_failed("make it", path)(cause)),
    }
    let mode = fs::metadata(path)
        .map_err(io_failed("look at it", path))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the incident database was readable by others; made private");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(io_failed("make it private", path))?;
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// What a file was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Empty: nothing was ever written.
    Fresh,
    /// Ours, of this version (0 excluded).
    Version(i64),
}

/// Says what the file is.
pub(super) fn look(connection: &Connection, path: &Path) -> Result<Found, StoreError> {
    let read = || {
        let tables: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@'",
            [],
            |row| row.get(0),
        )?;
        Ok((
            pragma(connection, "application_id")?,
            pragma(connection, "user_version")?,
            tables,
        ))
    };
    match read().map_err(failed("read it", path))? {
        (0, 0, 0) => Ok(Found::Fresh),
        (APPLICATION_ID, found, _) if found > VERSION => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
        (APPLICATION_ID, found, tables) if found > 0 && tables < TABLES => Err(StoreError::Damaged {
            path: path.to_owned(),
            cause: "tables are missing".to_owned(),
        }),
        (APPLICATION_ID, found, _) if found > 0 => Ok(Found::Version(found)),
        _ => Err(StoreError::Foreign {
            path: path.to_owned(),
        }),
    }
}

/// Brings the tables to [`VERSION`], all steps or none.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let done = match look(connection, path)? {
        Found::Fresh => {
            // Both must come before the first table; the space of what retention deletes is given back in steps.
            connection
                .pragma_update(None, "auto_vacuum", "INCREMENTAL")
                .map_err(failed("set it up", path))?;
            0
        }
        Found::Version(version) => version,
    };
    // The answer is the mode in force; on a file system without shared memory it stays another, which is slower, not wrong.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(failed("set it up", path))?;
    if done == VERSION {
        return Ok(());
    }
    let step = |transaction: &Transaction<'_>| {
        for tables in STEPS.iter().skip(usize::try_from(done).unwrap_or(0)) {
            transaction.execute_batch(tables)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)
    };
    let transaction = connection
        .transaction()
        .map_err(failed("make its tables", path))?;
    step(&transaction).map_err(failed("make its tables", path))?;
    transaction.commit().map_err(failed("make its tables", path))
}

/// Moves a damaged file and what belongs to it out of the way, and says where it went. Only the latest few are kept.
///
/// # Errors
/// If it cannot be renamed.
pub(super) fn set_aside(path: &Path, stamp: &str) -> Result<PathBuf, StoreError> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(&format!(".damaged-{stamp}"));
    for suffix in BESIDE {
        let (from, to) = (with(suffix), with(&format!(".damaged-{stamp}{suffix}")));
        match fs::rename(&from, &to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Io {
                    op: "set it aside",
                    path: from,
                    source,
                });
            }
            _ => {}
        }
    }
    forget_old_damage(path);
    Ok(aside)
}

/// What SQLite keeps in files of their own, by what is appended to the name.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// Housekeeping: a failure is tried again after the next damage.
fn forget_old_damage(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!("{}.damaged-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .map(|entry| entry.path())
        .collect();
    // Their names end with the time.
    found.sort();
    let surplus = found.len().saturating_sub(KEPT_ASIDE);
    for old in found.into_iter().take(surplus) {
        for suffix in BESIDE {
            let mut name = old.clone().into_os_string();
            name.push(suffix);
            let _ = fs::remove_file(name);
        }
    }
}
