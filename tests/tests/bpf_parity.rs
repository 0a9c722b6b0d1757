//! A capture's frames through the kernel programs and through the road of recordings give the same flows: every counter
//! and, since the test supplies the clock, every time. It must never pass by comparing nothing: a capture is made here
//! for machines without recorded ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use common::{pin, run_tc, run_xdp, supplied};
use sensor::{
    capture::{CapturedFrame, Captures, FrameSource as _},
    probe::{Drainer, Probe},
    replay::{ClosedWindow, Feed, FeedSettings, clock::CaptureClock},
    simulate::{self, Options, Request, Shape},
    window::{Window, WindowBuilder, WindowSettings},
};
use sensor_common::parse::Start;
use sensor_tests::{data, require};

/// Frames of each capture at most.
const FRAMES: u64 = 20_000;
/// Room for every flow of a window on one CPU: where a full table makes room is compared elsewhere
/// (`bpf_differential.rs`).
const TABLE_BYTES_PER_CPU: u64 = 2 * (32 << 20);
const SECOND_NS: u64 = 1_000_000_000;
const SETTINGS: FeedSettings = FeedSettings {
    window_ns: 10 * SECOND_NS,
    window: WindowSettings {
        max_flows: 200_000,
        idle_timeout_ns: 60 * SECOND_NS,
        active_timeout_ns: 1800 * SECOND_NS,
    },
    seed: 11,
};

/// Recorded captures of Ethernet, where they are present.
const RECORDED: [&str; 4] = [
    "homemix/dev.pcap.gz",
    "westermo/right_part1.pcap",
    "modbus/characterization_modbus_6RTU_with_operate.pcap",
    "benign-week/blink-cam-01.pcap",
];

/// A hook with the frames that the kernel takes in its test runs.
struct Hook {
    name: &'static str,
    shortest: usize,
    longest: usize,
    run: fn(&Probe, &[u8]),
}

const XDP: Hook = Hook {
    name: "XDP",
    shortest: 14,
    // More than a page goes to the program for fragmented frames.
    longest: 9_000,
    run: |probe, frame| {
        let program = if frame.len() > 3_000 {
            "sensor_xdp_frag"
        } else {
            "sensor_xdp"
        };
        run_xdp(probe, program, frame, 1);
    },
};

const TC: Hook = Hook {
    name: "TC",
    // A link header and room for the network header behind it.
    shortest: 14 + 40,
    longest: 3_000,
    run: |probe, frame| assert!(run_tc(probe, "sensor_egress", frame, 1)),
};

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    frames: u64,
    windows: u64,
    flows: u64,
    /// Frames that a test run does not take: of another link type, too short, too long or cut by a snap length.
    left_out: u64,
}

/// The kernel's side: its tables, and the window stage that adds up its drains.
struct Kernel {
    probe: Probe,
    drainer: Drainer,
    builder: WindowBuilder,
    /// Something was counted since the last drain.
    dirty: bool,
}

impl Kernel {
    fn load() -> Self {
        pin(0);
        let cpus = u64::from(sensor::probe::kernel::possible_cpus().unwrap());
        let (probe, drainer) = supplied(cpus * TABLE_BYTES_PER_CPU);
        Self {
            probe,
            drainer,
            builder: WindowBuilder::new(SETTINGS.window, SETTINGS.seed),
            dirty: false,
        }
    }

    fn count(&mut self, hook: &Hook, now_ns: u64, frame: &[u8]) {
        self.probe.supply_time(now_ns);
        (hook.run)(&self.probe, frame);
        self.dirty = true;
    }

    /// A drain waits for a grace period: not for each window of a long silence.
    fn close(&mut self, like: &Window) -> Window {
        if std::mem::take(&mut self.dirty) {
            self.drainer.drain(&mut self.builder).expect("drain");
        }
        self.builder.close(like.start_ns, like.end_ns)
    }
}

#[track_caller]
fn same(what: &str, kernel: &Window, capture: &Window) {
    assert_eq!(kernel.unaccounted_packets, 0, "{what}");
    assert_eq!(capture.unaccounted_packets, 0, "{what}");
    assert_eq!(kernel.overflow_packets(), 0, "{what}: the table is large enough");
    assert_eq!(capture.overflow_packets(), 0, "{what}: the table is large enough");
    let (ours, theirs) = (&kernel.books, &capture.books);
    assert_eq!(ours.seen_packets, theirs.seen_packets, "{what}: packets seen");
    assert_eq!(ours.skipped, theirs.skipped, "{what}: packets skipped");
    assert_eq!(ours.skipped_bytes, theirs.skipped_bytes, "{what}: bytes skipped");
    assert_eq!(kernel.flows.len(), capture.flows.len(), "{what}: flows");
    for (ours, theirs) in kernel.flows.iter().zip(&capture.flows) {
        assert_eq!(ours, theirs, "{what}: a flow");
    }
    assert!(
        kernel.flows.is_sorted_by(|a, b| a.key < b.key),
        "{what}: one row a flow"
    );
    assert_eq!(
        kernel.flows_started, capture.flows_started,
        "{what}: flows started"
    );
    assert_eq!(kernel.flows_ended, capture.flows_ended, "{what}: flows ended");
}

