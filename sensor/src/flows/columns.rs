//! The table of all columns, in the order of the files: keys, counters of flow rows, features, facts of host rows.
//! It must never hold two columns of one name (tested).

mod counters;
mod facts;
mod keys;
mod window;

use std::{borrow::Cow, sync::LazyLock};

use super::{
    column::{Cell, Column, ColumnRows, ColumnType, Get, Misfit, Row, Set, Value},
    parts::Parts,
};
use crate::features::RowKind;

/// All columns.
pub fn columns() -> &'static [Column] {
    static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
        let mut columns = window::columns();
        columns.extend(keys::columns());
        columns.extend(counters::columns());
        columns.extend(features(RowKind::Flow, ""));
        columns.extend(features(RowKind::Host, "host_"));
        columns.extend(facts::columns());
        columns
    });
    &COLUMNS
}

/// The declared features of a kind of row, with a prefix to their names.
fn features(kind: RowKind, prefix: &'static str) -> impl Iterator<Item = Column> {
    kind.features()
        .iter()
        .enumerate()
        .map(move |(index, feature)| Column {
            name: Cow::Owned(format!("{prefix}{}", feature.name)),
            kind: ColumnType::Float,
            unit: feature.unit,
            description: Cow::Borrowed(feature.formula),
            rows: ColumnRows::Only(kind),
            get: Get::Feature(kind, index),
            set: Set::Feature(kind, index),
        })
}

type GetRow = for<'a> fn(&'a Row<'a>) -> Cell<'a>;
type SetPart = fn(&mut Parts, &Value<'_>) -> Result<(), Misfit>;

/// A column of a row's key or window.
fn column(
    name: &'static str,
    kind: ColumnType,
    rows: ColumnRows,
    description: &'static str,
    get: GetRow,
    set: Option<SetPart>,
) -> Column {
    Column {
        name: Cow::Borrowed(name),
        kind,
        unit: if name.ends_with("_ns") { "ns" } else { "" },
        description: Cow::Borrowed(description),
        rows,
        get: Get::Row(get),
        set: set.map_or(Set::Derived, Set::Part),
    }
}

const BOTH: ColumnRows = ColumnRows::Both;
const FLOW: ColumnRows = ColumnRows::Only(RowKind::Flow);
