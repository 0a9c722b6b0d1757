//! What the BPF tests share: a sink that keeps everything, a loaded probe, test runs on one CPU.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unsafe_code,
    reason = "tests"
)]

pub mod hooks;
pub mod traffic;
pub mod tun;

use aya::programs::{TestRun as _, TestRunOptions};
use sensor::{
    probe::{Drainer, OBJECT, Probe, ProbeSettings},
    source::FlowSink,
};
use sensor_common::{counter::Counters, flow::FlowRecord, layout::CLOCK_SUPPLIED, overflow::OverflowCell};

/// Seed of the hashes in tests that compare tables.
pub const SEED: [u64; 6] = [
    1,
    0x1234_5678_9abc_def0,
    3,
    0xfeed_f00d_dead_beef,
    5,
    0x0bad_cafe_1357_9bdf,
];

/// Keeps what a drain hands over.
#[derive(Debug, Default, PartialEq)]
pub struct Collected {
    pub records: Vec<FlowRecord>,
    pub cells: Vec<OverflowCell>,
    pub books: Counters,
}

impl FlowSink for Collected {
    fn record(&mut self, record: &FlowRecord) {
        self.records.push(*record);
    }

    fn overflow(&mut self, cell: &OverflowCell) {
        self.cells.push(*cell);
    }

    fn books(&mut self, counters: &Counters) {
        self.books.add(counters);
    }
}

impl Collected {
    pub fn drain(drainer: &mut Drainer) -> Self {
        let mut collected = Self::default();
        drainer.drain(&mut collected).expect("drain");
        collected
    }

    pub fn flow_packets(&self) -> u64 {
        self.records
            .iter()
            .flat_map(|record| record.half)
            .map(|half| u64::from(half.packets))
            .sum()
    }

    pub fn overflow_packets(&self) -> u64 {
        self.cells.iter().map(|cell| cell.packets).sum()
    }

    /// The law of the books, and that the sketch holds what the counter says.
    #[track_caller]
    pub fn assert_balanced(&self) {
        assert_eq!(
            self.overflow_packets(),
            self.books.overflow_packets,
            "sketch and counter"
        );
        assert_eq!(
            self.books.seen_packets,
            self.flow_packets() + self.books.overflow_packets + self.books.skipped_packets(),
            "seen = flows + overflow + skipped"
        );
    }

    pub fn sorted(mut self) -> Self {
        self.records
            .sort_by_key(|record| (record.key, record.first_ns, record.last_ns));
        self.cells
            .sort_by_key(|cell| (cell.target, cell.port, cell.proto, cell.packets));
        self
    }
}

/// Runs this thread on one CPU only.
pub fn pin(cpu: usize) {
    // SAFETY: a zeroed set is an empty one; the set lives through the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    assert_eq!(result, 0, "pinning to CPU {cpu}");
}

/// A probe whose clock and hash seed the test knows.
pub fn supplied(table_bytes: u64) -> (Probe, Drainer) {
    let settings = ProbeSettings {
        table_bytes,
        clock: CLOCK_SUPPLIED,
        seed: Some(SEED),
        kernel_log: false,
        ..ProbeSettings::default()
    };
    // All programs, also those that an attach would load only when an interface needs them.
    Probe::load_object(OBJECT, &settings).expect("loading the programs")
}

/// Sends a frame through the XDP program by test run.
pub fn run_xdp(probe: &Probe, program: &str, frame: &[u8], repeat: u32) {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::new()
    };
    let result = probe
        .xdp(program)
        .expect("program")
        .test_run(options)
        .expect("test run");
    assert_eq!(result.return_value, 2, "XDP_PASS");
}

/// Sends a frame through a TC program by test run; `false` if the kernel takes no socket buffer that short.
pub fn run_tc(probe: &Probe, program: &str, frame: &[u8], repeat: u32) -> bool {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::new()
    };
    match probe.classifier(program).expect("program").test_run(options) {
        Ok(result) => {
            assert_eq!(result.return_value as i32, -1, "TCX_NEXT");
            true
        }
        // The kernel wants a network header behind the link header in its test runs.
        Err(_) if frame.len() < 14 + 40 => false,
        Err(error) => panic!("test run of {} bytes: {error:?}", frame.len()),
    }
}