fn compare(hook: &Hook, kernel: &mut Kernel, path: &Path) -> Compared {
    kernel.builder = WindowBuilder::new(SETTINGS.window, SETTINGS.seed);
    let mut feed = Feed::new(&SETTINGS);
    let mut clock = CaptureClock::default();
    let mut captures = Captures::open(&[path.to_owned()]).unwrap();
    let mut compared = Compared::default();
    let mut closed: Vec<ClosedWindow> = Vec::new();
    while let Some(frame) = captures.next_frame() {
        if compared.frames == FRAMES {
            break;
        }
        let fits = (hook.shortest..=hook.longest).contains(&frame.data.len());
        if frame.start != Start::Ethernet || !fits || frame.wire_len as usize != frame.data.len() {
            compared.left_out += 1;
            continue;
        }
        compared.frames += 1;
        // The test run knows no interfaces: all are slot 0 there.
        feed.push(&CapturedFrame { iface: 0, ..frame }, &mut |window| {
            closed.push(window);
        });
        for window in closed.drain(..) {
            check(hook, path, kernel, &window, &mut compared);
        }
        kernel.count(hook, clock.tell(frame.time_ns), frame.data);
    }
    feed.finish(&mut |window| closed.push(window));
    for window in closed.drain(..) {
        check(hook, path, kernel, &window, &mut compared);
    }
    compared
}

fn check(hook: &Hook, path: &Path, kernel: &mut Kernel, closed: &ClosedWindow, compared: &mut Compared) {
    let capture = &closed.window;
    let what = format!("{}, {}, window {}", hook.name, path.display(), compared.windows);
    same(&what, &kernel.close(capture), capture);
    compared.windows += 1;
    compared.flows += capture.flows.len() as u64;
}

/// Two minutes of ordinary traffic with a scan and password guessing in it.
fn made(directory: &Path) -> PathBuf {
    let path = directory.join("made.pcap");
    let options = Options {
        requests: ["vertical-scan", "ssh-brute-force"]
            .map(|name| Request {
                scenario: simulate::find(name).unwrap(),
                offset_ns: Some(20 * SECOND_NS),
            })
            .to_vec(),
        shape: Shape::default(),
        seed: 3,
        duration_ns: Some(120 * SECOND_NS),
        ..Options::default()
    };
    let file = BufWriter::new(File::create(&path).unwrap());
    simulate::simulate(&options, None, file, std::io::sink(), &mut |_, _| ()).unwrap();
    path
}

fn compare_made(hook: &Hook) {
    if !require::bpf() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let compared = compare(hook, &mut Kernel::load(), &made(directory.path()));
    assert!(compared.frames > 5_000, "{compared:?}");
    assert!(compared.flows > 1_000, "{compared:?}");
    assert!(compared.left_out < compared.frames / 10, "{compared:?}");
}

fn compare_recorded(hook: &Hook) {
    let captures: Vec<PathBuf> = RECORDED.into_iter().filter_map(data::capture).collect();
    if captures.is_empty() || !require::bpf() {
        return;
    }
    let mut kernel = Kernel::load();
    for capture in captures {
        let compared = compare(hook, &mut kernel, &capture);
        assert!(compared.frames > 1_000 && compared.flows > 10, "{compared:?}");
    }
}

#[test]
fn a_made_capture_counts_alike_through_xdp_and_as_a_recording() {
    compare_made(&XDP);
}

#[test]
fn a_made_capture_counts_alike_through_tc_and_as_a_recording() {
    compare_made(&TC);
}

#[test]
fn recorded_captures_count_alike_through_xdp_and_as_recordings() {
    compare_recorded(&XDP);
}

#[test]
fn recorded_captures_count_alike_through_tc_and_as_recordings() {
    compare_recorded(&TC);
}

/// Every small capture of exotic protocols: what the parser meets there is what no generator thinks of.
#[test]
fn a_corpus_of_exotic_captures_counts_alike_in_the_kernel_and_as_recordings() {
    let captures = data::captures("parser-corpus");
    if captures.is_empty() || !require::bpf() {
        return;
    }
    let mut kernel = Kernel::load();
    let mut sum = Compared::default();
    for capture in captures.iter().filter(|path| is_small(path)) {
        let compared = compare(&XDP, &mut kernel, capture);
        sum.frames += compared.frames;
        sum.flows += compared.flows;
        sum.left_out += compared.left_out;
    }
    eprintln!("parser corpus: {sum:?}");
    assert!(sum.frames > 1_000, "{sum:?}");
}

fn is_small(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.len() < 1 << 20) && Captures::open(&[path.to_owned()]).is_ok()
}
