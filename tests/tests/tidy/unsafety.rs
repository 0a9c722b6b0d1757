//! Unsafe code: only in listed leaf files, and every block says why it is sound.
//!
//! A file that needs unsafe code is added here in the same change, so that a reviewer sees it. Must never list a file
//! that has none.

use crate::tree::{read, tracked};

/// The files that may hold unsafe code, and what for.
const ALLOWED: [(&str, &str); 23] = [
    (
        "sensor-ebpf/src/bench.rs",
        "BPF helpers and maps of the measuring programs",
    ),
    (
        "sensor-ebpf/src/count.rs",
        "access to the flow table, which is one array of the kernel",
    ),
    (
        "sensor-ebpf/src/frame.rs",
        "the packet reads, bounds-checked for the verifier",
    ),
    ("sensor/benches/support/mod.rs", "CPU time and pinning"),
    ("sensor/src/doctor/host.rs", "access(2) and limits of the process"),
    (
        "sensor/src/service/priority.rs",
        "scheduling class of the training thread",
    ),
    (
        "sensor/src/main.rs",
        "malloc settings before the first allocation",
    ),
    ("sensor/src/metrics/process.rs", "sysconf"),
    (
        "sensor/src/probe/attach.rs",
        "BPF system calls that aya does not offer",
    ),
    ("sensor/src/probe/follow.rs", "netlink socket"),
    ("sensor/src/probe/grace.rs", "membarrier"),
    (
        "sensor/src/probe/kernel.rs",
        "BPF system calls that aya does not offer",
    ),
    ("sensor/src/probe/klog.rs", "ring buffer of the kernel's messages"),
    ("sensor/src/probe/load.rs", "resource limits and map descriptors"),
    ("sensor/src/probe/mapping.rs", "the memory-mapped flow table"),
    (
        "sensor/src/service/clock.rs",
        "clock_gettime of the clocks the kernel stamps with",
    ),
    (
        "sensor/src/sink/unacknowledged.rs",
        "bytes that the peer of a TCP connection has not acknowledged",
    ),
    ("tests/src/agent.rs", "parent-death signal between fork and exec"),
    ("tests/src/packet_socket.rs", "raw packet socket"),
    ("tests/src/stop.rs", "signal handler"),
    ("tests/src/usage.rs", "waiting for a program with what it used"),
    ("tests/tests/common/mod.rs", "byte views of test-run contexts"),
    ("tests/tests/common/tun.rs", "making a tun device"),
];

/// How far above a block its reason may begin.
const REASON_LINES: usize = 12;

/// Whether a line of code opens unsafe code: a block, a function, an implementation. Attributes such as
/// `#[unsafe(no_mangle)]` and lint names do not.
fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"]
        .iter()
        .any(|form| code.contains(form))
}

/// The line numbers of unsafe code in a file.
fn unsafe_lines(text: &str) -> Vec<usize> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| opens_unsafe(line))
        .map(|(number, _)| number)
        .collect()
}

/// This file talks about unsafe code and has none.
fn sources() -> Vec<String> {
    let mut paths = tracked("rs");
    paths.retain(|path| !path.starts_with("tests/tests/tidy"));
    paths
}

#[test]
fn unsafe_code_stays_in_the_listed_leaf_files() {
    let strays: Vec<String> = sources()
        .into_iter()
        .filter(|path| !ALLOWED.iter().any(|(allowed, _)| allowed == path))
        .filter(|path| !unsafe_lines(&read(path)).is_empty())
        .collect();
    assert!(
        strays.is_empty(),
        "unsafe code outside the list in tests/tests/tidy/unsafety.rs: {strays:?}"
    );
}

#[test]
fn the_list_of_unsafe_files_names_none_without_unsafe_code() {
    let idle: Vec<&str> = ALLOWED
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !sources().iter().any(|known| known == path) || unsafe_lines(&read(path)).is_empty())
        .collect();
    assert!(
        idle.is_empty(),
        "take these off the list in tests/tests/tidy/unsafety.rs: {idle:?}"
    );
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut found = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for number in unsafe_lines(&text) {
            // An unsafe function states its condition in its documentation instead.
            let before = &lines[number.saturating_sub(REASON_LINES)..number];
            if !before
                .iter()
                .any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
            {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "unsafe code without a SAFETY comment: {found:?}"
    );
}
