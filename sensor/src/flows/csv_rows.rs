//! Rows as comma-separated values with a header (RFC 4180); an absent value is an empty field.
//! It must never take the place of a column for granted: other tools reorder them.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use super::{
    column::{Cell, Column, Misfit, Row},
    columns,
    guard::LineGuard,
    parts::Parts,
    text,
};

/// Writes rows.
#[derive(Debug)]
pub(super) struct CsvWriter<W: Write> {
    out: csv::Writer<W>,
    field: Vec<u8>,
}

impl<W: Write> CsvWriter<W> {
    /// Begins with the header.
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut out = csv::WriterBuilder::new()
            .buffer_capacity(1 << 16)
            .from_writer(out);
        out.write_record(columns().iter().map(|column| column.name.as_bytes()))?;
        Ok(Self {
            out,
            field: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        for column in columns() {
            self.field.clear();
            match column.cell(row) {
                Cell::Null => {}
                Cell::Int(value) => text::number(&mut self.field, value),
                Cell::Float(value) => text::number(&mut self.field, value),
                Cell::Time(unix_ns) => text::time(&mut self.field, unix_ns),
                Cell::Text(name) => self.field.extend_from_slice(name.as_bytes()),
            }
            self.out.write_field(&self.field)?;
        }
        Ok(self.out.write_record(None::<&[u8]>)?)
    }

    /// Everything written, back to what lies beneath.
    pub(super) fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(|cause| {
            let kind = cause.error().kind();
            io::Error::new(kind, cause.error().to_string())
        })
    }
}

/// Reads rows.
#[derive(Debug)]
pub(super) struct CsvReader<R: Read> {
    input: csv::Reader<LineGuard<R>>,
    /// The declared column at each place of the file; none for columns that are not ours.
    places: Vec<Option<&'static Column>>,
    record: csv::StringRecord,
}

impl<R: Read> CsvReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong; missing columns are in the second part.
    pub(super) fn new(input: R) -> Result<Self, (String, Vec<String>)> {
        let mut input = csv::ReaderBuilder::new().from_reader(LineGuard::new(input));
        let header = input.headers().map_err(|cause| (cause.to_string(), Vec::new()))?;
        let known: HashMap<&str, &'static Column> =
            columns().iter().map(|column| (&*column.name, column)).collect();
        let places: Vec<_> = header.iter().map(|name| known.get(name).copied()).collect();
        let missing: Vec<String> = columns()
            .iter()
            .filter(|column| column.is_read() && !header.iter().any(|name| name == column.name))
            .map(|column| column.name.to_string())
            .collect();
        if !missing.is_empty() {
            return Err((String::new(), missing));
        }
        Ok(Self {
            input,
            places,
            record: csv::StringRecord::new(),
        })
    }

    /// Fills in the next row; `false` at the end.
    pub(super) fn next(&mut self, parts: &mut Parts) -> Result<bool, String> {
        if !self
            .input
            .read_record(&mut self.record)
            .map_err(|cause| cause.to_string())?
        {
            return Ok(false);
        }
        for (field, place) in self.record.iter().zip(&self.places) {
            let Some(column) = place else { continue };
            if field.is_empty() || !column.is_read() {
                continue;
            }
            text::parse(column.kind, field)
                .and_then(|value| column.put(parts, &value))
                .map_err(|Misfit| misfit(column, field))?;
        }
        Ok(true)
    }
}

/// Message about a value that does not fit.
pub(super) fn misfit(column: &Column, text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!(
        "column {} has the impossible value \"{}\"",
        column.name,
        shown.escape_debug()
    )
}
