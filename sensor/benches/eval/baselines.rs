//! Two detectors that learn nothing worth the name, and single features: what a model has to beat, and what would beat
//! it for the wrong reason. Their own threshold is the 99.5 % quantile of the training rows' scores.

use std::collections::BTreeMap;

use sensor::{
    evaluate::{
        curves::Curves,
        events::{Matched, Verdict},
        tally::{Figures, ScoredRow},
    },
    features::FLOW_FEATURES,
};
use serde_json::{Value, json};

use crate::rows::{Row, Set};

/// Share of training rows below a baseline's own threshold.
const OWN_QUANTILE: f64 = 0.995;
/// z-scores count as at most this.
const CLIP: f32 = 8.0;
/// A pause of a label's activity that ends an event, as in `sensor evaluate`.
const EVENT_GAP_NS: u64 = 600_000_000_000;
/// Alarms of one initiator within this time are one incident, as in the sensor.
const IDLE_NS: u64 = 3_600_000_000_000;

/// A way to score a row.
type Score<'a> = &'a dyn Fn(&Row) -> f32;

/// Mean and standard deviation of every scaled feature of ordinary rows.
struct Usual(Vec<(f64, f64)>);

impl Usual {
    fn of(rows: &[Row]) -> Self {
        let mut sums = vec![(0u64, 0.0f64, 0.0f64); FLOW_FEATURES.len()];
        for row in rows {
            for (value, (count, sum, squares)) in scaled(row).zip(&mut sums) {
                if value.is_finite() {
                    let value = f64::from(value);
                    *count += 1;
                    *sum += value;
                    *squares += value * value;
                }
            }
        }
        let usual = sums.into_iter().map(|(count, sum, squares)| {
            let mean = sum / count.max(1) as f64;
            let spread = (squares / count.max(1) as f64 - mean * mean).max(0.0).sqrt();
            // As scikit-learn's StandardScaler does with a constant feature.
            (mean, if spread > 1e-9 { spread } else { 1.0 })
        });
        Self(usual.collect())
    }

    /// Absolute z-scores of a row, clipped; absent values have none.
    fn z<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = f32> + 'a {
        scaled(row).zip(&self.0).map(|(value, (mean, spread))| {
            if value.is_finite() {
                (((f64::from(value) - mean) / spread).abs() as f32).min(CLIP)
            } else {
                0.0
            }
        })
    }
}

fn scaled(row: &Row) -> impl Iterator<Item = f32> + '_ {
    row.values
        .iter()
        .zip(FLOW_FEATURES)
        .map(|(value, feature)| feature.scale.apply(*value))
}

/// Figures of both baselines, in the form of `sensor evaluate --json`.
pub(crate) fn figures(lessons: &Set, trial: &Set, fpr: f64) -> Value {
    let usual = Usual::of(&lessons.rows);
    let z = |row: &Row| usual.z(row).fold(0.0, f32::max);
    let rate = |row: &Row| row.destination_rate;
    let of = |name: &str, score: Score<'_>| judge(name, score, lessons, trial, fpr);
    json!([of("largest z-score", &z), of("packets/s per destination", &rate)])
}

fn judge(name: &str, score: Score<'_>, lessons: &Set, trial: &Set, fpr: f64) -> Value {
    let mut training: Vec<f32> = lessons.rows.iter().map(score).collect();
    training.sort_unstable_by(f32::total_cmp);
    let place = (training.len() as f64 * OWN_QUANTILE) as usize;
    let own = training.get(place).copied().unwrap_or(f32::INFINITY);
    let scores: Vec<f32> = trial.rows.iter().map(score).collect();
    let rows: Vec<ScoredRow> = trial
        .rows
        .iter()
        .zip(&scores)
        .map(|(row, score)| ScoredRow {
            score: *score,
            label: row.label,
            alarm: *score >= own,
        })
        .collect();
    let (events, alone) = (events(trial, &scores, own), incidents(trial, &scores, own));
    let matched = Matched {
        incidents: alone,
        false_incidents: alone,
        events,
        ..Matched::default()
    };
    let mut figures = Figures::of(&rows, &trial.names, &matched, trial.seconds);
    name.clone_into(&mut figures.detector);
    figures.threshold = f64::from(own);
    figures.capture.seconds = trial.seconds;
    let at_rate = threshold_at(&rows, fpr);
    let found = self::events(trial, &scores, at_rate);
    let mut value = serde_json::to_value(&figures).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        let found = found.iter().filter(|event| event.delay_ns.is_some()).count();
        object.insert("events_at_fpr".into(), json!(found));
    }
    value
}

