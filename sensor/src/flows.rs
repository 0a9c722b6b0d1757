//! Flow files: every row of the pipeline as Parquet, CSV or JSON lines, written for other tools and read back for
//! training. One declared table of columns serves all three formats, both directions and `docs/flows.md`.
//! It must never lose a value that a row had, nor let a half-written file take the place of a whole one.

mod column;
mod columns;
mod counters;
mod csv_rows;
mod document;
mod error;
mod guard;
mod json_rows;
mod parquet_read;
mod parquet_write;
mod parts;
mod reader;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod writer;

use std::path::Path;

pub use column::{Column, ColumnRows, ColumnType};
pub use columns::columns;
pub use document::flows_markdown;
pub use error::FlowsError;
pub use reader::FlowFile;
pub use writer::{FlowWriter, WindowRef};

use crate::{
    features::{RowKind, WindowRows},
    window::Flow,
};

/// Format of a flow file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet, zstd.
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line; absent values are left out.
    JsonLines,
}

impl Format {
    /// The format that a file name asks for.
    ///
    /// # Errors
    /// The suffix is none of `.parquet`, `.csv`, `.jsonl`.
    pub fn of(path: &Path) -> Result<Self, FlowsError> {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        match suffix.map(str::to_ascii_lowercase).as_deref() {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => Err(FlowsError::Suffix {
                path: path.to_owned(),
            }),
        }
    }
}

/// Which kinds of rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Flow rows and host rows.
    #[default]
    All,
    /// Rows of one kind.
    Only(RowKind),
}

impl Selection {
    /// Whether rows of this kind are written.
    pub fn has(self, kind: RowKind) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == kind,
        }
    }
}

/// What a file says of itself beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Nominal length of a window.
    pub window_ns: u64,
    /// What was read: names of captures, or interfaces.
    pub inputs: Vec<String>,
}

/// A window read back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWindow {
    /// Its rows, as they were when they were written.
    pub rows: WindowRows,
    /// What was counted of each flow, in the order of the flow rows; empty in windows with a row that has no counters.
    pub flows: Vec<Flow>,
    /// Unix nanoseconds of its start.
    pub wall_start_ns: i64,
    /// Unix nanoseconds of its end.
    pub wall_end_ns: i64,
}
