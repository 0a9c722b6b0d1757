//! How the model came to be: what it was trained on, how its loss fell, what its thresholds rest on. All of it is from
//! the model's own manifest; it must never be mixed with figures of the evaluation.

use std::fmt::Write as _;

use super::{
    charts::time_text,
    page::escaped,
    plot::{Axis, Plot},
};
use crate::{
    detect::calibrate::Group,
    evaluate::{run::Evaluated, summary::number},
    model::NetworkTraining,
};

/// Passes drawn at most.
const MAX_EPOCHS: usize = 500;

pub(super) fn training(model: &Evaluated) -> String {
    let of = &model.model.training;
    let unsigned = |time_ns: i64| u64::try_from(time_ns).unwrap_or(0);
    let mut html = format!(
        "<p>Learned from {} windows between {} and {} UTC, seed {}.</p>\n<div class=\"row\">",
        of.windows,
        time_text(unsigned(of.first_ns)),
        time_text(unsigned(of.last_ns)),
        of.seed
    );
    for (kind, training) in [("Flow rows", &of.flow), ("Host rows", &of.host)] {
        html.push_str(&network(kind, training));
    }
    html.push_str("</div>\n<div class=\"row\">");
    html.push_str(&thresholds(model));
    html.push_str(&quantiles(model));
    html + "</div>"
}

fn network(kind: &str, training: &NetworkTraining) -> String {
    let mut html = format!(
        "<div><h4>{}</h4><p>{} trained on, {} held out, {} to calibrate on.</p>",
        escaped(kind),
        training.training_rows,
        training.held_out_rows,
        training.calibration_rows
    );
    if !training.dropped_features.is_empty() {
        let names: Vec<String> = training
            .dropped_features
            .iter()
            .map(|name| format!("<code>{}</code>", escaped(name)))
            .collect();
        let _ = write!(
            html,
            "<p>Constant in learning and left out: {}.</p>",
            names.join(", ")
        );
    }
    html.push_str(&loss(training));
    html + "</div>"
}

/// Loss by pass, if the detector was trained in passes.
fn loss(training: &NetworkTraining) -> String {
    let curve = &training.loss;
    let epochs = curve.training.len().max(curve.held_out.len());
    if epochs < 2 {
        return String::new();
    }
    let logarithm = |loss: f32| f64::from(loss).max(1e-9).log10();
    let both = || {
        curve
            .training
            .iter()
            .chain(&curve.held_out)
            .map(|loss| logarithm(*loss))
    };
    let (low, high) = (
        both().fold(f64::INFINITY, f64::min),
        both().fold(f64::NEG_INFINITY, f64::max),
    );
    let (low, high) = (low - 0.05, high + 0.05);
    let decades = low.floor() as i32..=high.ceil() as i32;
    let ticks = decades
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| f64::from(power) + f64::log10(digit)))
        .filter(|place| (low..=high).contains(place));
    let y = Axis {
        title: "loss, logarithmic",
        range: (low, high),
        ticks: ticks
            .map(|place| (place, number(Some(10f64.powf(place)))))
            .collect(),
    };
    let most = (epochs - 1) as f64;
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let step = steps
        .into_iter()
        .find(|step| most / step <= 6.0)
        .unwrap_or(1000.0);
    let x = Axis {
        title: "pass",
        range: (0.0, most),
        ticks: (0..=(most / step) as u32)
            .map(|tick| {
                let at = f64::from(tick) * step;
                (at, format!("{at:.0}"))
            })
            .collect(),
    };
    let mut plot = Plot::new((500.0, 220.0), x, y);
    let stride = epochs.div_ceil(MAX_EPOCHS);
    for (losses, class) in [(&curve.training, "curve s0"), (&curve.held_out, "curve s1")] {
        let points = losses.iter().enumerate().step_by(stride);
        plot.line(
            points.map(|(epoch, loss)| (epoch as f64, logarithm(*loss))),
            class,
        );
    }
    plot.vertical(curve.best_epoch as f64, "threshold");
    format!(
        "<div class=\"key\"><span><svg width=\"34\" height=\"10\"><path class=\"curve s0\" d=\"M0 5H34\"/></svg>training</span>\
         <span><svg width=\"34\" height=\"10\"><path class=\"curve s1\" d=\"M0 5H34\"/></svg>held out</span>\
         <span><svg width=\"22\" height=\"10\"><path class=\"threshold\" d=\"M0 5H22\"/></svg>pass {} was kept</span></div>{}",
        curve.best_epoch,
        plot.finish("Loss by pass")
    )
}

fn thresholds(model: &Evaluated) -> String {
    let mut html = String::from(
        "<div><h4>Thresholds</h4><table><thead><tr><th>of</th><th class=\"n\">threshold</th><th class=\"n\">asked p</th><th>rests on</th></tr></thead><tbody>",
    );
    for threshold in &model.figures.thresholds {
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            threshold.of,
            number(Some(threshold.strength)),
            number(Some(threshold.asked_p)),
            if threshold.beyond_reach {
                "the end of the data and a margin"
            } else {
                "calibration data"
            }
        );
    }
    html + "</tbody></table></div>"
}

fn quantiles(model: &Evaluated) -> String {
    let calibration = &model.model.calibration;
    let mut html = String::from(
        "<div><h4>Held-out scores</h4><table><thead><tr><th>traffic</th><th class=\"n\">50 %</th><th class=\"n\">90 %</th><th class=\"n\">99 %</th><th class=\"n\">largest</th><th class=\"n\">strength 1</th></tr></thead><tbody>",
    );
    let groups: Vec<&Group> = calibration
        .pools
        .iter()
        .chain(calibration.families.iter().flatten())
        .collect();
    for group in groups {
        let _ = write!(html, "<tr><td>{}</td>", escaped(&group.name));
        for value in group.quantiles.iter().chain([&group.normaliser]) {
            let _ = write!(html, "<td class=\"n\">{}</td>", number(Some(f64::from(*value))));
        }
        html.push_str("</tr>");
    }
    html + "</tbody></table></div>"
}
