//! Columns of what was counted of a flow: exact numbers behind the features, null in host rows so that sums over a
//! file are right. It must never leave out a counter of [`crate::window::Flow`], nor write one that is read back as
//! another.

use std::borrow::Cow;

use sensor_common::flow::{TCP_FLAG_NAMES, TICK_NS};

use super::FLOW;
use crate::{
    features::RowKind,
    flows::column::{Cell, Column, ColumnType, Get, Misfit, Row, Set, Value},
    window::{Flow, FlowHalf},
};

fn column(
    name: impl Into<Cow<'static, str>>,
    kind: ColumnType,
    unit: &'static str,
    description: impl Into<Cow<'static, str>>,
    get: Get,
    set: Set,
) -> Column {
    Column {
        name: name.into(),
        kind,
        unit,
        description: description.into(),
        rows: FLOW,
        get,
        set,
    }
}

/// The columns.
pub(super) fn columns() -> Vec<Column> {
    let mut columns = totals();
    for (initiator, side) in [(true, "src"), (false, "dst")] {
        columns.extend(halves(initiator, side));
    }
    columns.extend(times());
    columns.extend(life());
    columns
}

fn totals() -> Vec<Column> {
    vec![
        column(
            "packets",
            ColumnType::Int64,
            "packets",
            "packets of the flow in this window, both directions",
            Get::Row(|row| match row.kind {
                RowKind::Flow => Cell::count(row.key.packets),
                RowKind::Host => Cell::Null,
            }),
            Set::Part(|parts, value| {
                parts.packets = value.count()?;
                Ok(())
            }),
        ),
        column(
            "bytes",
            ColumnType::Int64,
            "bytes",
            "frame bytes of the flow in this window, both directions (link header included, frame check sequence not)",
            Get::Row(|row| match row.kind {
                RowKind::Flow => Cell::count(row.key.bytes),
                RowKind::Host => Cell::Null,
            }),
            Set::Part(|parts, value| {
                parts.bytes = value.count()?;
                Ok(())
            }),
        ),
    ]
}

/// A counter of one direction: name, type, unit, meaning, and both ways between value and file.
type HalfCounter = (
    &'static str,
    ColumnType,
    &'static str,
    &'static str,
    fn(&FlowHalf) -> Cell<'static>,
    fn(&mut FlowHalf, &Value<'_>) -> Result<(), Misfit>,
);

/// An extreme, which is absent without packets.
fn extreme(half: &FlowHalf, value: impl Into<i64>) -> Cell<'static> {
    if half.packets == 0 {
        Cell::Null
    } else {
        Cell::Int(value.into())
    }
}

/// Counters of a direction: a sum, or an extreme.
macro_rules! of_half {
    ($(($field:ident, $kind:ident, $unit:literal, $text:literal)),* $(,)?) => {
        [$((
            stringify!($field),
            of_half!(@type $kind),
            $unit,
            $text,
            |half| of_half!(@get $kind half $field),
            |half, value| {
                half.$field = value.int()?.try_into()?;
                Ok(())
            },
        )),*]
    };
    (@type sum) => { ColumnType::Int64 };
    (@type extreme) => { ColumnType::Int32 };
    (@get sum $half:ident $field:ident) => { Cell::count($half.$field.into()) };
    (@get extreme $half:ident $field:ident) => { extreme($half, $half.$field) };
}

const HALF: [HalfCounter; 9] = of_half![
    (packets, sum, "packets", "packets"),
    (bytes, sum, "bytes", "frame bytes"),
    (
        payload_bytes,
        sum,
        "bytes",
        "bytes behind the transport header, by the IP length field"
    ),
    (len_sumsq, sum, "bytes²", "sum of squared frame lengths"),
    (len_min, extreme, "bytes", "shortest frame"),
    (len_max, extreme, "bytes", "longest frame"),
    (ttl_min, extreme, "hops", "smallest IP time to live"),
    (ttl_max, extreme, "hops", "largest IP time to live"),
    (fragments, sum, "packets", "IP fragments"),
];

