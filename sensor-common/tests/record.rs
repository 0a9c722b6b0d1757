//! One flow record: what segmentation offload, clocks and handshakes do to its counters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytemuck::Zeroable as _;
use proptest::prelude::*;
use sensor_common::{
    flow::{FlowRecord, Half, Sighting, TICK_NS, ticks_between},
    parse::Parsed,
};

fn packet(half: u8, flags: u8, header_len: u32, payload_len: u32) -> Parsed {
    let mut parsed = Parsed::zeroed();
    parsed.key.proto = 6;
    parsed.half = half;
    parsed.tcp_flags = flags;
    parsed.header_len = header_len;
    parsed.payload_len = payload_len;
    parsed.ttl = 64;
    parsed.tcp_window = 500;
    parsed
}

fn record_of(packets: impl IntoIterator<Item = (Parsed, Sighting)>) -> FlowRecord {
    let mut record = FlowRecord::zeroed();
    for (at, (parsed, seen)) in packets.into_iter().enumerate() {
        if at == 0 {
            record.start(&parsed, &seen);
        } else {
            record.update(&parsed, &seen);
        }
    }
    record
}

/// What Linux makes of a super-packet (`skb_segment`, `tcp_gso_segment`): each segment repeats the header, FIN and PSH
/// stay on the last one, CWR on the first.
fn segments(flags: u8, header: u32, payload: u32, each: u32) -> Vec<(Parsed, Sighting)> {
    let count = payload.div_ceil(each);
    (0..count)
        .map(|at| {
            let share = each.min(payload - at * each);
            let mut kept = flags;
            if at + 1 < count {
                kept &= !0x09;
            }
            if at > 0 {
                kept &= !0x80;
            }
            (
                packet(0, kept, header, share),
                Sighting::packet(1, header + share),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_super_packet_counts_exactly_as_its_segments(
        flags in any::<u8>().prop_map(|flags| flags & !0x06),
        header in 40u32..200,
        each in 1u32..9_000,
        payload in 2u32..65_000,
    ) {
        prop_assume!(payload > each && payload.div_ceil(each) < 2_000);
        let whole = Sighting {
            now_ns: 1,
            len: header + payload,
            segments: payload.div_ceil(each),
            segment_len: each,
        };
        let offloaded = record_of([(packet(0, flags, header, payload), whole)]);
        let single = record_of(segments(flags, header, payload, each));
        prop_assert_eq!(offloaded.half, single.half);
    }

    #[test]
    fn a_super_packet_of_unknown_segment_length_keeps_packets_and_bytes(
        header in 40u32..200,
        count in 2u32..50,
        payload in 50u32..65_000,
    ) {
        let whole = Sighting { now_ns: 1, len: header + payload, segments: count, segment_len: 0 };
        let half = record_of([(packet(0, 0x10, header, payload), whole)]).half[0];
        prop_assert_eq!(half.packets, count);
        prop_assert_eq!(half.bytes, u64::from(payload) + u64::from(header) * u64::from(count));
        prop_assert_eq!(half.payload_bytes, u64::from(payload));
        prop_assert!(u32::from(half.len_min) >= header && half.len_min <= half.len_max);
    }

    /// Captures of several queues, suspended machines: any clock at all.
    #[test]
    fn no_order_of_times_panics_or_wraps(
        times in prop::collection::vec(
            (prop_oneof![any::<u64>(), 0u64..10_000_000, Just(u64::MAX), Just(0)], any::<u8>()), 1..40,
        ),
    ) {
        let record = record_of(
            times.iter().map(|(now_ns, flags)| (packet(flags & 1, *flags, 54, 6), Sighting::packet(*now_ns, 60))),
        );
        let last = times.iter().map(|time| time.0).max().unwrap();
        prop_assert_eq!(record.first_ns, times[0].0);
        prop_assert_eq!(record.last_ns, last);
        prop_assert!(record.first_ns <= record.last_ns);
        prop_assert_eq!(record.half[0].packets + record.half[1].packets, times.len() as u32);
        if times.len() > 1 {
            prop_assert!(record.iat_min_ticks <= record.iat_max_ticks);
        }
    }

    #[test]
    fn inter_arrival_times_are_those_of_the_definition(gaps in prop::collection::vec(0u64..5_000_000_000, 1..60)) {
        let mut now_ns = 77_000;
        let mut packets = vec![(packet(0, 0x10, 54, 6), Sighting::packet(now_ns, 60))];
        let mut ticks = Vec::new();
        for gap in &gaps {
            ticks.push((now_ns + gap) / TICK_NS - now_ns / TICK_NS);
            now_ns += gap;
            packets.push((packet((gap & 1) as u8, 0x10, 54, 6), Sighting::packet(now_ns, 60)));
        }
        let record = record_of(packets);
        prop_assert_eq!(u64::from(record.iat_min_ticks), *ticks.iter().min().unwrap());
        prop_assert_eq!(u64::from(record.iat_max_ticks), *ticks.iter().max().unwrap());
        prop_assert_eq!(record.iat_sumsq_ticks, ticks.iter().map(|tick| tick * tick).sum::<u64>());
        prop_assert_eq!(record.last_ns - record.first_ns, gaps.iter().sum::<u64>());
        // What the standard deviation rests on: sum and sum of squares are of the same numbers.
        prop_assert_eq!(ticks_between(record.first_ns, record.last_ns), ticks.iter().sum::<u64>());
    }
}

#[test]
fn the_handshake_is_timed_in_ticks_from_the_first_packet() {
    let at = |half, flags, ticks: u64| {
        (
            packet(half, flags, 54, 0),
            Sighting::packet(5_000 + ticks * TICK_NS, 60),
        )
    };
    let record = record_of([
        at(0, 0x02, 0),
        at(0, 0x02, 30),
        at(1, 0x12, 41),
        at(0, 0x10, 50),
        at(1, 0x12, 60),
    ]);
    // One more than the ticks, so that 0 means that none was seen; later ones do not count.
    assert_eq!((record.syn_tick, record.synack_tick), (1, 42));
    let record = record_of([at(0, 0x10, 0), at(1, 0x10, 9)]);
    assert_eq!((record.syn_tick, record.synack_tick), (0, 0));
    let record = record_of([at(1, 0x10, 0), at(0, 0x02, 9)]);
    assert_eq!((record.syn_tick, record.synack_tick), (10, 0));
    assert_eq!(record.first_half, 1);
}

#[test]
fn a_syn_before_the_first_packet_or_an_hour_later_has_a_tick() {
    let at = |flags, now_ns| (packet(0, flags, 54, 0), Sighting::packet(now_ns, 60));
    assert_eq!(record_of([at(0x10, 9_000_000), at(0x02, 8_999_999)]).syn_tick, 1);
    assert_eq!(record_of([at(0x10, 0), at(0x12, u64::MAX)]).synack_tick, u32::MAX);
}

#[test]
fn syn_bits_of_other_protocols_time_nothing() {
    // ARP replies keep their count where TCP has SYN.
    let mut reply = packet(0, 0x02, 42, 0);
    reply.key.proto = 0;
    let record = record_of([(reply, Sighting::packet(1, 60))]);
    assert_eq!((record.syn_tick, record.half[0].flag_counts[1]), (0, 1));
}

#[test]
fn an_unused_half_is_all_zero() {
    let record = record_of([(packet(1, 0x10, 54, 6), Sighting::packet(1, 60))]);
    assert_eq!(record.half[0], Half::zeroed());
    assert_eq!((record.half[1].len_min, record.half[1].len_max), (60, 60));
    assert_eq!(
        (
            record.half[1].ttl_min,
            record.half[1].ttl_max,
            record.half[1].window_first
        ),
        (64, 64, 500)
    );
}
