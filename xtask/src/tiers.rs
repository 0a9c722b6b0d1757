//! `cargo xtask test`: every check and test, in tiers, with the time each took.
//!
//! One profile (dev) serves all of it, so that nothing is compiled twice. A failed step does not hide the ones after
//! it, except that nothing runs when the build fails. Must never report a tier as passed that did not run.

use std::env;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sensor_tests::require::{REQUIRED, is_root};

use crate::{Tier, lab, setup, shell};

/// Integration tests that load BPF programs; those named `bpf_*` do so too.
const BPF_TESTS: [&str; 4] = ["differential", "conservation", "offload", "attach"];

/// What one step came to.
struct Outcome {
    name: &'static str,
    seconds: u64,
    error: Option<anyhow::Error>,
}

/// Runs the tiers in order and prints a summary; true when every step passed.
pub(crate) fn run(only: Option<Tier>) -> Result<bool> {
    setup::run()?;
    if only.is_none_or(|only| only == Tier::Pure) {
        setup::for_tests()?;
    }
    for name in sensor_tests::netns::sweep()? {
        eprintln!("removed the namespace {name}, left by a run that was killed");
    }
    let mut report = Vec::new();
    let mut skipped = Vec::new();
    let mut step = |name: &'static str, work: &mut dyn FnMut() -> Result<()>| {
        eprintln!("\n=== {name}");
        let begin = Instant::now();
        let error = work().err();
        if let Some(error) = &error {
            eprintln!("=== {name}: failed: {error:#}");
        }
        report.push(Outcome {
            name,
            seconds: begin.elapsed().as_secs(),
            error,
        });
        report.last().is_some_and(|outcome| outcome.error.is_none())
    };
    let wants = |tier| only.is_none_or(|only| only == tier);

    if wants(Tier::Pure) {
        step("format", &mut || {
            shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))
        });
    }
    // The same selection of packages and targets everywhere: another one would build the dependencies again.
    let built = step("build", &mut || {
        shell::run(&mut shell::cargo(["build", "--workspace", "--bins", "--tests"]))
    });
    if built {
        let tests = integration_tests()?;
        if wants(Tier::Pure) {
            step("unit and command line tests", &mut || {
                run_tests(&["--lib", "--bins"], &tests, Tier::Pure)
            });
            step("doc tests", &mut || {
                shell::run(&mut shell::cargo(["test", "--workspace", "--doc"]))
            });
            step("lints", &mut || shell::run(&mut host_lints()));
            step("lints of the BPF programs", &mut || shell::run(&mut bpf_lints()));
            step("documentation", &mut || shell::run(&mut documentation()));
            if shell::output(&mut shell::cargo(["deny", "--version"])).is_some() {
                step("licences and sources (cargo deny)", &mut || {
                    shell::run(&mut shell::cargo([
                        "deny", "check", "bans", "licenses", "sources",
                    ]))
                });
            } else {
                skipped.push(
                    "cargo deny: not installed (`cargo install cargo-deny --locked`); the tidiness tests check licences and sources too",
                );
            }
        }
        if wants(Tier::Bpf) {
            step("BPF tests", &mut || run_tests(&[], &tests, Tier::Bpf));
        }
        if wants(Tier::Netns) {
            step("namespace tests", &mut || run_tests(&[], &tests, Tier::Netns));
        }
        if wants(Tier::Lab) {
            step("lab, once", &mut play_lab);
        }
    }
    Ok(summarise(&report, &skipped))
}

/// The integration tests of every member, by the tier they belong to.
fn integration_tests() -> Result<Vec<(Tier, String)>> {
    let mut tests = Vec::new();
    for member in ["sensor-common", "sensor", "tests"] {
        let directory = shell::root().join(member).join("tests");
        if !directory.is_dir() {
            continue;
        }
        for entry in
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
        {
            let path = entry?.path();
            let (Some(stem), Some("rs")) = (path.file_stem(), path.extension().and_then(|end| end.to_str()))
            else {
                continue;
            };
            let name = stem.to_string_lossy().into_owned();
            let tier = match name.as_str() {
                name if name.starts_with("netns_") => Tier::Netns,
                name if name.starts_with("bpf_") || BPF_TESTS.contains(&name) => Tier::Bpf,
                _ => Tier::Pure,
            };
            tests.push((tier, name));
        }
    }
    tests.sort_by(|left, right| left.1.cmp(&right.1));
    Ok(tests)
}

/// Runs `selection` and the integration tests of `tier`; tests that share the kernel run one at a time, as root.
fn run_tests(selection: &[&str], tests: &[(Tier, String)], tier: Tier) -> Result<()> {
    let mut cargo = shell::cargo(["test", "--workspace", "--no-fail-fast"]);
    cargo.args(selection);
    for (_, name) in tests.iter().filter(|(of, _)| *of == tier) {
        cargo.args(["--test", name]);
    }
    cargo.env("SENSOR_BIN", shell::target_directory().join("debug/sensor"));
    cargo.env("PATH", setup::path_for_tests()?);
    if setup::required() {
        cargo.env(REQUIRED, "1");
    }
    if tier != Tier::Pure {
        shell::run_tests_as_root(&mut cargo);
        cargo.args(["--", "--test-threads=1"]);
    }
    shell::run(&mut cargo)
}

fn host_lints() -> Command {
    shell::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// The BPF programs are compiled for their own target, with the flags of sensor/build.rs.
fn bpf_lints() -> Command {
    let target = shell::target_directory().join("bpf-lints");
    let mut command = shell::cargo(["clippy", "--package", "sensor-ebpf", "--bins", "--release"]);
    command
        .args([
            "--target",
            "bpfel-unknown-none",
            "-Z",
            "build-std=core",
            "--target-dir",
        ])
        .arg(target);
    command.args(["--", "-D", "warnings"]);
    command.env("RUSTC_BOOTSTRAP", "1");
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH);
    command.env("CARGO_ENCODED_RUSTFLAGS", format!("{arch}\x1f-Ctarget-cpu=v3"));
    command
}

fn documentation() -> Command {
    let mut command = shell::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The lab with the binary of this build: in this process when it is root, else through sudo.
fn play_lab() -> Result<()> {
    let binary = shell::target_directory().join("debug/sensor");
    if !is_root() {
        let program = env::current_exe()?;
        return shell::run(
            shell::as_root(&program)
                .args(["lab", "--once", "--binary"])
                .arg(&binary),
        );
    }
    let passed = lab::run(&lab::Options {
        binary,
        once: true,
        limit: None,
        // Shorter than `lab --once` by default, so that a warm run of everything stays below five minutes.
        learn: Duration::from_secs(40),
        ordinary: Duration::from_secs(40),
        window: Duration::from_secs(2),
        seed: 1,
        port: 0,
    })?;
    anyhow::ensure!(
        passed,
        "the sensor missed an attack or reported ordinary traffic: see the table above"
    );
    Ok(())
}

fn summarise(report: &[Outcome], skipped: &[&str]) -> bool {
    let total: u64 = report.iter().map(|outcome| outcome.seconds).sum();
    eprintln!("\n=== summary");
    for outcome in report {
        let result = if outcome.error.is_none() { "ok" } else { "FAILED" };
        eprintln!("{result:>8} {:>5} s  {}", outcome.seconds, outcome.name);
    }
    for what in skipped {
        eprintln!(" skipped          {what}");
    }
    for outcome in report {
        if let Some(error) = &outcome.error {
            eprintln!("failed: {}: {error:#}", outcome.name);
        }
    }
    eprintln!("{:>8} {total:>5} s", "total");
    report.iter().all(|outcome| outcome.error.is_none())
}
