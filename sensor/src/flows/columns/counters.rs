//! Columns of what was counted of a flow: exact numbers behind the features, null in host rows so that sums over a
//! file are right. It must never leave out a counter of [`crate::window::Flow`].

use std::borrow::Cow;

use sensor_common::flow::{TCP_FLAG_NAMES, TICK_NS};

use super::FLOW;
use crate::{
    features::RowKind,
    flows::column::{Cell, Column, ColumnType, Get, Row, Set},
    window::{Flow, FlowHalf},
};

fn column(
    name: impl Into<Cow<'static, str>>,
    kind: ColumnType,
    unit: &'static str,
    description: impl Into<Cow<'static, str>>,
    get: Get,
) -> Column {
    Column {
        name: name.into(),
        kind,
        unit,
        description: description.into(),
        rows: FLOW,
        get,
        set: Set::Derived,
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
    let mut packets = column(
        "packets",
        ColumnType::Int64,
        "packets",
        "packets of the flow in this window, both directions",
        Get::Row(|row| match row.kind {
            RowKind::Flow => Cell::count(row.key.packets),
            RowKind::Host => Cell::Null,
        }),
    );
    packets.set = Set::Part(|parts, value| {
        parts.packets = value.int()?.try_into()?;
        Ok(())
    });
    let mut bytes = column(
        "bytes",
        ColumnType::Int64,
        "bytes",
        "frame bytes of the flow in this window, both directions (link header included, frame check sequence not)",
        Get::Row(|row| match row.kind {
            RowKind::Flow => Cell::count(row.key.bytes),
            RowKind::Host => Cell::Null,
        }),
    );
    bytes.set = Set::Part(|parts, value| {
        parts.bytes = value.int()?.try_into()?;
        Ok(())
    });
    vec![packets, bytes]
}

/// A counter of one direction: name, type, unit, meaning, value.
type HalfCounter = (
    &'static str,
    ColumnType,
    &'static str,
    &'static str,
    fn(&FlowHalf) -> Cell<'static>,
);

/// An extreme, which is absent without packets.
fn extreme(half: &FlowHalf, value: impl Into<i64>) -> Cell<'static> {
    if half.packets == 0 {
        Cell::Null
    } else {
        Cell::Int(value.into())
    }
}

const HALF: [HalfCounter; 9] = [
    ("packets", ColumnType::Int64, "packets", "packets", |half| {
        Cell::count(half.packets)
    }),
    ("bytes", ColumnType::Int64, "bytes", "frame bytes", |half| {
        Cell::count(half.bytes)
    }),
    (
        "payload_bytes",
        ColumnType::Int64,
        "bytes",
        "bytes behind the transport header, by the IP length field",
        |half| Cell::count(half.payload_bytes),
    ),
    (
        "len_sumsq",
        ColumnType::Int64,
        "bytes²",
        "sum of squared frame lengths",
        |half| Cell::count(half.len_sumsq),
    ),
    ("len_min", ColumnType::Int32, "bytes", "shortest frame", |half| {
        extreme(half, half.len_min)
    }),
    ("len_max", ColumnType::Int32, "bytes", "longest frame", |half| {
        extreme(half, half.len_max)
    }),
    (
        "ttl_min",
        ColumnType::Int32,
        "hops",
        "smallest IP time to live",
        |half| extreme(half, half.ttl_min),
    ),
    (
        "ttl_max",
        ColumnType::Int32,
        "hops",
        "largest IP time to live",
        |half| extreme(half, half.ttl_max),
    ),
    (
        "fragments",
        ColumnType::Int64,
        "packets",
        "IP fragments",
        |half| Cell::Int(half.fragments.into()),
    ),
];

fn halves(initiator: bool, side: &'static str) -> Vec<Column> {
    let counters = HALF.iter().map(|&(name, kind, unit, text, get)| {
        column(
            format!("{side}_{name}"),
            kind,
            unit,
            format!("{text}, sent by {side}"),
            Get::Half(initiator, get),
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

fn times() -> Vec<Column> {
    use ColumnType::{Int64, Time};
    vec![
        column(
            "first_seen",
            Time,
            "",
            "first packet in this window",
            Get::Flow(|flow, row| row.wall(flow.first_ns)),
        ),
        column(
            "last_seen",
            Time,
            "",
            "last packet in this window",
            Get::Flow(|flow, row| row.wall(flow.last_ns)),
        ),
        column(
            "first_offset_ns",
            Int64,
            "ns",
            "first packet after the start of the window, exact",
            Get::Flow(|flow, row| Cell::Int(flow.first_ns.wrapping_sub(row.start_ns) as i64)),
        ),
        column(
            "duration_ns",
            Int64,
            "ns",
            "last - first packet in this window, exact",
            Get::Flow(|flow, _| Cell::count(flow.last_ns.saturating_sub(flow.first_ns))),
        ),
        column(
            "iat_count",
            Int64,
            "",
            "inter-arrival times counted, either direction; the gap since earlier windows is one",
            Get::Flow(|flow, _| Cell::count(flow.iat_count)),
        ),
        column(
            "iat_sum_ns",
            Int64,
            "ns",
            "their sum; inter-arrival times are counted in ticks of 1,024 ns",
            Get::Flow(|flow, _| Cell::count(flow.iat_sum_ticks.saturating_mul(TICK_NS))),
        ),
        column(
            "iat_sumsq_ticks",
            Int64,
            "(1,024 ns)²",
            "sum of their squares in ticks²",
            Get::Flow(|flow, _| Cell::count(flow.iat_sumsq_ticks)),
        ),
        column(
            "iat_min_ns",
            Int64,
            "ns",
            "shortest of them",
            Get::Flow(|flow, _| with_gap(flow, ticks_ns(flow.iat_min_ticks))),
        ),
        column(
            "iat_max_ns",
            Int64,
            "ns",
            "longest of them",
            Get::Flow(|flow, _| with_gap(flow, ticks_ns(flow.iat_max_ticks))),
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

fn life() -> Vec<Column> {
    use ColumnType::{Int64, Time};
    vec![
        column(
            "syn_time",
            Time,
            "",
            "first SYN without ACK in this window",
            Get::Flow(|flow, row| time_or_none(flow.syn_ns, row)),
        ),
        column(
            "synack_time",
            Time,
            "",
            "first SYN with ACK in this window",
            Get::Flow(|flow, row| time_or_none(flow.synack_ns, row)),
        ),
        column(
            "handshake_ns",
            Int64,
            "ns",
            "first SYN with ACK - first SYN, in the window where the handshake completed",
            Get::Flow(|flow, _| flow.handshake_ns.map_or(Cell::Null, Cell::count)),
        ),
        column(
            "born",
            Time,
            "",
            "first packet of the flow's life",
            Get::Flow(|flow, row| time_or_none(flow.born_ns, row)),
        ),
        column(
            "prior_last",
            Time,
            "",
            "last packet before this window; null for a flow that began in it",
            Get::Flow(|flow, row| time_or_none(flow.prior_last_ns, row)),
        ),
        column(
            "src_prior_packets",
            Int64,
            "packets",
            "packets sent by src in earlier windows",
            Get::Flow(|flow, _| prior(flow, flow.initiator)),
        ),
        column(
            "dst_prior_packets",
            Int64,
            "packets",
            "packets sent by dst in earlier windows",
            Get::Flow(|flow, _| prior(flow, !flow.initiator)),
        ),
    ]
}

fn prior(flow: &Flow, half: u8) -> Cell<'static> {
    Cell::count(flow.prior_packets[usize::from(half & 1)])
}
