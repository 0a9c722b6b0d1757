//! The drawings of the report: curves, histogram, timeline, contributions. It must never draw a curve for which there
//! are no rows of both kinds.

use std::fmt::Write as _;

use super::{
    marks::{incidents, names},
    page::escaped,
    paragraph,
    plot::{Axis, Plot},
};
use crate::{
    alert::rfc3339,
    evaluate::{
        detail::{BIN_RANGE, BINS, LEAST_FPR, Xy},
        run::Evaluated,
        summary::{model_name, number},
    },
};

/// Series told apart by colour and dashes.
const SERIES: usize = 6;
/// Features listed at most.
const MAX_FEATURES: usize = 15;
/// Room above the timeline for the names of events, and below it for incidents.
const NAMES_PX: f64 = 52.0;
const MARKS_PX: f64 = 30.0;

/// Precision-recall and ROC curves of all models in the same axes.
pub(super) fn curves(models: &[Evaluated]) -> String {
    if models.iter().all(|model| model.detail.roc.len() < 2) {
        return paragraph("There are no curves without rows of both kinds, benign and malicious.");
    }
    let size = (348.0, 300.0);
    let log = Axis::decades("false positive rate, logarithmic", LEAST_FPR.log10(), 0.0);
    let tpr = || Axis::share("true positive rate");
    let mut plots = [
        (
            Plot::new(size, Axis::share("recall"), Axis::share("precision")),
            "Precision and recall",
        ),
        (
            Plot::new(size, Axis::share("false positive rate"), tpr()),
            "ROC curve",
        ),
        (Plot::new(size, log, tpr()), "ROC curve, logarithmic"),
    ];
    for (index, model) in models.iter().enumerate() {
        let (detail, figures) = (&model.detail, &model.figures);
        let class = format!("s{}", index % SERIES);
        let name = format!("{}, at its threshold", model_name(figures));
        let fpr = figures.fpr.unwrap_or(0.0);
        let (precision, recall) = (figures.precision, figures.recall.unwrap_or(0.0));
        let drawn: [(&[Xy], Option<Xy>); 3] = [
            (
                &detail.precision_recall,
                precision.map(|precision| (recall, precision)),
            ),
            (&detail.roc, Some((fpr, recall))),
            (&detail.roc_log, Some((fpr.max(LEAST_FPR).log10(), recall))),
        ];
        for ((plot, _), (points, own)) in plots.iter_mut().zip(drawn) {
            if points.is_empty() {
                continue;
            }
            plot.line(points.iter().copied(), &format!("curve {class}"));
            if let Some(own) = own {
                plot.circle(own, &class, &name);
            }
        }
    }
    let mut html = String::from("<div class=\"key\">");
    for (index, model) in models.iter().enumerate() {
        let _ = write!(
            html,
            "<span><svg width=\"34\" height=\"10\"><path class=\"curve s{}\" d=\"M0 5H34\"/></svg>{}</span>",
            index % SERIES,
            escaped(&model_name(&model.figures))
        );
    }
    html.push_str("<span>● at the model's own threshold</span></div>\n<div class=\"row\">");
    for (plot, description) in plots {
        html.push_str(&plot.finish(description));
    }
    html.push_str("</div>");
    html + &paragraph(
        "A flow alarms with its host: unusual flows of a host over its threshold count too, and single ARP exchanges do \
         not. A model's own point can therefore lie beside its curve, which ranks rows one by one.",
    )
}

