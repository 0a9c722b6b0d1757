//! Layers of the crate `sensor`: what the pure ones may not touch, and which way the arrows point.
//!
//! A capture replayed twice gives the same bytes, and live and replay are the same code, because nothing between the
//! source and the alert reads a clock, a file or a socket. Must never be made to pass by moving an exception in here.

use crate::tree::{read, tracked};

/// The pure layers, in the direction of the data: each may use itself and those before it. Names of addresses come first:
/// whatever makes text of an address uses them.
const LAYERS: [&str; 7] = [
    "privacy", "source", "window", "features", "detect", "alert", "engine",
];

/// The rim, which no pure layer may use. The engine alone may hold a loaded model: `model` names the type; reading
/// and writing it stays with the rim, because the engine may not touch files.
const RIM: [&str; 11] = [
    "probe",
    "model",
    "sink",
    "incidents",
    "metrics",
    "http",
    "service",
    "config",
    "cli",
    "doctor",
    "flows",
];
const RIM_EXCEPTIONS: [(&str, &str); 1] = [("engine", "model")];

/// What a pure layer may not name.
const BANNED: [&str; 15] = [
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "rand::rng",
    "from_os_rng",
];

/// The lines of a pure layer that are compiled into the product: no comments, no tests.
fn product_lines(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let mut lines = Vec::new();
    let mut rest = text.lines().enumerate().peekable();
    while let Some((number, line)) = rest.next() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            // Test modules stand at the end of a file, or in a file of their own.
            let module = rest
                .find(|(_, line)| !line.trim_start().starts_with("#["))
                .map(|(_, line)| line.trim());
            if module.is_some_and(|line| line.contains("mod ") && line.ends_with('{')) {
                break;
            }
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        if !code.is_empty() {
            lines.push((number + 1, code.to_owned()));
        }
    }
    lines
}

/// The files of a layer without its tests.
fn files_of(layer: &str) -> Vec<String> {
    let (own, below) = (format!("sensor/src/{layer}.rs"), format!("sensor/src/{layer}/"));
    let mut files = tracked("rs");
    files.retain(|path| *path == own || path.starts_with(&below));
    files.retain(|path| {
        !path.contains("/tests/") && !path.ends_with("/tests.rs") && !path.ends_with("_tests.rs")
    });
    assert!(!files.is_empty(), "the layer {layer} has no files");
    files
}

#[test]
fn pure_layers_touch_no_file_socket_thread_or_clock() {
    let mut found = Vec::new();
    for path in LAYERS.into_iter().flat_map(files_of) {
        for (number, line) in product_lines(&path) {
            for banned in BANNED.iter().filter(|banned| line.contains(**banned)) {
                found.push(format!("{path}:{number}: {banned}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn arrows_between_layers_point_backwards_only() {
    let mut found = Vec::new();
    for (order, layer) in LAYERS.into_iter().enumerate() {
        let later = LAYERS.into_iter().skip(order + 1);
        let forbidden: Vec<&str> = later
            .chain(RIM)
            .filter(|module| !RIM_EXCEPTIONS.contains(&(layer, *module)))
            .collect();
        for path in files_of(layer) {
            for (number, line) in product_lines(&path) {
                for module in used_modules(&line)
                    .into_iter()
                    .filter(|module| forbidden.contains(&module.as_str()))
                {
                    found.push(format!("{path}:{number}: {layer} uses {module}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The modules of this crate that a line names: `crate::a`, `crate::{a::B, c}`.
fn used_modules(line: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for after in line.split("crate::").skip(1) {
        let word = |text: &str| {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        };
        if let Some(list) = after.strip_prefix('{') {
            modules.extend(list.split(',').map(|part| word(part.trim())));
        } else {
            modules.push(word(after));
        }
    }
    modules
}

#[test]
fn uses_of_modules_are_recognised() {
    assert_eq!(used_modules("use crate::detect::Score;"), ["detect"]);
    assert_eq!(
        used_modules("use crate::{window, sink::Sink};"),
        ["window", "sink"]
    );
    assert_eq!(
        used_modules("let a = crate::http::serve(crate::config::X);"),
        ["http", "config"]
    );
    assert!(used_modules("use std::fmt;").is_empty());
}
