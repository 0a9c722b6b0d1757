//! The capture reader on any bytes: it must never panic, allocate what a file claims, or lose a byte from its books.

use std::io::{Cursor, Read as _};

use sensor::capture::{self, CaptureReader};
use sensor_common::parse::{self, Frame, Start};

use super::seeds;

/// Bytes that are read at most: a few bytes of zstd can stand for gigabytes, and long garbage only takes time.
const MAX_PLAIN: u64 = 64 << 10;
/// Longest frame that is ever handed on.
const MAX_FRAME: usize = 1 << 20;

/// Reads `data` as a capture, compressed or not.
pub fn run(data: &[u8]) {
    let Ok(stream) = capture::decompressed(Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    let Ok(mut reader) = CaptureReader::new(Box::new(stream.take(MAX_PLAIN)), "fuzz") else {
        return;
    };
    let (mut frames, mut last, mut captured) = (0, 0, 0);
    while let Some(head) = reader.advance() {
        let bytes = reader.data(&head);
        assert!(bytes.len() <= MAX_FRAME && bytes.len() <= head.wire_len as usize);
        assert!(head.number > last, "numbers grow");
        last = head.number;
        frames += 1;
        captured += bytes.len() as u64;
        if let Start::EtherType { offset, .. } = head.start {
            assert!(offset <= 20);
        }
        let frame = Frame {
            start: head.start,
            len: head.wire_len,
            tag: 0,
            iface: head.interface,
        };
        let _skipped_or_not = parse::parse(bytes, &frame);
    }
    assert!(reader.advance().is_none(), "the end stays the end");
    let report = reader.report();
    let unsupported: u64 = report.unsupported.values().sum();
    assert_eq!(report.frames, frames + unsupported);
    assert!(report.interfaces.len() <= capture::MAX_INTERFACES);
    assert!(report.damage.len() <= capture::MAX_DAMAGE);
    let mut end = 0;
    for damage in &report.damage {
        assert!(damage.offset_bytes >= end, "damage comes in order: {report:?}");
        end = damage.offset_bytes + damage.lost_bytes;
        assert!(end <= report.bytes, "damage lies within the stream: {report:?}");
    }
    // The books of a classic file: its header, each record's header and bytes, and what was lost.
    let plain = data.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) || data.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4]);
    if plain && unsupported == 0 && report.damage_beyond == 0 && data.len() as u64 <= MAX_PLAIN {
        let lost: u64 = report.damage.iter().map(|damage| damage.lost_bytes).sum();
        assert_eq!(report.bytes, data.len() as u64);
        assert_eq!(report.bytes, 24 + 16 * frames + captured + lost, "{report:?}");
    }
}

/// Captures, plain and compressed.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = seeds::captures();
    all.extend(COMPRESSED.iter().map(|bytes| bytes.to_vec()));
    all.extend(seeds::real_captures());
    all
}

/// A pcap header without frames, compressed by gzip and zstd.
const COMPRESSED: [&[u8]; 2] = [
    &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xbb, 0x72, 0x78, 0xd3, 0x42, 0x26, 0x06,
        0x16, 0x06, 0x18, 0xf8, 0xff, 0x9f, 0x81, 0x81, 0x11, 0x48, 0x03, 0x00, 0xe1, 0xd7, 0xa1, 0x11, 0x18,
        0x00, 0x00, 0x00,
    ],
    &[
        0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0xc1, 0x00, 0x00, 0xd4, 0xc3, 0xb2, 0xa1, 0x02, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xa1,
        0xab, 0x27, 0x42,
    ],
];
