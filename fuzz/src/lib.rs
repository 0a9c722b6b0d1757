//! Fuzz targets: what is run on any bytes, and the seeds that fuzzing begins with.
//!
//! Two homes: cargo-fuzz builds this crate (`cargo xtask fuzz`), and `tests/tests/fuzz_smoke.rs` includes this very file,
//! so that a bounded run with the pinned toolchain is part of every test. A target must never fail for any other reason
//! than a broken promise of the code it runs, and must give the same result for the same bytes. A new target: a module
//! with `run` and `seeds`, a line in [`TARGETS`], a file in `fuzz_targets` and its entry in `Cargo.toml`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fuzz target reports by panicking"
)]

pub mod capture;
pub mod labels;
pub mod mutate;
pub mod parser;
mod seeds;
pub mod tables;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of its file in `fuzz_targets`.
    pub name: &'static str,
    /// Runs it; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs that fuzzing begins with: made by code, and cut from the development captures where those are present.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs of the smoke test: a second or two each.
    pub smoke_runs: u64,
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "parser",
        run: parser::run,
        seeds: parser::seeds,
        smoke_runs: 1_000_000,
    },
    Target {
        name: "tables",
        run: tables::run,
        seeds: tables::seeds,
        smoke_runs: 40_000,
    },
    Target {
        name: "capture",
        run: capture::run,
        seeds: capture::seeds,
        smoke_runs: 40_000,
    },
    Target {
        name: "labels",
        run: labels::run,
        seeds: labels::seeds,
        smoke_runs: 40_000,
    },
];
