//! Hundreds of small captures that are strange, malformed or of exotic protocols, and every small recorded one, through
//! the road of `sensor replay`: nothing panics, and the totals are what the files hold. A few of them go through the
//! real binary too. It must never take the number of frames from the code that it tests: captures made here know theirs,
//! recorded ones are walked in the plainest way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "strange/files.rs"]
mod files;
#[path = "common/fixtures.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the parser")]
mod fixtures;
#[path = "strange/frames.rs"]
mod frames;
#[path = "../../fuzz/src/mutate.rs"]
#[allow(unreachable_pub, reason = "a module of the fuzz targets")]
mod mutate;
#[path = "strange/walk.rs"]
mod walk;
#[path = "../../sensor/src/capture/tests/write.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the reader, which use more of it"
)]
mod write;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sensor::{
    alert::incident::IncidentSettings,
    capture::{CaptureError, Captures},
    detect::scorer::DetectorKind,
    engine::{Engine, EngineSettings},
    features::ExtractorSettings,
    replay::{Driven, FeedSettings, Unwatched, drive},
    window::WindowSettings,
};
use sensor_tests::{agent, data, generate::Random};

const SECOND_NS: u64 = 1_000_000_000;
const WINDOW_NS: u64 = 10 * SECOND_NS;

/// A capture that was made here.
#[derive(Clone, Debug)]
pub(crate) struct Strange {
    name: String,
    bytes: Vec<u8>,
    /// Frames in it; `None` where nobody knows, because it was damaged at random.
    frames: Option<u64>,
    /// Of these, of link types that are not supported.
    unsupported: u64,
    /// Whether the reader must report damage; `None` where nobody knows.
    damaged: Option<bool>,
}

impl Strange {
    fn whole(name: impl Into<String>, bytes: Vec<u8>, frames: u64) -> Self {
        Self {
            name: name.into(),
            bytes,
            frames: Some(frames),
            unsupported: 0,
            damaged: Some(false),
        }
    }
}

/// Everything that is made here, without the mutated copies.
fn made() -> Vec<Strange> {
    [frames::all(), files::all()].concat()
}

/// Replays a capture and checks what must hold for any.
fn replay(path: &Path) -> Result<Driven, CaptureError> {
    let captures = Captures::open(&[path.to_owned()])?;
    let feed = FeedSettings {
        window_ns: WINDOW_NS,
        window: WindowSettings {
            // So few that some captures have more flows.
            max_flows: 300,
            idle_timeout_ns: 60 * SECOND_NS,
            active_timeout_ns: 1800 * SECOND_NS,
        },
        seed: 5,
    };
    let settings = EngineSettings {
        window_ns: WINDOW_NS,
        learn_ns: 30 * SECOND_NS,
        alarm_budget_per_day: 1.0,
        seed: 5,
        sensor: String::new(),
        keep_scores: true,
        detector: DetectorKind::default(),
        incidents: IncidentSettings::default(),
        extractor: ExtractorSettings {
            max_hosts: 200,
            window_ns: WINDOW_NS,
            local_networks: Vec::new(),
        },
    };
    let mut engine = Engine::new(settings, None);
    let mut end_ns = 0;
    let what = path.display();
    let driven = drive(
        captures,
        &feed,
        &mut engine,
        Unwatched,
        &mut |_| (),
        &mut |closed, (), outcome| {
            let window = &closed.window;
            assert!(window.start_ns >= end_ns, "{what}: windows follow each other");
            end_ns = window.end_ns;
            let in_flows: u64 = window.flows.iter().map(sensor::window::Flow::packets).sum();
            let beyond = window.overflow_packets() + window.books.skipped_packets();
            assert_eq!(window.unaccounted_packets, 0, "{what}");
            assert_eq!(
                window.books.seen_packets,
                in_flows + beyond,
                "{what}: the books of a window"
            );
            assert!(
                outcome.scores.iter().all(|row| row.score.is_finite()),
                "{what}: scores"
            );
            Ok(())
        },
    )
    .unwrap();
    let books = &driven.books;
    let skipped: u64 = books.skipped.iter().map(|(_, packets)| packets).sum();
    let in_books = books.in_flows + books.overflow + skipped;
    assert_eq!(
        books.packets, in_books,
        "{what}: frames are in flows, overflow or skipped"
    );
    assert_eq!(
        driven.report.frames(),
        books.packets + unsupported(&driven),
        "{what}: what was read was counted"
    );
    Ok(driven)
}

