//! Reads flow files window by window, so that training on a flow file equals training on the capture it came from.
//! It must never guess: rows of other features, missing columns and damage end the reading with a clear message.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FlowsError, Format, StoredWindow,
    csv_rows::CsvReader,
    json_rows::JsonReader,
    parquet_read::{ParquetReader, Refused},
    parts::{Parts, ReadRow, WindowKey, row_schema, window},
};
use crate::features::schema_hash;

/// Windows without rows that are given back between two windows: a week of the shortest.
const MAX_SILENT_WINDOWS: u64 = 7 * 86_400;

/// Names of interfaces are at most this long; Linux has 15.
const MAX_NAME_CHARS: usize = 256;

/// A flow file being read: an iterator over its windows, those without rows in between included.
#[derive(Debug)]
pub struct FlowFile {
    path: PathBuf,
    decoder: Decoder,
    ours: Arc<str>,
    rows: u64,
    /// First row of the next window.
    ahead: Option<ReadRow>,
    /// The last window given, and how many silent ones follow it.
    last: Option<WindowKey>,
    silent: u64,
    done: bool,
    /// Names of interfaces by slot.
    names: BTreeMap<u16, String>,
}

#[derive(Debug)]
enum Decoder {
    Parquet(Box<ParquetReader>),
    Csv(Box<CsvReader<File>>),
    Json(JsonReader<File>),
}

impl FlowFile {
    /// Opens a file whose format is told by its first bytes: `PAR1`, `{`, or else CSV.
    ///
    /// # Errors
    /// It cannot be read, is no flow file, or was written with other features.
    pub fn open(path: &Path) -> Result<Self, FlowsError> {
        let io = |source| FlowsError::Io {
            op: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let format = sniff(&mut file).map_err(io)?;
        let ours: Arc<str> = row_schema().into();
        let hash = schema_hash();
        let decoder = match format {
            // The library promises nothing about damaged files.
            Format::Parquet => catch(|| ParquetReader::new(file, &hash, &ours))
                .unwrap_or_else(|cause| Err(Refused::Damaged(cause)))
                .map(|reader| Decoder::Parquet(Box::new(reader))),
            Format::Csv => match CsvReader::new(file) {
                Ok(reader) => Ok(Decoder::Csv(Box::new(reader))),
                Err((cause, missing)) if missing.is_empty() => Err(Refused::Damaged(cause)),
                Err((_, missing)) => Err(Refused::Columns(missing)),
            },
            Format::JsonLines => Ok(Decoder::Json(JsonReader::new(file))),
        };
        let decoder = decoder.map_err(|refused| match refused {
            Refused::Damaged(cause) => FlowsError::Damaged {
                path: path.to_owned(),
                row: None,
                cause,
            },
            Refused::Schema(found) => FlowsError::Schema {
                path: path.to_owned(),
                found,
                expected: hash.clone(),
            },
            Refused::Columns(mut columns) => {
                // A file that is something else altogether lacks them all; naming a few says as much.
                let more = columns.len().saturating_sub(8);
                columns.truncate(8);
                if more > 0 {
                    columns.push(format!("and {more} more"));
                }
                FlowsError::Columns {
                    path: path.to_owned(),
                    columns,
                }
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            decoder,
            ours,
            rows: 0,
            ahead: None,
            last: None,
            silent: 0,
            done: false,
            names: BTreeMap::new(),
        })
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Name of an interface in the rows read so far; empty where the file has none.
    pub fn interface_name(&self, slot: u16) -> String {
        self.names.get(&slot).cloned().unwrap_or_default()
    }

    fn damaged(&self, cause: impl Into<String>) -> FlowsError {
        FlowsError::Damaged {
            path: self.path.clone(),
            row: Some(self.rows + 1),
            cause: cause.into(),
        }
    }

    fn next_row(&mut self) -> Result<Option<ReadRow>, FlowsError> {
        let mut parts = Parts::new(&self.ours);
        let read = match &mut self.decoder {
            Decoder::Parquet(reader) => catch(|| reader.next()).unwrap_or_else(Err).map(|next| {
                next.is_some_and(|next| {
                    parts = next;
                    true
                })
            }),
            Decoder::Csv(reader) => reader.next(&mut parts),
            Decoder::Json(reader) => reader.next(&mut parts),
        };
        if let Some(found) = parts.foreign_schema.take() {
            return Err(FlowsError::Schema {
                path: self.path.clone(),
                found,
                expected: self.ours.to_string(),
            });
        }
        if !read.map_err(|cause| self.damaged(cause))? {
            return Ok(None);
        }
        let row = parts
            .finish()
            .map_err(|column| self.damaged(format!("no value in column {column}")))?;
        self.rows += 1;
        if let (slot, name) = row.interface()
            && !name.is_empty()
            && !self.names.contains_key(&slot)
        {
            self.names
                .insert(slot, name.chars().take(MAX_NAME_CHARS).collect());
        }
        Ok(Some(row))
    }

    fn next_window(&mut self) -> Result<Option<StoredWindow>, FlowsError> {
        if self.silent > 0
            && let Some(last) = self.last
        {
            self.silent -= 1;
            let silent = last.silent_next();
            self.last = Some(silent);
            return Ok(Some(window(&silent, Vec::new())));
        }
        let first = match self.ahead.take() {
            Some(row) => row,
            None => match self.next_row()? {
                Some(row) => row,
                None => return Ok(None),
            },
        };
        let key = first.window;
        let mut rows = vec![first];
        while let Some(row) = self.next_row()? {
            if row.window == key {
                rows.push(row);
                continue;
            }
            if row.window.start_ns < key.end_ns() {
                return Err(self.damaged("windows are out of order: sort the rows by clock_start_ns"));
            }
            self.silent = key.silent_until(&row.window, MAX_SILENT_WINDOWS);
            self.ahead = Some(row);
            break;
        }
        self.last = Some(key);
        Ok(Some(window(&key, rows)))
    }
}

impl Iterator for FlowFile {
    type Item = Result<StoredWindow, FlowsError>;

    /// The next window; after an error nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_window().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

fn sniff(file: &mut File) -> std::io::Result<Format> {
    let mut start = [0; 4];
    let mut count = 0;
    while let Some(rest) = start.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => count += more,
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(match start {
        [b'P', b'A', b'R', b'1'] => Format::Parquet,
        [b'{', ..] => Format::JsonLines,
        _ => Format::Csv,
    })
}

/// What the closure gives, or the message of its panic.
fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|cause| {
        let text = cause
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "the Parquet library gave up".to_owned())
    })
}
