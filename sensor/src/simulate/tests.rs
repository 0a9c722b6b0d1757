//! Tests of the simulator: every scenario against the parser, the checksums and its own declaration.
//! Must never rely on the code under test to read what it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod checksums;
mod flows;
mod mixed;
mod shapes;

use std::collections::BTreeMap;

use sensor_common::parse::{Frame, Parsed, parse};

use super::{LabelForm, Options, Outcome, Request, SCENARIOS, Setting, Shape, SimulateError, simulate};
use crate::capture::{CapturedFrame, FrameSource};

/// A frame read back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    time_ns: u64,
    wire_len: u32,
    data: Vec<u8>,
    label: String,
}

impl Read {
    fn parsed(&self) -> Parsed {
        parse(&self.data[..], &Frame::ethernet(self.wire_len)).expect("parses")
    }
}

fn options(scenarios: &str, seed: u64) -> Options {
    Options {
        requests: Request::parse_list(scenarios).unwrap(),
        seed,
        ..Options::default()
    }
}

/// A fifth of the attack, where one test goes through all of them.
fn fifth(scenarios: &str, seed: u64) -> Options {
    let mut options = options(scenarios, seed);
    options.shape.intensity = 0.2;
    options
}

fn read_capture(bytes: &[u8]) -> Vec<Read> {
    let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((field(0), field(20)), (0xa1b2_3c4d, 1), "nanoseconds, Ethernet");
    let (mut at, mut frames) = (24, Vec::new());
    while at < bytes.len() {
        let len = field(at + 8) as usize;
        frames.push(Read {
            time_ns: u64::from(field(at)) * 1_000_000_000 + u64::from(field(at + 4)),
            wire_len: field(at + 12),
            data: bytes[at + 16..at + 16 + len].to_vec(),
            label: String::new(),
        });
        at += 16 + len;
    }
    frames
}

fn read_labels(text: &str, frames: &mut [Read]) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("frame,label"));
    let mut before = 0;
    for line in lines {
        let (number, label) = line.split_once(',').unwrap();
        let number: usize = number.parse().unwrap();
        assert!(number > before, "labels are in order");
        before = number;
        label.clone_into(&mut frames[number - 1].label);
    }
}

fn bytes_of(options: &Options) -> (Vec<u8>, String, Outcome) {
    let (mut capture, mut labels) = (Vec::new(), Vec::new());
    let outcome = simulate(options, None, &mut capture, &mut labels, &mut |_, _| ()).unwrap();
    (capture, String::from_utf8(labels).unwrap(), outcome)
}

fn made(options: &Options) -> (Vec<Read>, Outcome) {
    let (capture, labels, outcome) = bytes_of(options);
    let mut frames = read_capture(&capture);
    read_labels(&labels, &mut frames);
    (frames, outcome)
}

/// Frames as a source, as a reader of captures gives them.
struct Recorded {
    frames: Vec<Read>,
    next: usize,
}

impl FrameSource for Recorded {
    fn next_frame(&mut self) -> Option<CapturedFrame<'_>> {
        let frame = self.frames.get(self.next)?;
        self.next += 1;
        Some(CapturedFrame {
            time_ns: frame.time_ns,
            start: sensor_common::parse::Start::Ethernet,
            data: &frame.data,
            wire_len: frame.wire_len,
            iface: 0,
            input: 0,
            number: self.next as u64,
        })
    }
}

#[test]
fn every_scenario_parses_whole_in_order_of_time_with_labels_in_its_window() {
    for scenario in SCENARIOS {
        let (frames, outcome) = made(&fifth(scenario.name, 1));
        let run = &outcome.runs[0];
        let begin = super::EPOCH_NS + run.planned_ns.0;
        assert!(
            frames.is_sorted_by_key(|frame| frame.time_ns),
            "{}",
            scenario.name
        );
        let labelled: Vec<&Read> = frames.iter().filter(|frame| !frame.label.is_empty()).collect();
        assert_eq!(labelled.is_empty(), scenario.benign, "{}", scenario.name);
        assert_eq!(run.frames, labelled.len() as u64);
        for frame in &frames {
            let _parses = frame.parsed();
            assert!((60..=1514).contains(&frame.data.len()), "{}", scenario.name);
        }
        for frame in labelled {
            assert_eq!(frame.label, scenario.name);
            assert!(frame.time_ns >= begin, "{}", scenario.name);
        }
        assert_eq!((outcome.turned_away, run.cut), (0, false), "{}", scenario.name);
    }
}

#[test]
fn a_seed_says_everything() {
    let mixed = "syn-flood,beaconing,software-update,silent-device";
    let (one, other) = (bytes_of(&options(mixed, 5)), bytes_of(&options(mixed, 5)));
    assert_eq!((&one.0, &one.1), (&other.0, &other.1));
    let third = bytes_of(&options(mixed, 6));
    assert_ne!(one.0, third.0);
}

