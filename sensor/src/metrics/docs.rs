//! docs/metrics.md, and the comparison of generated documents with the tree.
//! It must never hold a sentence about one metric: those are in the table.

use std::fmt::Write;

use super::{MAX_SERIES, TABLE, family::Label};

/// docs/metrics.md.
pub fn markdown() -> String {
    let mut out = format!(
        "# Metrics\n\n\
         Generated from the table of metrics; `SENSOR_WRITE_DOCS=1 cargo test -p sensor docs_` rewrites it.\n\n\
         `/metrics` gives the classic text format, or OpenMetrics 1.0 when the Accept header asks for it. \
         At most {MAX_SERIES} series; no label ever holds an address, a port or a flow. \
         Beside these every scrape has the standard `up` and `scrape_duration_seconds` of Prometheus itself.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n"
    );
    for def in TABLE {
        let labels: Vec<String> = def.labels.iter().map(describe).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            def.name,
            def.kind.as_str(),
            labels.join("; "),
            def.help.trim()
        );
    }
    out
}

fn describe(label: &Label) -> String {
    if label.values.is_empty() {
        format!("`{}`: {}", label.name, label.bound)
    } else {
        let values: Vec<String> = label.values.iter().map(|value| format!("`{value}`")).collect();
        format!("`{}`: {}", label.name, values.join(", "))
    }
}

/// Compares a generated document with docs/`name`; with `SENSOR_WRITE_DOCS=1` it writes it instead.
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
pub(crate) fn assert_current(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    if std::env::var_os("SENSOR_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is out of date: run SENSOR_WRITE_DOCS=1 cargo test -p sensor docs_"
    );
}
