//! Rows and their labels add up to the figures of the contract (`evaluate --json`). Every quotient without a
//! denominator is null; it must never become a number that looks measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::curves::{Curves, ratio};
use super::events::Matched;
use crate::labels::LabelId;

/// A scored flow row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredRow {
    /// Score, higher is more unusual.
    pub score: f32,
    /// Label; `None` is benign.
    pub label: Option<LabelId>,
    /// Whether the detector alarmed at its own threshold.
    pub alarm: bool,
}

/// Counts of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// All.
    pub total: u64,
    /// With a malicious packet.
    pub malicious: u64,
    /// Without.
    pub benign: u64,
}

/// Rows by verdict at the detector's own threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Malicious and alarmed.
    pub tp: u64,
    /// Benign and alarmed.
    pub fp: u64,
    /// Benign, no alarm.
    pub tn: u64,
    /// Malicious, no alarm.
    #[serde(rename = "fn")]
    pub fn_: u64,
}

/// Events found and missed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventFigures {
    /// Events.
    pub total: u64,
    /// With an incident about them.
    pub detected: u64,
    /// Labels of the others, in order of time.
    pub missed: Vec<String>,
    /// Median time from an event's start to its first alert.
    pub median_delay_s: Option<f64>,
}

/// Incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct IncidentFigures {
    /// Opened.
    pub total: u64,
    /// About no event.
    #[serde(rename = "false")]
    pub wrong: u64,
    /// Of those, per hour of capture.
    pub false_per_hour: Option<f64>,
}

/// Averages over labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MacroFigures {
    /// Mean area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Mean recall where 1 % of benign rows are above.
    pub recall_at_fpr_1e2: Option<f64>,
    /// Mean recall at the detector's own threshold.
    pub recall: Option<f64>,
}

/// One label against all benign rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabelFigures {
    /// The label.
    pub label: String,
    /// Its rows.
    pub rows: u64,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Recall at the detector's own threshold.
    pub recall: Option<f64>,
    /// Recall where 1 % of benign rows are above.
    pub recall_at_fpr_1e2: Option<f64>,
    /// Its events.
    pub events: u64,
    /// Of those, detected.
    pub detected: u64,
    /// Median time from an event's start to its first alert.
    pub median_delay_s: Option<f64>,
    /// Incidents about them, by behaviour.
    pub named_as: BTreeMap<&'static str, u64>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CaptureFigures {
    /// Frames.
    pub packets: u64,
    /// From the first to the last.
    pub seconds: f64,
}

/// How fast it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SpeedFigures {
    /// Frames per second of wall time.
    pub packets_per_second: f64,
    /// Rows per second of wall time.
    pub rows_per_second: f64,
}

/// A threshold of the model, and what it rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ThresholdFigures {
    /// What it is compared with: the strongest `flow` or `host` row of a host and window, or evidence over windows.
    pub of: &'static str,
    /// The threshold.
    pub strength: f64,
    /// Probability per host and window that was asked for.
    pub asked_p: f64,
    /// The calibration data did not reach that probability.
    pub beyond_reach: bool,
}

/// The figures of the contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Flow rows.
    pub rows: RowCounts,
    /// Detector kind.
    pub detector: String,
    /// Id of the model.
    pub model: String,
    /// Strength above which a flow row alarms.
    pub threshold: f64,
    /// False alarms a day that were asked for.
    pub alarm_budget_per_day: f64,
    /// Incidents a day about no event: what came of it.
    pub realised_alarm_rate_per_day: Option<f64>,
    /// All thresholds of the model at that budget.
    pub thresholds: Vec<ThresholdFigures>,
    /// At the threshold.
    pub confusion: Confusion,
    /// tp / (tp + fp).
    pub precision: Option<f64>,
    /// tp / (tp + fn).
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// fp / (fp + tn).
    pub fpr: Option<f64>,
    /// Of all rows.
    pub roc_auc: Option<f64>,
    /// Average precision of all rows.
    pub pr_auc: Option<f64>,
    /// Recall where one in a thousand benign rows is above.
    pub tpr_at_fpr_1e3: Option<f64>,
    /// Recall where one in a hundred benign rows is above.
    pub tpr_at_fpr_1e2: Option<f64>,
    /// Events.
    pub events: EventFigures,
    /// Incidents.
    pub incidents: IncidentFigures,
    /// Averages over labels.
    #[serde(rename = "macro")]
    pub over_labels: MacroFigures,
    /// By label.
    pub labels: Vec<LabelFigures>,
    /// What was read.
    pub capture: CaptureFigures,
    /// How fast.
    pub speed: SpeedFigures,
}

