//! Every crafted frame through the kernel programs by test run: the same expectations as for the host build, and the
//! host build's answer for every cut of every frame.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;
#[path = "common/fixtures.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the test of the host build")]
mod fixtures;

use aya::programs::{TestRun as _, TestRunOptions};
use common::{Collected, SEED, pin, run_tc, run_xdp, supplied};
use fixtures::{ACK, FIN, Fixture, PSH};
use sensor::{probe::Probe, source::MemoryTables};
use sensor_common::{
    flow::{self, Sighting},
    parse::{Frame, Start},
};
use sensor_tests::require;

const TABLE_BYTES: u64 = 8 << 20;

/// What a test run can carry: Ethernet, no tag beside the frame.
fn runnable() -> impl Iterator<Item = Fixture> {
    fixtures::all()
        .into_iter()
        .filter(|fixture| fixture.start == Start::Ethernet && fixture.tag == 0)
}

/// The counter of one TCP flag, or of the ARP operation that takes its place.
fn flags_of(counts: [u32; 8]) -> u8 {
    counts
        .iter()
        .enumerate()
        .fold(0, |flags, (bit, count)| flags | u8::from(*count > 0) << bit)
}

#[track_caller]
fn check(program: &str, run: impl Fn(&Probe, &[u8]) -> bool) {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(TABLE_BYTES);
    let (mut counted, mut refused) = (0, Vec::new());
    for fixture in runnable() {
        let name = format!("{program}: {}", fixture.name);
        if !run(&probe, &fixture.bytes) {
            refused.push(fixture.name);
            continue;
        }
        let found = Collected::drain(&mut drainer);
        found.assert_balanced();
        assert_eq!(found.books.seen_packets, 1, "{name}");
        match fixture.expected {
            Ok(expected) => {
                let [record] = found.records[..] else {
                    panic!("{name}: {} records", found.records.len())
                };
                let half = record.half[usize::from(expected.half)];
                assert_eq!(record.key, expected.key, "{name}");
                assert_eq!(record.first_half, expected.half, "{name}");
                assert_eq!(record.mac, fixture.bytes[6..12], "{name}");
                assert_eq!(record.half[1 - usize::from(expected.half)].packets, 0, "{name}");
                assert_eq!(
                    (half.packets, half.bytes),
                    (1, fixture.bytes.len() as u64),
                    "{name}"
                );
                assert_eq!(half.payload_bytes, u64::from(expected.payload_len), "{name}");
                assert_eq!(flags_of(half.flag_counts), expected.flags, "{name}");
                assert_eq!(
                    (half.ttl_min, half.ttl_max),
                    (expected.ttl, expected.ttl),
                    "{name}"
                );
                assert_eq!(half.fragments, u32::from(expected.fragment), "{name}");
            }
            Err(skip) => {
                assert_eq!(found.records.len(), 0, "{name}");
                assert_eq!(found.books.skipped[skip as usize], 1, "{name}");
                assert_eq!(found.books.skipped_bytes, fixture.bytes.len() as u64, "{name}");
            }
        }
        counted += 1;
    }
    assert!(counted > 75, "{program}: {counted} frames");
    // TC test runs take no bare Ethernet header; nothing else may be left out.
    assert!(
        refused.is_empty() || refused == ["Ethernet header alone"],
        "{program}: refused {refused:?}"
    );
}

#[test]
fn xdp_counts_every_frame_as_what_it_is() {
    check("sensor_xdp", |probe, frame| {
        run_xdp(probe, "sensor_xdp", frame, 1);
        true
    });
}

#[test]
fn xdp_for_several_buffers_counts_every_frame_as_what_it_is() {
    check("sensor_xdp_frag", |probe, frame| {
        run_xdp(probe, "sensor_xdp_frag", frame, 1);
        true
    });
}

#[test]
fn tc_egress_counts_every_frame_as_what_it_is() {
    check("sensor_egress", |probe, frame| {
        run_tc(probe, "sensor_egress", frame, 1)
    });
}

#[test]
fn tc_ingress_counts_every_frame_as_what_it_is() {
    check("sensor_ingress", |probe, frame| {
        run_tc(probe, "sensor_ingress", frame, 1)
    });
}

