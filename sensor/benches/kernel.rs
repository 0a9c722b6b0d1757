//! Cost of the kernel programs in nanoseconds of CPU time per packet above an empty program of the same type, for
//! 1 flow to 100,000 flows, a flood of new flows, and a full table; beside what peers were measured to cost.
//! `cargo xtask bench kernel`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

mod support;

use aya::programs::{TestRun as _, TestRunOptions};
use sensor::probe::{Drainer, Probe};
use sensor_common::layout::{CLOCK_COARSE, CLOCK_JIFFIES, CLOCK_KTIME};
use support::{cpu_ns, least, median, pin};

/// Interleaved rounds of every case.
const ROUNDS: usize = 21;
/// Room for 100,000 flows on one CPU; the peers' maps were as large as their flows, too.
const ROOMY: u64 = 256 << 20;
/// The default budget: 32,768 flows for each of two CPUs.
const DEFAULT: u64 = 32 << 20;

/// One column: flows, order, table, packets per round, and what fills the table before.
struct Column {
    title: &'static str,
    flows: u32,
    in_order: bool,
    table_bytes: u64,
    fill: u32,
    packets: u32,
    /// Peers in ns/packet on the same column (reference, section 1.3, low ends) and their empty program.
    peers: &'static [(&'static str, f64)],
}

const PEER_EMPTY: f64 = 40.0;

const COLUMNS: [Column; 6] = [
    Column {
        title: "1 flow",
        flows: 1,
        in_order: false,
        table_bytes: DEFAULT,
        fill: 1,
        packets: 60_000,
        peers: &[
            ("netobserv", 208.0),
            ("retina", 227.0),
            ("OBI", 320.0),
            ("mermin", 325.0),
        ],
    },
    Column {
        title: "1k flows",
        flows: 1_000,
        in_order: false,
        table_bytes: DEFAULT,
        fill: 1 << 13,
        packets: 60_000,
        peers: &[("netobserv", 206.0), ("mermin", 324.0)],
    },
    Column {
        title: "10k flows",
        flows: 10_000,
        in_order: false,
        table_bytes: DEFAULT,
        fill: 1 << 17,
        packets: 60_000,
        peers: &[
            ("netobserv", 232.0),
            ("retina", 572.0),
            ("OBI", 554.0),
            ("mermin", 413.0),
        ],
    },
    Column {
        title: "100k flows",
        flows: 100_000,
        in_order: false,
        table_bytes: ROOMY,
        fill: 1 << 20,
        packets: 60_000,
        peers: &[
            ("netobserv", 508.0),
            ("retina", 768.0),
            ("OBI", 911.0),
            ("mermin", 688.0),
        ],
    },
    Column {
        title: "every packet new",
        flows: 1 << 30,
        in_order: true,
        table_bytes: ROOMY,
        fill: 0,
        packets: 8_000,
        peers: &[("netobserv", 983.0), ("mermin", 1460.0)],
    },
    Column {
        title: "every packet new, table full",
        flows: 1 << 30,
        in_order: true,
        table_bytes: DEFAULT,
        fill: 1 << 18,
        packets: 30_000,
        peers: &[
            ("netobserv", 502.0),
            ("retina", 1471.0),
            ("OBI", 906.0),
            ("mermin", 912.0),
        ],
    },
];

fn run(probe: &Probe, program: &str, frame: &[u8], packets: u32) -> f64 {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat: packets,
        ..TestRunOptions::new()
    };
    let began = cpu_ns();
    if program.ends_with("xdp") {
        probe
            .xdp(program)
            .expect("program")
            .test_run(options)
            .expect("test run");
    } else {
        probe
            .classifier(program)
            .expect("program")
            .test_run(options)
            .expect("test run");
    }
    (cpu_ns() - began) / f64::from(packets)
}

/// Median and least of (counting - changing the address only) for one column and hook.
fn measure(column: &Column, hook: &str, clock: u32) -> (f64, f64, f64) {
    let frame = support::tcp_frame();
    let (probe, _drainer): (Probe, Drainer) =
        support::load(column.table_bytes, column.flows, column.in_order, clock);
    if column.fill > 0 {
        run(&probe, &format!("count_{hook}"), &frame, column.fill);
    }
    let (mut empty, mut change, mut count) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty.push(run(&probe, &format!("empty_{hook}"), &frame, column.packets));
        change.push(run(&probe, &format!("change_{hook}"), &frame, column.packets));
        count.push(run(&probe, &format!("count_{hook}"), &frame, column.packets));
    }
    (
        median(&empty),
        median(&count) - median(&change),
        least(&count) - least(&change),
    )
}

fn main() {
    pin(1);
    println!(
        "ns of CPU time per 64-byte TCP packet above an empty program of the same type (median / least of"
    );
    println!(
        "{ROUNDS} interleaved rounds, BPF_PROG_TEST_RUN, one CPU). x empty: whole cost as a multiple of the"
    );
    println!(
        "empty program, which travels between machines. Peers: measured once on another machine of this kind,"
    );
    println!(
        "their empty program {PEER_EMPTY} ns; test runs leave out what a socket buffer costs before TC.\n"
    );
    println!(
        "{:30} {:>14} {:>8} {:>14} {:>8}   peers: ns above empty (x empty)",
        "", "XDP", "x empty", "TC", "x empty"
    );
    for column in &COLUMNS {
        let (xdp_empty, xdp, xdp_least) = measure(column, "xdp", CLOCK_KTIME);
        let (tc_empty, tc, tc_least) = measure(column, "tc", CLOCK_KTIME);
        let peers: Vec<String> = column
            .peers
            .iter()
            .map(|(name, ns)| format!("{name} {:.0} ({:.1})", ns - PEER_EMPTY, ns / PEER_EMPTY))
            .collect();
        println!(
            "{:30} {:>6.0} / {:<5.0} {:>8.1} {:>6.0} / {:<5.0} {:>8.1}   {}",
            column.title,
            xdp,
            xdp_least,
            (xdp + xdp_empty) / xdp_empty,
            tc,
            tc_least,
            (tc + tc_empty) / tc_empty,
            peers.join(", ")
        );
    }
    println!("\nClock of the programs, XDP, 1 flow (ns above empty): what a time stamp costs");
    for (name, clock) in [
        ("ktime", CLOCK_KTIME),
        ("coarse", CLOCK_COARSE),
        ("jiffies", CLOCK_JIFFIES),
    ] {
        let (_, median, least) = measure(&COLUMNS[0], "xdp", clock);
        println!("  {name:10} {median:>6.0} / {least:<5.0}");
    }
}
