//! The state directory: who owns it, which models it holds, and which of them is current.
//! It must never leave a half-written pointer, nor be used by two sensors at once.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::model::{self, Model, ModelError};

const MODELS: &str = "models";
const CURRENT: &str = "current";
const LOCK: &str = "lock";
/// Models kept for rollback, the current one included.
const KEPT_MODELS: usize = 5;

/// What is wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made, read or written.
    #[error(
        "state directory: {path}: cannot {op}: {source}; make it writable for this user, or choose another with --state-dir"
    )]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Another sensor uses it.
    #[error(
        "state directory {path} is in use by another sensor; stop that one, or choose another with --state-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The pointer names something that cannot be a model.
    #[error(
        "{path}: \"{found}\" is no model id; remove this file to learn anew, or write the id of a model beside it"
    )]
    BadPointer {
        /// The pointer.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

fn failed<'a>(op: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        op,
        path: path.to_owned(),
        source,
    }
}

/// A state directory that belongs to this process until it ends.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

impl Store {
    /// Makes the directory if needed (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// If it cannot be made or written, or another sensor holds it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed("make it", dir))?;
        let models = dir.join(MODELS);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&models)
            .map_err(failed("make it", &models))?;
        let path = dir.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("write it", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                dir: dir.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StoreError::Io {
                op: "lock it",
                path,
                source,
            }),
        }
    }

    /// Where the access token is.
    pub fn token_path(&self) -> PathBuf {
        self.dir.join("token")
    }

    /// The directory of a model of this id.
    pub fn model_path(state_dir: &Path, id: &str) -> PathBuf {
        state_dir.join(MODELS).join(id)
    }

    /// The directory of the current model.
    ///
    /// # Errors
    /// If the pointer cannot be read or names no model.
    pub fn current(&self) -> Result<Option<PathBuf>, StoreError> {
        Self::current_in(&self.dir)
    }

    /// The directory of the current model of any state directory.
    ///
    /// # Errors
    /// If the pointer cannot be read or names no model.
    pub fn current_in(state_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
        let path = state_dir.join(MODELS).join(CURRENT);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let id = text.trim();
                if id.is_empty() || id.starts_with('.') || id.contains('/') || id == CURRENT {
                    return Err(StoreError::BadPointer {
                        path,
                        found: id.to_owned(),
                    });
                }
                Ok(Some(Self::model_path(state_dir, id)))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io {
                op: "read it",
                path,
                source,
            }),
        }
    }

    /// The directories of all models of a state directory, sorted by name.
    ///
    /// # Errors
    /// If the directory is there but cannot be read.
    pub fn models_in(state_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let dir = state_dir.join(MODELS);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(StoreError::Io {
                    op: "list it",
                    path: dir,
                    source,
                });
            }
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.join(model::manifest::MANIFEST).is_file())
            .collect();
        found.sort();
        Ok(found)
    }

    /// Saves a model and makes it the current one; older models beyond those kept for rollback are removed.
    ///
    /// # Errors
    /// If the model or the pointer cannot be written; the pointer then names the model it named before.
    pub fn install(&self, model: &Model) -> Result<PathBuf, SaveError> {
        let directory = Self::model_path(&self.dir, &model.id);
        model::files::save(model, &directory)?;
        let pointer = self.dir.join(MODELS).join(CURRENT);
        let new = self.dir.join(MODELS).join(".current.new");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(format!("{}\n", model.id).as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &pointer)
        };
        write().map_err(failed("write it", &pointer))?;
        self.forget_old(&directory);
        Ok(directory)
    }

    /// Removing is housekeeping: a failure is logged and tried again after the next training.
    fn forget_old(&self, current: &Path) {
        let Ok(models) = Self::models_in(&self.dir) else {
            return;
        };
        let mut by_age: Vec<_> = models
            .into_iter()
            .filter(|path| path != current)
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        by_age.sort();
        let surplus = (by_age.len() + 1).saturating_sub(KEPT_MODELS);
        for (_, path) in by_age.into_iter().take(surplus) {
            if let Err(cause) = fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %cause, "an old model could not be removed");
            }
        }
    }
}

/// Why a new model could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The model directory.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The pointer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn two_sensors_cannot_share_a_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        let text = Store::open(dir.path()).unwrap_err().to_string();
        assert!(text.contains("in use by another sensor"), "{text}");
        drop(first);
        assert!(Store::open(dir.path()).is_ok());
    }

    #[test]
    fn a_state_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let text = Store::open(&file.join("state")).unwrap_err().to_string();
        assert!(
            text.contains("file/state") && text.contains("--state-dir"),
            "{text}"
        );
    }

    #[test]
    fn the_pointer_must_name_a_model_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.current().unwrap(), None);
        let pointer = dir.path().join("models/current");
        for bad in ["", "../../etc", ".hidden", "current"] {
            fs::write(&pointer, bad).unwrap();
            assert!(store.current().is_err(), "{bad}");
        }
        fs::write(&pointer, "ae-1\n").unwrap();
        assert_eq!(store.current().unwrap(), Some(dir.path().join("models/ae-1")));
    }
}
