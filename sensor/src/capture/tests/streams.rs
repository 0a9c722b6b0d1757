//! Compressed streams: members and frames in a row, cut ones, damaged ones; with and without a thread.

use std::io::{Cursor, Read, Write as _};

use super::{Seen, file, read, read_files, read_from, write};
use crate::capture::{Captures, InputReport, NotACapture, What, stream};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// With a checksum, as the command line tool writes it: damage that decompresses shows at the end.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Frames and report of a possibly compressed stream.
fn read_stream(bytes: &[u8], ahead: bool) -> Result<(Vec<Seen>, InputReport), NotACapture> {
    read_from(stream::plain(Box::new(Cursor::new(bytes.to_vec())), ahead).unwrap())
}

/// A capture of more than a few pieces whose compressed form is long, too.
fn long_capture() -> Vec<u8> {
    let mut file = write::pcap_header(write::Order::Little, write::MICRO, 1);
    let mut state = 1u64;
    for second in 0..3_000 {
        let data: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 60) as u8
        })
        .take(1_000)
        .collect();
        file.extend(write::record(write::Order::Little, second, 0, &data, 1_000));
    }
    file
}

#[test]
fn compressed_captures_give_the_frames_of_the_plain_one() {
    let capture = long_capture();
    let (expected, _) = read(&capture).unwrap();
    assert_eq!(expected.len(), 3_000);
    for packed in [gzip(&capture), zstd(&capture)] {
        for ahead in [false, true] {
            let (seen, report) = read_stream(&packed, ahead).unwrap();
            assert!(seen == expected, "frames differ");
            assert_eq!(report.damage, []);
            assert_eq!(report.bytes, capture.len() as u64);
        }
    }
}

#[test]
fn members_and_frames_follow_each_other_also_in_the_middle_of_a_record() {
    let capture = write::pcap(50);
    let (expected, _) = read(&capture).unwrap();
    let (left, right) = capture.split_at(1_001);
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
    let packed = [
        [gzip(left), gzip(right)].concat(),
        // Padding between and behind members, as tapes leave it.
        [gzip(left), vec![0; 100], gzip(right), vec![0; 512]].concat(),
        [zstd(left), zstd(right)].concat(),
        [skippable.clone(), zstd(left), skippable, zstd(right)].concat(),
    ];
    for packed in packed {
        for ahead in [false, true] {
            let (seen, report) = read_stream(&packed, ahead).unwrap();
            assert_eq!(seen, expected);
            assert_eq!(report.damage, []);
        }
    }
}

#[test]
fn a_compressed_stream_that_is_cut_gives_everything_before_the_cut() {
    let capture = long_capture();
    for packed in [gzip(&capture), zstd(&capture)] {
        // What a decompressor makes of the cut stream, byte by byte.
        let cut = &packed[..packed.len() * 2 / 3];
        let plain = plain_prefix(cut);
        let (expected, _) = read(&plain).unwrap();
        assert!(expected.len() > 1_000, "{}", expected.len());
        for ahead in [false, true] {
            let (seen, report) = read_stream(cut, ahead).unwrap();
            assert_eq!(seen.len(), expected.len());
            assert_eq!(report.damage.len(), 1);
            assert!(matches!(report.damage[0].what, What::Unreadable { .. }));
        }
    }
}

/// As many bytes as can be had, asked for one by one.
fn plain_prefix(packed: &[u8]) -> Vec<u8> {
    let mut stream: Box<dyn Read> = if packed[0] == 0x1f {
        Box::new(flate2::read::MultiGzDecoder::new(packed))
    } else {
        Box::new(zstd::Decoder::new(packed).unwrap())
    };
    let mut plain = Vec::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        plain.push(byte[0]);
    }
    plain
}

#[test]
fn a_damaged_compressed_stream_gives_what_was_before_the_damage() {
    let capture = long_capture();
    for (mut packed, loss) in [(gzip(&capture), 0), (zstd(&capture), 4 << 10)] {
        let at = packed.len() / 2;
        packed[at..at + 64].fill(0xff);
        let plain = plain_prefix(&packed);
        let (seen, report) = read_stream(&packed, false).unwrap();
        assert!(report.bytes + loss >= plain.len() as u64, "{report:?}");
        assert!(seen.len() > 1_000 && seen.len() < 3_000, "{}", seen.len());
        assert!(
            matches!(report.damage.last().unwrap().what, What::Unreadable { .. }),
            "{report:?}"
        );
        let (threaded, _) = read_stream(&packed, true).unwrap();
        assert_eq!(threaded.len(), seen.len());
    }
}

#[test]
fn a_wrong_checksum_is_reported_and_costs_nothing() {
    let capture = write::pcap(20);
    let mut packed = gzip(&capture);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let (seen, report) = read_stream(&packed, false).unwrap();
    assert_eq!(seen.len(), 20);
    assert!(
        matches!(report.damage[0].what, What::Unreadable { .. }),
        "{report:?}"
    );
}

#[test]
fn compression_within_compression_is_refused_with_advice() {
    let error = read_stream(&gzip(&gzip(&write::pcap(20))), false).unwrap_err();
    assert!(error.to_string().contains("decompress it once"), "{error}");
}

#[test]
fn files_are_told_by_content_and_counted_as_they_are_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let capture = write::pcap(5_000);
    let packed = gzip(&capture);
    let paths = [
        file(directory.path(), "named.zst", &packed),
        file(directory.path(), "named.gz", &zstd(&write::pcapng(5_000))),
    ];
    let size: u64 = paths
        .iter()
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum();
    let mut captures = Captures::open(&paths).unwrap();
    while crate::capture::FrameSource::next_frame(&mut captures).is_some() {}
    assert_eq!(captures.bytes_read(), size);
    let (seen, report) = read_files(&paths);
    assert_eq!(seen.len(), 10_000);
    assert_eq!(report.inputs[0].bytes, capture.len() as u64);
}

#[test]
fn a_reader_that_is_dropped_early_ends_its_thread() {
    // The thread would fill four pieces and wait for ever; dropping the reader must end it, and with it its stream.
    struct Endless(std::sync::mpsc::Sender<()>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _gone = self.0.send(());
        }
    }
    let (sender, dropped) = std::sync::mpsc::channel();
    let mut reader = crate::capture::ahead::spawn(Box::new(Endless(sender)));
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    dropped.recv().unwrap();
}
