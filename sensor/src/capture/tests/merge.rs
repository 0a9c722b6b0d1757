//! Several inputs as one, in order of time.

use super::write::{self, Order};
use super::{file, read_files};
use crate::capture::{CaptureError, Captures, FrameSource as _, What};

/// A pcap with frames at these seconds; the first byte of each is its second.
fn at(seconds: &[u32]) -> Vec<u8> {
    let mut file = write::pcap_header(Order::Little, write::MICRO, 1);
    for second in seconds {
        file.extend(write::record(Order::Little, *second, 1, &[*second as u8; 60], 60));
    }
    file
}

#[test]
fn frames_of_several_files_come_in_order_of_time() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [
        file(directory.path(), "b.pcap", &at(&[2, 4, 4, 9])),
        file(directory.path(), "a.pcap", &at(&[1, 4, 8, 10, 11])),
        file(directory.path(), "empty.pcap", &at(&[])),
        file(directory.path(), "c.pcap", &at(&[3, 12])),
    ];
    let (seen, report) = read_files(&paths);
    let order: Vec<_> = seen.iter().map(|(_, data, input, _)| (data[0], *input)).collect();
    // At the same time, the input that was named first comes first.
    assert_eq!(
        order,
        [
            (1, 1),
            (2, 0),
            (3, 3),
            (4, 0),
            (4, 0),
            (4, 1),
            (8, 1),
            (9, 0),
            (10, 1),
            (11, 1),
            (12, 3)
        ]
    );
    let frames: Vec<u64> = report.inputs.iter().map(|input| input.frames).collect();
    assert_eq!(frames, [4, 5, 0, 2]);
}

#[test]
fn disorder_within_a_file_is_passed_on_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [
        file(directory.path(), "a.pcap", &at(&[5, 3, 6])),
        file(directory.path(), "b.pcap", &at(&[4, 7])),
    ];
    let (seen, report) = read_files(&paths);
    let order: Vec<u8> = seen.iter().map(|(_, data, ..)| data[0]).collect();
    assert_eq!(order, [4, 5, 3, 6, 7]);
    assert_eq!(report.inputs[0].backwards, 1);
    assert!(!report.is_damaged());
}

#[test]
fn captures_of_different_places_have_different_slots_and_rotated_ones_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [
        file(directory.path(), "north-1.pcap", &at(&[1, 5])),
        file(directory.path(), "south-1.pcap", &at(&[2, 6])),
        file(directory.path(), "north-2.pcap", &at(&[7, 9])),
        file(directory.path(), "south-2.pcap", &at(&[8, 10])),
    ];
    let (seen, _) = read_files(&paths);
    let slots: Vec<_> = seen.iter().map(|(_, data, _, slot)| (data[0], *slot)).collect();
    assert_eq!(
        slots,
        [(1, 0), (2, 1), (5, 0), (6, 1), (7, 0), (8, 1), (9, 0), (10, 1)]
    );
}

#[test]
fn interfaces_of_one_file_have_slots_of_their_own() {
    let mut capture = write::section(Order::Little);
    for name in ["eth0", "eth1"] {
        capture.extend(write::interface(Order::Little, 1, 0, Some(name), None, None));
    }
    for number in 0..4 {
        capture.extend(write::enhanced(Order::Little, 1 - number % 2, 1, &[1; 60], 60));
    }
    let directory = tempfile::tempdir().unwrap();
    let (seen, report) = read_files(&[file(directory.path(), "x", &capture)]);
    let slots: Vec<u16> = seen.iter().map(|(.., slot)| *slot).collect();
    assert_eq!(slots, [1, 0, 1, 0]);
    assert_eq!(report.inputs[0].interfaces[1].name.as_deref(), Some("eth1"));
}

#[test]
fn a_cooked_capture_of_all_interfaces_tells_them_apart() {
    let mut capture = write::pcap_header(Order::Little, write::MICRO, 276);
    for index in [3, 7, 3, 7, 9] {
        let mut data = vec![8, 0, 0, 0, 0, 0, 0, index];
        data.extend([0; 40]);
        capture.extend(write::record(Order::Little, 1, 1, &data, 60));
    }
    let directory = tempfile::tempdir().unwrap();
    let (seen, _) = read_files(&[file(directory.path(), "any.pcap", &capture)]);
    let slots: Vec<u16> = seen.iter().map(|(.., slot)| *slot).collect();
    assert_eq!(slots[0], slots[2]);
    assert_eq!(slots[1], slots[3]);
    let distinct: std::collections::BTreeSet<u16> = slots.into_iter().collect();
    assert_eq!(distinct.len(), 3);
}

#[test]
fn progress_ends_at_the_size_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [
        file(directory.path(), "a.pcap", &write::pcap(2_000)),
        file(directory.path(), "b.pcapng", &write::pcapng(2_000)),
    ];
    let size: u64 = paths
        .iter()
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum();
    let mut captures = Captures::open(&paths).unwrap();
    assert_eq!(captures.bytes_total(), Some(size));
    let mut frames = 0;
    while captures.next_frame().is_some() {
        frames += 1;
    }
    assert_eq!(frames, 4_000);
    assert_eq!(captures.bytes_read(), size);
    assert_eq!(captures.report().frames(), 4_000);
}

#[test]
fn an_input_that_is_missing_or_no_capture_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(directory.path(), "good.pcap", &write::pcap(3));
    let text = file(
        directory.path(),
        "notes.txt",
        b"these are notes, and no packets at all",
    );
    let missing = directory.path().join("missing.pcap");
    assert!(matches!(Captures::open(&[]), Err(CaptureError::NoInput)));
    assert!(matches!(
        Captures::open(&["-".into(), "-".into()]),
        Err(CaptureError::StdinTwice)
    ));
    assert!(matches!(
        Captures::open(&[good.clone(), missing]),
        Err(CaptureError::Io { .. })
    ));
    assert!(matches!(
        Captures::open(&[directory.path().to_owned()]),
        Err(CaptureError::Io { .. })
    ));
    let error = Captures::open(&[good, text]).unwrap_err();
    assert!(error.to_string().contains("notes.txt is no capture"), "{error}");
}

#[test]
fn an_empty_file_is_an_error_alone_and_damage_among_others() {
    let directory = tempfile::tempdir().unwrap();
    let empty = file(directory.path(), "empty.pcap", b"");
    let good = file(directory.path(), "good.pcap", &write::pcap(3));
    assert!(matches!(
        Captures::open(std::slice::from_ref(&empty)),
        Err(CaptureError::NotACapture { .. })
    ));
    let (seen, report) = read_files(&[empty, good]);
    assert_eq!(seen.len(), 3);
    assert_eq!(report.inputs[0].damage[0].what, What::Truncated);
    assert!(report.is_damaged());
    assert!(report.warnings()[0].contains("empty.pcap"));
}