impl Figures {
    /// Sums rows and events. What is known of detector, capture and speed is the caller's to fill in.
    pub fn of(rows: &[ScoredRow], names: &[String], matched: &Matched, seconds: f64) -> Self {
        let mut figures = Self::default();
        let confusion = &mut figures.confusion;
        for row in rows {
            *match (row.label.is_some(), row.alarm) {
                (true, true) => &mut confusion.tp,
                (true, false) => &mut confusion.fn_,
                (false, true) => &mut confusion.fp,
                (false, false) => &mut confusion.tn,
            } += 1;
        }
        let Confusion { tp, fp, tn, fn_ } = *confusion;
        let share = |part: u64, whole: u64| ratio(part as f64, whole as f64);
        figures.rows = RowCounts {
            total: rows.len() as u64,
            malicious: tp + fn_,
            benign: fp + tn,
        };
        figures.precision = share(tp, tp + fp);
        figures.recall = share(tp, tp + fn_);
        figures.f1 = share(2 * tp, 2 * tp + fp + fn_);
        figures.fpr = share(fp, fp + tn);
        let curves = Curves::of(rows.iter().map(|row| (row.score, row.label.is_some())));
        figures.roc_auc = curves.roc_auc();
        figures.pr_auc = curves.pr_auc();
        figures.tpr_at_fpr_1e3 = curves.tpr_at(1e-3);
        figures.tpr_at_fpr_1e2 = curves.tpr_at(1e-2);
        figures.labels = names
            .iter()
            .enumerate()
            .map(|(id, name)| of_label(id as LabelId, name, rows, matched))
            .collect();
        figures.over_labels = MacroFigures {
            roc_auc: mean(figures.labels.iter().filter_map(|label| label.roc_auc)),
            recall_at_fpr_1e2: mean(figures.labels.iter().filter_map(|label| label.recall_at_fpr_1e2)),
            recall: mean(figures.labels.iter().filter_map(|label| label.recall)),
        };
        figures.events = events(names, matched);
        figures.realised_alarm_rate_per_day = ratio(matched.false_incidents as f64, seconds / 86_400.0);
        figures.incidents = IncidentFigures {
            total: matched.incidents,
            wrong: matched.false_incidents,
            false_per_hour: ratio(matched.false_incidents as f64, seconds / 3600.0),
        };
        figures
    }
}

fn of_label(id: LabelId, name: &str, rows: &[ScoredRow], matched: &Matched) -> LabelFigures {
    let own = rows.iter().filter(|row| row.label == Some(id));
    let (count, alarmed) = own.fold((0u64, 0u64), |(count, alarmed), row| {
        (count + 1, alarmed + u64::from(row.alarm))
    });
    let against_benign = rows
        .iter()
        .filter(|row| row.label.is_none_or(|label| label == id));
    let curves = Curves::of(against_benign.map(|row| (row.score, row.label.is_some())));
    let events = || matched.events.iter().filter(|event| event.label == id);
    LabelFigures {
        label: name.to_owned(),
        rows: count,
        roc_auc: curves.roc_auc(),
        recall: ratio(alarmed as f64, count as f64),
        recall_at_fpr_1e2: curves.tpr_at(1e-2),
        events: events().count() as u64,
        detected: events().filter(|event| event.delay_ns.is_some()).count() as u64,
        median_delay_s: median_s(events().filter_map(|event| event.delay_ns)),
        named_as: matched.named_as.get(&id).cloned().unwrap_or_default(),
    }
}

