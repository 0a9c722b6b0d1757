//! Figures as Markdown tables: macro averages first, no figure that was chosen on the labels it reports on.

use std::fmt::Write as _;

use serde_json::Value;

use super::tools::BUDGET;

/// Everything that is printed; and what is only for whoever works on detection, because it names hosts of captures that
/// may not be copied.
#[derive(Default)]
pub(super) struct Report {
    main: String,
    /// Further tables, in order.
    parts: Vec<String>,
    asides: String,
}

const HEAD: &str = "\
| data | detector | rows | macro ROC AUC | macro recall at FPR 1 % | macro recall | ROC AUC | PR AUC | TPR at 1e-3 | TPR at 1e-2 | FPR | precision | recall | F1 | events | median delay s | false incidents/h | per day (asked) |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

impl Report {
    /// A line of the main table.
    pub(super) fn line(&mut self, data: &str, figures: &Value) {
        let line = line(data, figures);
        eprintln!("{line}");
        self.main.push_str(&line);
        self.main.push('\n');
    }

    /// A table of its own, or a list.
    pub(super) fn part(&mut self, title: &str, text: &str) {
        let part = format!("### {title}\n\n{}\n", text.trim_end());
        eprintln!("{part}");
        self.parts.push(part);
    }

    /// What must not go into a document.
    pub(super) fn aside(&mut self, title: &str, text: &str) {
        let text = if text.is_empty() { "None.\n" } else { text };
        let _ = write!(self.asides, "### {title}\n\n{text}\n");
    }

    /// All asides.
    pub(super) fn asides(&self) -> &str {
        &self.asides
    }

    /// All but the asides.
    pub(super) fn text(&self) -> String {
        let mut text = format!("### Labelled captures\n\n{HEAD}{}", self.main);
        for part in &self.parts {
            let _ = write!(text, "\n{part}");
        }
        text
    }
}

fn line(data: &str, figures: &Value) -> String {
    let events = &figures["events"];
    let found = format!("{}/{}", events["detected"], events["total"]);
    // A baseline also says what it would find at the false positive rate of the ensemble.
    let found = match figures["events_at_fpr"].as_u64() {
        Some(at_rate) => format!("{found} ({at_rate} at the ensemble's FPR)"),
        None => found,
    };
    let per_hour = figures["incidents"]["false_per_hour"].as_f64();
    let cells = [
        data.to_owned(),
        figures["detector"].as_str().unwrap_or_default().to_owned(),
        figures["rows"]["total"].to_string(),
        share(&figures["macro"]["roc_auc"]),
        share(&figures["macro"]["recall_at_fpr_1e2"]),
        share(&figures["macro"]["recall"]),
        share(&figures["roc_auc"]),
        share(&figures["pr_auc"]),
        share(&figures["tpr_at_fpr_1e3"]),
        share(&figures["tpr_at_fpr_1e2"]),
        figures["fpr"]
            .as_f64()
            .map_or("–".into(), |rate| format!("{rate:.4}")),
        share(&figures["precision"]),
        share(&figures["recall"]),
        share(&figures["f1"]),
        found,
        number(events["median_delay_s"].as_f64(), 0),
        number(per_hour, 1),
        format!("{} ({BUDGET})", number(per_hour.map(|rate| rate * 24.0), 0)),
    ];
    format!("| {} |", cells.join(" | "))
}

/// A figure between 0 and 1.
pub(super) fn share(value: &Value) -> String {
    number(value.as_f64(), 3)
}

/// A figure, or a dash where there is none.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.digits$}"))
}

/// Incidents as a list of their summaries, by their behaviour.
pub(super) fn summaries(title: &str, incidents: &[Value]) -> String {
    let mut text = String::new();
    for incident in incidents {
        let word = |key: &str| incident[key].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "- {title}: {} {}: {}",
            word("severity"),
            word("behaviour"),
            word("summary")
        );
    }
    text
}
