//! Documents against the code: commands and flags that exist, versions that agree, invariants that have tests.
//!
//! Must never check prose; only what a reader could type or look up.

use std::collections::BTreeSet;
use std::process::Command;

use sensor_tests::agent;

use crate::tree::{read, root, tracked};

/// Documents in which commands are checked.
const DOCUMENTS: [&str; 3] = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];

/// Names of our crates in code: no metrics, though they look like some.
const CRATES: [&str; 3] = ["sensor_common", "sensor_ebpf", "sensor_tests"];

/// Hosts that a link may lead to: standards, licences, tools we ask people to install, examples.
const LINKS: [&str; 13] = [
    "127.0.0.1",
    "attack.mitre.org",
    "docs.kernel.org",
    "example.invalid",
    "github.com",
    // The XML namespace of SVG: a name, not a place that anything is loaded from.
    "www.w3.org",
    "keepachangelog.com",
    "localhost",
    "prometheus.io",
    "rustup.rs",
    "semver.org",
    "www.apache.org",
    "www.rfc-editor.org",
];

/// The command lines in a document: code spans and code blocks, comments cut off.
fn commands(document: &str, program: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
            continue;
        }
        let pieces: Vec<&str> = if block {
            vec![line]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        for piece in pieces {
            let piece = piece
                .split(" #")
                .next()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("sudo ");
            let piece = piece
                .rsplit('/')
                .next()
                .filter(|_| piece.starts_with("target/"))
                .unwrap_or(piece);
            if piece.split(' ').next() == program.split(' ').next() && piece.starts_with(program) {
                found.push(piece.trim_start_matches(program).trim().to_owned());
            }
        }
    }
    found
}

