//! Everything a developer or continuous integration does with this repository: `cargo xtask --help`.
//!
//! Compiles in seconds (no part of the sensor is a dependency) and works on a machine that has never built it. Must
//! never change the machine beyond what `setup` says it installs.

mod daemon;
mod eval;
mod fuzz;
mod lab;
mod replay;
mod setup;
mod shell;
mod tiers;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Set up, build, run, test and measure sensor")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install what is missing to build (rust-src, bpf-linker, iproute2, a C compiler) and to run every test (tshark,
    /// Python with venv, promtool). Does nothing the second time.
    Setup,
    /// Build the release binary with the BPF object inside: target/release/sensor.
    Build,
    /// Set up, build and run the sensor as root, for example: cargo xtask run -- -i eth0 --learn 10m
    Run {
        /// Arguments of `sensor run`; without `-i` it watches the interfaces with a default route.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Play ordinary traffic and attacks between namespaces with the sensor attached, and show what it finds.
    Lab(LabArguments),
    /// Run every check and test: setup, format, lints, unit, doc, BPF, namespace and end-to-end tests.
    Test {
        /// Only this tier.
        #[arg(long, value_enum)]
        tier: Option<Tier>,
    },
    /// Look for inputs that break a promise: libFuzzer on the targets of fuzz/, one after the other.
    Fuzz {
        /// Only this target.
        target: Option<String>,
        /// Minutes for each target.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Train and judge every detector on recorded and simulated attacks, beside baselines; prints the tables of
    /// docs/detection.md.
    Eval {
        /// Only these data (default: all).
        #[arg(value_enum)]
        data: Vec<eval::Data>,
        /// Use this binary instead of building one.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// Measure on this machine: kernel path, read-back of the flow table, records to scores, captures to scores.
    Bench {
        /// What to measure.
        name: Bench,
        /// Arguments of the benchmark.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Debug, Clone, Args)]
struct LabArguments {
    /// One round, then exit: 0 only if every attack was found in time and nothing else was reported.
    #[arg(long)]
    once: bool,
    /// End after this many seconds (default: on Ctrl-C, or after one round with --once).
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Seconds the sensor learns from ordinary traffic.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    learn: u64,
    /// Seconds of ordinary traffic after learning in which no alarm may come.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    ordinary: u64,
    /// Seconds in one window of the sensor.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    window: u64,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port on this machine's loopback that leads to the sensor in its namespace (0: any free one).
    #[arg(long, default_value_t = 9477)]
    port: u16,
    /// Use this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Needs no privilege: format, lints, unit tests, doc tests, command line, tidiness.
    Pure,
    /// Loads BPF programs.
    Bpf,
    /// Makes network namespaces.
    Netns,
    /// Plays the lab once.
    Lab,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bench {
    /// Nanoseconds per packet over an empty program.
    Kernel,
    /// Flow records read back per second.
    Drain,
    /// Records to rows to scores per second on one core.
    Pipeline,
    /// CPU and memory of the running sensor beside 100,000 packets a second, and its start time.
    Daemon,
    /// Captures to scored rows, packets per CPU second and largest memory, beside tshark and nfstream.
    Replay,
}

fn main() -> ExitCode {
    match act(Cli::parse().action) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether what was asked for came out well; an error is something that could not be done at all.
fn act(action: Action) -> Result<bool> {
    match action {
        Action::Setup => {
            setup::run()?;
            setup::for_tests().map(|()| true)
        }
        Action::Build => build().map(|_| true),
        Action::Run { arguments } => {
            let binary = build()?;
            let error = shell::as_root(&binary).arg("run").args(arguments).exec();
            bail!("cannot run {}: {error}", binary.display());
        }
        Action::Lab(arguments) => play_lab(&arguments),
        Action::Test { tier } => tiers::run(tier),
        Action::Fuzz { target, minutes } => fuzz::run(target.as_deref(), Duration::from_secs(60 * minutes)),
        Action::Eval { data, binary } => {
            let binary = match binary {
                Some(binary) => binary,
                None => build()?,
            };
            eval::run(binary, &data)
        }
        Action::Bench {
            name: Bench::Daemon, ..
        } => {
            let binary = build()?;
            if !sensor_tests::require::is_root() {
                let program = std::env::current_exe()?;
                return shell::run(shell::as_root(&program).args(["bench", "daemon"])).map(|()| true);
            }
            daemon::run(&binary).map(|()| true)
        }
        Action::Bench {
            name: Bench::Replay, ..
        } => replay::run(&build()?),
        Action::Bench { name, arguments } => {
            setup::run()?;
            let name = name
                .to_possible_value()
                .map(|value| value.get_name().to_owned())
                .unwrap_or_default();
            let mut cargo = shell::cargo(["bench", "--package", "sensor", "--bench", &name, "--"]);
            cargo.args(arguments);
            shell::run_tests_as_root(&mut cargo);
            shell::run(&mut cargo).map(|()| true)
        }
    }
}

/// Sets up, builds the release binary and returns where it is.
fn build() -> Result<PathBuf> {
    setup::run()?;
    shell::run(&mut shell::cargo(["build", "--release", "--package", "sensor"]))?;
    Ok(shell::target_directory().join("release/sensor"))
}

fn play_lab(arguments: &LabArguments) -> Result<bool> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    if !sensor_tests::require::is_root() {
        // Built as the user; only the namespaces and the sensor need root.
        let error = shell::as_root(&std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .arg("--binary")
            .arg(&binary)
            .exec();
        bail!("cannot run the lab as root: {error}");
    }
    lab::run(&lab::Options {
        binary,
        once: arguments.once,
        limit: arguments.seconds.map(Duration::from_secs),
        learn: Duration::from_secs(arguments.learn),
        ordinary: Duration::from_secs(arguments.ordinary),
        window: Duration::from_secs(arguments.window),
        seed: arguments.seed,
        port: arguments.port,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