fn halves(initiator: bool, side: &'static str) -> Vec<Column> {
    let counters = HALF.iter().map(|&(name, kind, unit, text, get, set)| {
        column(
            format!("{side}_{name}"),
            kind,
            unit,
            format!("{text}, sent by {side}"),
            Get::Half(initiator, get),
            Set::Half(initiator, set),
        )
    });
    let flags = TCP_FLAG_NAMES.iter().enumerate().map(|(flag, name)| {
        let arp = match flag {
            0 => "; ARP: requests",
            1 => "; ARP: replies",
            _ => "",
        };
        column(
            format!("{side}_{name}"),
            ColumnType::Int64,
            "packets",
            format!(
                "packets with TCP flag {}, sent by {side}{arp}",
                name.to_uppercase()
            ),
            Get::Flag(initiator, flag),
            Set::Flag(initiator, flag),
        )
    });
    counters.chain(flags).collect()
}

fn ticks_ns(ticks: u32) -> Cell<'static> {
    Cell::count(u64::from(ticks) * TICK_NS)
}

/// A value that needs at least one inter-arrival time.
fn with_gap(flow: &Flow, cell: Cell<'static>) -> Cell<'static> {
    if flow.iat_count == 0 { Cell::Null } else { cell }
}

/// A column that is read back into the field of the same name.
macro_rules! counter {
    ($field:ident, $unit:literal, $text:literal, $get:expr, |$value:ident| $set:expr) => {
        column(
            stringify!($field),
            ColumnType::Int64,
            $unit,
            $text,
            Get::Flow($get),
            Set::Counter(|counters, $value| {
                counters.$field = $set;
                Ok(())
            }),
        )
    };
}

/// A time for people, rounded to microseconds; what is read back is the exact offset beside it.
fn time(name: &'static str, description: &'static str, get: fn(&Flow, &Row<'_>) -> Cell<'static>) -> Column {
    column(
        name,
        ColumnType::Time,
        "",
        description,
        Get::Flow(get),
        Set::Derived,
    )
}

fn times() -> Vec<Column> {
    vec![
        time("first_seen", "first packet in this window", |flow, row| {
            row.wall(flow.first_ns)
        }),
        time("last_seen", "last packet in this window", |flow, row| {
            row.wall(flow.last_ns)
        }),
        counter!(
            first_offset_ns,
            "ns",
            "first packet after the start of the window, exact",
            |flow, row| offset(flow.first_ns, row),
            |value| Some(value.int()?)
        ),
        counter!(
            duration_ns,
            "ns",
            "last - first packet in this window, exact",
            |flow, _| Cell::count(flow.last_ns.saturating_sub(flow.first_ns)),
            |value| value.count()?
        ),
        counter!(
            iat_count,
            "",
            "inter-arrival times counted, either direction; the gap since earlier windows is one",
            |flow, _| Cell::count(flow.iat_count),
            |value| value.count()?
        ),
        column(
            "iat_sum_ns",
            ColumnType::Int64,
            "ns",
            "their sum; inter-arrival times are counted in ticks of 1,024 ns",
            Get::Flow(|flow, _| Cell::count(flow.iat_sum_ticks.saturating_mul(TICK_NS))),
            Set::Counter(|counters, value| {
                counters.iat_sum_ticks = value.count()? / TICK_NS;
                Ok(())
            }),
        ),
        counter!(
            iat_sumsq_ticks,
            "(1,024 ns)²",
            "sum of their squares in ticks²",
            |flow, _| Cell::count(flow.iat_sumsq_ticks),
            |value| value.count()?
        ),
        column(
            "iat_min_ns",
            ColumnType::Int64,
            "ns",
            "shortest of them",
            Get::Flow(|flow, _| with_gap(flow, ticks_ns(flow.iat_min_ticks))),
            Set::Counter(|counters, value| {
                counters.iat_min_ticks = Some((value.count()? / TICK_NS).try_into()?);
                Ok(())
            }),
        ),
        column(
            "iat_max_ns",
            ColumnType::Int64,
            "ns",
            "longest of them",
            Get::Flow(|flow, _| with_gap(flow, ticks_ns(flow.iat_max_ticks))),
            Set::Counter(|counters, value| {
                counters.iat_max_ticks = (value.count()? / TICK_NS).try_into()?;
                Ok(())
            }),
        ),
    ]
}

/// A time, of which 0 means that there is none.
fn time_or_none(time_ns: u64, row: &Row<'_>) -> Cell<'static> {
    if time_ns == 0 {
        Cell::Null
    } else {
        row.wall(time_ns)
    }
}

/// A time of the sensor's clock after the start of the window, exact.
fn offset(time_ns: u64, row: &Row<'_>) -> Cell<'static> {
    Cell::Int(time_ns.wrapping_sub(row.start_ns).cast_signed())
}

/// The same of a time of which 0 means that there is none.
fn offset_or_none(time_ns: u64, row: &Row<'_>) -> Cell<'static> {
    if time_ns == 0 {
        Cell::Null
    } else {
        offset(time_ns, row)
    }
}

fn life() -> Vec<Column> {
    vec![
        time("syn_time", "first SYN without ACK in this window", |flow, row| {
            time_or_none(flow.syn_ns, row)
        }),
        counter!(
            syn_offset_ns,
            "ns",
            "the same after the start of the window, exact",
            |flow, row| offset_or_none(flow.syn_ns, row),
            |value| Some(value.int()?)
        ),
        time("synack_time", "first SYN with ACK in this window", |flow, row| {
            time_or_none(flow.synack_ns, row)
        }),
        counter!(
            synack_offset_ns,
            "ns",
            "the same after the start of the window, exact",
            |flow, row| offset_or_none(flow.synack_ns, row),
            |value| Some(value.int()?)
        ),
        counter!(
            handshake_ns,
            "ns",
            "first SYN with ACK - first SYN, in the window where the handshake completed",
            |flow, _| flow.handshake_ns.map_or(Cell::Null, Cell::count),
            |value| Some(value.count()?)
        ),
        time("born", "first packet of the flow's life", |flow, row| {
            time_or_none(flow.born_ns, row)
        }),
        counter!(
            born_offset_ns,
            "ns",
            "the same after the start of the window, exact; below 0 in an earlier one",
            |flow, row| offset_or_none(flow.born_ns, row),
            |value| Some(value.int()?)
        ),
        time(
            "prior_last",
            "last packet before this window; null for a flow that began in it",
            |flow, row| time_or_none(flow.prior_last_ns, row),
        ),
        counter!(
            prior_last_offset_ns,
            "ns",
            "the same after the start of the window, exact; below 0",
            |flow, row| offset_or_none(flow.prior_last_ns, row),
            |value| Some(value.int()?)
        ),
        column(
            "src_prior_packets",
            ColumnType::Int64,
            "packets",
            "packets sent by src in earlier windows",
            Get::Flow(|flow, _| prior(flow, flow.initiator)),
            Set::Counter(|counters, value| {
                counters.prior_packets[0] = value.count()?;
                Ok(())
            }),
        ),
        column(
            "dst_prior_packets",
            ColumnType::Int64,
            "packets",
            "packets sent by dst in earlier windows",
            Get::Flow(|flow, _| prior(flow, !flow.initiator)),
            Set::Counter(|counters, value| {
                counters.prior_packets[1] = value.count()?;
                Ok(())
            }),
        ),
    ]
}

fn prior(flow: &Flow, half: u8) -> Cell<'static> {
    Cell::count(flow.prior_packets[usize::from(half & 1)])
}
