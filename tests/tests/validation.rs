//! Flow rows against independent implementations on real captures: tshark's packets, bytes, times and openers of every
//! conversation, nfstream's lengths, flags and inter-arrival times. `tests/python/compare_flows.py` has the tolerances
//! and their reasons. It must never pass by comparing nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sensor_tests::{agent, data, python, require};
use serde_json::Value;

const PANDAS: [&str; 2] = ["pandas==3.1.1", "pyarrow==26.0.1"];
const NFSTREAM: [&str; 3] = ["pandas==3.1.1", "pyarrow==26.0.1", "nfstream==6.6.0"];

/// Devices of a home with attacks, a control network, industrial switches.
const CAPTURES: [&str; 3] = [
    "homemix/dev.pcap.gz",
    "modbus/characterization_modbus_6RTU_with_operate.pcap",
    "westermo/right_part1.pcap",
];
/// Flows that are not ended by time, as in the other tools.
const SETTINGS: &str = "idle_timeout = \"1d\"\nactive_timeout = \"7d\"\n";

/// Writes the rows of a capture; returns how many packets are in no row because a flow table was full.
fn write_rows(capture: &Path, dir: &Path) -> (PathBuf, u64) {
    let (rows, settings) = (dir.join("x.parquet"), dir.join("sensor.toml"));
    fs::write(&settings, SETTINGS).unwrap();
    let output = Command::new(agent::binary().unwrap())
        .arg("flows")
        .arg(capture)
        .arg("-c")
        .arg(&settings)
        .arg("-o")
        .arg(&rows)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let before = told.split(" beyond the flow table").next().unwrap();
    let beyond = before.rsplit(' ').next().unwrap().parse();
    (rows, beyond.unwrap_or_else(|_| panic!("no count in: {told}")))
}

/// Compares one capture; `figures` is how many the tool gives at least.
fn agrees(python: &Path, tool: &str, capture: &Path, figures: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (rows, beyond) = write_rows(capture, dir.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/compare_flows.py");
    let output = Command::new(python)
        .arg(script)
        .arg(tool)
        .args([capture, &rows])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let what = format!("{tool}, {}: {said}", capture.display());
    assert!(said["conversations"].as_u64().unwrap() > 500, "{what}");
    assert_eq!(said["only_ours"], 0, "{what}");
    // What the table had no room for is counted, not lost: the other tool's surplus is exactly that.
    assert!(said["only_theirs_packets"].as_u64().unwrap() <= beyond, "{what}");
    let compared = said["figures"].as_object().unwrap();
    assert!(compared.len() >= figures, "{what}");
    for (name, figure) in compared {
        assert_eq!(figure["over"], 0, "{name}: {what}");
        assert!(
            name == "begun_anew_without_reason" || figure["compared"].as_u64().unwrap() > 0,
            "{name}: {what}"
        );
    }
}

#[test]
fn conversations_have_the_packets_bytes_times_and_openers_that_tshark_sees() {
    let tshark = Command::new("tshark")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !tshark.is_ok_and(|status| status.success()) {
        require::skip("needs tshark: run `cargo xtask setup` (Debian package tshark)");
        return;
    }
    let captures: Vec<PathBuf> = CAPTURES.into_iter().filter_map(data::capture).collect();
    if captures.is_empty() {
        return;
    }
    let Some(python) = python::with(&PANDAS) else {
        return;
    };
    for capture in captures {
        agrees(&python, "tshark", &capture, 7);
    }
}

#[test]
fn lengths_flags_and_inter_arrival_times_are_those_of_nfstream() {
    let captures: Vec<PathBuf> = CAPTURES.into_iter().filter_map(data::capture).collect();
    if captures.is_empty() {
        return;
    }
    let Some(python) = python::with(&NFSTREAM) else {
        return;
    };
    for capture in captures {
        agrees(&python, "nfstream", &capture, 34);
    }
}
