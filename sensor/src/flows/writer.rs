//! Writes windows in the format that was asked for. It must never hold more than one row group of rows.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    FlowsError, Format, Origin, Selection, column::Row, csv_rows::CsvWriter, json_rows::JsonWriter,
    parquet_write::ParquetWriter, parts::row_schema, target::Target,
};
use crate::{
    features::{RowKey, RowKind, WindowRows},
    privacy::AddressNames,
    window::Flow,
};

/// A window to be written.
#[derive(Clone, Copy)]
pub struct WindowRef<'a> {
    /// Its rows.
    pub rows: &'a WindowRows,
    /// Its flows, parallel to the flow rows; without them the columns of raw counters stay empty.
    pub flows: &'a [Flow],
    /// Unix nanoseconds of its start.
    pub wall_start_ns: i64,
    /// Unix nanoseconds of its end.
    pub wall_end_ns: i64,
    /// Name of an interface by its slot; empty where it is not known.
    pub interface_name: &'a dyn Fn(u16) -> String,
}

impl std::fmt::Debug for WindowRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowRef")
            .field("wall_start_ns", &self.wall_start_ns)
            .finish_non_exhaustive()
    }
}

/// Writes flow files.
#[derive(Debug)]
pub struct FlowWriter {
    path: PathBuf,
    encoder: Encoder,
    selection: Selection,
    /// Names of interfaces that are known.
    names: BTreeMap<u16, String>,
    schema: String,
    address_names: AddressNames,
    rows: u64,
}

#[derive(Debug)]
enum Encoder {
    Parquet(Box<ParquetWriter<Target>>),
    Csv(Box<CsvWriter<Target>>),
    Json(JsonWriter<Target>),
}

impl FlowWriter {
    /// A file in the format that its name asks for. It appears under its name when [`Self::finish`] has returned.
    ///
    /// # Errors
    /// The name has no known suffix, or the file cannot be made.
    pub fn create(path: &Path, origin: &Origin, selection: Selection) -> Result<Self, FlowsError> {
        let format = Format::of(path)?;
        Self::new(Target::file(path)?, format, origin, selection)
    }

    /// A stream; `name` is for messages.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn stream(
        name: &str,
        out: impl Write + Send + std::fmt::Debug + 'static,
        format: Format,
        origin: &Origin,
        selection: Selection,
    ) -> Result<Self, FlowsError> {
        Self::new(Target::stream(name, out), format, origin, selection)
    }

    fn new(
        target: Target,
        format: Format,
        origin: &Origin,
        selection: Selection,
    ) -> Result<Self, FlowsError> {
        let path = target.path().to_owned();
        let encoder = match format {
            Format::Parquet => {
                ParquetWriter::new(target, origin).map(|writer| Encoder::Parquet(Box::new(writer)))
            }
            Format::Csv => CsvWriter::new(target).map(|writer| Encoder::Csv(Box::new(writer))),
            Format::JsonLines => Ok(Encoder::Json(JsonWriter::new(target))),
        };
        Ok(Self {
            encoder: encoder.map_err(|source| failed(&path, source))?,
            path,
            selection,
            names: BTreeMap::new(),
            schema: row_schema(),
            address_names: AddressNames::plain(),
            rows: 0,
        })
    }

    /// Writes addresses so instead of as they are.
    #[must_use]
    pub fn with_names(self, names: AddressNames) -> Self {
        Self {
            address_names: names,
            ..self
        }
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the rows of a window. Windows must come in the order of time.
    ///
    /// # Errors
    /// The system refused; nothing can be written any more.
    pub fn write(&mut self, window: &WindowRef<'_>) -> Result<(), FlowsError> {
        for kind in RowKind::ALL {
            if self.selection.has(kind) {
                self.write_kind(window, kind)
                    .map_err(|source| failed(&self.path, source))?;
            }
        }
        Ok(())
    }

    fn write_kind(&mut self, window: &WindowRef<'_>, kind: RowKind) -> io::Result<()> {
        let rows = match kind {
            RowKind::Flow => &window.rows.flow,
            RowKind::Host => &window.rows.host,
        };
        for index in order(&rows.keys, &self.address_names) {
            let Some(key) = rows.keys.get(index) else { continue };
            if kind == RowKind::Flow && !self.names.contains_key(&key.iface) {
                let name = (window.interface_name)(key.iface);
                // Line breaks in a name would look like the end of a row to simple tools.
                self.names.insert(key.iface, name.replace(char::is_control, " "));
            }
            let flow = (kind == RowKind::Flow).then(|| window.flows.get(index)).flatten();
            let row = Row {
                kind,
                wall_start_ns: window.wall_start_ns,
                wall_end_ns: window.wall_end_ns,
                start_ns: window.rows.start_ns,
                end_ns: window.rows.end_ns,
                coverage: window.rows.coverage,
                hosts_over_limit: window.rows.hosts_over_limit,
                key,
                values: rows.row(index),
                flow: flow.filter(|flow| flow.key == key.flow),
                facts: (kind == RowKind::Host)
                    .then(|| window.rows.host_facts.get(index))
                    .flatten(),
                interface: self.names.get(&key.iface).map_or("", String::as_str),
                schema: &self.schema,
                names: &self.address_names,
            };
            match &mut self.encoder {
                Encoder::Parquet(writer) => writer.write(&row)?,
                Encoder::Csv(writer) => writer.write(&row)?,
                Encoder::Json(writer) => writer.write(&row)?,
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// Writes what is buffered, ends the file and puts it in its place; returns the number of rows.
    ///
    /// # Errors
    /// The system refused.
    pub fn finish(self) -> Result<u64, FlowsError> {
        let target = match self.encoder {
            Encoder::Parquet(writer) => writer.finish(),
            Encoder::Csv(writer) => writer.finish(),
            Encoder::Json(writer) => Ok(writer.finish()),
        };
        target
            .and_then(|mut target| target.finish())
            .map_err(|source| failed(&self.path, source))?;
        Ok(self.rows)
    }
}

/// In which order rows are written. They come in the order of addresses, which must not be seen where these are not
/// written as they are: with prefix-preserving pseudonyms it would tell the addresses bit by bit.
fn order(keys: &[RowKey], names: &AddressNames) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if !names.is_plain() {
        order.sort_by_cached_key(|&index| {
            keys.get(index).map(|key| {
                let ends = (names.text(&key.initiator), names.text(&key.responder));
                (
                    ends,
                    key.proto,
                    key.service_port,
                    key.initiator_port,
                    key.packets,
                    key.bytes,
                )
            })
        });
    }
    order
}

fn failed(path: &Path, source: io::Error) -> FlowsError {
    FlowsError::Io {
        op: "write",
        path: path.to_owned(),
        source,
    }
}
