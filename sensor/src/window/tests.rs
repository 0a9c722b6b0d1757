//! Windows by hand-computed examples, and their invariants on random traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytemuck::Zeroable as _;
use proptest::prelude::*;
use sensor_common::{
    counter::Counters,
    flow::{ACK, FIN, FlowKey, FlowRecord, NET_IPV4, RST, SYN, TICK_NS},
    overflow::OverflowCell,
};

use super::{Flow, Window, WindowBuilder, WindowSettings};
use crate::source::FlowSink as _;

const SECOND: u64 = 1_000_000_000;
const TICK: u64 = TICK_NS;

fn address(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn key(port: u16) -> FlowKey {
    FlowKey {
        addr: [address(1), address(2)],
        port: [port, 80],
        proto: 6,
        kind: NET_IPV4 << 4,
        ..FlowKey::zeroed()
    }
}

/// A record of one half: `times` in ticks, 100-byte packets.
fn record(key: FlowKey, half: u8, ticks: &[u64]) -> FlowRecord {
    let mut record = FlowRecord::zeroed();
    record.key = key;
    record.first_half = half;
    record.first_ns = ticks[0] * TICK;
    record.last_ns = ticks[ticks.len() - 1] * TICK;
    record.iat_min_ticks = u32::MAX;
    for pair in ticks.windows(2) {
        let gap = pair[1] - pair[0];
        record.iat_sumsq_ticks += gap * gap;
        record.iat_min_ticks = record.iat_min_ticks.min(gap as u32);
        record.iat_max_ticks = record.iat_max_ticks.max(gap as u32);
    }
    let packets = ticks.len() as u64;
    let counters = &mut record.half[usize::from(half)];
    counters.packets = packets as u32;
    counters.bytes = packets * 100;
    counters.len_sumsq = packets * 10_000;
    (counters.len_min, counters.len_max) = (100, 100);
    (counters.ttl_min, counters.ttl_max) = (64, 64);
    record
}

fn flagged(mut record: FlowRecord, half: usize, flags: &[usize]) -> FlowRecord {
    for &flag in flags {
        record.half[half].flag_counts[flag] = 1;
    }
    if flags.contains(&SYN) {
        if flags.contains(&ACK) {
            record.synack_tick = 1;
        } else {
            record.syn_tick = 1;
        }
    }
    record
}

fn builder(max_flows: usize) -> WindowBuilder {
    let settings = WindowSettings {
        max_flows,
        idle_timeout_ns: 60 * SECOND,
        active_timeout_ns: 1800 * SECOND,
    };
    WindowBuilder::new(settings, 7)
}

fn window_of(records: &[FlowRecord]) -> Window {
    let mut builder = builder(1000);
    for record in records {
        builder.record(record);
    }
    builder.close(0, 10 * SECOND)
}

#[test]
fn records_of_two_drains_add_up_with_the_gap_between_them() {
    let window = window_of(&[record(key(5000), 0, &[10, 20]), record(key(5000), 1, &[50, 70])]);
    let [flow] = window.flows[..] else {
        panic!("one flow")
    };
    assert_eq!((flow.packets(), flow.bytes()), (4, 400));
    assert_eq!((flow.first_ns, flow.last_ns), (10 * TICK, 70 * TICK));
    // Gaps 10, 30 (between the records), 20.
    assert_eq!((flow.iat_count, flow.iat_sum_ticks), (3, 60));
    assert_eq!(flow.iat_sumsq_ticks, 100 + 900 + 400);
    assert_eq!((flow.iat_min_ticks, flow.iat_max_ticks), (10, 30));
}

#[test]
fn records_that_overlap_in_time_have_no_gap_between_them() {
    let window = window_of(&[record(key(5000), 0, &[10, 60]), record(key(5000), 1, &[50, 70])]);
    assert_eq!(
        (window.flows[0].iat_count, window.flows[0].iat_sum_ticks),
        (2, 70)
    );
}

#[test]
fn a_flow_keeps_its_history_over_windows() {
    let mut builder = builder(10);
    builder.record(&record(key(5000), 0, &[100, 200]));
    let first = builder.close(0, 10 * SECOND);
    assert!(first.flows[0].opened());
    assert_eq!((first.flows_started, first.live_flows), (1, 1));
    builder.record(&record(key(5000), 1, &[1_000_200]));
    let flow = builder.close(10 * SECOND, 20 * SECOND).flows[0];
    assert!(!flow.opened() && flow.answered());
    assert_eq!((flow.born_ns, flow.prior_last_ns), (100 * TICK, 200 * TICK));
    assert_eq!(flow.prior_packets, [2, 0]);
    assert_eq!((flow.iat_count, flow.iat_min_ticks), (1, 1_000_000));
}

#[test]
fn the_syn_decides_who_opened_the_flow_even_when_it_arrives_on_another_cpu() {
    let syn = flagged(record(key(5000), 0, &[1000]), 0, &[SYN]);
    let synack = flagged(record(key(5000), 1, &[1010]), 1, &[SYN, ACK]);
    for records in [[syn, synack], [synack, syn]] {
        let flow = window_of(&records).flows[0];
        assert_eq!((flow.initiator, flow.handshake_ns), (0, Some(10 * TICK)));
    }
    // Only the SYN-ACK was seen: the other side opened.
    assert_eq!(window_of(&[synack]).flows[0].initiator, 0);
}

#[test]
fn without_a_syn_a_system_port_is_the_responder_in_tcp_but_not_in_udp() {
    let answer = record(key(5000), 1, &[1000]);
    assert_eq!(window_of(&[answer]).flows[0].initiator, 0);
    let mut udp = answer;
    udp.key.proto = 17;
    assert_eq!(window_of(&[udp]).flows[0].initiator, 1);
}

#[test]
fn a_handshake_that_straddles_two_windows_is_measured_in_the_second() {
    let mut builder = builder(10);
    builder.record(&flagged(record(key(5000), 0, &[1000]), 0, &[SYN]));
    assert_eq!(builder.close(0, 10 * SECOND).flows[0].handshake_ns, None);
    builder.record(&flagged(record(key(5000), 1, &[1500]), 1, &[SYN, ACK]));
    assert_eq!(
        builder.close(10 * SECOND, 20 * SECOND).flows[0].handshake_ns,
        Some(500 * TICK)
    );
}

#[test]
fn flows_end_by_fin_rst_idle_and_active_timeout() {
    let mut builder = builder(10);
    let fin = |half| flagged(record(key(1), half, &[100]), usize::from(half), &[FIN, ACK]);
    builder.record(&fin(0));
    builder.record(&fin(1));
    builder.record(&flagged(record(key(2), 1, &[100]), 1, &[RST]));
    builder.record(&record(key(3), 0, &[100]));
    let first = builder.close(0, 10 * SECOND);
    assert_eq!(
        (first.flows_ended.fin, first.flows_ended.rst, first.live_flows),
        (1, 1, 3)
    );
    // The last ACK of the closing exchange is not a new flow.
    builder.record(&record(key(1), 0, &[10_000_000]));
    let second = builder.close(10 * SECOND, 20 * SECOND);
    assert_eq!(
        (second.flows_started, second.flows[0].opened(), second.live_flows),
        (0, false, 2)
    );
    // A new SYN on the ended connection is.
    builder.record(&flagged(record(key(1), 0, &[20_000_000]), 0, &[SYN]));
    let third = builder.close(20 * SECOND, 30 * SECOND);
    assert_eq!((third.flows_started, third.flows[0].opened()), (1, true));
    let idle = builder.close(30 * SECOND, 61 * SECOND);
    assert_eq!((idle.flows_ended.idle, idle.live_flows), (1, 1));
    builder.record(&record(key(1), 0, &[1_900_000_000]));
    let active = builder.close(61 * SECOND, 1946 * SECOND);
    assert_eq!((active.flows_ended.active, active.live_flows), (1, 0));
}

#[test]
fn flows_beyond_the_limit_are_counted_as_overflow_of_their_responder() {
    let mut builder = builder(2);
    for port in 1000..1005 {
        builder.record(&flagged(record(key(port), 0, &[u64::from(port)]), 0, &[SYN]));
    }
    builder.books(&Counters {
        seen_packets: 5,
        ..Counters::default()
    });
    let window = builder.close(0, 10 * SECOND);
    assert_eq!(
        (
            window.flows.len(),
            window.refused_records,
            window.unaccounted_packets
        ),
        (2, 3, 0)
    );
    let [cell] = window.overflow[..] else {
        panic!("one target")
    };
    assert_eq!(
        (cell.target, cell.port, cell.packets, cell.syn_packets),
        (address(2), 80, 3, 3)
    );
    assert!((window.coverage - 0.4).abs() < 1e-6);
}

#[test]
fn packets_that_the_books_know_and_nobody_holds_are_shown() {
    let mut builder = builder(10);
    builder.record(&record(key(1), 0, &[1, 2]));
    let mut counters = Counters {
        seen_packets: 7,
        ..Counters::default()
    };
    counters.skipped[3] = 4;
    builder.books(&counters);
    assert_eq!(builder.close(0, SECOND).unaccounted_packets, 1);
}

#[test]
fn cells_of_one_target_merge_and_a_flood_of_targets_stays_bounded() {
    let mut builder = builder(10);
    for target in 0..20_000_u32 {
        let mut cell = OverflowCell::zeroed();
        (cell.packets, cell.bytes, cell.votes) = (2, 200, 2);
        cell.target[12..].copy_from_slice(&target.to_be_bytes());
        builder.overflow(&cell);
        builder.overflow(&cell);
    }
    let window = builder.close(0, SECOND);
    assert_eq!(window.overflow.len(), 4096);
    assert!(window.overflow.iter().all(|cell| cell.packets == 4));
    assert_eq!(window.overflow_packets(), 80_000);
}

#[test]
fn a_million_random_flows_stay_within_the_limit() {
    let mut builder = builder(10_000);
    let mut seen = 0;
    for flow in 0..1_000_000_u64 {
        let mut key = key(5);
        key.addr[0][..8].copy_from_slice(&flow.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        builder.record(&record(key, 0, &[flow + 1]));
        seen += 1;
        if flow % 250_000 == 249_999 {
            builder.books(&Counters {
                seen_packets: seen,
                ..Counters::default()
            });
            let window = builder.close(0, flow);
            assert_eq!(window.unaccounted_packets, 0);
            assert!(window.live_flows <= 10_000 && window.flows.len() <= 10_000);
            seen = 0;
        }
    }
}

proptest! {
    #[test]
    fn no_packet_is_lost_and_order_within_a_window_does_not_matter(
        parts in prop::collection::vec((0_u16..12, 0_u8..2, 1_u64..2000, 1_usize..4, 0_usize..4), 1..60),
    ) {
        let records: Vec<FlowRecord> = parts
            .iter()
            .map(|&(port, half, start, packets, flag)| {
                let ticks: Vec<u64> = (0..packets as u64).map(|index| start + index * 3).collect();
                let flags: &[usize] = [&[][..], &[SYN], &[SYN, ACK], &[FIN, ACK]][flag];
                flagged(record(key(port), half, &ticks), usize::from(half), flags)
            })
            .collect();
        let packets: u64 = parts.iter().map(|part| part.3 as u64).sum();
        let books = Counters { seen_packets: packets, ..Counters::default() };
        let close = |records: &mut dyn Iterator<Item = &FlowRecord>, max_flows| {
            let mut builder = builder(max_flows);
            records.for_each(|record| builder.record(record));
            builder.books(&books);
            builder.close(0, 10 * SECOND)
        };
        let small = close(&mut records.iter(), 5);
        prop_assert_eq!(small.unaccounted_packets, 0);
        let forwards = close(&mut records.iter(), 1000);
        prop_assert_eq!(forwards.flows.iter().map(Flow::packets).sum::<u64>(), packets);
        let mut sorted = records.clone();
        sorted.sort_by_key(|record| (record.first_ns, record.first_half, record.last_ns));
        // With more spans than are kept, only the order of arrival can say which gap was closed first.
        if forwards.flows.iter().all(|flow| {
            records.iter().filter(|record| record.key == flow.key).count() <= 4
        }) {
            prop_assert_eq!(&forwards, &close(&mut records.iter().rev(), 1000));
            prop_assert_eq!(&forwards, &close(&mut sorted.iter(), 1000));
        }
    }
}

#[test]
fn a_dns_question_after_a_pause_is_a_new_exchange_and_after_a_moment_it_is_not() {
    let asked = |ticks: u64| {
        let mut builder = builder(10);
        let dns = |half: u8, ticks: &[u64]| {
            let mut record = record(key(5000), half, ticks);
            (record.key.proto, record.key.port) = (17, [5000, 53]);
            record
        };
        builder.record(&dns(0, &[100]));
        builder.record(&dns(1, &[200]));
        builder.close(0, 10 * SECOND);
        builder.record(&dns(0, &[200 + ticks]));
        builder.close(10 * SECOND, 20 * SECOND)
    };
    let pause = SECOND / TICK;
    let (soon, later) = (asked(pause / 2), asked(pause + 1));
    assert!(!soon.flows[0].opened() && later.flows[0].opened());
    assert_eq!((soon.flows_started, later.flows_started), (0, 1));
    assert_eq!((later.flows_ended.idle, later.live_flows), (1, 1));
    assert_eq!((later.flows[0].prior_last_ns, later.flows[0].iat_count), (0, 0));
}
