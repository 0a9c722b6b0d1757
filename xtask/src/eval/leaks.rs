//! What is known of features that alone separate malicious from benign rows of a data set: whether that is how the attack
//! behaves or how the recording was made. A feature that nobody has judged yet is said to be so.

use std::fmt::Write as _;

use serde_json::Value;

use super::labelled::list;
use super::table::{Report, number};

/// Feature, and why it is or is not a leak of the recording.
const JUDGED: [(&str, &str); 0] = [];

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
