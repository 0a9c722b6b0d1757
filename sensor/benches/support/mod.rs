//! What the benchmarks share: CPU time, pinning, medians, loading the benchmark's object.
//! It must never use wall time where CPU time is meant: these machines are shared.

#![allow(dead_code, reason = "each benchmark uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code, reason = "benchmarks")]

use sensor::probe::{BENCH_OBJECT, Drainer, Probe, ProbeSettings};

/// CPU time of this thread in nanoseconds.
pub(crate) fn cpu_ns() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid struct that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Runs this thread on one CPU only.
pub(crate) fn pin(cpu: usize) {
    // SAFETY: a zeroed set is an empty one; the set lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

/// One thread for candle, as the daemon has it; else every matrix product also reads `/proc/cpuinfo`.
pub(crate) fn one_candle_thread() {
    // SAFETY: called first in main, while the process has one thread.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
}

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The smallest value.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Resident memory of this process in MiB: all of it, and the part that is not file- or kernel-backed.
pub(crate) fn resident_mib() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
            .unwrap_or(0.0)
            / 1024.0
    };
    (field("VmRSS:"), field("RssAnon:"))
}

/// Loads the programs that change the source address of each packet.
pub(crate) fn load(table_bytes: u64, flows: u32, in_order: bool, clock: u32) -> (Probe, Drainer) {
    let settings = ProbeSettings {
        table_bytes,
        kernel_log: false,
        clock,
        globals: vec![("FLOW_COUNT", flows), ("IN_ORDER", u32::from(in_order))],
        ..ProbeSettings::default()
    };
    match Probe::load_object(BENCH_OBJECT, &settings) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(4);
        }
    }
}

/// A 64-byte frame: Ethernet, IPv4, TCP with ACK, as in the peers' measurement.
pub(crate) fn tcp_frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([
        0x45, 0, 0, 50, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1,
    ]);
    frame.extend([
        0x30, 0x39, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    frame.resize(64, 0);
    frame
}
