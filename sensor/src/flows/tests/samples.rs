//! Windows from made-up packets, through the stages that real ones take. It must never be random.

use std::path::Path;

use sensor_common::{flow::FlowKey, parse::Start};

use crate::{
    capture::CapturedFrame,
    features::{Extractor, ExtractorSettings, Family, HostFacts, RowKey, RowKind, Rows, WindowRows},
    flows::{FlowFile, FlowWriter, FlowsError, Origin, Selection, StoredWindow, WindowRef},
    replay::{Feed, FeedSettings},
    window::{Flow, FlowHalf, WindowSettings},
};

pub(crate) const WINDOW_NS: u64 = 10_000_000_000;
/// An odd number of nanoseconds, so that a loss of precision shows.
const START_NS: u64 = 1_700_000_000_123_456_789;

/// The key of a row of one packet without ports, of a host if there is no responder.
pub(crate) fn row_key(initiator: [u8; 16], responder: [u8; 16]) -> RowKey {
    RowKey {
        flow: bytemuck::Zeroable::zeroed(),
        initiator,
        responder,
        packets: 1,
        bytes: 60,
        service_port: 0,
        initiator_port: 0,
        iface: 0,
        proto: 0,
        family: Family::Remote,
    }
}

/// A window of 10 s with these rows, and nothing that was counted.
pub(crate) fn stored(start_ns: u64, flow: Vec<RowKey>, host: Vec<RowKey>) -> StoredWindow {
    let rows = |kind: RowKind, keys: Vec<RowKey>| {
        let mut rows = Rows::empty(kind);
        rows.values = vec![1.0; keys.len() * rows.width];
        rows.keys = keys;
        rows
    };
    let end_ns = start_ns + WINDOW_NS;
    StoredWindow {
        rows: WindowRows {
            start_ns,
            end_ns,
            coverage: 1.0,
            host_facts: vec![HostFacts::default(); host.len()],
            flow: rows(RowKind::Flow, flow),
            host: rows(RowKind::Host, host),
            hosts_over_limit: 0,
        },
        flows: Vec::new(),
        wall_start_ns: start_ns.cast_signed(),
        wall_end_ns: end_ns.cast_signed(),
    }
}

/// A flow of which only the times are known.
pub(crate) fn counted(key: FlowKey, first_ns: u64, last_ns: u64) -> Flow {
    Flow {
        key,
        half: [FlowHalf::default(); 2],
        first_ns,
        last_ns,
        iat_count: 0,
        iat_sum_ticks: 0,
        iat_sumsq_ticks: 0,
        iat_min_ticks: u32::MAX,
        iat_max_ticks: 0,
        syn_ns: 0,
        synack_ns: 0,
        handshake_ns: None,
        born_ns: first_ns,
        prior_last_ns: 0,
        prior_packets: [0; 2],
        initiator: 0,
    }
}

/// A window with everything that is written of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) rows: WindowRows,
    pub(super) flows: Vec<Flow>,
    pub(super) wall_start_ns: i64,
    pub(super) wall_end_ns: i64,
}

pub(super) fn origin() -> Origin {
    Origin {
        window_ns: WINDOW_NS,
        inputs: vec!["a \"quoted\" name.pcap".into()],
    }
}

/// An IPv4 packet: TCP with flags, UDP or ICMP (ports are type and code).
fn packet(proto: u8, from: (u8, u16), to: (u8, u16), flags: u8, payload: usize) -> Vec<u8> {
    let header = if proto == 6 { 20 } else { 8 };
    let length = (20 + header + payload) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([
        0, 0, 0, 0, 64, proto, 0, 0, 192, 168, 0, from.0, 192, 168, 0, to.0,
    ]);
    if proto == 1 {
        bytes.extend([from.1 as u8, to.1 as u8]);
    } else {
        bytes.extend(from.1.to_be_bytes());
        bytes.extend(to.1.to_be_bytes());
    }
    if proto == 6 {
        bytes.extend([0; 8]);
        bytes.extend([5 << 4, flags, 0xff, 0xff]);
    }
    bytes.resize(usize::from(length), 0);
    bytes
}

