//! Tests of the capture source: formats, streams, damage, merging, real captures.
//! Captures are written here, byte by byte and independently of the reader, or read from the shared data.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod corpus;
mod damage;
mod formats;
mod links;
mod merge;
mod streams;
mod write;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::*;

/// A frame with its bytes, as tests compare them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    time_ns: u64,
    data: Vec<u8>,
    wire_len: u32,
    number: u64,
}

impl Seen {
    fn new(time_ns: u64, data: &[u8], number: u64) -> Self {
        Self {
            time_ns,
            data: data.to_vec(),
            wire_len: data.len() as u32,
            number,
        }
    }
}

/// All frames of one stream, and the report.
fn read(bytes: &[u8]) -> Result<(Vec<Seen>, InputReport), NotACapture> {
    read_from(Box::new(Cursor::new(bytes.to_vec())))
}

/// The same of any stream.
fn read_from(stream: Box<dyn Read + Send>) -> Result<(Vec<Seen>, InputReport), NotACapture> {
    let mut reader = CaptureReader::new(stream, "test")?;
    let mut seen = Vec::new();
    while let Some(head) = reader.advance() {
        seen.push(Seen {
            time_ns: head.time_ns,
            data: reader.data(&head).to_vec(),
            wire_len: head.wire_len,
            number: head.number,
        });
    }
    Ok((seen, reader.report()))
}

/// Time, bytes, input and slot of a frame.
type Merged = (u64, Vec<u8>, u32, u16);

/// All frames of files.
fn read_files(paths: &[PathBuf]) -> (Vec<Merged>, ReadReport) {
    let mut captures = Captures::open(paths).unwrap();
    let mut seen = Vec::new();
    while let Some(frame) = captures.next_frame() {
        seen.push((frame.time_ns, frame.data.to_vec(), frame.input, frame.iface));
    }
    (seen, captures.report())
}

/// Writes a file of the test and returns its path.
fn file(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
