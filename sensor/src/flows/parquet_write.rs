//! Rows as Apache Parquet: one column chunk per declared column and row group, zstd, dictionaries where they pay.
//! It must never hold more than one row group in memory.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::{Type, TypePtr},
};

use super::{
    Origin,
    column::{Cell, Column, ColumnType, Row},
    columns,
};
use crate::features::schema_hash;

/// Rows of a row group: readers work on groups in parallel, and the writer holds one.
pub(super) const GROUP_ROWS: usize = 1 << 15;

/// Name of the metadata that says which features the columns hold.
pub(super) const SCHEMA_KEY: &str = "sensor.feature_schema";

/// Values of one column, present ones only, and which are present.
#[derive(Debug)]
struct Buffer {
    levels: Vec<i16>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Text(Vec<ByteArray>),
}

impl Buffer {
    fn new(kind: ColumnType) -> Self {
        Self {
            levels: Vec::new(),
            values: match kind {
                ColumnType::Int32 => Values::Int32(Vec::new()),
                ColumnType::Int64 | ColumnType::Time => Values::Int64(Vec::new()),
                ColumnType::Float => Values::Float(Vec::new()),
                ColumnType::Text => Values::Text(Vec::new()),
            },
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        let present = match (&mut self.values, cell) {
            (Values::Int32(values), Cell::Int(value)) => {
                values.push(i32::try_from(value).unwrap_or(i32::MAX));
                true
            }
            (Values::Int64(values), Cell::Int(value)) => {
                values.push(value);
                true
            }
            (Values::Int64(values), Cell::Time(unix_ns)) => {
                values.push(unix_ns.div_euclid(1000));
                true
            }
            (Values::Float(values), Cell::Float(value)) => {
                values.push(value);
                true
            }
            (Values::Text(values), Cell::Text(text)) => {
                values.push(ByteArray::from(&*text));
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(present));
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(&self.levels[..]);
        match (&self.values, writer) {
            (Values::Int32(values), ColumnWriter::Int32ColumnWriter(to)) => {
                to.write_batch(values, levels, None)
            }
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(to)) => {
                to.write_batch(values, levels, None)
            }
            (Values::Float(values), ColumnWriter::FloatColumnWriter(to)) => {
                to.write_batch(values, levels, None)
            }
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(to)) => {
                to.write_batch(values, levels, None)
            }
            _ => Err(ParquetError::General("a column of another type".into())),
        }
        .map(|_| ())
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.values {
            Values::Int32(values) => values.clear(),
            Values::Int64(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::Text(values) => values.clear(),
        }
    }
}

/// Writes rows.
pub(super) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    buffers: Vec<Buffer>,
    rows: usize,
}

impl<W: Write + Send> std::fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(super) fn new(out: W, origin: &Origin) -> io::Result<Self> {
        let schema = schema().map_err(to_io)?;
        let properties = WriterProperties::builder()
            .set_created_by(format!("sensor {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_key_value_metadata(Some(metadata(origin)))
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(to_io)?,
            buffers: columns().iter().map(|column| Buffer::new(column.kind)).collect(),
            rows: 0,
        })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        for (column, buffer) in columns().iter().zip(&mut self.buffers) {
            buffer.push(column.cell(row));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS {
            self.end_group()
        } else {
            Ok(())
        }
    }

    fn end_group(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(to_io)?;
        for buffer in &mut self.buffers {
            let Some(mut column) = group.next_column().map_err(to_io)? else {
                break;
            };
            buffer.write(column.untyped()).map_err(to_io)?;
            column.close().map_err(to_io)?;
            buffer.clear();
        }
        group.close().map_err(to_io)?;
        self.rows = 0;
        Ok(())
    }

    /// Everything written, back to what lies beneath.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end_group()?;
        self.file.into_inner().map_err(to_io)
    }
}

fn metadata(origin: &Origin) -> Vec<KeyValue> {
    let pairs = [
        ("sensor.version", env!("CARGO_PKG_VERSION").to_owned()),
        (SCHEMA_KEY, schema_hash()),
        ("sensor.window_ns", origin.window_ns.to_string()),
        ("sensor.inputs", serde_json::json!(origin.inputs).to_string()),
    ];
    pairs
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect()
}

/// The columns as a Parquet schema. Times are in microseconds: Spark refuses nanoseconds.
fn schema() -> Result<TypePtr, ParquetError> {
    let fields = columns()
        .iter()
        .map(|column| field(column).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(
        Type::group_type_builder("sensor").with_fields(fields).build()?,
    ))
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnType::Time => (
            Physical::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
        ),
        ColumnType::Int32 => (Physical::INT32, None),
        ColumnType::Int64 => (Physical::INT64, None),
        ColumnType::Float => (Physical::FLOAT, None),
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// The system's error if there is one inside.
fn to_io(cause: ParquetError) -> io::Error {
    match cause {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(system) => *system,
            Err(other) => io::Error::other(other.to_string()),
        },
        other => io::Error::other(other.to_string()),
    }
}
