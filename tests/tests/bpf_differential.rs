//! The kernel programs and the host build of the same code must agree on every frame: key, counters, skip reason,
//! and which flows a full table keeps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Collected, SEED, pin, run_tc, run_xdp, supplied};
use sensor::source::MemoryTables;
use sensor_common::{flow::Sighting, parse::Frame};
use sensor_tests::{
    generate::{self, Random},
    require,
};

/// Frames per program.
const FRAMES: usize = 60_000;
/// Frames between two comparisons.
const BATCH: usize = 2_000;

/// Small enough that buckets fill and evict: two epochs of each CPU have 32 buckets.
fn table_bytes() -> u64 {
    u64::from(sensor::probe::kernel::possible_cpus().unwrap()) * 2 * 32 * 1024
}

#[track_caller]
fn compare(name: &str, run: impl Fn(&sensor::probe::Probe, &[u8]) -> bool) {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = supplied(table_bytes());
    let mut host = MemoryTables::new(32 * 1024, SEED);
    let mut random = Random::new(0x5e_ed00 + name.len() as u64);
    let (mut refused, mut overflowed, mut seen) = (0, 0, 0);
    let mut skipped = [0u64; 16];
    for batch in 0..FRAMES / BATCH {
        for step in 0..BATCH {
            let frame = generate::frame(&mut random);
            let now_ns = (batch * BATCH + step) as u64 * 37_000;
            probe.supply_time(now_ns);
            if !run(&probe, &frame) {
                refused += 1;
                continue;
            }
            host.observe(
                frame.as_slice(),
                &Frame::ethernet(frame.len() as u32),
                Sighting::packet(now_ns, frame.len() as u32),
            );
        }
        let kernel = Collected::drain(&mut drainer).sorted();
        let mut expected = Collected::default();
        host.drain(&mut expected);
        let mut expected = expected.sorted();
        // The working word of the programs is no counter.
        expected.books.pad = kernel.books.pad;
        kernel.assert_balanced();
        seen += kernel.books.seen_packets;
        assert_eq!(kernel.books, expected.books, "{name}: books of batch {batch}");
        assert_eq!(
            kernel.records.len(),
            expected.records.len(),
            "{name}: flows of batch {batch}"
        );
        for (ours, theirs) in kernel.records.iter().zip(&expected.records) {
            assert_eq!(ours, theirs, "{name}: record of batch {batch}");
        }
        assert_eq!(
            kernel.cells, expected.cells,
            "{name}: overflow cells of batch {batch}"
        );
        overflowed += kernel.books.overflow_packets;
        for (sum, part) in skipped.iter_mut().zip(kernel.books.skipped) {
            *sum += part;
        }
    }
    assert_eq!(seen, FRAMES as u64 - refused, "every frame was seen");
    assert!(
        refused < FRAMES as u64 / 10,
        "{name}: the kernel refused {refused} frames"
    );
    assert!(overflowed > 0, "the table must have been full at times");
    for skip in sensor_common::counter::Skip::ALL.iter().take(9) {
        assert!(
            skipped[*skip as usize] > 0,
            "no frame was skipped as {}",
            skip.label()
        );
    }
}

#[test]
fn xdp_and_host_count_alike() {
    compare("xdp", |probe, frame| {
        run_xdp(probe, "sensor_xdp", frame, 1);
        true
    });
}

#[test]
fn xdp_with_fragments_and_host_count_alike() {
    compare("xdp frags", |probe, frame| {
        run_xdp(probe, "sensor_xdp_frag", frame, 1);
        true
    });
}

#[test]
fn tc_egress_and_host_count_alike() {
    compare("tc", |probe, frame| run_tc(probe, "sensor_egress", frame, 1));
}
