//! What is known of features that alone separate malicious from benign rows of a data set: whether that is how the attack
//! behaves or how the recording was made. A feature that nobody has judged yet is said to be so.

use std::fmt::Write as _;

use serde_json::Value;

use super::labelled::list;
use super::table::{Report, number};

/// Feature, and why it is or is not a leak of the recording.
const JUDGED: [(&str, &str); 13] = [
    ("packets_out", VOLUME),
    ("packets_in", VOLUME),
    ("bytes_out", VOLUME),
    ("bytes_in", VOLUME),
    ("payload_share", VOLUME),
    ("len_mean_out", VOLUME),
    ("len_std_out", VOLUME),
    ("len_max", VOLUME),
    ("duration", VOLUME),
    (
        "ack_share",
        "behaviour: one long conversation has other shares of flags than a poll of a few packets; no mark of the recording",
    ),
    (
        "psh_share",
        "behaviour: one long conversation has other shares of flags than a poll of a few packets; no mark of the recording",
    ),
    (
        "target_attempts",
        "behaviour: the attacker opens one connection where the polling opens them again and again; with this few rows it may also be chance",
    ),
    (
        "target_attempts_10m",
        "behaviour: the attacker opens one connection where the polling opens them again and again; with this few rows it may also be chance",
    ),
];
const VOLUME: &str = "behaviour: the laboratory polls with conversations of constant size, and any other use of the protocol differs from them";

/// Adds what was found in a data set.
pub(super) fn add(data: &str, found: &Value, report: &mut Report) {
    let mut text = String::new();
    for feature in list(&found["separating"]) {
        let name = feature["feature"].as_str().unwrap_or_default();
        let judged = JUDGED.iter().find(|(judged, _)| *judged == name);
        let _ = writeln!(
            text,
            "- `{name}`: {}; {}",
            number(feature["roc_auc"].as_f64(), 4),
            judged.map_or("**not judged yet**", |(_, why)| why)
        );
    }
    if text.is_empty() {
        let best = list(&found["best"]).first();
        let _ = writeln!(
            text,
            "None; the best is `{}` with {}.",
            best.and_then(|best| best["feature"].as_str()).unwrap_or_default(),
            number(best.and_then(|best| best["roc_auc"].as_f64()), 4)
        );
    }
    report.part(
        &format!("Single features that separate {data} (ROC AUC over 0.999)"),
        &text,
    );
}