/// Rows by strength, benign and malicious, on a logarithmic scale.
pub(super) fn histogram(model: &Evaluated) -> String {
    let (benign, bad) = (&model.detail.benign, &model.detail.malicious);
    let logarithm = |count: u64| (1.0 + count as f64).log10();
    let most = benign.iter().chain(bad).copied().max().unwrap_or(0);
    let top = logarithm(most).max(1.0);
    let y = Axis {
        title: "rows, logarithmic",
        range: (0.0, top),
        ticks: (0..=top as i32)
            .map(|power| {
                let count = 10u64.pow(power.unsigned_abs());
                (logarithm(count), count.to_string())
            })
            .filter(|(place, _)| *place <= top)
            .collect(),
    };
    let x = Axis::decades("strength of the row", BIN_RANGE.0, BIN_RANGE.1);
    let mut plot = Plot::new((540.0, 300.0), x, y);
    let width = (BIN_RANGE.1 - BIN_RANGE.0) / BINS as f64;
    for (index, count) in benign.iter().enumerate() {
        if *count > 0 {
            let left = BIN_RANGE.0 + index as f64 * width;
            let title = format!("{count} benign rows");
            plot.rectangle(
                (left, left + width),
                (0.0, logarithm(*count)),
                0.0,
                "benign half",
                &title,
            );
        }
    }
    let outline = bad.iter().enumerate().flat_map(|(index, count)| {
        let left = BIN_RANGE.0 + index as f64 * width;
        [(left, logarithm(*count)), (left + width, logarithm(*count))]
    });
    plot.line(outline, "outline");
    plot.vertical(model.figures.threshold.max(1e-9).log10(), "threshold");
    format!(
        "<div class=\"key\"><span><svg width=\"14\" height=\"10\"><rect class=\"benign half\" width=\"14\" height=\"10\"/></svg>benign</span>\
         <span><svg width=\"22\" height=\"10\"><path class=\"outline\" d=\"M0 5H22\"/></svg>malicious</span>\
         <span><svg width=\"22\" height=\"10\"><path class=\"threshold\" d=\"M0 5H22\"/></svg>threshold {}</span></div>\n{}",
        number(Some(model.figures.threshold)),
        plot.finish("Rows by strength")
    )
}

/// The strongest rows over time, with events and incidents.
pub(super) fn timeline(model: &Evaluated) -> String {
    let detail = &model.detail;
    let cells = detail.timeline.cells();
    let (Some(first), Some(last)) = (cells.first(), cells.last()) else {
        return paragraph("No window was judged.");
    };
    let (start_ns, end_ns) = (first.start_ns, last.end_ns);
    let after = |time_ns: u64| time_ns.saturating_sub(start_ns) as f64 / 1e9;
    let logarithm = |strength: f32| f64::from(strength).max(1e-9).log10();
    let most = cells
        .iter()
        .map(|cell| cell.benign.max(cell.malicious))
        .fold(model.figures.threshold as f32, f32::max);
    let high = logarithm(most.min(1e6)).max(1.0) + 0.1;
    let mut plot = Plot::with_room(
        (1080.0, 380.0),
        NAMES_PX,
        MARKS_PX,
        time_axis(after(end_ns)),
        Axis::decades("strongest row, strength", -1.0, high),
    );
    for event in detail.events() {
        let label = model
            .figures
            .labels
            .get(usize::from(event.label))
            .map_or("", |label| label.label.as_str());
        let found = match event.delay_ns {
            Some(delay_ns) => format!("found after {} s", number(Some(delay_ns as f64 / 1e9))),
            None => "missed".to_owned(),
        };
        let title = format!("{label}, {}: {found}", time_text(event.start_ns));
        let span = (after(event.start_ns), after(event.end_ns));
        plot.rectangle(span, (-1.0, high), 2.0, "band", &title);
    }
    for cell in cells {
        let span = (after(cell.start_ns), after(cell.end_ns));
        // The taller bar first, so that neither hides the other.
        let mut bars = [(cell.malicious, "bad"), (cell.benign, "benign")];
        bars.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (strength, class) in bars.iter().filter(|(strength, _)| *strength > 0.1) {
            plot.rectangle(span, (-1.0, logarithm(*strength)), 0.8, class, "");
        }
    }
    plot.horizontal(model.figures.threshold.max(1e-9).log10(), "threshold");
    names(&mut plot, model, &after);
    incidents(&mut plot, &detail.matched.marks, &after);
    format!(
        "<p>From {} to {} (UTC).</p>\n<div class=\"key\">\
         <span><svg width=\"14\" height=\"10\"><rect class=\"benign\" width=\"14\" height=\"10\"/></svg>benign</span>\
         <span><svg width=\"14\" height=\"10\"><rect class=\"bad\" width=\"14\" height=\"10\"/></svg>malicious</span>\
         <span><svg width=\"14\" height=\"10\"><rect class=\"band\" width=\"14\" height=\"10\"/></svg>labelled event</span>\
         <span>▲ incident about an event</span><span>× false incident</span>\
         <span><svg width=\"22\" height=\"10\"><path class=\"threshold\" d=\"M0 5H22\"/></svg>threshold</span></div>\n\
         <div class=\"wide\">{}</div>",
        time_text(start_ns),
        time_text(end_ns),
        plot.finish("Strongest rows, events and incidents over time")
    )
}

