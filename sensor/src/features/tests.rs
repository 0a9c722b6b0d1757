//! Rows by hand-computed examples, and their invariants on random traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flow_rows;
mod host_rows;
mod invariants;

use bytemuck::Zeroable as _;
use sensor_common::flow::{ACK, FlowKey, FlowRecord, NET_ARP, NET_IPV4, RST, SYN, TICK_NS};

use super::{Extractor, ExtractorSettings, FlowColumn, HostColumn, HostFacts, WindowRows};
use crate::{
    source::FlowSink as _,
    window::{Window, WindowBuilder, WindowSettings},
};

const SECOND: u64 = 1_000_000_000;
const WINDOW_NS: u64 = 10 * SECOND;

/// `10.0.b.c`, local by default.
fn local(b: u8, c: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, b, c]
}

/// `198.51.b.c`, remote by default.
fn remote(b: u8, c: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, b, c]
}

/// One TCP attempt from `from` to `to`: a SYN, and what comes back.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Nothing,
    SynAck,
    Reset,
}

/// `packets[0]` packets of 100 bytes from `from` to `to`, `packets[1]` of 200 bytes back, one millisecond apart.
fn record(
    proto: u8,
    from: ([u8; 16], u16),
    to: ([u8; 16], u16),
    at_ns: u64,
    packets: [u32; 2],
) -> FlowRecord {
    let mut record = FlowRecord::zeroed();
    let half = usize::from(from > to);
    let ends = if half == 0 { [from, to] } else { [to, from] };
    record.key = FlowKey {
        addr: ends.map(|end| end.0),
        port: ends.map(|end| end.1),
        proto,
        kind: NET_IPV4 << 4,
        ..FlowKey::zeroed()
    };
    record.first_half = half as u8;
    let gaps = u64::from(packets[0] + packets[1]).saturating_sub(1);
    let gap_ticks = 1_000_000 / TICK_NS;
    (record.first_ns, record.last_ns) = (at_ns, at_ns + gaps * gap_ticks * TICK_NS);
    record.iat_min_ticks = if gaps == 0 { u32::MAX } else { gap_ticks as u32 };
    record.iat_max_ticks = if gaps == 0 { 0 } else { gap_ticks as u32 };
    record.iat_sumsq_ticks = gaps * gap_ticks * gap_ticks;
    for (side, len) in [(half, 100_u16), (1 - half, 200)] {
        let count = packets[usize::from(side != half)];
        let counters = &mut record.half[side];
        if count == 0 {
            continue;
        }
        counters.packets = count;
        counters.bytes = u64::from(count) * u64::from(len);
        counters.payload_bytes = u64::from(count) * u64::from(len - 50);
        counters.len_sumsq = u64::from(count) * u64::from(len) * u64::from(len);
        (counters.len_min, counters.len_max) = (len, len);
        (counters.ttl_min, counters.ttl_max) = (64, 64);
    }
    record
}

fn attempt(from: ([u8; 16], u16), to: ([u8; 16], u16), at_ns: u64, answer: Answer) -> FlowRecord {
    let back = u32::from(answer != Answer::Nothing);
    let mut record = record(6, from, to, at_ns, [1, back]);
    let half = usize::from(record.first_half);
    record.half[half].flag_counts[SYN] = 1;
    record.syn_tick = 1;
    match answer {
        Answer::Nothing => {}
        Answer::SynAck => {
            record.half[1 - half].flag_counts[SYN] = 1;
            record.half[1 - half].flag_counts[ACK] = 1;
            record.synack_tick = 1 + (2_000_000 / TICK_NS) as u32;
        }
        Answer::Reset => record.half[1 - half].flag_counts[RST] = 1,
    }
    record
}

fn arp_request(from: [u8; 16], to: [u8; 16], at_ns: u64, requests: u32) -> FlowRecord {
    let mut record = record(0, (from, 0), (to, 0), at_ns, [requests, 0]);
    record.key.kind = NET_ARP << 4;
    record.half[usize::from(record.first_half)].flag_counts[0] = requests;
    record
}

/// Windows and rows of one life of the sensor.
struct Bench {
    builder: WindowBuilder,
    extractor: Extractor,
    start_ns: u64,
}

impl Bench {
    fn new(max_hosts: usize) -> Self {
        let settings = WindowSettings {
            max_flows: 1_000_000,
            idle_timeout_ns: 120 * SECOND,
            active_timeout_ns: 1800 * SECOND,
        };
        let features = ExtractorSettings {
            max_hosts,
            window_ns: WINDOW_NS,
            local_networks: Vec::new(),
        };
        Self {
            builder: WindowBuilder::new(settings, 1),
            extractor: Extractor::new(&features, 2),
            start_ns: SECOND,
        }
    }

    fn close(&mut self) -> Window {
        let start_ns = self.start_ns;
        self.start_ns += WINDOW_NS;
        self.builder.close(start_ns, self.start_ns)
    }

    /// One window of these records; times are relative to the window's start.
    fn window(&mut self, records: &[FlowRecord]) -> WindowRows {
        for record in records {
            let mut record = *record;
            record.first_ns += self.start_ns;
            record.last_ns += self.start_ns;
            self.builder.record(&record);
        }
        let window = self.close();
        self.extractor.rows(&window)
    }
}

fn one_window(records: &[FlowRecord]) -> WindowRows {
    Bench::new(1000).window(records)
}

fn flow_value(rows: &WindowRows, row: usize, column: FlowColumn) -> f32 {
    rows.flow.row(row)[column as usize]
}

fn host(rows: &WindowRows, address: [u8; 16]) -> (Vec<f32>, HostFacts) {
    let index = rows
        .host
        .keys
        .iter()
        .position(|key| key.initiator == address)
        .expect("a row for the host");
    (rows.host.row(index).to_vec(), rows.host_facts[index])
}

#[track_caller]
fn near(value: f32, expected: f64) {
    let expected = expected as f32;
    assert!(
        (value - expected).abs() <= 1e-4 * expected.abs().max(1e-3),
        "{value} instead of {expected}"
    );
}

fn host_value(rows: &WindowRows, address: [u8; 16], column: HostColumn) -> f32 {
    host(rows, address).0[column as usize]
}
