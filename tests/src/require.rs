//! What a test needs from the machine, and what happens when it is not there.
//!
//! A test that cannot run says why and passes; with `SENSOR_TEST_REQUIRE=1` (continuous integration) it fails
//! instead, so that a missing privilege can never look like success. Must never change the machine.

use std::fs;
use std::process::{Command, Stdio};

/// Set to 1 where a test may not be skipped.
pub const REQUIRED: &str = "SENSOR_TEST_REQUIRE";

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Whether this process is root; says nothing.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether the test runs as root: `if !require::root() { return; }`.
///
/// # Panics
/// When it does not and `SENSOR_TEST_REQUIRE=1`.
pub fn root() -> bool {
    is_root() || skip("needs root: run `cargo xtask test`, which uses sudo")
}

/// Whether network namespaces can be made: root, `CAP_SYS_ADMIN`, `CAP_NET_ADMIN` and iproute2.
///
/// # Panics
/// When they cannot and `SENSOR_TEST_REQUIRE=1`.
pub fn netns() -> bool {
    if !root() {
        return false;
    }
    if !has_capability(CAP_SYS_ADMIN) || !has_capability(CAP_NET_ADMIN) {
        return skip("needs CAP_SYS_ADMIN and CAP_NET_ADMIN to make network namespaces");
    }
    let ip = Command::new("ip")
        .arg("-Version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ip.is_ok_and(|status| status.success()) || skip("needs `ip` (package iproute2): run `cargo xtask setup`")
}

/// Whether BPF programs can be loaded and attached: `CAP_BPF`, `CAP_PERFMON` and `CAP_NET_ADMIN`.
///
/// # Panics
/// When they cannot and `SENSOR_TEST_REQUIRE=1`.
pub fn bpf() -> bool {
    let all = [CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN]
        .into_iter()
        .all(has_capability);
    all || skip("needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN to load BPF programs")
}

/// Says why a test does not run; always returns `false`.
///
/// # Panics
/// When `SENSOR_TEST_REQUIRE=1`.
pub fn skip(reason: &str) -> bool {
    let required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
    assert!(!required, "{REQUIRED}=1 forbids skipping, but this test {reason}");
    eprintln!("skipped: {reason}");
    false
}

/// Whether the effective capability set of this process holds `capability` (its number in `capability.h`).
fn has_capability(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    effective >> capability & 1 == 1
}
