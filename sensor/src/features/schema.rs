//! The feature table as a hash that binds a model to it, and as a document. Both must follow from the table alone.

use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{RowKind, extract::LEARNING_WINDOWS};

/// SHA-256 (hex) over kind, order, names, units, formulas, ranges and scales of all features. A model made with
/// another hash must be refused. Explanation texts may change freely.
pub fn schema_hash() -> String {
    let mut hasher = Sha256::new();
    for kind in RowKind::ALL {
        for feature in kind.features() {
            let range = format!("{:?}..{:?}", feature.low, feature.high);
            let fields = [
                kind.label(),
                feature.name,
                feature.unit,
                feature.formula,
                &range,
                feature.scale.label(),
            ];
            for field in fields {
                // The length keeps neighbouring fields apart.
                hasher.update((field.len() as u64).to_le_bytes());
                hasher.update(field.as_bytes());
            }
        }
    }
    hasher
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The contents of `docs/features.md`.
pub fn features_markdown() -> String {
    let mut text = String::from(
        "# Features\n\n\
         Generated from the feature table in `sensor/src/features/table.rs`; do not edit.\n\
         Rewrite it with `SENSOR_WRITE_DOCS=1 cargo test -p sensor features_md`.\n\n\
         Each window gives one row per flow and one per host that is local or busy.\n\
         \"Out\" is from the initiator (who opened the flow) to the responder.\n\
         A flow is opened in the window of its first packet.\n\
         An attempt is judged (answered or not) only if its first packet came at least 1 s (in windows under 10 s: a tenth \
         of the window) before the window's end.\n\
         \"Absent\" values are NaN in the rows and are filled in by the model's preprocessing.\n\
         Values are clamped to their range.\n\
         No feature names an address, a MAC, a port number, an absolute time or an absolute time to live.\n",
    );
    let _ = writeln!(
        text,
        "What is new or familiar is absent for the first {LEARNING_WINDOWS} windows, while the history of peers and \
         services is begun.\n\n\
         Schema hash: `{}`.",
        schema_hash()
    );
    for kind in RowKind::ALL {
        let (title, features) = (kind.label(), kind.features());
        let _ = write!(
            text,
            "\n## Columns of {title} rows ({})\n\n\
             | # | name | unit | range | scale | value |\n|---|---|---|---|---|---|\n",
            features.len()
        );
        for (index, feature) in features.iter().enumerate() {
            let _ = writeln!(
                text,
                "| {index} | `{}` | {} | {}–{} | {} | {} |",
                feature.name,
                feature.unit,
                number(feature.low),
                number(feature.high),
                feature.scale.label(),
                feature.formula
            );
        }
    }
    text.push_str(CHECKED);
    text
}

/// What the comparison with other tools found, and why.
const CHECKED: &str = "\n## Checked against other tools\n\n\
    `tests/tests/validation.rs` adds the flow rows of real captures up to conversations and compares each with tshark \
    (packets and bytes by direction, first and last time, who opened it) and nfstream (lengths, TCP flags, duration, \
    inter-arrival times). Counts, lengths, flags and times are equal. What differs, and why:\n\n\
    - **Times by up to 1 ms from nfstream's**: it cuts time stamps to whole milliseconds. Ours are exact; gaps between \
    packets are counted in ticks of 1.024 µs, so a single gap may be off by one tick. With gaps of a few microseconds \
    `iat_cv` is therefore coarse.\n\
    - **Standard deviations** divide by n here (the packets are all there are, not a sample); nfstream divides by \
    n - 1.\n\
    - **The opener of a TCP conversation that began before the capture**: tshark and nfstream take the first sender; \
    here the side on a system port is the responder, because a server's packet may be the first that is seen.\n\
    - **A conversation that ended and began anew** (a SYN after FIN or RST; a DNS question from the same port after a \
    pause) is two flows here: the pause in between is no inter-arrival time.\n\
    - **ICMP errors** quote a packet; other tools may count them to the quoted conversation, here they are ICMP flows.\n\
    - **Fragments but the first** carry no ports and are a flow of their own; tshark and nfstream may put packets \
    together again.\n\
    - **Packets beyond the flow table** (floods with forged sources) are in no flow row; their number is that of \
    `overflow_packets` in the host rows of their targets and in the totals that `sensor flows` prints.\n\
    - **Lengths** are those of frames, link header included; nfstream is asked for the same (`accounting_mode=0`).\n";

fn number(value: f32) -> String {
    if value.abs() >= 1e6 {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn features_md_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/features.md");
        if std::env::var_os("SENSOR_WRITE_DOCS").is_some() {
            fs::write(&path, features_markdown()).expect("docs/features.md is writable");
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written,
            features_markdown(),
            "docs/features.md is out of date: run with SENSOR_WRITE_DOCS=1"
        );
    }

    #[test]
    fn the_hash_is_64_hex_digits_and_repeatable() {
        assert_eq!(schema_hash(), schema_hash());
        assert!(schema_hash().len() == 64 && schema_hash().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