#[test]
fn every_cut_of_every_frame_is_counted_as_on_the_host() {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(TABLE_BYTES);
    let mut host = MemoryTables::new(TABLE_BYTES, SEED);
    let mut runs = 0;
    for fixture in runnable() {
        for cut in 14..=fixture.bytes.len() {
            let frame = &fixture.bytes[..cut];
            run_xdp(&probe, "sensor_xdp", frame, 1);
            host.observe(
                frame,
                &Frame::ethernet(cut as u32),
                Sighting::packet(0, cut as u32),
            );
            runs += 1;
        }
    }
    let kernel = Collected::drain(&mut drainer).sorted();
    let mut expected = Collected::default();
    host.drain(&mut expected);
    let mut expected = expected.sorted();
    // The working word of the programs is no counter.
    expected.books.pad = kernel.books.pad;
    assert_eq!(kernel.books.seen_packets, runs);
    assert_eq!(kernel.books, expected.books);
    assert_eq!(kernel.records, expected.records);
}

/// A super-packet at TC: `gso_size` and `gso_segs` as the context of the test run.
fn run_offloaded(probe: &Probe, frame: &[u8], gso_segs: u32, gso_size: u32) {
    // struct __sk_buff of the kernel's UAPI: 192 bytes, gso_segs at 164, gso_size at 176.
    let mut context = [0u8; 192];
    context[164..168].copy_from_slice(&gso_segs.to_ne_bytes());
    context[176..180].copy_from_slice(&gso_size.to_ne_bytes());
    let options = TestRunOptions {
        data_in: Some(frame),
        ctx_in: Some(&context),
        ..TestRunOptions::new()
    };
    let result = probe
        .classifier("sensor_egress")
        .unwrap()
        .test_run(options)
        .unwrap();
    assert_eq!(result.return_value as i32, -1, "TCX_NEXT");
}

#[test]
fn a_super_packet_counts_as_its_segments_whether_or_not_the_kernel_counted_them() {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(TABLE_BYTES);
    let (mut frame, expected) = fixtures::plain_tcp(&[7; 2_500]);
    frame[47] = FIN | PSH | ACK;
    // Virtual machines and tun leave the number of segments at 0.
    for gso_segs in [3, 0] {
        run_offloaded(&probe, &frame, gso_segs, 1_000);
        let found = Collected::drain(&mut drainer);
        found.assert_balanced();
        assert_eq!(found.records.len(), 1);
        let half = found.records[0].half[usize::from(expected.half)];
        assert_eq!(half.packets, 3, "gso_segs {gso_segs}");
        assert_eq!(half.bytes, 2_500 + 3 * 54);
        assert_eq!(half.payload_bytes, 2_500);
        assert_eq!(half.len_sumsq, 2 * 1_054 * 1_054 + 554 * 554);
        assert_eq!((half.len_min, half.len_max), (554, 1_054));
        let mut flags = [0; 8];
        (flags[flow::FIN], flags[flow::PSH], flags[flow::ACK]) = (1, 1, 3);
        assert_eq!(half.flag_counts, flags);
        assert_eq!(found.books.seen_packets, 3);
    }
}

#[test]
fn an_unsegmented_frame_with_a_segment_length_is_one_packet() {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(TABLE_BYTES);
    let (frame, _) = fixtures::plain_tcp(&[7; 1_000]);
    run_offloaded(&probe, &frame, 0, 1_000);
    let found = Collected::drain(&mut drainer);
    assert_eq!((found.flow_packets(), found.records[0].half[0].bytes), (1, 1_054));
}

#[test]
fn a_frame_of_several_buffers_is_counted_whole() {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(TABLE_BYTES);
    let (frame, expected) = fixtures::plain_tcp(&[7; 8_900]);
    run_xdp(&probe, "sensor_xdp_frag", &frame, 1);
    let found = Collected::drain(&mut drainer);
    assert_eq!(found.records[0].key, expected.key);
    let half = found.records[0].half[0];
    assert_eq!((half.bytes, half.payload_bytes), (8_954, 8_900));
}
