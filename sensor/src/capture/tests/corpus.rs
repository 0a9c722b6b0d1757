//! Real captures: totals equal those of a reader that shares nothing with ours.
//!
//! The data are beside the repository and not part of it; where they are absent, the test says so.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Captures, FrameSource as _};

fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("left out: no captures at {}", path.display());
    None
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !matches!(
            path.extension().and_then(|end| end.to_str()),
            Some("csv" | "md" | "txt")
        ) {
            found.push(path);
        }
    }
}

/// Frames, captured bytes and bytes on the wire of a file, by walking it in the plainest way; `None` where it breaks
/// off.
fn naive(bytes: &[u8]) -> (Totals, bool) {
    let mut totals = Totals::default();
    let little = matches!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]);
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let mut at = 0;
        let mut little = true;
        while at + 12 <= bytes.len() {
            if bytes[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
                little = bytes[at + 8] == 0x4d;
            }
            let length = number(bytes, at + 4, little) as usize;
            if length < 12 || at + length > bytes.len() {
                return (totals, false);
            }
            match number(bytes, at, little) {
                6 | 2 => totals.add(number(bytes, at + 20, little), number(bytes, at + 24, little)),
                3 => panic!("the corpus has simple packet blocks now"),
                _ => {}
            }
            at += length;
        }
        return (totals, at == bytes.len());
    }
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let captured = number(bytes, at + 8, little);
        if at + 16 + captured as usize > bytes.len() {
            return (totals, false);
        }
        totals.add(captured, number(bytes, at + 12, little));
        at += 16 + captured as usize;
    }
    (totals, at == bytes.len())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    frames: u64,
    captured: u64,
    wire: u64,
}

impl Totals {
    fn add(&mut self, captured: u32, wire: u32) {
        self.frames += 1;
        self.captured += u64::from(captured);
        self.wire += u64::from(wire.max(captured));
    }
}

fn number(bytes: &[u8], at: usize, little: bool) -> u32 {
    let bytes = bytes[at..at + 4].try_into().unwrap();
    if little {
        u32::from_le_bytes(bytes)
    } else {
        u32::from_be_bytes(bytes)
    }
}

#[test]
fn totals_of_real_captures_equal_those_of_an_independent_reader() {
    let Some(corpus) = corpus() else { return };
    let mut paths = Vec::new();
    files(&corpus.join("parser-corpus"), &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "only {} captures", paths.len());
    let (mut frames, mut damaged, mut unsupported) = (0, 0, 0);
    for path in &paths {
        let mut bytes = fs::read(path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut plain)
                .unwrap();
            bytes = plain;
        }
        let (expected, whole) = naive(&bytes);
        let mut captures = Captures::open(std::slice::from_ref(path)).unwrap();
        let mut seen = Totals::default();
        while let Some(frame) = captures.next_frame() {
            seen.add(frame.data.len() as u32, frame.wire_len);
        }
        let report = captures.report();
        let left_out: u64 = report.inputs[0].unsupported.values().sum();
        assert_eq!(report.frames(), expected.frames, "{}", path.display());
        assert_eq!(seen.frames + left_out, expected.frames, "{}", path.display());
        if left_out == 0 {
            assert_eq!(seen, expected, "{}", path.display());
        }
        assert_eq!(report.is_damaged(), !whole, "{}", path.display());
        assert_eq!(report.inputs[0].bytes, bytes.len() as u64);
        frames += report.frames();
        damaged += u64::from(report.is_damaged());
        unsupported += left_out;
    }
    eprintln!(
        "{} captures, {frames} frames, {unsupported} of them of other link types, {damaged} damaged",
        paths.len()
    );
}