fn events(names: &[String], matched: &Matched) -> EventFigures {
    let missed = matched.events.iter().filter(|event| event.delay_ns.is_none());
    EventFigures {
        total: matched.events.len() as u64,
        detected: matched
            .events
            .iter()
            .filter(|event| event.delay_ns.is_some())
            .count() as u64,
        missed: missed
            .filter_map(|event| names.get(usize::from(event.label)).cloned())
            .collect(),
        median_delay_s: median_s(matched.events.iter().filter_map(|event| event.delay_ns)),
    }
}

/// Median of times in nanoseconds, as seconds.
fn median_s(times_ns: impl Iterator<Item = u64>) -> Option<f64> {
    let mut times: Vec<u64> = times_ns.collect();
    times.sort_unstable();
    let at = |index: usize| times.get(index).map(|time_ns| *time_ns as f64 / 1e9);
    at(times.len() / 2)
        .zip(at(times.len().saturating_sub(1) / 2))
        .map(|(high, low)| f64::midpoint(high, low))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    ratio(sum, count as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::events::Verdict;
    use super::*;

    fn row(score: f32, label: Option<LabelId>, alarm: bool) -> ScoredRow {
        ScoredRow { score, label, alarm }
    }

    #[test]
    fn one_large_attack_cannot_hide_a_missed_one_in_the_averages_over_labels() {
        let mut rows: Vec<ScoredRow> = (0..1000).map(|_| row(9.0, Some(0), true)).collect();
        rows.extend((0..10).map(|_| row(0.5, Some(1), false)));
        rows.extend((0..200).map(|index| row(index as f32 / 100.0, None, index == 199)));
        let matched = Matched {
            events: [(0, Some(4_000_000_000)), (1, None)]
                .map(|(label, delay_ns)| Verdict {
                    label,
                    start_ns: 1,
                    end_ns: 2,
                    delay_ns,
                })
                .to_vec(),
            incidents: 3,
            false_incidents: 2,
            named_as: BTreeMap::from([(0, BTreeMap::from([("syn_flood", 1)]))]),
            marks: Vec::new(),
        };
        let names = ["flood".to_owned(), "beacon".to_owned()];
        let figures = Figures::of(&rows, &names, &matched, 7200.0);
        assert_eq!(figures.rows.malicious, 1010);
        let Confusion { tp, fp, tn, fn_ } = figures.confusion;
        assert_eq!((tp, fp, tn, fn_), (1000, 1, 199, 10));
        assert!(figures.recall.unwrap() > 0.99);
        assert_eq!(figures.over_labels.recall, Some(0.5));
        assert_eq!(figures.labels[0].roc_auc, Some(1.0));
        assert!(figures.labels[1].roc_auc.unwrap() < 0.3);
        assert_eq!(figures.events.missed, ["beacon"]);
        assert_eq!(figures.events.median_delay_s, Some(4.0));
        assert_eq!(figures.incidents.false_per_hour, Some(1.0));
        assert_eq!(figures.realised_alarm_rate_per_day, Some(24.0));
        assert_eq!(figures.labels[0].median_delay_s, Some(4.0));
        let json = serde_json::to_value(&figures).unwrap();
        assert_eq!(json["confusion"]["fn"], 10);
        assert_eq!(json["incidents"]["false"], 2);
        assert_eq!(json["macro"]["recall"], 0.5);
        assert_eq!(json["labels"][0]["named_as"]["syn_flood"], 1);
    }

    #[test]
    fn without_malicious_rows_the_figures_are_null_and_not_zero() {
        let figures = Figures::of(&[row(1.0, None, false)], &[], &Matched::default(), 0.0);
        let json = serde_json::to_value(&figures).unwrap();
        for figure in ["precision", "recall", "f1", "roc_auc", "pr_auc", "tpr_at_fpr_1e3"] {
            assert!(json[figure].is_null(), "{figure}");
        }
        assert_eq!(json["fpr"], 0.0);
        assert!(json["macro"]["roc_auc"].is_null());
    }
}
