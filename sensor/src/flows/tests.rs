//! Tests of flow files across their formats: what is written reads back equal, damage is told and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod damage;
mod keys;
pub(crate) mod samples;

use std::{fs, path::Path};

use samples::{Sample, assert_same, origin, read, sample, write};

use super::*;
use crate::window::Flow;

const NAMES: [&str; 3] = ["x.parquet", "x.csv", "x.jsonl"];

#[test]
fn rows_read_back_equal_those_written_in_every_format() {
    let sample = sample();
    assert!(sample.iter().any(|window| !window.rows.flow.is_empty()));
    assert!(sample.iter().any(|window| !window.rows.host.is_empty()));
    let flows = || sample.iter().flat_map(|window| &window.flows);
    assert!(flows().any(|flow| flow.prior_last_ns > 0 && flow.iat_count > 0));
    assert!(flows().any(|flow| flow.handshake_ns.is_some() && flow.syn_ns > 0 && flow.synack_ns > 0));
    assert!(flows().any(|flow| flow.initiator == 0) && flows().any(|flow| flow.initiator == 1));
    for name in NAMES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        write(&path, &sample, Selection::All);
        let mut file = FlowFile::open(&path).unwrap();
        let stored: Vec<StoredWindow> = file.by_ref().map(Result::unwrap).collect();
        assert_eq!(file.interface_name(0), samples::interface_name(0), "{name}");
        assert_eq!(stored.len(), sample.len(), "{name}");
        for (stored, written) in stored.iter().zip(&sample) {
            assert_same(&stored.rows, &written.rows, name);
            assert_eq!(stored.flows, written.flows, "{name}");
            assert_eq!(stored.wall_start_ns, written.wall_start_ns, "{name}");
            assert_eq!(stored.wall_end_ns, written.wall_end_ns, "{name}");
        }
    }
}

#[test]
fn many_row_groups_read_back_equal() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    let path = dir.path().join("x.parquet");
    let busy: Vec<Sample> = sample
        .into_iter()
        .filter(|window| !window.rows.flow.is_empty())
        .collect();
    let mut long = Vec::new();
    let (mut start_ns, mut rows) = (0, 0);
    while rows <= 2 * parquet_write::GROUP_ROWS {
        let mut window = busy[long.len() % busy.len()].clone();
        (window.rows.start_ns, window.rows.end_ns) = (start_ns, start_ns + 10);
        (window.wall_start_ns, window.wall_end_ns) = (start_ns as i64, start_ns as i64 + 10);
        start_ns += 10;
        rows += window.rows.flow.len() + window.rows.host.len();
        long.push(window);
    }
    write(&path, &long, Selection::All);
    let mut file = FlowFile::open(&path).unwrap();
    let mut count = 0;
    for (stored, written) in file.by_ref().zip(&long) {
        assert_same(&stored.unwrap().rows, &written.rows, "row groups");
        count += 1;
    }
    assert_eq!((count, file.rows()), (long.len(), rows as u64));
}

#[test]
fn a_selection_leaves_out_the_other_kind_of_row() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    for name in NAMES {
        let path = dir.path().join(name);
        write(&path, &sample, Selection::Only(RowKind::Host));
        assert!(
            read(&path)
                .unwrap()
                .iter()
                .all(|window| window.rows.flow.is_empty())
        );
        write(&path, &sample, Selection::Only(RowKind::Flow));
        let windows = read(&path).unwrap();
        assert!(windows.iter().all(|window| window.rows.host.is_empty()));
        // Windows without rows stand between those with rows all the same.
        let starts: Vec<u64> = windows.iter().map(|window| window.rows.start_ns).collect();
        assert!(
            starts
                .windows(2)
                .all(|pair| pair[1] == pair[0] + samples::WINDOW_NS),
            "{name}: {starts:?}"
        );
    }
}