/// A time without fractions of a second.
pub(super) fn time_text(time_ns: u64) -> String {
    let text = rfc3339(time_ns.try_into().unwrap_or(i64::MAX));
    text.split('.').next().unwrap_or_default().replace('T', " ")
}

/// Time since the start, with up to a dozen round ticks.
fn time_axis(length_s: f64) -> Axis {
    const STEPS_S: [(f64, f64, &str); 20] = [
        (1.0, 1.0, "s"),
        (2.0, 1.0, "s"),
        (5.0, 1.0, "s"),
        (10.0, 1.0, "s"),
        (30.0, 1.0, "s"),
        (60.0, 60.0, "min"),
        (120.0, 60.0, "min"),
        (300.0, 60.0, "min"),
        (600.0, 60.0, "min"),
        (1800.0, 60.0, "min"),
        (3600.0, 3600.0, "h"),
        (7200.0, 3600.0, "h"),
        (10_800.0, 3600.0, "h"),
        (21_600.0, 3600.0, "h"),
        (43_200.0, 3600.0, "h"),
        (86_400.0, 86_400.0, "d"),
        (172_800.0, 86_400.0, "d"),
        (604_800.0, 86_400.0, "d"),
        (2_592_000.0, 86_400.0, "d"),
        (31_536_000.0, 86_400.0, "d"),
    ];
    let fits = |(step, ..): &&(f64, f64, &str)| length_s / step <= 12.0;
    let (step, unit, name) = STEPS_S
        .iter()
        .find(fits)
        .copied()
        .unwrap_or((length_s.max(1.0), 86_400.0, "d"));
    let count = (length_s / step).clamp(0.0, 12.0) as u32;
    Axis {
        title: "time since the start",
        range: (0.0, length_s.max(1e-9)),
        ticks: (0..=count)
            .map(|tick| {
                let at = f64::from(tick) * step;
                (at, format!("{:.0} {name}", at / unit))
            })
            .collect(),
    }
}

/// The features that carried the alarms.
pub(super) fn contributions(model: &Evaluated) -> String {
    let shares = model.detail.contributions.largest_first();
    let Some((_, most)) = shares.first() else {
        return paragraph("No alert gave reasons.");
    };
    let mut html = paragraph(&format!(
        "Mean share of each feature in the score, over {} alerts.",
        model.detail.contributions.alerts()
    ));
    html.push_str("<table><tbody>");
    for (feature, share) in shares.iter().take(MAX_FEATURES) {
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td class=\"n\">{:.1} %</td><td><svg width=\"320\" height=\"12\"><rect class=\"bar\" y=\"1\" height=\"10\" width=\"{:.0}\"/></svg></td></tr>",
            escaped(feature),
            share * 100.0,
            (share / most.max(1e-9) * 320.0).max(1.0)
        );
    }
    html + "</tbody></table>"
}