/// Twelve windows: connections with answers and without, datagrams, pings, a scan, a host that talks to itself, and
/// silence in between.
pub(super) fn sample() -> Vec<Sample> {
    let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
    for round in 0..40_u16 {
        let at = u64::from(round) * 1_300_000_017;
        let port = 40_000 + round / 3;
        packets.push((at, packet(6, (1, port), (2, 443), 0x02, 0)));
        packets.push((at + 1_000_123, packet(6, (2, 443), (1, port), 0x12, 0)));
        packets.push((
            at + 2_000_123,
            packet(6, (1, port), (2, 443), 0x18, 517 + usize::from(round)),
        ));
        packets.push((at + 3_100_000, packet(17, (1, 5353 + round), (3, 53), 0, 31)));
        packets.push((at + 4_100_000, packet(1, (1, 8), (3, 0), 0, 56)));
        packets.push((at + 4_200_000, packet(1, (3, 0), (1, 8), 0, 56)));
        packets.push((at + 5_000_000, packet(1, (9, 3), (1, 1), 0, 28)));
        packets.push((at + 6_000_000, packet(6, (7, 22), (7, 50_000), 0x10, 5)));
        packets.push((at + 7_000_000, packet(6, (66, 60_000), (2, round), 0x02, 0)));
    }
    // Late enough for windows in which nobody speaks.
    packets.push((110_000_000_000, packet(17, (4, 1), (5, 2), 0, 0)));
    windows(&packets)
}

fn windows(packets: &[(u64, Vec<u8>)]) -> Vec<Sample> {
    let mut feed = Feed::new(&FeedSettings {
        window_ns: WINDOW_NS,
        window: WindowSettings {
            max_flows: 1000,
            idle_timeout_ns: 60_000_000_000,
            active_timeout_ns: 3_600_000_000_000,
        },
        seed: 7,
    });
    let settings = ExtractorSettings {
        max_hosts: 100,
        window_ns: WINDOW_NS,
        local_networks: Vec::new(),
    };
    let mut extractor = Extractor::new(&settings, 7);
    let mut closed = Vec::new();
    for (number, (at, data)) in packets.iter().enumerate() {
        let frame = CapturedFrame {
            time_ns: START_NS + at,
            start: Start::Ip,
            data,
            wire_len: data.len() as u32,
            iface: 0,
            input: 0,
            number: number as u64 + 1,
        };
        feed.push(&frame, &mut |window| closed.push(window));
    }
    feed.finish(&mut |window| closed.push(window));
    closed
        .into_iter()
        .map(|closed| Sample {
            rows: extractor.rows(&closed.window),
            flows: closed.window.flows,
            wall_start_ns: closed.wall_start_ns,
            wall_end_ns: closed.wall_end_ns,
        })
        .collect()
}

/// A name that needs care in every format.
pub(super) fn interface_name(slot: u16) -> String {
    format!("eth{slot}, the \"first\"")
}

/// Writes windows to a file.
pub(super) fn write(path: &Path, windows: &[Sample], selection: Selection) {
    let mut writer = FlowWriter::create(path, &origin(), selection).unwrap();
    for window in windows {
        writer
            .write(&WindowRef {
                rows: &window.rows,
                flows: &window.flows,
                wall_start_ns: window.wall_start_ns,
                wall_end_ns: window.wall_end_ns,
                interface_name: &interface_name,
            })
            .unwrap();
    }
    writer.finish().unwrap();
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<StoredWindow>, FlowsError> {
    FlowFile::open(path)?.collect()
}

/// Equal to the bit; NaN equals NaN.
#[track_caller]
pub(super) fn assert_same(left: &WindowRows, right: &WindowRows, what: &str) {
    let bits = |rows: &WindowRows| -> Vec<Option<u32>> {
        let values = rows.flow.values.iter().chain(&rows.host.values);
        values
            .map(|value| (!value.is_nan()).then(|| value.to_bits()))
            .collect()
    };
    assert_eq!(bits(left), bits(right), "{what}");
    let without_values = |rows: &WindowRows| {
        let mut rows = rows.clone();
        rows.flow.values.clear();
        rows.host.values.clear();
        rows
    };
    assert_eq!(without_values(left), without_values(right), "{what}");
}