/// The first word of a command and its flags; what comes after ` -- ` belongs to somebody else.
fn parts(command: &str) -> (String, Vec<String>, Vec<String>) {
    let (own, passed) = command.split_once("-- ").unwrap_or((command, ""));
    let flags = |text: &str| -> Vec<String> {
        text.split_ascii_whitespace()
            .filter(|word| word.starts_with('-') && word.len() > 1)
            .map(|word| {
                word.trim_matches(['[', ']'])
                    .split('=')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    };
    (
        own.split(' ').next().unwrap_or_default().to_owned(),
        flags(own),
        flags(passed),
    )
}

fn help(program: &mut Command, subcommand: &str) -> String {
    let output = program
        .args([subcommand, "--help"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the documents name `{subcommand}`, which does not exist: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The words of a help text that are flags.
fn flags_in(help: &str) -> BTreeSet<String> {
    help.split(|c: char| c.is_whitespace() || ",[]=<>.`".contains(c))
        .filter(|word| word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_sensor_command_in_the_documents_exists() {
    let binary = agent::binary().unwrap();
    let mut checked = 0;
    for document in DOCUMENTS {
        for command in commands(&read(document), "sensor ") {
            let (subcommand, flags, _) = parts(&command);
            let known = flags_in(&help(&mut Command::new(&binary), &subcommand));
            for flag in flags {
                assert!(
                    known.contains(&flag),
                    "{document}: `sensor {command}`: no flag {flag}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 0, "the documents name no command of sensor");
}

#[test]
fn every_xtask_command_in_the_documents_exists() {
    let binary = agent::binary().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut checked = 0;
    for document in DOCUMENTS {
        for command in commands(&read(document), "cargo xtask ") {
            let (subcommand, flags, passed) = parts(&command);
            let known = flags_in(&help(Command::new(&cargo).arg("xtask"), &subcommand));
            for flag in flags {
                assert!(
                    known.contains(&flag),
                    "{document}: `cargo xtask {command}`: no flag {flag}"
                );
            }
            if subcommand == "run" {
                let known = flags_in(&help(&mut Command::new(&binary), "run"));
                for flag in passed {
                    assert!(
                        known.contains(&flag),
                        "{document}: `cargo xtask {command}`: no flag {flag}"
                    );
                }
            }
            checked += 1;
        }
    }
    assert!(checked >= 3, "the documents name too few commands of xtask");
}

#[test]
fn every_metric_in_the_documents_is_declared() {
    let declared = read("docs/metrics.md");
    let mut checked = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("sensor_") && !CRATES.contains(word)) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word);
            assert!(
                declared.contains(word) || declared.contains(base),
                "{document}: no metric {word}"
            );
            checked += 1;
        }
    }
    assert!(checked > 0, "the documents name no metric");
}

#[test]
fn the_versions_in_the_files_agree() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let package = &workspace["workspace"]["package"];
    let version = package["version"].as_str().unwrap();
    assert!(
        read("CHANGELOG.md").contains(&format!("## [{version}]")),
        "CHANGELOG.md has no section {version}"
    );

    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let minimum = package["rust-version"].as_str().unwrap();
    assert!(
        channel.starts_with(&format!("{minimum}.")),
        "{channel} is pinned, Cargo.toml says {minimum}"
    );

    let setup = read("xtask/src/setup.rs");
    let linker = setup
        .split("BPF_LINKER: &str = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let decision = read("docs/adr/0001-toolchain.md");
    for named in [channel.to_owned(), format!("bpf-linker {linker}")] {
        assert!(
            decision.contains(&named),
            "docs/adr/0001-toolchain.md does not say {named}"
        );
    }
    for (family, entry) in workspace["workspace"]["dependencies"].as_table().unwrap() {
        if !family.starts_with("aya") {
            continue;
        }
        let version = entry
            .as_str()
            .or_else(|| entry.get("version").and_then(toml::Value::as_str))
            .unwrap();
        let pinned = version.trim_start_matches('=');
        assert!(
            decision.contains(&format!("{family} {pinned}")),
            "the decision does not say {family} {pinned}"
        );
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = read("ARCHITECTURE.md");
    let section = text
        .split("\n## Invariants\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap();
    let items: Vec<&str> = section
        .split("\n\n")
        .filter(|item| item.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert!(
        items.len() >= 10,
        "ARCHITECTURE.md has only {} invariants",
        items.len()
    );
    for item in items {
        let tests: Vec<&str> = item
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|span| span.contains(".rs"))
            .collect();
        assert!(!tests.is_empty(), "no test enforces: {item}");
        for test in tests {
            let (path, function) = test.split_once("::").unwrap_or((test, ""));
            assert!(root().join(path).is_file(), "no file {path} for: {item}");
            let found = function.is_empty() || read(path).contains(&format!("fn {function}("));
            assert!(found, "no test {function} in {path} for: {item}");
        }
    }
}

#[test]
fn every_decision_is_numbered_once_and_linked_documents_exist() {
    let decisions: Vec<String> = tracked("md")
        .into_iter()
        .filter(|path| path.starts_with("docs/adr/"))
        .collect();
    let numbers: BTreeSet<&str> = decisions.iter().filter_map(|path| path.get(9..13)).collect();
    assert_eq!(
        numbers.len(),
        decisions.len(),
        "two decisions with one number: {decisions:?}"
    );
    for path in tracked("md") {
        let text = read(&path);
        let directory = root().join(&path).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(
                    directory.join(file).exists(),
                    "{path} links to {file}, which does not exist"
                );
            }
        }
    }
}

#[test]
fn links_lead_only_where_a_reader_would_expect() {
    let mut found = Vec::new();
    let skipped = |path: &String| path.starts_with("LICENSE") || path == "Cargo.lock";
    for path in tracked("").into_iter().filter(|path| !skipped(path)) {
        for (number, line) in read(&path).lines().enumerate() {
            for after in line.split("://").skip(1).filter(|_| line.contains("http")) {
                let host: String = after
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c))
                    .collect();
                let named = host.contains('.') || host == "localhost";
                if named && !LINKS.contains(&host.as_str()) {
                    found.push(format!("{path}:{}: {host}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "links to hosts not on the list: {found:#?}");
}
