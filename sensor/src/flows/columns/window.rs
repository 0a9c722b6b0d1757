//! Columns that say which window a row belongs to. It must never round a time without an exact number beside it.

use super::{BOTH, column};
use crate::{
    features::RowKind,
    flows::column::{Cell, Column, ColumnType, Misfit},
};

/// The columns.
pub(super) fn columns() -> Vec<Column> {
    use ColumnType::{Float, Int64, Text, Time};
    vec![
        column(
            "kind",
            Text,
            BOTH,
            "`flow` or `host`",
            |row| Cell::Text(row.kind.label().into()),
            Some(|parts, value| {
                let name = value.text()?;
                parts.kind = RowKind::ALL.into_iter().find(|kind| kind.label() == name);
                parts.kind.map(|_| ()).ok_or(Misfit)
            }),
        ),
        column(
            "window_start",
            Time,
            BOTH,
            "start of the window",
            |row| Cell::Time(row.wall_start_ns),
            None,
        ),
        column(
            "window_end",
            Time,
            BOTH,
            "end of the window, exclusive",
            |row| Cell::Time(row.wall_end_ns),
            None,
        ),
        column(
            "window_start_ns",
            Int64,
            BOTH,
            "start of the window, exact, since 1970-01-01 UTC",
            |row| Cell::Int(row.wall_start_ns),
            Some(|parts, value| {
                parts.wall_start_ns = Some(value.int()?);
                Ok(())
            }),
        ),
        column(
            "window_length_ns",
            Int64,
            BOTH,
            "length of the window, exact",
            |row| Cell::count(row.end_ns.saturating_sub(row.start_ns)),
            Some(|parts, value| {
                parts.length_ns = Some(value.int()?.try_into()?);
                Ok(())
            }),
        ),
        column(
            "clock_start_ns",
            Int64,
            BOTH,
            "start of the window on the sensor's own clock, which never runs backwards: in captures the same as \
             window_start_ns until the recording's clock is set back or leaps over days",
            |row| Cell::count(row.start_ns),
            Some(|parts, value| {
                parts.start_ns = Some(value.int()?.try_into()?);
                Ok(())
            }),
        ),
        column(
            "coverage",
            Float,
            BOTH,
            "share of the window's packets that are in flow rows, 0 to 1",
            |row| Cell::Float(row.coverage),
            Some(|parts, value| {
                parts.coverage = value.float()?;
                Ok(())
            }),
        ),
        column(
            "hosts_over_limit",
            Int64,
            BOTH,
            "ends of flows in the window that got no host entry, because the bound on hosts was reached",
            |row| Cell::count(row.hosts_over_limit),
            Some(|parts, value| {
                parts.hosts_over_limit = value.int()?.try_into()?;
                Ok(())
            }),
        ),
        column(
            "feature_schema",
            Text,
            BOTH,
            "first 16 digits of the feature schema's hash",
            |row| Cell::Text(row.schema.into()),
            Some(|parts, value| {
                parts.check_schema(value.text()?);
                Ok(())
            }),
        ),
    ]
}
