//! What must hold for any traffic: ranges, sums, bounds and determinism.

use proptest::prelude::*;
use sensor_common::counter::Counters;

use super::*;
use crate::features::{Feature, Rows};

fn in_range(rows: &Rows) {
    assert_eq!(rows.values.len(), rows.keys.len() * rows.width);
    let features: &[Feature] = rows.kind.features();
    for row in rows.values.chunks_exact(rows.width) {
        for (value, feature) in row.iter().zip(features) {
            let inside = value.is_nan() || (feature.low..=feature.high).contains(value);
            assert!(inside, "{} = {value}", feature.name);
        }
    }
}

fn address(index: u8) -> [u8; 16] {
    match index {
        0..6 => local(0, index),
        6..9 => remote(0, index),
        9 => [0; 16],
        _ => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 224, 0, 0, 1],
    }
}

/// A record with arbitrary (even impossible) counters.
fn any_record() -> impl Strategy<Value = FlowRecord> {
    let ends = (0..11_u8, 0..11_u8, 0..4_u16, 0..4_u16);
    let facts = (
        prop::sample::select(vec![0_u8, 1, 6, 17, 58, 132]),
        0..11_u64 * SECOND,
        0..4_u32,
        0..4_u32,
    );
    (ends, facts, any::<[u32; 8]>(), any::<[u64; 3]>()).prop_map(|(ends, facts, flags, wild)| {
        let (proto, at_ns, out, back) = facts;
        let (from, to) = ((address(ends.0), ends.2 * 400), (address(ends.1), ends.3 * 400));
        let packets = [out + u32::from(out + back == 0), back];
        let mut record = match flags[0] % 3 {
            0 => record(proto, from, to, at_ns, packets),
            1 => attempt(from, to, at_ns, Answer::SynAck),
            _ => arp_request(from.0, to.0, at_ns, packets[0]),
        };
        if flags[1] % 4 == 0 {
            for half in &mut record.half {
                (half.bytes, half.payload_bytes, half.len_sumsq) = (wild[0] >> 8, wild[1] >> 8, wild[2]);
                half.flag_counts = flags;
                half.ttl_max = flags[2] as u8;
            }
            record.iat_sumsq_ticks = wild[0];
            record.synack_tick = flags[3];
        }
        record
    })
}

proptest! {
    #[test]
    fn values_are_in_range_sums_are_kept_and_nothing_depends_on_order(
        windows in prop::collection::vec(prop::collection::vec(any_record(), 0..40), 1..20),
    ) {
        let run = |reverse: bool| {
            let mut bench = Bench::new(8);
            let mut all = Vec::new();
            for records in &windows {
                let mut records = records.clone();
                // More than four records of one flow in a drain do not happen; their gaps may depend on order.
                let mut held: Vec<FlowKey> = Vec::new();
                records.retain(|record| {
                    held.push(record.key);
                    held.iter().filter(|key| **key == record.key).count() <= 4
                });
                if reverse {
                    records.reverse();
                }
                all.push((records.clone(), bench.window(&records)));
            }
            all
        };
        let forwards = run(false);
        for (records, rows) in &forwards {
            in_range(&rows.flow);
            in_range(&rows.host);
            prop_assert_eq!(rows.host.len(), rows.host_facts.len());
            let sent: u64 = records
                .iter()
                .map(|record| u64::from(record.half[0].packets) + u64::from(record.half[1].packets))
                .sum();
            prop_assert_eq!(rows.flow.keys.iter().map(|key| key.packets).sum::<u64>(), sent);
        }
        for ((_, a), (_, b)) in forwards.iter().zip(&run(true)) {
            let bits = |rows: &Rows| rows.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&a.flow), bits(&b.flow));
            prop_assert_eq!(bits(&a.host), bits(&b.host));
            prop_assert_eq!(&a.host_facts, &b.host_facts);
            prop_assert_eq!(&a.flow.keys, &b.flow.keys);
        }
    }
}

