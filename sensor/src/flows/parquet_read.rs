//! Rows back from Apache Parquet, a small batch at a time. It must never panic on a damaged file, nor believe its
//! metadata beyond what the columns hold.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    sync::Arc,
};

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::reader::{FileReader as _, SerializedFileReader},
};

use super::{
    column::{Column, Value},
    columns,
    parquet_write::SCHEMA_KEY,
    parts::Parts,
};

/// Rows read at once.
const BATCH_ROWS: usize = 1024;

/// Reads rows.
pub(super) struct ParquetReader {
    file: SerializedFileReader<File>,
    /// The columns that are read, with their place in the file.
    places: Vec<(usize, &'static Column)>,
    group: usize,
    /// Readers of the current row group, parallel to `places`.
    readers: Vec<ColumnReader>,
    batch: VecDeque<Parts>,
    ours: Arc<str>,
}

impl std::fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Refused {
    Damaged(String),
    /// Feature schema of the file.
    Schema(String),
    Columns(Vec<String>),
}

impl From<ParquetError> for Refused {
    fn from(cause: ParquetError) -> Self {
        Self::Damaged(cause.to_string())
    }
}

impl ParquetReader {
    pub(super) fn new(file: File, schema_hash: &str, ours: &Arc<str>) -> Result<Self, Refused> {
        let file = SerializedFileReader::new(file)?;
        let metadata = file.metadata().file_metadata();
        let said = metadata
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == SCHEMA_KEY))
            .and_then(|pair| pair.value.clone());
        if let Some(found) = said.filter(|found| found != schema_hash) {
            return Err(Refused::Schema(found));
        }
        let schema = metadata.schema_descr();
        let by_name: HashMap<String, usize> = schema
            .columns()
            .iter()
            .enumerate()
            .map(|(index, column)| (column.path().string(), index))
            .collect();
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for column in columns().iter().filter(|column| column.is_read()) {
            match by_name.get(&*column.name) {
                Some(&index) => places.push((index, column)),
                None => missing.push(column.name.to_string()),
            }
        }
        if !missing.is_empty() {
            return Err(Refused::Columns(missing));
        }
        // Our readers want at most one level of definition and none of repetition.
        for (index, column) in &places {
            let found = schema.column(*index);
            if found.max_rep_level() > 0 || found.max_def_level() > 1 {
                return Err(Refused::Damaged(format!("column {} is nested", column.name)));
            }
        }
        Ok(Self {
            file,
            places,
            group: 0,
            readers: Vec::new(),
            batch: VecDeque::new(),
            ours: ours.clone(),
        })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Parts>, String> {
        while self.batch.is_empty() {
            if self.readers.is_empty() && !self.next_group().map_err(|cause| cause.to_string())? {
                return Ok(None);
            }
            self.read_batch()?;
            if self.batch.is_empty() {
                self.readers.clear();
            }
        }
        Ok(self.batch.pop_front())
    }

    fn next_group(&mut self) -> Result<bool, ParquetError> {
        if self.group >= self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.group)?;
        self.group += 1;
        self.readers = self
            .places
            .iter()
            .map(|(index, _)| group.get_column_reader(*index))
            .collect::<Result<_, _>>()?;
        Ok(true)
    }

    /// Reads some rows of every column into `batch`, which is empty before.
    fn read_batch(&mut self) -> Result<(), String> {
        let mut batch = Batch {
            rows: &mut self.batch,
            ours: &self.ours,
            begun: false,
        };
        for (reader, (_, column)) in self.readers.iter_mut().zip(&self.places) {
            match reader {
                ColumnReader::Int32ColumnReader(reader) => {
                    batch.put(column, &read(reader, column)?, |value| {
                        Ok(Value::Int((*value).into()))
                    })
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    batch.put(column, &read(reader, column)?, |value| Ok(Value::Int(*value)))
                }
                ColumnReader::FloatColumnReader(reader) => {
                    batch.put(column, &read(reader, column)?, |value| Ok(Value::Float(*value)))
                }
                ColumnReader::DoubleColumnReader(reader) => {
                    batch.put(column, &read(reader, column)?, |value| {
                        Ok(Value::Float(*value as f32))
                    })
                }
                ColumnReader::ByteArrayColumnReader(reader) => {
                    batch.put(column, &read(reader, column)?, |value: &ByteArray| {
                        value
                            .as_utf8()
                            .map(Value::Text)
                            .map_err(|cause| cause.to_string())
                    })
                }
                _ => Err(format!("column {} has an unexpected type", column.name)),
            }?;
        }
        Ok(())
    }
}

/// Rows being put together, column by column.
struct Batch<'a> {
    rows: &'a mut VecDeque<Parts>,
    ours: &'a Arc<str>,
    /// Whether the first column has said how many rows there are.
    begun: bool,
}

/// Some rows of one column: present values, and which are present.
struct Read<T> {
    count: usize,
    levels: Vec<i16>,
    values: Vec<T>,
    max_level: i16,
}

fn read<T: DataType>(reader: &mut ColumnReaderImpl<T>, column: &Column) -> Result<Read<T::T>, String> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (count, present, _) = reader
        .read_records(BATCH_ROWS, Some(&mut levels), None, &mut values)
        .map_err(|cause| format!("column {}: {cause}", column.name))?;
    // A required column has no levels.
    let max_level = i16::from(!levels.is_empty());
    let marked = levels.iter().filter(|level| **level == max_level).count();
    let agreed = if levels.is_empty() {
        count == values.len()
    } else {
        levels.len() == count && marked == values.len()
    };
    if !agreed || present != values.len() {
        return Err(format!("column {} does not hold what it says", column.name));
    }
    Ok(Read {
        count,
        levels,
        values,
        max_level,
    })
}

impl Batch<'_> {
    fn put<'v, T>(
        &mut self,
        column: &Column,
        read: &'v Read<T>,
        value: impl Fn(&'v T) -> Result<Value<'v>, String>,
    ) -> Result<(), String> {
        if !self.begun {
            self.begun = true;
            self.rows.extend((0..read.count).map(|_| Parts::new(self.ours)));
        }
        if self.rows.len() != read.count {
            return Err(format!(
                "column {} has another number of rows than the others",
                column.name
            ));
        }
        let mut values = read.values.iter();
        for (index, parts) in self.rows.iter_mut().enumerate() {
            if read
                .levels
                .get(index)
                .is_some_and(|level| *level != read.max_level)
            {
                continue;
            }
            let Some(next) = values.next() else { break };
            column
                .put(parts, &value(next)?)
                .map_err(|_| format!("column {} has an impossible value", column.name))?;
        }
        Ok(())
    }
}
