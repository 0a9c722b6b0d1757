//! The only place that reads clocks. Kernel records carry `CLOCK_MONOTONIC`; people and alerts want wall time, so the
//! two are read together and a window is anchored with the difference of that moment.
//! It must never be used by the pure layers: they are handed times.

use std::time::{SystemTime, UNIX_EPOCH};

/// `CLOCK_MONOTONIC` in nanoseconds: the clock of the kernel's flow records (`bpf_ktime_get_ns`).
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the call to fill; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Wall time in nanoseconds since 1970; negative before.
pub fn unix_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Wall time in seconds since 1970.
pub fn unix_seconds() -> f64 {
    unix_ns() as f64 / 1e9
}

/// Wall time of a moment of the monotonic clock, by the difference of the two clocks now.
pub fn wall_of_monotonic_ns(monotonic: u64) -> i64 {
    let ago = i128::from(monotonic_ns()) - i128::from(monotonic);
    i64::try_from(i128::from(unix_ns()) - ago).unwrap_or(i64::MAX)
}
