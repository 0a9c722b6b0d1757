//! `cargo xtask bench replay`: what a recording costs from the capture to scored rows and to a table of rows, beside
//! tshark and nfstream on the same file in the same run. Must never keep anything but in the target directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sensor_tests::data;
use sensor_tests::usage::{self, Usage};

use crate::shell;

/// Runs of each measurement of the sensor; the one with the median CPU time counts. The peers take minutes: once each.
const RUNS: usize = 3;
/// Packets per CPU second that `sensor replay` must reach on ordinary traffic.
const BAR: f64 = 2e6;
/// Seconds that the other tools get for one capture: with a million conversations they may take hours.
const PATIENCE_S: u64 = 240;
/// The CPU of the runs on one core.
const ONE: usize = 0;

/// A capture, and how many packets are in it, as the sensor counts them.
struct Capture {
    name: &'static str,
    path: PathBuf,
    packets: f64,
}

/// Captures made for the run: name, arguments of `sensor simulate`. The second is ten times as long as the first.
const MADE: [(&str, &[&str]); 3] = [
    ("ordinary 1h", &["ordinary", "--duration", "1h"]),
    ("ordinary 10h", &["ordinary", "--duration", "10h"]),
    (
        "flood of a million sources",
        &[
            "syn-flood",
            "--set",
            "packets=1000000",
            "--set",
            "length=5m",
            "--start",
            "3m",
            "--duration",
            "10m",
        ],
    ),
];

/// Measures the release binary and prints the table; false if the bar is missed.
pub(crate) fn run(binary: &Path) -> Result<bool> {
    let directory = shell::target_directory().join("bench-replay");
    fs::create_dir_all(&directory)?;
    let mut captures = Vec::new();
    for (name, arguments) in MADE {
        let path = directory.join(name.replace(' ', "-")).with_extension("pcap");
        shell::run(
            Command::new(binary)
                .arg("simulate")
                .args(arguments)
                // Headers are all that is read.
                .args(["--snaplen", "128", "--labels", "/dev/null", "-o"])
                .arg(&path),
        )?;
        captures.push((name, path));
    }
    let model = directory.join("model");
    shell::run(
        Command::new(binary)
            .arg("train")
            .arg(&captures[1].1)
            .arg("-o")
            .arg(&model),
    )?;
    if let Some(recorded) = data::capture("homemix/dev.pcap.gz") {
        // nfstream reads no gzip, and decompression is not what is compared.
        let path = directory.join("recorded.pcap");
        let file = File::create(&path)?;
        shell::run(Command::new("gzip").arg("-dc").arg(&recorded).stdout(file))?;
        // Before the flood, on which the other tools take longest.
        captures.insert(2, ("recorded home network", path));
    }
    println!(
        "{:28} {:26} {:>14} {:>12} {:>12} {:>10}",
        "", "", "packets/CPU s", "packets/s", "rows/s", "peak MiB"
    );
    let mut ordinary = 0.0;
    for (name, path) in captures {
        let capture = &mut Capture {
            name,
            path,
            packets: f64::NAN,
        };
        let rate = measure(binary, &model, capture, &directory)?;
        if name == MADE[1].0 {
            ordinary = rate;
        }
    }
    fs::remove_dir_all(&directory)?;
    println!("\n`sensor replay` of ordinary traffic: {ordinary:.0} packets per CPU second (bar: {BAR:.0})");
    Ok(ordinary >= BAR)
}

