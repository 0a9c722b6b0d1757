//! Licences and sources of every dependency, against deny.toml; needs cargo, but neither cargo-deny nor the network.
//!
//! Must never be more generous than deny.toml.

use std::process::Command;

use serde_json::Value;

use crate::tree::{read, root};

/// Whether an SPDX expression can be met with the allowed licences. `/` is how older crates write OR.
fn acceptable(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "cannot read the licence `{expression}`");
    met
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = single(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= single(words, at, allowed);
    }
    met
}

fn single(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    if words.get(*at) == Some(&"(") {
        *at += 1;
        let met = either(words, at, allowed);
        assert_eq!(words.get(*at), Some(&")"), "unbalanced licence {words:?}");
        *at += 1;
        return met;
    }
    let mut name = words[*at].to_owned();
    *at += 1;
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(&name)
}

fn deny() -> toml::Table {
    read("deny.toml").parse().unwrap()
}

fn allowed() -> Vec<String> {
    let list = deny()["licenses"]["allow"].as_array().unwrap().clone();
    list.iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            &platform,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let (allowed, packages) = (allowed(), packages());
    assert!(
        packages.len() > 50,
        "the list of packages is too short to be true"
    );
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| {
            !package["license"]
                .as_str()
                .is_some_and(|licence| acceptable(licence, &allowed))
        })
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(refused.is_empty(), "not allowed by deny.toml: {refused:#?}");
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        if let Some(source) = package.get("source") {
            let source = source.as_str().unwrap();
            assert_eq!(
                source, "registry+https://github.com/rust-lang/crates.io-index",
                "{package}"
            );
        }
    }
}

#[test]
fn licence_expressions_are_read_with_their_precedence() {
    let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for good in [
        "MIT",
        "GPL-3.0/MIT",
        "GPL-3.0 OR MIT AND Zlib",
        "Apache-2.0 WITH LLVM-exception OR X",
        "(A OR MIT) AND Zlib",
    ] {
        assert!(acceptable(good, &allowed), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0",
        "(MIT OR Zlib) AND GPL-3.0",
    ] {
        assert!(!acceptable(bad, &allowed), "{bad}");
    }
}

#[test]
fn the_licence_texts_are_there() {
    for (path, first) in [
        ("LICENSE-MIT", "MIT License"),
        ("LICENSE-APACHE", "Apache License"),
        ("LICENSE-GPL2", "GNU GENERAL PUBLIC LICENSE"),
    ] {
        assert!(read(path).trim_start().starts_with(first), "{path}");
    }
}