fn unsupported(driven: &Driven) -> u64 {
    let inputs = &driven.report.inputs;
    inputs.iter().flat_map(|input| input.unsupported.values()).sum()
}

fn write(directory: &Path, capture: &Strange) -> PathBuf {
    let path = directory.join("x");
    fs::write(&path, &capture.bytes).unwrap();
    path
}

#[test]
fn every_frame_of_hundreds_of_strange_captures_is_in_the_books() {
    let directory = tempfile::tempdir().unwrap();
    let captures = made();
    assert!(captures.len() >= 300, "{} captures", captures.len());
    for capture in &captures {
        eprintln!("{}", capture.name);
        let driven = replay(&write(directory.path(), capture)).unwrap();
        if let Some(frames) = capture.frames {
            assert_eq!(driven.report.frames(), frames, "{}: {driven:?}", capture.name);
        }
        assert_eq!(
            unsupported(&driven),
            capture.unsupported,
            "{}: {driven:?}",
            capture.name
        );
        if let Some(damaged) = capture.damaged {
            assert_eq!(
                driven.report.is_damaged(),
                damaged,
                "{}: {driven:?}",
                capture.name
            );
        }
    }
}

#[test]
fn randomly_damaged_copies_are_read_as_far_as_they_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let originals = made();
    let mut random = Random::new(0x57a6);
    let (mut read, mut refused, mut frames) = (0, 0, 0);
    for round in 0..600 {
        let mut pick = || &originals[random.below(originals.len() as u64) as usize];
        let (original, other) = (pick(), pick());
        let mut copy = original.clone();
        mutate::mutate(&mut random, &mut copy.bytes, &other.bytes, 1 << 20);
        match replay(&write(directory.path(), &copy)) {
            Ok(driven) => {
                read += 1;
                frames += driven.report.frames();
            }
            Err(CaptureError::NotACapture { .. }) => refused += 1,
            Err(error) => panic!("copy {round} of {}: {error}", original.name),
        }
    }
    assert!(
        read > 400 && frames > 4_000,
        "{read} read, {refused} refused, {frames} frames"
    );
}

#[test]
fn every_capture_of_a_recorded_corpus_is_in_the_books() {
    let (mut read, mut refused, mut walked) = (0, 0, 0);
    let paths = data::captures("parser-corpus");
    for path in &paths {
        match replay(path) {
            Ok(driven) => {
                read += 1;
                if let Some(frames) = walk::frames(&fs::read(path).unwrap()) {
                    walked += 1;
                    assert_eq!(driven.report.frames(), frames, "{}", path.display());
                }
            }
            Err(CaptureError::NotACapture { .. }) => refused += 1,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    if !paths.is_empty() {
        eprintln!("{read} read, {walked} of them walked, {refused} are no captures");
        assert!(read > 100 && walked > read / 2, "{read} read, {walked} walked");
    }
}

/// Runs the binary without any configuration of this machine.
fn sensor(arguments: &[&str], capture: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(agent::binary().unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SENSOR_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).arg(capture).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_binary_ends_with_0_for_whole_captures_and_with_3_for_damaged_ones() {
    let directory = tempfile::tempdir().unwrap();
    let captures = made();
    let named = |name: &str| {
        captures
            .iter()
            .find(|capture| capture.name == name)
            .unwrap()
            .clone()
    };
    let mut noise = named("garbage payloads");
    noise.bytes = b"this is no capture at all, but a text".to_vec();
    for (capture, code) in [
        (named("garbage payloads"), 0),
        (named("times of the epoch and of 2106"), 0),
        (named("pcapng with every kind of block"), 0),
        (named("a header and nothing else"), 0),
        (named("only link type 127"), 0),
        (named("a frame cut in the middle"), 3),
        (named("pcapng that ends within a block"), 3),
        (noise, 3),
    ] {
        let path = write(directory.path(), &capture);
        for arguments in [&["replay"][..], &["replay", "--learn", "10s"], &["flows"]] {
            let (ended, said) = sensor(arguments, &path);
            assert_eq!(ended, Some(code), "{arguments:?} {}: {said}", capture.name);
            assert!(!said.contains("panicked"), "{said}");
            if code == 3 {
                assert!(said.contains(path.to_str().unwrap()), "the file is named: {said}");
            }
        }
    }
}
