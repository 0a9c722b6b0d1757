//! Why a model cannot be saved or used. Each message names the file, the cause and what to do; it must never leave the
//! operator guessing which file is meant.

use std::path::PathBuf;

/// What to do about a model that cannot be used.
const FIX: &str = "learn again with `sensor run --learn 30m`, or restore the directory from a backup";

/// A model directory that cannot be written or must not be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error(
        "{path}: cannot {op} the model: {source}; check that the directory exists and its permissions, or {FIX}"
    )]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file named by the manifest, or the manifest itself, is not there.
    #[error("{path}: missing from the model directory; {FIX}")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The manifest is not JSON of the expected form.
    #[error("{path}: not a readable manifest ({cause}); {FIX}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The parser's word.
        cause: String,
    },
    /// Written by a newer sensor.
    #[error(
        "{path}: format version {found}, this sensor reads up to {supported}; upgrade the sensor that reads it, or {FIX}"
    )]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version understood.
        supported: u32,
    },
    /// Trained on other features.
    #[error(
        "{path}: trained on feature schema {found}, this sensor computes schema {expected}; models do not survive a change of features: {FIX}"
    )]
    Schema {
        /// The manifest.
        path: PathBuf,
        /// Schema of the model.
        found: String,
        /// Schema of this sensor.
        expected: String,
    },
    /// The bytes are not those that were saved.
    #[error("{path}: damaged (SHA-256 is {found}, the manifest says {expected}); {FIX}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Digest of the file.
        found: String,
        /// Digest in the manifest.
        expected: String,
    },
    /// A tensor file is not what this sensor writes.
    #[error("{path}: {cause}; {FIX}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A number that cannot be used.
    #[error("{path}: {what} holds a value that is not finite or not possible; {FIX}")]
    Unsound {
        /// The file.
        path: PathBuf,
        /// The part.
        what: String,
    },
}
