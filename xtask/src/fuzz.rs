//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, with the pinned toolchain.
//!
//! The bounded run without libFuzzer is a test (`tests/tests/fuzz_smoke.rs`). Must never write outside `fuzz/` and the
//! target directory, nor stop at the first target that fails.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{setup, shell};

const CARGO_FUZZ: &str = "0.13.2";
/// Longest input, as in the smoke run.
const MAX_LEN: usize = 32 << 10;
/// Memory that one input may take: captures and frames are read in pieces, so that little is enough.
const MEMORY_MIB: usize = 512;
/// Seconds one input may take.
const TIMEOUT_S: u64 = 10;

/// Fuzzes `only`, or every target in turn, for `time` each; true if nothing was found.
pub(crate) fn run(only: Option<&str>, time: Duration) -> Result<bool> {
    let known = targets()?;
    if let Some(name) = only
        && !known.iter().any(|known| known == name)
    {
        bail!("no fuzz target {name}: there are {}", known.join(", "));
    }
    setup::run()?;
    cargo_fuzz()?;
    seeds()?;
    // The same versions of everything as in the sensor; cargo adds what only the fuzzer needs.
    let lock = shell::root().join("fuzz/Cargo.lock");
    fs::copy(shell::root().join("Cargo.lock"), &lock)
        .with_context(|| format!("cannot write {}", lock.display()))?;
    // Once, before anything runs: what cannot be built has not failed on an input.
    shell::run(unstable(&mut shell::cargo(["fuzz", "build"])))?;
    let mut failed = Vec::new();
    for name in known.iter().filter(|name| only.is_none_or(|only| only == *name)) {
        eprintln!("\n=== {name}, {} s", time.as_secs());
        if let Err(error) = fuzz(name, time) {
            eprintln!("=== {name}: {error:#}; the input is in fuzz/artifacts/{name}");
            failed.push(name.as_str());
        }
    }
    if !failed.is_empty() {
        eprintln!("failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

/// What is in `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let directory = shell::root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn cargo_fuzz() -> Result<()> {
    ensure!(
        shell::exists("c++"),
        "libFuzzer needs a C++ compiler: install g++ (Debian: apt-get install g++)"
    );
    if shell::output(&mut shell::cargo(["fuzz", "--version"])).is_some() {
        return Ok(());
    }
    let version = format!("={CARGO_FUZZ}");
    shell::run(&mut shell::cargo([
        "install",
        "cargo-fuzz",
        "--locked",
        "--version",
        &version,
    ]))
}

/// Has the smoke test write the seeds to where the fuzzer looks for them.
fn seeds() -> Result<()> {
    let mut cargo = shell::cargo(["test", "--package", "sensor-tests", "--test", "fuzz_smoke", "--"]);
    cargo.args(["--exact", "seeds_are_written_for_the_fuzzer"]);
    cargo.env("SENSOR_FUZZ_SEEDS", corpus());
    shell::run(&mut cargo)
}

/// Grows from run to run; `cargo fuzz cmin` shrinks it.
fn corpus() -> PathBuf {
    shell::root().join("fuzz/corpus")
}

fn fuzz(name: &str, time: Duration) -> Result<()> {
    let mut cargo = shell::cargo(["fuzz", "run", name]);
    cargo.arg(corpus().join(name)).arg("--").args([
        format!("-max_total_time={}", time.as_secs()),
        format!("-max_len={MAX_LEN}"),
        format!("-rss_limit_mb={}", 4 * MEMORY_MIB),
        format!("-malloc_limit_mb={MEMORY_MIB}"),
        format!("-timeout={TIMEOUT_S}"),
        "-print_final_stats=1".to_owned(),
    ]);
    shell::run(unstable(&mut cargo))
}

/// Sanitizers and coverage are unstable flags; the pinned toolchain takes them when it is told to.
fn unstable(cargo: &mut Command) -> &mut Command {
    cargo.env("RUSTC_BOOTSTRAP", "1")
}
