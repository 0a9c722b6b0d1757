//! What one window did, for the caller to export: alerts, counts by the labels of the metrics, scores if asked for.
//! Plain values; it must never hold more than one window's worth.

use crate::alert::{Alert, Behaviour, Severity};
use crate::features::{RowKey, RowKind};

/// Upper bounds of the reconstruction error histogram; the last bucket is open.
pub const ERROR_BOUNDS: [f64; 12] = [
    0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0,
];

/// Reconstruction errors of one window, as a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorHistogram {
    /// Rows in each bucket of [`ERROR_BOUNDS`] (not cumulative), then those above the last bound.
    pub counts: [u64; ERROR_BOUNDS.len() + 1],
    /// Sum of the errors.
    pub sum: f64,
}

impl ErrorHistogram {
    /// Counts one error.
    pub fn add(&mut self, error: f32) {
        let error = f64::from(error);
        let bucket = ERROR_BOUNDS.partition_point(|bound| *bound < error);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += error;
    }
}

/// Why rows were not scored: the values of the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscored {
    /// No model yet; the rows are learned from.
    Learning,
    /// The model is being trained.
    Calibrating,
    /// Learning, and too much of the window's traffic was not in its rows.
    Coverage,
    /// The detector failed on the window.
    Error,
}

impl Unscored {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Learning, Self::Calibrating, Self::Coverage, Self::Error];

    /// Value of the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Calibrating => "calibrating",
            Self::Coverage => "coverage",
            Self::Error => "error",
        }
    }
}

/// Why an alarm led to no notification of its own: the values of the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// Part of another host's finding, or of an incident's aftermath.
    Grouped,
    /// Part of an open incident whose next update is not due.
    Interval,
    /// More findings in one window than are followed.
    WindowLimit,
    /// The table of incidents is full.
    TableFull,
}

impl Suppressed {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Grouped, Self::Interval, Self::WindowLimit, Self::TableFull];

    /// Value of the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::Interval => "update_interval",
            Self::WindowLimit => "window_limit",
            Self::TableFull => "table_full",
        }
    }
}

/// One scored flow row, for `--scores`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// Kind of the row.
    pub kind: RowKind,
    /// Whose row.
    pub key: RowKey,
    /// Score relative to the row's kind of traffic: 1 is what nine of ten ordinary rows stay below.
    pub score: f32,
    /// p-value within the row's family.
    pub p_value: f64,
    /// Whether the row is over the alarm threshold, or unusual and part of what a host over it does.
    pub alarm: bool,
}

/// A link from the histogram to a flow and an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Community ID of the flow; empty for a host without flows in the window.
    pub community_id: String,
    /// Id of the incident.
    pub incident_id: String,
    /// Reconstruction error.
    pub error: f64,
}

/// The result of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Journal lines, in order.
    pub alerts: Vec<Alert>,
    /// Scores of all flow rows, if asked for.
    pub scores: Vec<ScoreRow>,
    /// Rows scored, by [`RowKind`].
    pub rows_scored: [u64; 2],
    /// Rows not scored, by [`Unscored`].
    pub rows_unscored: [u64; 4],
    /// Reconstruction errors of the scored rows.
    pub errors: ErrorHistogram,
    /// Alarms (hosts over the threshold), by the [`RowKind`] of their strongest row.
    pub alarms: [u64; 2],
    /// Alarms without a notification of their own, by [`Suppressed`].
    pub suppressed: [u64; 4],
    /// Incidents opened in this window.
    pub incidents_opened: Vec<(Severity, Behaviour)>,
    /// Incidents open now, by [`Severity`].
    pub incidents_open: [u64; 5],
    /// Incidents opened in the last 24 hours.
    pub alarm_rate_per_day: f64,
    /// Share of rows above the 90 % quantile of calibration, over the share expected (0.1), as a moving average: 1
    /// while traffic is as it was in learning. 0 without a model.
    pub drift_ratio: f64,
    /// Factor on the model's thresholds, because of more alarms than asked for; 0 without a model.
    pub threshold_factor: f64,
    /// The strongest alarm of the window.
    pub exemplar: Option<Exemplar>,
}

impl Outcome {
    /// Adds rows that were not scored.
    pub(super) fn unscored(&mut self, reason: Unscored, rows: u64) {
        if let Some(count) = self.rows_unscored.get_mut(reason as usize) {
            *count += rows;
        }
    }

    /// Adds alarms without a notification of their own.
    pub(super) fn suppress(&mut self, reason: Suppressed, alarms: u64) {
        if let Some(count) = self.suppressed.get_mut(reason as usize) {
            *count += alarms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_into_the_bucket_of_their_upper_bound() {
        let mut histogram = ErrorHistogram::default();
        for error in [0.0, 0.003, 0.5, 1.0, 5000.0] {
            histogram.add(error);
        }
        assert_eq!(histogram.counts.iter().sum::<u64>(), 5);
        assert_eq!(
            (histogram.counts[0], histogram.counts[5], histogram.counts[12]),
            (1, 2, 1)
        );
        assert_eq!(histogram.counts[1], 1);
    }
}