/// Measures everything on one capture; returns packets per CPU second of `sensor replay` on one core.
fn measure(binary: &Path, model: &Path, capture: &mut Capture, directory: &Path) -> Result<f64> {
    let mut replay = Command::new(binary);
    replay.arg("replay").arg(&capture.path).arg("--model").arg(model);
    replay.args(["--scores", "/dev/null", "--alerts", "/dev/null"]);
    let one = median(&mut replay, Some(ONE))?;
    capture.packets = number_before(&one.said, " packets in ")
        .with_context(|| format!("no count of packets in: {}", one.said))?;
    show(capture, "sensor replay, one core", &one, " rows scored");
    show(
        capture,
        "sensor replay",
        &median(&mut replay, None)?,
        " rows scored",
    );
    let mut flows = Command::new(binary);
    let table = directory.join("rows.parquet");
    flows.arg("flows").arg(&capture.path).arg("-o").arg(&table);
    show(
        capture,
        "sensor flows (Parquet)",
        &median(&mut flows, None)?,
        " rows written",
    );
    peers(capture)?;
    Ok(capture.packets / one.cpu.as_secs_f64())
}

/// The other tools, once each.
fn peers(capture: &Capture) -> Result<()> {
    if shell::exists("tshark") {
        let mut tshark = patiently("tshark");
        tshark.args(["-q", "-z", "conv,ip", "-r"]).arg(&capture.path);
        show_peer(capture, "tshark -z conv,ip", &usage::of(&mut tshark, None)?, "");
    } else {
        println!("{:28} tshark: not installed", capture.name);
    }
    let python = std::env::var_os("SENSOR_BENCH_PYTHON").unwrap_or_else(|| "python3".into());
    let script = shell::root().join("sensor/benches/nfstream_flows.py");
    if shell::output(Command::new(&python).args(["-c", "import nfstream"])).is_some() {
        let mut nfstream = patiently(python);
        nfstream.arg(script).arg(&capture.path);
        let used = usage::of(&mut nfstream, None)?;
        show_peer(capture, "nfstream, one meter", &used, " flows");
    } else {
        println!(
            "{:28} nfstream: not installed (`pip install nfstream`, SENSOR_BENCH_PYTHON names the Python)",
            capture.name
        );
    }
    Ok(())
}

/// A program that is ended when our patience is.
fn patiently(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE_S.to_string()).arg(program);
    command
}

fn show_peer(capture: &Capture, what: &str, used: &Usage, rows: &str) {
    if used.success {
        show(capture, what, used, rows);
    } else if used.wall.as_secs() >= PATIENCE_S {
        println!("{:28} {what:26} not done after {PATIENCE_S} s", capture.name);
    } else {
        println!("{:28} {what:26} failed: {}", capture.name, used.said.trim());
    }
}

/// The run with the median CPU time.
fn median(command: &mut Command, cpu: Option<usize>) -> Result<Usage> {
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let used = usage::of(command, cpu)?;
        ensure!(used.success, "{} failed: {}", shell::text(command), used.said);
        runs.push(used);
    }
    runs.sort_by_key(|used| used.cpu);
    Ok(runs.swap_remove(RUNS / 2))
}

fn show(capture: &Capture, what: &str, used: &Usage, rows: &str) {
    let (cpu, wall) = (used.cpu.as_secs_f64(), used.wall.as_secs_f64());
    let rows = match number_before(&used.said, rows) {
        Some(rows) => format!("{:.0}", rows / cpu),
        None => String::new(),
    };
    println!(
        "{:28} {what:26} {:>14.0} {:>12.0} {rows:>12} {:>10.1}",
        capture.name,
        capture.packets / cpu,
        capture.packets / wall,
        used.peak_bytes as f64 / f64::from(1 << 20),
    );
}

/// The number in front of a text.
fn number_before(said: &str, text: &str) -> Option<f64> {
    if text.is_empty() {
        return None;
    }
    let (before, _) = said.split_once(text)?;
    before
        .rsplit(|other: char| !other.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_found_in_what_programs_say() {
        let said = "7 packets in 2 s of capture\nmodel x: 1234 rows scored, 0 incidents\n";
        assert_eq!(super::number_before(said, " rows scored"), Some(1234.0));
        assert_eq!(super::number_before(said, " packets in "), Some(7.0));
        assert_eq!(super::number_before(said, " flows"), None);
    }
}
