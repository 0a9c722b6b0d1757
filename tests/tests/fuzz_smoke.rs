//! A bounded run of every fuzz target with the pinned toolchain: seeds, and seeded mutations of them.
//!
//! `cargo xtask fuzz` is the long run; it takes its seeds from here. Must never write outside the target directory,
//! unless it is told where the seeds go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own for cargo-fuzz")]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target, mutate::mutate};
use sensor_tests::generate::Random;

/// Longest input of the smoke run.
const MAX_LEN: usize = 32 << 10;

/// Runs a target; an input that breaks it is kept and named.
fn run(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.input", target.name));
        fs::write(&path, input).unwrap();
        eprintln!(
            "the target {} fails on {} bytes, kept in {}",
            target.name,
            input.len(),
            path.display()
        );
        resume_unwind(panic);
    }
}

fn smoke(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    assert!(seeds.len() >= 10, "{name} has only {} seeds", seeds.len());
    for seed in &seeds {
        run(target, seed);
    }
    let mut random = Random::new(1);
    for _ in 0..target.smoke_runs {
        let mut pick = || &seeds[random.below(seeds.len() as u64) as usize];
        let (mut input, other) = (pick().clone(), pick().clone());
        mutate(&mut random, &mut input, &other, MAX_LEN);
        run(target, &input);
    }
    eprintln!("{name}: {} seeds, {} mutations", seeds.len(), target.smoke_runs);
}

#[test]
fn the_parser_keeps_its_promises_on_mutated_frames() {
    smoke("parser");
}

#[test]
fn the_flow_table_keeps_its_books_on_mutated_frames() {
    smoke("tables");
}

#[test]
fn the_capture_reader_keeps_its_promises_on_mutated_captures() {
    smoke("capture");
}

#[test]
fn the_label_reader_keeps_its_promises_on_mutated_labels() {
    smoke("labels");
}

#[test]
fn every_target_has_a_smoke_run_an_entry_and_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest: toml::Table = fs::read_to_string(root.join("fuzz/Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let entries: BTreeSet<&str> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let targets: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(entries, targets);
    let here = include_str!("fuzz_smoke.rs");
    for target in targets {
        assert!(root.join(format!("fuzz/fuzz_targets/{target}.rs")).is_file());
        assert!(
            here.contains(&format!("smoke(\"{target}\")")),
            "{target} has no smoke run"
        );
    }
}

/// Writes the seeds of every target to `SENSOR_FUZZ_SEEDS/TARGET`, for `cargo xtask fuzz`.
#[test]
fn seeds_are_written_for_the_fuzzer() {
    let temporary = tempfile::tempdir().unwrap();
    let directory =
        std::env::var_os("SENSOR_FUZZ_SEEDS").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    for target in TARGETS {
        let directory = directory.join(target.name);
        fs::create_dir_all(&directory).unwrap();
        let seeds = (target.seeds)();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:04}")), seed).unwrap();
        }
        assert!(fs::read_dir(&directory).unwrap().count() >= seeds.len());
    }
}
