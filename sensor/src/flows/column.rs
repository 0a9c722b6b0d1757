//! What a column is: name, type and meaning, how its value is taken from a row, and how it is put back.
//! It must never know a file format.

use std::borrow::Cow;

use super::{counters::Counters, parts::Parts};
use crate::{
    features::{HostFacts, RowKey, RowKind},
    privacy::AddressNames,
    window::{Flow, FlowHalf},
};

/// Type of a column, the same in all formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// Point in time, UTC, microseconds.
    Time,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// 32-bit floating point number.
    Float,
}

impl ColumnType {
    /// Name in the document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "timestamp",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
        }
    }
}

/// Rows in which a column has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRows {
    /// Flow rows and host rows.
    Both,
    /// Rows of one kind; null in the others.
    Only(RowKind),
}

impl ColumnRows {
    /// Name in the document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Only(kind) => kind.label(),
        }
    }
}

/// A declared column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, unique.
    pub name: Cow<'static, str>,
    /// Type.
    pub kind: ColumnType,
    /// Unit; empty for names and numbers of things.
    pub unit: &'static str,
    /// Meaning.
    pub description: Cow<'static, str>,
    /// Rows that have it.
    pub rows: ColumnRows,
    pub(super) get: Get,
    pub(super) set: Set,
}

/// How a value is taken from a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Get {
    Row(for<'a> fn(&'a Row<'a>) -> Cell<'a>),
    Flow(fn(&Flow, &Row<'_>) -> Cell<'static>),
    /// Of the initiator's half (`true`) or the responder's.
    Half(bool, fn(&FlowHalf) -> Cell<'static>),
    /// Packets with a TCP flag, by half and index.
    Flag(bool, usize),
    Feature(RowKind, usize),
    Fact(fn(&HostFacts) -> Cell<'static>),
    /// An address; null where it is zero.
    FactAddress(fn(&HostFacts) -> &[u8; 16]),
}

/// How a value is put back into a row; what follows from other columns is not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Set {
    Derived,
    Part(fn(&mut Parts, &Value<'_>) -> Result<(), Misfit>),
    /// Of a flow; times are offsets from the start of the window until the whole row is there.
    Counter(fn(&mut Counters, &Value<'_>) -> Result<(), Misfit>),
    /// Of the initiator's half (`true`) or the responder's.
    Half(bool, fn(&mut FlowHalf, &Value<'_>) -> Result<(), Misfit>),
    /// Packets with a TCP flag, by half and index.
    Flag(bool, usize),
    Feature(RowKind, usize),
    Fact(fn(&mut HostFacts, &Value<'_>) -> Result<(), Misfit>),
}

/// A value that does not fit its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

impl From<std::num::TryFromIntError> for Misfit {
    fn from(_: std::num::TryFromIntError) -> Self {
        Self
    }
}

/// A row about to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) kind: RowKind,
    pub(super) wall_start_ns: i64,
    pub(super) wall_end_ns: i64,
    /// Start on the source's clock.
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) coverage: f32,
    pub(super) hosts_over_limit: u64,
    pub(super) key: &'a RowKey,
    pub(super) values: &'a [f32],
    pub(super) flow: Option<&'a Flow>,
    pub(super) facts: Option<&'a HostFacts>,
    /// Name of the interface; empty where it is not known.
    pub(super) interface: &'a str,
    pub(super) schema: &'a str,
    /// How addresses are written.
    pub(super) names: &'a AddressNames,
}

impl Row<'_> {
    /// Wall time of a moment of the source's clock.
    pub(super) fn wall(&self, time_ns: u64) -> Cell<'static> {
        let since = i128::from(time_ns) - i128::from(self.start_ns);
        Cell::Time(i64::try_from(i128::from(self.wall_start_ns) + since).unwrap_or(i64::MAX))
    }

    /// An address as it is written: IPv4 where the mapped form stands for it.
    pub(super) fn address(&self, address: &[u8; 16]) -> Cell<'static> {
        Cell::Text(Cow::Owned(self.names.text(address)))
    }
}

/// A value on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Float(f32),
    /// Unix nanoseconds.
    Time(i64),
    Text(Cow<'a, str>),
}

impl Cell<'_> {
    /// A count; beyond 2^63 - 1 it stays there.
    pub(super) fn count(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// A value on its way in; null is not handed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// A count, which is never negative.
    pub(super) fn count(&self) -> Result<u64, Misfit> {
        Ok(self.int()?.try_into()?)
    }

    pub(super) fn int(&self) -> Result<i64, Misfit> {
        if let Self::Int(value) = self {
            Ok(*value)
        } else {
            Err(Misfit)
        }
    }

    pub(super) fn float(&self) -> Result<f32, Misfit> {
        if let Self::Float(value) = self {
            Ok(*value)
        } else {
            Err(Misfit)
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Misfit> {
        if let Self::Text(value) = self {
            Ok(value)
        } else {
            Err(Misfit)
        }
    }

    /// An address in either notation, IPv4 as the mapped form.
    pub(super) fn address(&self) -> Result<[u8; 16], Misfit> {
        let address = self.text()?.parse().map_err(|_| Misfit)?;
        Ok(match address {
            std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(address) => address.octets(),
        })
    }
}

impl Column {
    /// The value of a row; null where the row has none.
    pub(super) fn cell<'a>(&self, row: &'a Row<'a>) -> Cell<'a> {
        let half = |initiator: bool| {
            row.flow
                .map(|flow| if initiator { flow.out() } else { flow.back() })
        };
        match self.get {
            Get::Row(get) => get(row),
            Get::Flow(get) => row.flow.map_or(Cell::Null, |flow| get(flow, row)),
            Get::Half(initiator, get) => half(initiator).map_or(Cell::Null, get),
            Get::Flag(initiator, flag) => half(initiator)
                .and_then(|half| half.flag_counts.get(flag))
                .map_or(Cell::Null, |&count| Cell::Int(count.into())),
            Get::Feature(kind, index) if kind == row.kind => row
                .values
                .get(index)
                .filter(|value| value.is_finite())
                .map_or(Cell::Null, |&value| Cell::Float(value)),
            Get::Feature(..) => Cell::Null,
            Get::Fact(get) => row.facts.map_or(Cell::Null, get),
            Get::FactAddress(get) => row
                .facts
                .map(get)
                .filter(|address| **address != [0; 16])
                .map_or(Cell::Null, |address| row.address(address)),
        }
    }

    /// Whether a reader needs it.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self.set, Set::Derived)
    }

    /// Puts a value back.
    pub(super) fn put(&self, parts: &mut Parts, value: &Value<'_>) -> Result<(), Misfit> {
        match self.set {
            Set::Derived => Ok(()),
            Set::Part(set) => set(parts, value),
            Set::Feature(kind, index) => {
                let values = match kind {
                    RowKind::Flow => &mut parts.flow_values[..],
                    RowKind::Host => &mut parts.host_values[..],
                };
                *values.get_mut(index).ok_or(Misfit)? = value.float()?;
                Ok(())
            }
            Set::Counter(set) => set(&mut parts.counters, value),
            Set::Half(initiator, set) => set(parts.counters.half(initiator), value),
            Set::Flag(initiator, flag) => {
                let counts = &mut parts.counters.half(initiator).flag_counts;
                *counts.get_mut(flag).ok_or(Misfit)? = value.int()?.try_into()?;
                Ok(())
            }
            Set::Fact(set) => set(&mut parts.facts, value),
        }
    }
}
