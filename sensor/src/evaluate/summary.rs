//! The figures as tables of text: for a terminal, and as the cells of the report. Averages over attacks come first,
//! because one large flood hides a missed beacon in everything counted by row. It must never show a figure that was
//! not measured: those are a dash.

use std::fmt::Write as _;

use super::tally::{Figures, LabelFigures};

/// One figure of all models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub name: &'static str,
    /// One value per model.
    pub values: Vec<String>,
}

/// A group of figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What they have in common.
    pub title: &'static str,
    /// The figures.
    pub lines: Vec<Line>,
}

/// Headers of [`label_cells`].
pub const LABEL_HEADERS: [&str; 8] = [
    "attack",
    "rows",
    "ROC AUC",
    "recall",
    "recall at FPR 1 %",
    "events found",
    "delay",
    "named as",
];

type Value = fn(&Figures) -> String;

/// All figures of all models, in the order in which they should be read.
pub fn blocks(models: &[&Figures]) -> Vec<Block> {
    let block = |title, lines: &[(&'static str, Value)]| Block {
        title,
        lines: lines
            .iter()
            .map(|(name, value)| Line {
                name,
                values: models.iter().map(|figures| value(figures)).collect(),
            })
            .collect(),
    };
    vec![
        block(
            "Mean over attacks",
            &[
                ("ROC AUC", |f| share(f.over_labels.roc_auc)),
                ("recall at FPR 1 %", |f| share(f.over_labels.recall_at_fpr_1e2)),
                ("recall at the threshold", |f| share(f.over_labels.recall)),
            ],
        ),
        block(
            "Events and incidents",
            &[
                ("events found", |f| {
                    format!("{} of {}", f.events.detected, f.events.total)
                }),
                ("events missed", |f| match f.events.missed.as_slice() {
                    [] => "none".to_owned(),
                    missed => missed.join(", "),
                }),
                ("median delay", |f| seconds(f.events.median_delay_s)),
                ("incidents, of which false", |f| {
                    format!("{}, {}", f.incidents.total, f.incidents.wrong)
                }),
                ("false incidents per hour", |f| number(f.incidents.false_per_hour)),
                ("false incidents per day, asked for", |f| {
                    number(Some(f.alarm_budget_per_day))
                }),
                ("false incidents per day, realised", |f| {
                    number(f.realised_alarm_rate_per_day)
                }),
            ],
        ),
        block(
            "Rows at the threshold",
            &[
                ("threshold", |f| number(Some(f.threshold))),
                ("precision", |f| share(f.precision)),
                ("recall", |f| share(f.recall)),
                ("F1", |f| share(f.f1)),
                ("false positive rate", |f| rate(f.fpr)),
            ],
        ),
        block(
            "Rows by rank",
            &[
                ("ROC AUC", |f| share(f.roc_auc)),
                ("PR AUC", |f| share(f.pr_auc)),
                ("TPR at FPR 0.1 %", |f| share(f.tpr_at_fpr_1e3)),
                ("TPR at FPR 1 %", |f| share(f.tpr_at_fpr_1e2)),
            ],
        ),
    ]
}

/// The cells of one attack.
pub fn label_cells(label: &LabelFigures) -> [String; 8] {
    let mut named: Vec<(u64, &str)> = label
        .named_as
        .iter()
        .map(|(name, count)| (*count, *name))
        .collect();
    named.sort_by(|a, b| b.cmp(a));
    let named: Vec<String> = named
        .iter()
        .map(|(count, name)| match count {
            1 => (*name).to_owned(),
            _ => format!("{name} ×{count}"),
        })
        .collect();
    [
        label.label.clone(),
        label.rows.to_string(),
        share(label.roc_auc),
        share(label.recall),
        share(label.recall_at_fpr_1e2),
        format!("{} of {}", label.detected, label.events),
        seconds(label.median_delay_s),
        if named.is_empty() {
            "–".to_owned()
        } else {
            named.join(", ")
        },
    ]
}

/// What a model is called in headers.
pub fn model_name(figures: &Figures) -> String {
    format!("{} {}", figures.detector, figures.model)
}

/// Everything for a terminal.
pub fn text(models: &[&Figures]) -> String {
    let mut table: Vec<Vec<String>> = Vec::new();
    let mut titles = vec![String::new()];
    titles.extend(models.iter().map(|figures| model_name(figures)));
    table.push(titles);
    for block in blocks(models) {
        table.push(vec![block.title.to_owned()]);
        for line in block.lines {
            let mut cells = vec![format!("  {}", line.name)];
            cells.extend(line.values);
            table.push(cells);
        }
    }
    let mut text = aligned(&table);
    for figures in models {
        let mut table = vec![LABEL_HEADERS.map(str::to_owned).to_vec()];
        table.extend(figures.labels.iter().map(|label| label_cells(label).to_vec()));
        let _ = write!(text, "\n{}\n{}", model_name(figures), aligned(&table));
    }
    text
}

/// Columns as wide as their widest cell; nothing behind the last cell of a line.
fn aligned(table: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for cells in table.iter().filter(|cells| cells.len() > 1) {
        for (index, cell) in cells.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(held) => *held = width.max(*held),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for cells in table {
        let line: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A share with four digits, or a dash.
pub fn share(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.4}"))
}

/// A small rate with three significant digits.
fn rate(value: Option<f64>) -> String {
    match value {
        Some(value) if value > 0.0 && value < 0.001 => format!("{value:.2e}"),
        other => share(other),
    }
}

/// Any number with about three digits.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => trimmed(&format!("{value:.1}")),
        Some(value) if value.abs() >= 0.01 => trimmed(&format!("{value:.2}")),
        Some(value) => format!("{value:.1e}").replace(".0e", "e"),
    }
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Seconds, or a dash.
pub fn seconds(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 600.0 => format!("{:.0} min", value / 60.0),
        other => {
            let text = number(other);
            if other.is_some() {
                format!("{text} s")
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_dash_and_models_stand_side_by_side() {
        let mut first = Figures {
            detector: "autoencoder".to_owned(),
            model: "ae-1".to_owned(),
            ..Figures::default()
        };
        first.over_labels.roc_auc = Some(0.998_76);
        first.events.missed = vec!["beacon".to_owned()];
        first.labels.push(LabelFigures {
            label: "beacon".to_owned(),
            named_as: [("beacon", 2), ("unclassified", 1)].into(),
            ..LabelFigures::default()
        });
        let second = Figures {
            detector: "kmeans".to_owned(),
            model: "km-2".to_owned(),
            ..Figures::default()
        };
        let text = text(&[&first, &second]);
        let line = |start: &str| {
            text.lines()
                .find(|line| line.trim_start().starts_with(start))
                .unwrap_or("")
        };
        assert_eq!(
            line("ROC AUC").split_whitespace().collect::<Vec<_>>(),
            ["ROC", "AUC", "0.9988", "–"]
        );
        assert!(line("events missed").contains("beacon"));
        assert!(text.contains("autoencoder ae-1  kmeans km-2"), "{text}");
        assert!(text.contains("beacon ×2, unclassified"), "{text}");
    }

    #[test]
    fn numbers_are_short_whatever_their_size() {
        let values = [0.0, 0.000_01, 0.000_012_3, 0.5, 3.0, 12.34, 4567.8].map(|value| number(Some(value)));
        assert_eq!(values, ["0", "1e-5", "1.2e-5", "0.5", "3", "12.3", "4568"]);
        assert_eq!(seconds(Some(4.5)), "4.5 s");
        assert_eq!(seconds(Some(1200.0)), "20 min");
        assert_eq!(seconds(None), "–");
    }
}
