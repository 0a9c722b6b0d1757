//! The rules of the house, as tests: file heads, sizes, layers, unsafe code, documents, licences.
//!
//! Reads the tracked files of the repository and nothing else. Must never need a privilege or the network; a rule that
//! cannot be checked here does not belong in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/unsafety.rs"]
mod unsafety;

use tree::{read, tracked};

/// The most lines a source file may have.
const MAX_LINES: usize = 400;

/// Longer files that were there before the rule. May only shrink.
const LONG_FILES: [&str; 0] = [];

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<String> = tracked("rs")
        .into_iter()
        .filter(|path| {
            let text = read(path);
            // At least a sentence, and on the first line: what the file is for comes before everything else.
            !text
                .lines()
                .next()
                .is_some_and(|line| line.starts_with("//! ") && line.len() > 20)
        })
        .collect();
    assert!(
        silent.is_empty(),
        "files that do not begin with `//! what this is for`: {silent:?}"
    );
}

#[test]
fn source_files_stay_short_enough_to_read_at_once() {
    let mut long = Vec::new();
    for path in tracked("rs") {
        let lines = read(&path).lines().count();
        if lines > MAX_LINES && !LONG_FILES.contains(&path.as_str()) {
            long.push(format!("{path} ({lines})"));
        }
    }
    assert!(long.is_empty(), "files of more than {MAX_LINES} lines: {long:?}");
    for path in LONG_FILES {
        assert!(
            read(path).lines().count() > MAX_LINES,
            "{path} is short now: take it off the list"
        );
    }
}

#[test]
fn modules_with_children_are_named_after_themselves() {
    let old: Vec<String> = tracked("rs")
        .into_iter()
        .filter(|path| path.contains("/src/") && path.ends_with("/mod.rs"))
        .collect();
    assert!(old.is_empty(), "use foo.rs beside foo/ instead of {old:?}");
}

#[test]
fn every_member_inherits_the_lints_and_the_package_data() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    assert!(!members.is_empty());
    for member in members {
        let path = format!("{}/Cargo.toml", member.as_str().unwrap());
        let manifest: toml::Table = read(&path).parse().unwrap();
        let inherits = |value: Option<&toml::Value>| {
            value
                .and_then(|value| value.get("workspace"))
                .and_then(toml::Value::as_bool)
                == Some(true)
        };
        assert!(
            inherits(manifest.get("lints")),
            "{path} lacks `[lints] workspace = true`"
        );
        for key in ["version", "edition", "rust-version", "publish"] {
            assert!(
                inherits(manifest["package"].get(key)),
                "{path} lacks `{key}.workspace = true`"
            );
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in manifest
                .get(table)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flatten()
            {
                assert!(
                    inherits(Some(value)),
                    "{path}: the version of {name} belongs in the workspace's Cargo.toml"
                );
            }
        }
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // Spelled in two parts, so that this file does not find itself.
    let markers =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for path in tracked("")
        .into_iter()
        .filter(|path| !path.starts_with("LICENSE"))
    {
        for (number, line) in read(&path).lines().enumerate() {
            if markers.iter().any(|marker| line.contains(marker)) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "paths of somebody's machine: {found:?}");
}

#[test]
fn unfinished_work_is_not_left_in_the_code() {
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["for n", "ow,"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for path in tracked("rs") {
        for (number, line) in read(&path).lines().enumerate() {
            if markers.iter().any(|marker| line.contains(marker)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_shared_crate_is_no_std_and_free_of_unsafe_code() {
    let text = read("sensor-common/src/lib.rs");
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(
            text.lines().any(|line| line == attribute),
            "sensor-common/src/lib.rs lacks {attribute}"
        );
    }
}

#[test]
fn the_bpf_object_declares_its_licence_to_the_kernel() {
    let declared = tracked("rs")
        .into_iter()
        .filter(|path| path.starts_with("sensor-ebpf/"))
        .any(|path| read(&path).contains("Dual MIT/GPL"));
    assert!(declared, "no `Dual MIT/GPL` licence section in sensor-ebpf");
}