#[test]
fn sums_over_a_file_are_those_of_the_flows() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    let path = dir.path().join("x.csv");
    write(&path, &sample, Selection::All);
    let mut file = csv::Reader::from_path(&path).unwrap();
    let header = file.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap();
    let columns = [
        "packets",
        "src_packets",
        "dst_packets",
        "bytes",
        "src_bytes",
        "dst_bytes",
    ]
    .map(place);
    let mut sums = [0_u64; 6];
    for record in file.records() {
        let record = record.unwrap();
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum += record[column].parse::<u64>().unwrap_or(0);
        }
    }
    let packets: u64 = sample
        .iter()
        .flat_map(|window| &window.flows)
        .map(Flow::packets)
        .sum();
    let bytes: u64 = sample
        .iter()
        .flat_map(|window| &window.flows)
        .map(Flow::bytes)
        .sum();
    assert!(packets > 0);
    assert_eq!([sums[0], sums[1] + sums[2]], [packets; 2]);
    assert_eq!([sums[3], sums[4] + sums[5]], [bytes; 2]);
}

#[test]
fn rows_of_other_features_are_refused() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    let ours = parts::row_schema();
    let mut foreign = ours.clone();
    let first = if ours.starts_with('0') { "1" } else { "0" };
    foreign.replace_range(..1, first);
    for name in NAMES {
        let path = dir.path().join(name);
        write(&path, &sample, Selection::All);
        replace(&path, &ours, &foreign);
        let cause = read(&path).unwrap_err();
        assert!(matches!(cause, FlowsError::Schema { .. }), "{name}: {cause}");
        assert!(cause.to_string().contains(&foreign), "{cause}");
    }
}

#[test]
fn a_missing_column_is_named() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    for (name, column) in [
        ("x.parquet", "host_peers"),
        ("x.csv", "host_peers"),
        ("x.jsonl", "clock_start_ns"),
    ] {
        let path = dir.path().join(name);
        write(&path, &sample, Selection::All);
        replace(&path, column, &column.replace('s', "z"));
        let cause = read(&path).unwrap_err().to_string();
        assert!(cause.contains(&format!("column {column}")), "{name}: {cause}");
    }
}

#[test]
fn columns_of_others_and_another_order_do_no_harm() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    let path = dir.path().join("x.csv");
    write(&path, &sample, Selection::All);
    let mut file = csv::Reader::from_path(&path).unwrap();
    let turned: Vec<csv::StringRecord> = std::iter::once(file.headers().unwrap().clone())
        .chain(file.records().map(Result::unwrap))
        .collect();
    let mut out = csv::Writer::from_path(&path).unwrap();
    for (number, record) in turned.iter().enumerate() {
        let mine = if number == 0 { "my_note" } else { "x" };
        out.write_record(std::iter::once(mine).chain(record.iter().collect::<Vec<_>>().into_iter().rev()))
            .unwrap();
    }
    drop(out);
    for (stored, written) in read(&path).unwrap().iter().zip(&sample) {
        assert_same(&stored.rows, &written.rows, "turned");
    }
}

#[test]
fn windows_out_of_order_are_refused() {
    let (mut sample, dir) = (sample(), tempfile::tempdir().unwrap());
    sample.reverse();
    for name in NAMES {
        let path = dir.path().join(name);
        write(&path, &sample, Selection::All);
        let cause = read(&path).unwrap_err().to_string();
        assert!(cause.contains("out of order"), "{name}: {cause}");
    }
}

#[test]
fn the_name_chooses_the_format_and_an_unknown_one_is_refused() {
    assert_eq!(Format::of(Path::new("a/b.PARQUET")).unwrap(), Format::Parquet);
    let cause = FlowWriter::create(Path::new("x.xlsx"), &origin(), Selection::All).unwrap_err();
    assert!(cause.to_string().contains("x.xlsx"), "{cause}");
}

/// Replaces equally long bytes everywhere in a file.
fn replace(path: &Path, from: &str, to: &str) {
    let mut bytes = fs::read(path).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} is not in {}", path.display());
    fs::write(path, bytes).unwrap();
}
