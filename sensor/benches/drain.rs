//! Reading the flow table back: records per second, beside the peers' way (one system call per key) and the memory
//! itself. `cargo xtask bench drain`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

mod support;

use std::{hint::black_box, time::Instant};

use aya::{
    maps::{HashMap, MapData},
    programs::{TestRun as _, TestRunOptions},
};
use sensor::source::FlowSink;
use sensor_common::{counter::Counters, flow::FlowRecord, layout::CLOCK_KTIME, overflow::OverflowCell};
use support::{cpu_ns, median, pin};

/// Reads every field that a window needs.
#[derive(Default)]
struct Sum {
    records: u64,
    packets: u64,
    bytes: u64,
}

impl FlowSink for Sum {
    fn record(&mut self, record: &FlowRecord) {
        self.records += 1;
        self.packets += u64::from(record.half[0].packets) + u64::from(record.half[1].packets);
        self.bytes += record.half[0].bytes + record.half[1].bytes + record.last_ns - record.first_ns;
    }

    fn overflow(&mut self, cell: &OverflowCell) {
        self.packets += cell.packets;
    }

    fn books(&mut self, _counters: &Counters) {}
}

fn main() {
    pin(1);
    println!(
        "reading back and emptying the flow table; CPU time of one core (the wait for running programs is idle"
    );
    println!("time and shown apart)\n");
    println!(
        "{:>10} {:>12} {:>12} {:>14} {:>12} {:>16}",
        "records", "CPU ms", "ns/record", "M records/s", "grace ms", "memory copy ms"
    );
    let frame = support::tcp_frame();
    for records in [10_000u32, 100_000, 1_000_000] {
        // About half full, where early flips keep the table at or below: the next power of two above twice the flows,
        // for each CPU and epoch.
        let cpus = u64::from(sensor::probe::kernel::possible_cpus().expect("CPUs"));
        let table_bytes = (u64::from(records) * 3 / 2).next_power_of_two() * 256 * 2 * cpus;
        let (probe, mut drainer) = support::load(table_bytes, 1 << 30, true, CLOCK_KTIME);
        let (mut times, mut graces, mut read) = (Vec::new(), Vec::new(), 0);
        for _ in 0..7 {
            let options = TestRunOptions {
                data_in: Some(&frame),
                repeat: records,
                ..TestRunOptions::new()
            };
            probe
                .xdp("count_xdp")
                .expect("program")
                .test_run(options)
                .expect("test run");
            let mut sum = Sum::default();
            let began = cpu_ns();
            let report = drainer.drain(&mut sum).expect("drain");
            times.push((cpu_ns() - began) / 1e6);
            graces.push(report.grace_ns as f64 / 1e6);
            assert_eq!(sum.packets, u64::from(records), "a test run is one packet each");
            read = sum.records;
            black_box(sum.bytes);
        }
        let ms = median(&times);
        println!(
            "{:>10} {:>12.2} {:>12.1} {:>14.1} {:>12.1} {:>16.2}",
            read,
            ms,
            ms * 1e6 / read as f64,
            read as f64 / ms / 1e3,
            median(&graces),
            copy_ms(read as usize)
        );
    }
    println!(
        "\nthe peers' way, same machine, same run: a kernel hash map of 40-byte keys and 192-byte values, one"
    );
    println!("system call for the next key and one for the value");
    let entries = 100_000u32;
    let mut map = HashMap::<MapData, [u8; 40], [u8; 192]>::create(entries, 0).expect("hash map");
    for entry in 0..entries {
        let mut key = [0; 40];
        key[..4].copy_from_slice(&entry.to_ne_bytes());
        map.insert(key, [1; 192], 0).expect("insert");
    }
    let began = cpu_ns();
    let read = map.iter().flatten().count();
    let ms = (cpu_ns() - began) / 1e6;
    println!(
        "{read:>10} {ms:>12.2} {:>12.1} {:>14.1}",
        ms * 1e6 / read as f64,
        read as f64 / ms / 1e3
    );
    println!(
        "(reference: netobserv reads and deletes 100,000 flows in 404 ms, the batch call does it in 47 ms)"
    );
}

/// Time to copy as many records in ordinary memory: what no reader can beat by much.
fn copy_ms(records: usize) -> f64 {
    let source = vec![[1u8; 240]; records];
    let mut target = vec![[0u8; 240]; records];
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(&times)
}
