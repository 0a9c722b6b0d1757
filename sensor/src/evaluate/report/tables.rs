//! The tables of the report. It must never hide a missed event behind an average.

use std::fmt::Write as _;

use super::{charts::time_text, page::escaped};
use crate::evaluate::{
    run::Evaluated,
    summary::{self, LABEL_HEADERS},
    tally::Figures,
};

/// Names of inputs listed at most.
const MAX_INPUTS: usize = 8;

/// What was evaluated.
pub(super) fn about(model: &Evaluated, inputs: &[String], labels: &str) -> String {
    let figures = &model.figures;
    let mut named = inputs
        .iter()
        .take(MAX_INPUTS)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if inputs.len() > MAX_INPUTS {
        let _ = write!(named, " and {} more", inputs.len() - MAX_INPUTS);
    }
    let cells = model.detail.timeline.cells();
    let from = cells.first().map_or_else(String::new, |first| {
        format!(", beginning {} UTC", time_text(first.start_ns))
    });
    format!(
        "<p>{}, labelled by {}: {} packets in {}{from}; {} flow rows, of which {} malicious.<br>\
         Thresholds are those the models carry for {} false alarms a day; nothing was chosen on these labels. \
         Made by sensor {}.</p>",
        escaped(&named),
        escaped(labels),
        figures.capture.packets,
        escaped(&duration(figures.capture.seconds)),
        figures.rows.total,
        figures.rows.malicious,
        escaped(&summary::number(Some(figures.alarm_budget_per_day))),
        env!("CARGO_PKG_VERSION"),
    )
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 172_800.0 => format!("{:.1} days", s / 86_400.0),
        s if s >= 7200.0 => format!("{:.1} hours", s / 3600.0),
        s if s >= 120.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{s:.0} s"),
    }
}

/// The figures to quote.
pub(super) fn cards(figures: &Figures) -> String {
    let mean = &figures.over_labels;
    let events = &figures.events;
    let cards = [
        (summary::share(mean.roc_auc), "ROC AUC, mean over attacks"),
        (
            summary::share(mean.recall_at_fpr_1e2),
            "recall at FPR 1 %, mean over attacks",
        ),
        (
            summary::share(mean.recall),
            "recall at the threshold, mean over attacks",
        ),
        (format!("{} of {}", events.detected, events.total), "events found"),
        (
            summary::seconds(events.median_delay_s),
            "median delay to the first alert",
        ),
        (
            summary::number(figures.incidents.false_per_hour),
            "false incidents per hour",
        ),
    ];
    let mut html = String::from("<div class=\"cards\">");
    for (value, name) in cards {
        let _ = write!(
            html,
            "<div class=\"card\"><b>{}</b><span>{name}</span></div>",
            escaped(&value)
        );
    }
    html + "</div>"
}

/// All figures, one column per model.
pub(super) fn figures(models: &[Evaluated]) -> String {
    let all: Vec<&Figures> = models.iter().map(|model| &model.figures).collect();
    let mut html = String::from("<div class=\"wide\"><table><thead><tr><th></th>");
    for figures in &all {
        let _ = write!(
            html,
            "<th class=\"n\">{}</th>",
            escaped(&summary::model_name(figures))
        );
    }
    html.push_str("</tr></thead><tbody>");
    for block in summary::blocks(&all) {
        let _ = write!(
            html,
            "<tr class=\"g\"><th colspan=\"{}\">{}</th></tr>",
            all.len() + 1,
            escaped(block.title)
        );
        for line in block.lines {
            let _ = write!(html, "<tr><td>{}</td>", escaped(line.name));
            for value in line.values {
                let _ = write!(html, "<td class=\"n\">{}</td>", escaped(&value));
            }
            html.push_str("</tr>");
        }
    }
    html + "</tbody></table></div>"
}

/// One row per attack.
pub(super) fn labels(figures: &Figures) -> String {
    if figures.labels.is_empty() {
        return super::paragraph("The labels name no attack.");
    }
    let class = |index: usize| {
        if (1..=6).contains(&index) {
            " class=\"n\""
        } else {
            ""
        }
    };
    let mut html = String::from("<div class=\"wide\"><table><thead><tr>");
    for (index, header) in LABEL_HEADERS.iter().enumerate() {
        let _ = write!(html, "<th{}>{}</th>", class(index), escaped(header));
    }
    html.push_str("</tr></thead><tbody>");
    for label in &figures.labels {
        html.push_str("<tr>");
        for (index, cell) in summary::label_cells(label).iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(index), escaped(cell));
        }
        html.push_str("</tr>");
    }
    html + "</tbody></table></div>"
}

/// Rows by label and verdict.
pub(super) fn confusion(figures: &Figures) -> String {
    let c = &figures.confusion;
    let cell = |count: u64, of: u64| {
        let share = if of == 0 {
            String::new()
        } else {
            format!("{:.2} %", count as f64 / of as f64 * 100.0)
        };
        format!("<td><b>{count}</b><small>{share}</small></td>")
    };
    let (bad, good) = (c.tp + c.fn_, c.fp + c.tn);
    format!(
        "<table class=\"matrix\"><thead><tr><th></th><th>alarmed</th><th>not alarmed</th></tr></thead><tbody>\
         <tr><th>malicious</th>{}{}</tr><tr><th>benign</th>{}{}</tr></tbody></table>",
        cell(c.tp, bad),
        cell(c.fn_, bad),
        cell(c.fp, good),
        cell(c.tn, good)
    )
}
