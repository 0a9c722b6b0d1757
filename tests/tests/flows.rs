//! `sensor flows` as users have it: one capture to Parquet, CSV and JSON lines, which pandas and `DuckDB` read as they
//! are, with the totals of the capture. It must never take its expectations from the sensor: they are counted from the
//! frames.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use sensor_tests::{agent, frames, python};
use serde_json::Value;

/// What pandas needs to read Parquet, and `DuckDB`.
const PYTHON: [&str; 3] = ["pandas==3.1.1", "pyarrow==26.0.1", "duckdb==2.0.0"];
/// 2026-01-02 03:04:05.678901 UTC.
const START_US: u64 = 1_767_323_045_678_901;

fn sensor(arguments: &[&str]) -> Output {
    Command::new(agent::binary().unwrap())
        .arg("flows")
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A frame and its time in microseconds after the start.
type Timed = (u64, Vec<u8>);

fn ends(from: (u8, u16), to: (u8, u16)) -> frames::Ends {
    frames::Ends {
        macs: ([2, 0, 0, 0, 0, from.0], [2, 0, 0, 0, 0, to.0]),
        addresses: (Ipv4Addr::new(10, 1, 0, from.0), Ipv4Addr::new(10, 1, 0, to.0)),
        ports: (from.1, to.1),
    }
}

/// A minute of traffic: connections, questions with answers, one heavy talker, and a frame that is no IP.
fn traffic() -> Vec<Timed> {
    const ACK: u8 = 0x10;
    let mut all = Vec::new();
    for round in 0..60_u16 {
        let at = u64::from(round) * 1_000_000;
        let (client, server) = ((5, 40_000 + round), (9, 443));
        all.push((at, frames::tcp_ipv4(ends(client, server), frames::SYN, 1)));
        all.push((
            at + 900,
            frames::tcp_ipv4(ends(server, client), frames::SYN | ACK, 1),
        ));
        all.push((at + 1_000, frames::tcp_ipv4(ends(client, server), ACK, 2)));
        let (asker, resolver) = ((6, 50_000 + round), (1, 53));
        all.push((at + 2_000, frames::udp_ipv4(ends(asker, resolver), &[1; 30])));
        all.push((at + 3_000, frames::udp_ipv4(ends(resolver, asker), &[2; 120])));
        let heavy = ends((7, 5_004), (8, 5_004));
        for part in 0..5 {
            all.push((at + 10_000 * (1 + part), frames::udp_ipv4(heavy, &[3; 1200])));
        }
    }
    // Link Layer Discovery Protocol: counted as skipped.
    let mut lldp = vec![1, 0x80, 0xc2, 0, 0, 0xe, 2, 0, 0, 0, 0, 1, 0x88, 0xcc];
    lldp.resize(60, 0);
    all.push((59_500_000, lldp));
    all
}

fn write_pcap(path: &Path, frames: &[Timed]) {
    let mut bytes = Vec::new();
    bytes.extend(0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend([2, 0, 4, 0]);
    bytes.extend([0; 8]);
    bytes.extend(65_535_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for (at, frame) in frames {
        let time = START_US + at;
        bytes.extend(((time / 1_000_000) as u32).to_le_bytes());
        bytes.extend(((time % 1_000_000) as u32).to_le_bytes());
        bytes.extend((frame.len() as u32).to_le_bytes());
        bytes.extend((frame.len() as u32).to_le_bytes());
        bytes.extend(frame);
    }
    fs::write(path, bytes).unwrap();
}

/// A capture in a directory of its own.
fn capture() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pcap");
    write_pcap(&path, &traffic());
    (dir, path)
}

fn write_all(dir: &Path, capture: &Path) -> [PathBuf; 3] {
    ["x.parquet", "x.csv", "x.jsonl"].map(|name| {
        let path = dir.join(name);
        let output = sensor(&[text(capture), "-o", text(&path)]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        path
    })
}

#[test]
fn pandas_and_duckdb_read_the_files_as_they_are() {
    let Some(python) = python::with(&PYTHON) else {
        return;
    };
    let (dir, capture) = capture();
    let files = write_all(dir.path(), &capture);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/read_flow_files.py");
    let output = Command::new(python).arg(script).args(&files).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();

    let ip: Vec<Timed> = traffic()
        .into_iter()
        .filter(|(_, frame)| frame[12..14] == [8, 0])
        .collect();
    let packets = ip.len() as u64;
    let bytes: u64 = ip.iter().map(|(_, frame)| frame.len() as u64).sum();
    for tool in ["pandas", "duckdb"] {
        for format in ["parquet", "csv", "jsonl"] {
            let summary = &said[tool][format];
            let what = format!("{tool}, {format}: {summary}");
            assert_eq!(summary["packets"], packets, "{what}");
            assert_eq!(summary["bytes"], bytes, "{what}");
            // One answer to each connection and question.
            assert_eq!(summary["dst_packets"], 120, "{what}");
            assert_eq!(summary["src_packets"], packets - 120, "{what}");
            assert_eq!(summary["windows"], 6, "{what}");
            // A connection and a question each second, and the heavy talker in each window.
            assert_eq!(summary["flows"], 60 + 60 + 6, "{what}");
            assert_eq!(
                summary["first_seen"], "2026-01-02T03:04:05.678901+00:00",
                "{what}"
            );
            assert_eq!(summary, &said["pandas"]["parquet"], "{what}");
        }
    }
    let heavy = ip.iter().filter(|(_, frame)| frame.len() > 1200);
    let heavy_bytes: u64 = heavy.clone().map(|(_, frame)| frame.len() as u64).sum();
    for format in ["parquet", "csv", "jsonl"] {
        let first = &said["top"][format][0];
        let expected = serde_json::json!([
            "10.1.0.7",
            "10.1.0.8",
            17,
            5004,
            heavy_bytes,
            heavy.clone().count()
        ]);
        assert_eq!(first, &expected, "{format}");
    }
    for (name, pandas, duckdb) in [
        ("window_start", "datetime64[us, UTC]", "TIMESTAMP WITH TIME ZONE"),
        ("src", "str", "VARCHAR"),
        ("dst_port", "float64", "INTEGER"),
        ("bytes", "float64", "BIGINT"),
        ("iat_mean", "float32", "FLOAT"),
    ] {
        assert_eq!(said["pandas_types"][name], pandas, "{name}");
        assert_eq!(said["duckdb_types"][name], duckdb, "{name}");
    }
    assert_eq!(said["metadata"]["sensor.window_ns"], "10000000000");
    assert_eq!(
        said["metadata"]["sensor.feature_schema"].as_str().unwrap().len(),
        64
    );
}

#[test]
fn without_a_file_the_rows_are_json_lines_on_standard_output() {
    let (_dir, capture) = capture();
    let output = sensor(&[text(&capture), "--rows", "flow", "--window", "1m"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rows: Vec<HashMap<String, Value>> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(rows.len(), 60 + 60 + 1);
    assert!(
        rows.iter()
            .all(|row| row["kind"] == "flow" && row["window_length_ns"] == 60_000_000_000_u64)
    );
    let packets: u64 = rows.iter().map(|row| row["packets"].as_u64().unwrap()).sum();
    assert_eq!(packets, traffic().len() as u64 - 1);
    let told = stderr(&output);
    for part in [
        format!("{} packets", traffic().len()),
        format!("{packets} in flows"),
        "1 skipped".into(),
        "121 rows written to standard output".into(),
    ] {
        assert!(told.contains(&part), "no {part:?} in: {told}");
    }
}

#[test]
fn a_damaged_capture_gives_what_is_readable_and_exit_code_3() {
    let (dir, capture) = capture();
    let whole = fs::read(&capture).unwrap();
    fs::write(&capture, &whole[..whole.len() / 2]).unwrap();
    let out = dir.path().join("x.csv");
    let output = sensor(&[text(&capture), "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("x.pcap: at byte"), "{}", stderr(&output));
    assert!(fs::read_to_string(&out).unwrap().lines().count() > 10);
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let (dir, capture) = capture();
    let out = dir.path().join("x.xlsx");
    let output = sensor(&[text(&capture), "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains(".parquet"), "{}", stderr(&output));
    let out = dir.path().join("no/x.csv");
    let output = sensor(&[text(&capture), "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("no/x.csv"), "{}", stderr(&output));
    let output = sensor(&["/nonexistent.pcap", "-o", text(&dir.path().join("x.csv"))]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "only the capture is there"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("x.pcap");
    // More rows than a pipe holds.
    let frame = |number: u32| frames::udp_ipv4(ends((1, (number % 60_000) as u16 + 1), (2, 9)), b"x");
    let many: Vec<Timed> = (0..20_000)
        .map(|number| (u64::from(number), frame(number)))
        .collect();
    write_pcap(&capture, &many);
    let mut child = Command::new(agent::binary().unwrap())
        .args(["flows", text(&capture)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .take(64)
        .read_to_string(&mut first)
        .unwrap();
    assert!(first.starts_with("{\"kind\":\"flow\""), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