#[test]
fn a_million_random_hosts_and_ports_keep_every_table_within_its_bound() {
    let mut bench = Bench::new(2000);
    // Ten residents first, then strangers (local addresses among them) that outnumber the table by far.
    let residents: Vec<_> = (1..=10)
        .map(|last| record(17, (local(9, last), 5000), (local(9, 100), 53), 0, [1, 1]))
        .collect();
    bench.window(&residents);
    for round in 0..5_u32 {
        let mut records = residents.clone();
        for index in 0..200_000_u32 {
            let mixed = (round * 200_000 + index).wrapping_mul(2_654_435_761);
            let [a, b, c, d] = mixed.to_be_bytes();
            let mut source = if index % 2 == 0 {
                remote(c, d)
            } else {
                local(c | 16, d)
            };
            (source[0], source[1]) = if index % 2 == 0 { (a, b) } else { (0, 0) };
            records.push(attempt(
                (source, (mixed >> 16) as u16 | 1024),
                (local(9, 1), b.into()),
                0,
                Answer::Nothing,
            ));
        }
        bench.builder.books(&Counters {
            seen_packets: 200_020,
            ..Counters::default()
        });
        let rows = bench.window(&records);
        // Of the forged local sources only a few get a row.
        assert!(rows.host.len() <= 11 + (round as usize + 1) * 256);
        assert!(rows.host.len() <= 2000 && bench.extractor.known_hosts() <= 2000);
        assert!(rows.hosts_over_limit > 0);
        // Residents have history: they keep their rows, and the victim's fan-in counts those without an entry.
        for last in 1..=10 {
            assert_eq!(host(&rows, local(9, last)).1.packets_out, 1);
        }
        assert!(host(&rows, local(9, 1)).1.sources > 90_000);
    }
}

#[test]
fn the_same_records_give_the_same_bytes_twice() {
    let run = || {
        let mut bench = Bench::new(50);
        let mut bits = Vec::new();
        for window in 0..20_u8 {
            let records: Vec<_> = (0..60_u8)
                .map(|index| {
                    let to = (remote(index % 7, index), 80 + u16::from(index % 3));
                    attempt(
                        (local(0, index % 5), 2000 + u16::from(window)),
                        to,
                        0,
                        Answer::SynAck,
                    )
                })
                .collect();
            let rows = bench.window(&records);
            bits.extend(
                rows.flow
                    .values
                    .iter()
                    .chain(&rows.host.values)
                    .map(|value| value.to_bits()),
            );
        }
        bits
    };
    assert_eq!(run(), run());
}

#[test]
fn no_value_names_the_recording() {
    // The same traffic under other addresses, ephemeral ports, times and times to live.
    let run = |second: u8, port: u16, ttl: u8, start_ns: u64| {
        let mut bench = Bench::new(50);
        bench.start_ns = start_ns;
        let mut bits = Vec::new();
        for window in 0..20_u8 {
            let records: Vec<_> = (0..40_u8)
                .map(|index| {
                    let (mut from, mut to) = (local(0, index % 5), remote(index % 7, index));
                    (from[13], to[13]) = (second, second);
                    let answer = if index % 9 == 0 {
                        Answer::Nothing
                    } else {
                        Answer::SynAck
                    };
                    let from = (from, port + u16::from(window));
                    let at_ns = u64::from(index) * 100_000_000;
                    let mut record = attempt(from, (to, 443 - u16::from(index % 3)), at_ns, answer);
                    for half in &mut record.half {
                        (half.ttl_min, half.ttl_max) = (ttl, ttl + index % 2);
                    }
                    record.mac = [ttl; 6];
                    record
                })
                .collect();
            let rows = bench.window(&records);
            bits.extend(
                rows.flow
                    .values
                    .iter()
                    .chain(&rows.host.values)
                    .map(|value| value.to_bits()),
            );
        }
        bits
    };
    assert_eq!(
        run(0, 40_000, 60, SECOND),
        run(77, 51_234, 128, 1_700_000_000 * SECOND + 12_345)
    );
}
