//! `docs/flows.md` from the table of columns. It must follow from the table alone.

use std::fmt::Write as _;

use super::columns;

/// The contents of `docs/flows.md`.
pub fn flows_markdown() -> String {
    let mut text = String::from(
        "# Flow files\n\n\
         Generated from the tables in `sensor/src/flows/columns.rs` and `sensor/src/features/table.rs`; do not edit.\n\
         Rewrite it with `SENSOR_WRITE_DOCS=1 cargo test -p sensor flows_md`.\n\n\
         `sensor flows CAPTURE... -o FILE` writes every row of the pipeline: one per flow and window, one per host and \
         window. The suffix chooses the format, which all hold the same columns:\n\n\
         - `.parquet`: Apache Parquet, zstd. The file's metadata name the sensor's version, the feature schema, the \
         length of a window and the inputs (`sensor.*`).\n\
         - `.csv`: RFC 4180 with a header; an absent value is an empty field.\n\
         - `.jsonl`: one flat JSON object per line; absent values are left out.\n\n\
         Absent is not zero: a value that does not apply, or is not known yet, is null. Counters of flows are null in \
         host rows, so sums over a file are right. Rows of a window stand together, flows before hosts; windows come in \
         the order of time. Integers above 2^63 - 1 stay there. Times are UTC; columns that end in `_ns` are exact.\n\
         `src` is who opened the flow: the sender of the SYN, or of the first packet where there is none.\n\n\
         pandas and `DuckDB` read all three formats as they are (`tests/tests/flows.rs`). So does Spark, tried by hand \
         with pyspark 4.3.0 on Java 17: every column of the Parquet file (there are no unsigned integers and no \
         nanosecond timestamps in it, which Spark has trouble with), and CSV and JSON lines with the same totals.\n\n\
         Features are described in [features.md](features.md); here they have the same names, those of host rows with \
         the prefix `host_`. `fact_` are the raw counters of host rows.\n\n",
    );
    let _ = write!(
        text,
        "## Columns ({})\n\n| column | type | unit | rows | value |\n|---|---|---|---|---|\n",
        columns().len()
    );
    for column in columns() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            column.name,
            column.kind.label(),
            column.unit,
            column.rows.label(),
            column.description
        );
    }
    text
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn flows_md_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/flows.md");
        if std::env::var_os("SENSOR_WRITE_DOCS").is_some() {
            fs::write(&path, flows_markdown()).expect("docs/flows.md is writable");
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written,
            flows_markdown(),
            "docs/flows.md is out of date: run with SENSOR_WRITE_DOCS=1"
        );
    }

    #[test]
    fn names_are_unique_plain_words() {
        let names: BTreeSet<&str> = columns().iter().map(|column| &*column.name).collect();
        assert_eq!(names.len(), columns().len());
        let plain = |name: &&&str| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(names.iter().all(|name| plain(&name)));
    }
}
