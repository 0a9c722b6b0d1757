//! Captures that fuzzing begins with: written here in every variant, and small real ones where they are present; and
//! the label files beside those.
//! It must never fail because the real ones are absent: they are beside the repository, not in it.

// Included rather than shared: no crate depends on the unit tests of another one.
#[path = "../../sensor/src/capture/tests/write.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the reader, which use more of it"
)]
mod write;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use self::write::Order;

/// Longest real capture that is a seed; long inputs make fuzzing slow and find nothing that short ones do not.
const MAX_LEN: u64 = 16 << 10;
/// Longest beginning of a real label file that is a seed: its lines are all of a kind.
const MAX_LABELS_LEN: u64 = 1 << 10;
/// Real captures at most.
const MAX_FILES: usize = 400;

/// Captures in every variant that is written here.
pub(crate) fn captures() -> Vec<Vec<u8>> {
    let mut seeds = vec![write::pcap(5), write::pcapng(5)];
    for order in Order::BOTH {
        for magic in [write::MICRO, write::NANO] {
            for link_type in [0, 1, 12, 101, 108, 113, 127, 228, 229, 276] {
                let mut file = write::pcap_header(order, magic, link_type);
                for number in 0..3 {
                    let data = write::frame(number);
                    file.extend(write::record(order, write::BEGIN_S, number as u32, &data, 100));
                }
                seeds.push(file);
            }
        }
        let mut modified = write::pcap_header(order, write::MODIFIED, 1);
        for number in 0..3 {
            let mut record = write::record(order, write::BEGIN_S, 5, &write::frame(number), 100);
            record.splice(16..16, [0; 8]);
            modified.extend(record);
        }
        seeds.push(modified);
        seeds.push(blocks(order));
    }
    // A section in each order, one behind the other.
    seeds.push([blocks(Order::Little), blocks(Order::Big)].concat());
    seeds.push(
        [
            write::pcap(3),
            vec![0; 64],
            write::pcap(6).split_off(write::pcap(3).len()),
        ]
        .concat(),
    );
    seeds
}

/// A section with every kind of block.
fn blocks(order: Order) -> Vec<u8> {
    let mut file = write::section(order);
    file.extend(write::interface(
        order,
        1,
        65_535,
        Some("eth0"),
        Some(9),
        Some(-5),
    ));
    file.extend(write::interface(order, 276, 0, None, Some(0x8a), None));
    file.extend(write::interface(order, 127, 96, Some("wlan0"), None, Some(1)));
    for interface in 0..4 {
        file.extend(write::enhanced(
            order,
            interface,
            1 << 50,
            &write::frame(interface.into()),
            200,
        ));
    }
    file.extend(write::enhanced_with_options(order, 7, &write::frame(9)));
    for kind in [2, 3, 4, 5, 10, 0xbad] {
        let mut body = order.u32(0).to_vec();
        body.extend(order.u32(60));
        for field in [9, 24, 60] {
            body.extend(order.u32(field));
        }
        body.extend(write::frame(3));
        file.extend(write::block(order, kind, &body));
    }
    file
}

/// Small real captures, where the development data are beside the repository.
pub(crate) fn real_captures() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    files(&data().join("parser-corpus"), &mut paths);
    paths.retain(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() <= MAX_LEN));
    paths.sort();
    paths.truncate(MAX_FILES);
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// The beginnings of real label files, where the development data are beside the repository.
pub(crate) fn real_labels() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    files(&data(), &mut paths);
    paths.retain(|path| path.to_string_lossy().ends_with(".labels.csv"));
    paths.sort();
    let beginning = |path: &PathBuf| {
        let mut bytes = Vec::new();
        let mut file = File::open(path).ok()?.take(MAX_LABELS_LEN);
        file.read_to_end(&mut bytes).ok()?;
        // Whole lines.
        let end = bytes.iter().rposition(|byte| *byte == b'\n')?;
        bytes.truncate(end + 1);
        Some(bytes)
    };
    paths.iter().filter_map(beginning).collect()
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}
