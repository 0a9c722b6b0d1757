//! Why a flow file cannot be written or read. Each message names the file, the cause and the fix; it must never leave
//! open whether the file or the command is at fault.

use std::{io, path::PathBuf};

use crate::cli::exit;

/// A flow file that cannot be written or must not be used.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    /// The name does not say which format.
    #[error(
        "{path}: the format is taken from the name, which ends in none of .parquet, .csv, .jsonl; rename it"
    )]
    Suffix {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: cannot {op}: {source}; check the path, its permissions and the free space")]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The file is no flow file, or not whole.
    #[error("{path}{}: not a whole flow file: {cause}; write it again with `sensor flows`", place(*.row))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// 1-based number of the row, where it is known.
        row: Option<u64>,
        /// What is wrong.
        cause: String,
    },
    /// The rows were computed with other features.
    #[error(
        "{path}: rows of feature schema {found}, this sensor computes {expected}; values of different schemas must not \
         be mixed: write the file again with this sensor's `flows`"
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Schema of the file.
        found: String,
        /// Schema of this sensor.
        expected: String,
    },
    /// Columns that are needed are not there.
    #[error("{path}: no column {}; write the file again with `sensor flows`, and keep all its columns", .columns.join(", "))]
    Columns {
        /// The file.
        path: PathBuf,
        /// Names of the missing columns.
        columns: Vec<String>,
    },
}

impl FlowsError {
    /// Exit code of the contract: wrong usage, failed while working, or an input that cannot be used.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Suffix { .. } => exit::USAGE,
            Self::Io { op, .. } if *op == "write" => exit::FAILED,
            _ => exit::INPUT,
        }
    }

    /// Whether the reader of our output has gone away (`| head`), which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn place(number: Option<u64>) -> String {
    number.map(|number| format!(", row {number}")).unwrap_or_default()
}