#[test]
fn several_scenarios_are_apart_on_one_time_line() {
    let (frames, outcome) = made(&options("vertical-scan,arp-storm,ssh-brute-force", 2));
    let mut spans = BTreeMap::<&str, (u64, u64)>::new();
    for frame in frames.iter().filter(|frame| !frame.label.is_empty()) {
        let span = spans.entry(&frame.label).or_insert((frame.time_ns, 0));
        span.1 = frame.time_ns;
    }
    let ordered: Vec<_> = outcome.runs.iter().map(|run| spans[run.name]).collect();
    assert!(ordered.windows(2).all(|pair| pair[0].1 < pair[1].0), "{spans:?}");
    assert_eq!(outcome.duration_ns, 600_000_000_000);
}

#[test]
fn offsets_and_lengths_are_what_was_asked_for() {
    let (_, outcome) = made(&Options {
        duration_ns: Some(300_000_000_000),
        shape: Shape {
            settings: vec![Setting::parse("arp-storm.length=10s").unwrap()],
            ..Shape::default()
        },
        ..options("arp-storm@2m", 1)
    });
    assert_eq!(outcome.runs[0].planned_ns, (120_000_000_000, 10_000_000_000));
    assert_eq!(outcome.duration_ns, 300_000_000_000);
}

#[test]
fn a_stretched_attack_sends_the_same_over_a_longer_time() {
    let stretched = |stretch| {
        let shape = Shape {
            stretch,
            settings: vec![Setting::parse("ports=200").unwrap()],
            ..Shape::default()
        };
        let (_, outcome) = made(&Options {
            shape,
            ..options("vertical-scan", 1)
        });
        let (first, last) = outcome.runs[0].span_ns.unwrap();
        (outcome.runs[0].frames, last - first)
    };
    let ((frames, took), (slow_frames, slow_took)) = (stretched(1.0), stretched(10.0));
    assert!(frames.abs_diff(slow_frames) <= 8, "{frames} {slow_frames}");
    assert!((7 * took..14 * took).contains(&slow_took), "{took} {slow_took}");
}

#[test]
fn intensity_sends_more_in_the_same_time() {
    let (_, outcome) = made(&Options {
        shape: Shape {
            intensity: 0.1,
            ..Shape::default()
        },
        ..options("syn-flood", 1)
    });
    assert!((3500..4500).contains(&outcome.runs[0].frames), "{outcome:?}");
}

#[test]
fn what_is_unknown_is_refused_with_what_is_near() {
    let unknown = Request::parse_list("ordinary,syn-floood").unwrap_err();
    assert!(unknown.to_string().contains("\"syn-flood\""), "{unknown}");
    let refused = |scenarios: &str, setting: &str| {
        let mut options = options(scenarios, 1);
        options.shape.settings = vec![Setting::parse(setting).unwrap()];
        let result = simulate(&options, None, std::io::sink(), std::io::sink(), &mut |_, _| ());
        result.unwrap_err().to_string()
    };
    assert!(refused("beaconing", "periode=5s").contains("period"));
    assert!(refused("beaconing", "period=5").contains("a time such as"));
    assert!(refused("beaconing", "tls=maybe").contains("no, yes"));
    assert!(refused("ordinary", "beaconing.period=5s").contains("none"));
    let late = Options {
        duration_ns: Some(60_000_000_000),
        ..options("syn-flood@2m", 1)
    };
    let late = simulate(&late, None, std::io::sink(), std::io::sink(), &mut |_, _| ());
    assert!(matches!(late, Err(SimulateError::Scenario(_))));
}

#[test]
fn intervals_cover_exactly_the_labelled_time() {
    let (_, labels, outcome) = bytes_of(&Options {
        label_form: LabelForm::Interval,
        ..options("syn-flood,backup-job,rdp-brute-force", 3)
    });
    let lines: Vec<Vec<&str>> = labels.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0].join(","),
        "start,end,src,dst,src_port,dst_port,proto,label"
    );
    // The flood goes over IPv4 only, and harmless things are not listed.
    assert_eq!(lines.len(), 3, "{labels}");
    assert_eq!(
        lines[1][2..],
        ["", "192.168.20.10", "", "443", "tcp", "syn-flood"]
    );
    assert_eq!(lines[2][5..], ["3389", "tcp", "rdp-brute-force"]);
    let (first, last) = outcome.runs[0].span_ns.unwrap();
    let seconds = |text: &str| text.parse::<f64>().unwrap();
    assert!(seconds(lines[1][0]) <= first as f64 / 1e9 && seconds(lines[1][1]) >= last as f64 / 1e9 - 1e-6);
}

#[test]
fn a_snap_length_cuts_bytes_but_not_lengths() {
    let (frames, _) = made(&Options {
        snap_bytes: 96,
        ..options("ordinary", 1)
    });
    assert!(frames.iter().all(|frame| frame.data.len() <= 96));
    assert!(frames.iter().any(|frame| frame.wire_len == 1514));
    assert!(frames.iter().all(|frame| frame.wire_len >= 60));
}

#[test]
fn names_are_kebab_case_and_unlike_each_other() {
    let mut names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    let fits = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    assert!(names.iter().all(fits));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SCENARIOS.len());
}