/// The lowest score that at most this share of benign rows reaches.
fn threshold_at(rows: &[ScoredRow], fpr: f64) -> f32 {
    let curves = Curves::of(rows.iter().map(|row| (row.score, row.label.is_some())));
    let most = fpr * curves.negatives as f64;
    let below = curves.points.iter().take_while(|point| point.fp as f64 <= most);
    below.last().map_or(f32::INFINITY, |point| point.score)
}

/// Stretches of each label's activity; found by the first of its rows above the threshold.
fn events(trial: &Set, scores: &[f32], threshold: f32) -> Vec<Verdict> {
    let mut open: BTreeMap<(usize, u16), usize> = BTreeMap::new();
    let mut events: Vec<Verdict> = Vec::new();
    for (row, score) in trial.rows.iter().zip(scores) {
        let Some(label) = row.label else { continue };
        let place = match open.get(&(row.capture, label)) {
            Some(place)
                if events
                    .get(*place)
                    .is_some_and(|event| row.at_ns.saturating_sub(event.end_ns) <= EVENT_GAP_NS) =>
            {
                *place
            }
            _ => {
                events.push(Verdict {
                    label,
                    start_ns: row.at_ns,
                    end_ns: row.at_ns,
                    delay_ns: None,
                });
                open.insert((row.capture, label), events.len() - 1);
                events.len() - 1
            }
        };
        if let Some(event) = events.get_mut(place) {
            event.end_ns = row.at_ns;
            if *score >= threshold && event.delay_ns.is_none() {
                event.delay_ns = Some(row.at_ns - event.start_ns);
            }
        }
    }
    events
}

/// Alarms on benign rows, grouped by initiator with the sensor's idle time.
fn incidents(trial: &Set, scores: &[f32], threshold: f32) -> u64 {
    let mut last: BTreeMap<(usize, [u8; 16]), u64> = BTreeMap::new();
    let mut count = 0;
    for (row, score) in trial.rows.iter().zip(scores) {
        if row.label.is_some() || *score < threshold {
            continue;
        }
        let before = last.insert((row.capture, row.initiator), row.at_ns);
        if before.is_none_or(|before| row.at_ns.saturating_sub(before) > IDLE_NS) {
            count += 1;
        }
    }
    count
}

/// Every feature alone, by its distance from the training rows' mean and by its value, in whichever direction separates
/// better. Absent values count as a value of their own, the lowest.
pub(crate) fn leaks(lessons: &Set, trial: &Set, least: f64) -> Value {
    let usual = Usual::of(&lessons.rows);
    let z: Vec<Vec<f32>> = trial.rows.iter().map(|row| usual.z(row).collect()).collect();
    let bad = |index: usize| trial.rows.get(index).is_some_and(|row| row.label.is_some());
    let mut found = Vec::new();
    for (column, feature) in FLOW_FEATURES.iter().enumerate() {
        let value = |row: &Row| row.values.get(column).copied().unwrap_or(f32::NAN);
        let raw = Curves::of(trial.rows.iter().map(|row| (value(row), row.label.is_some())));
        let distance = Curves::of(
            z.iter()
                .enumerate()
                .map(|(index, row)| (row.get(column).copied().unwrap_or(0.0), bad(index))),
        );
        let raw = raw.roc_auc().map_or(0.0, |area| area.max(1.0 - area));
        let area = distance.roc_auc().unwrap_or(0.0).max(raw);
        found.push((feature.name, area));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let list = |(name, area): &(&str, f64)| json!({"feature": name, "roc_auc": area});
    json!({
        "rows": trial.rows.len(),
        "separating": found.iter().filter(|(_, area)| *area > least).map(list).collect::<Vec<_>>(),
        "best": found.iter().take(5).map(list).collect::<Vec<_>>(),
    })
}
