//! What a report draws beside the figures: curves, histograms, a timeline, what the alarms rested on. Everything is thinned
//! to a bounded number of points, however long the input. It must never keep rows.

use std::collections::BTreeMap;

use super::{
    curves::{Curves, Point},
    events::{Matched, Verdict},
    tally::ScoredRow,
};
use crate::alert::{Alert, State};

/// Points of a curve at most.
pub const MAX_POINTS: usize = 500;
/// Cells of a timeline at most.
const MAX_CELLS: usize = 480;
/// Bins of a histogram.
pub const BINS: usize = 60;
/// Decimal logarithms of the strength at both ends of a histogram; what is beyond falls into the outer bins.
pub const BIN_RANGE: (f64, f64) = (-2.0, 4.0);
/// Least false positive rate on a logarithmic axis.
pub const LEAST_FPR: f64 = 1e-5;

/// A point of a drawing.
pub type Xy = (f64, f64);

/// A stretch of time: the strongest rows in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Start, Unix nanoseconds.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// Strongest benign row; 0 without rows.
    pub benign: f32,
    /// Strongest malicious row.
    pub malicious: f32,
}

/// The strongest rows over time. When it is full, neighbours become one.
#[derive(Clone, Debug)]
pub struct Timeline {
    cells: Vec<Cell>,
    /// Windows per cell, and windows in the last cell.
    per_cell: u32,
    filled: u32,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            per_cell: 1,
            filled: 1,
        }
    }
}

impl Timeline {
    /// Adds the next window.
    pub fn window(&mut self, start_ns: u64, end_ns: u64, rows: &[ScoredRow]) {
        let strongest = |bad: bool| {
            rows.iter()
                .filter(|row| row.label.is_some() == bad)
                .fold(0.0, |most: f32, row| most.max(row.score))
        };
        let cell = Cell {
            start_ns,
            end_ns,
            benign: strongest(false),
            malicious: strongest(true),
        };
        match self.cells.last_mut() {
            Some(last) if self.filled < self.per_cell => {
                *last = joined(last, &cell);
                self.filled += 1;
            }
            _ => {
                if self.cells.len() >= MAX_CELLS {
                    self.cells = self.cells.chunks(2).filter_map(merged).collect();
                    self.per_cell = self.per_cell.saturating_mul(2);
                }
                self.cells.push(cell);
                self.filled = 1;
            }
        }
    }

    /// The cells, in order of time.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

fn joined(first: &Cell, second: &Cell) -> Cell {
    Cell {
        start_ns: first.start_ns,
        end_ns: second.end_ns,
        benign: first.benign.max(second.benign),
        malicious: first.malicious.max(second.malicious),
    }
}

fn merged(cells: &[Cell]) -> Option<Cell> {
    let (first, rest) = cells.split_first()?;
    Some(rest.iter().fold(*first, |sum, cell| joined(&sum, cell)))
}

/// How much each feature contributed to the alarms: the mean of its shares over alerts.
#[derive(Clone, Debug, Default)]
pub struct Contributions {
    sums: BTreeMap<String, f64>,
    alerts: u64,
}

impl Contributions {
    /// Adds an alert; the last one of an incident says nothing new.
    pub fn alert(&mut self, alert: &Alert) {
        if alert.state == State::Closed || alert.reasons.is_empty() {
            return;
        }
        self.alerts += 1;
        for reason in &alert.reasons {
            if let Some(sum) = self.sums.get_mut(&reason.feature) {
                *sum += reason.contribution;
            } else {
                self.sums.insert(reason.feature.clone(), reason.contribution);
            }
        }
    }

    /// Features and their mean shares, the largest first.
    pub fn largest_first(&self) -> Vec<(String, f64)> {
        let mut shares: Vec<(String, f64)> = self
            .sums
            .iter()
            .map(|(feature, sum)| (feature.clone(), sum / self.alerts.max(1) as f64))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }

    /// Alerts counted.
    pub fn alerts(&self) -> u64 {
        self.alerts
    }
}

/// Everything that is drawn.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Recall and precision.
    pub precision_recall: Vec<Xy>,
    /// False and true positive rate.
    pub roc: Vec<Xy>,
    /// The same, thinned for a logarithmic axis: decimal logarithm of the false positive rate.
    pub roc_log: Vec<Xy>,
    /// Benign rows by strength.
    pub benign: Vec<u64>,
    /// Malicious rows by strength.
    pub malicious: Vec<u64>,
    /// Strongest rows over time.
    pub timeline: Timeline,
    /// Events and incidents.
    pub matched: Matched,
    /// What the alarms rested on.
    pub contributions: Contributions,
}

impl Detail {
    /// Draws what can be drawn from all rows.
    pub fn new(
        rows: &[ScoredRow],
        timeline: Timeline,
        matched: Matched,
        contributions: Contributions,
    ) -> Self {
        let curves = Curves::of(rows.iter().map(|row| (row.score, row.label.is_some())));
        let rates = |point: &Point| {
            (
                share(point.fp, curves.negatives),
                share(point.tp, curves.positives),
            )
        };
        let logarithm = |rate: f64| rate.max(LEAST_FPR).log10();
        let has_both = curves.positives > 0 && curves.negatives > 0;
        let points = || curves.points.iter().filter(|_| has_both);
        Self {
            precision_recall: thin(
                &|| Box::new(points().map(|point| (rates(point).1, share(point.tp, point.tp + point.fp)))),
                (0.0, 1.0),
            ),
            roc: thin(
                &|| Box::new(std::iter::once((0.0, 0.0)).chain(points().map(rates))),
                (0.0, 1.0),
            ),
            roc_log: thin(
                &|| {
                    Box::new(points().map(|point| {
                        let (fpr, tpr) = rates(point);
                        (logarithm(fpr), tpr)
                    }))
                },
                (LEAST_FPR.log10(), 0.0),
            ),
            benign: histogram(rows, false),
            malicious: histogram(rows, true),
            timeline,
            matched,
            contributions,
        }
    }

    /// The events.
    pub fn events(&self) -> &[Verdict] {
        &self.matched.events
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Rows of one kind by the decimal logarithm of their strength.
fn histogram(rows: &[ScoredRow], bad: bool) -> Vec<u64> {
    let mut bins = vec![0; BINS];
    let (low, high) = BIN_RANGE;
    for row in rows.iter().filter(|row| row.label.is_some() == bad) {
        let place = (f64::from(row.score).max(1e-9).log10() - low) / (high - low) * BINS as f64;
        let bin = place.clamp(0.0, BINS as f64 - 1.0) as usize;
        if let Some(count) = bins.get_mut(bin) {
            *count += 1;
        }
    }
    bins
}

type Points<'a> = Box<dyn Iterator<Item = Xy> + 'a>;

/// The points that differ visibly from the one drawn before, and the last one. `x` gives both ends of the horizontal
/// axis; the vertical one goes from 0 to 1.
fn thin<'a>(points: &dyn Fn() -> Points<'a>, x: (f64, f64)) -> Vec<Xy> {
    let width = (x.1 - x.0).abs();
    let mut step = 1.0 / 400.0;
    loop {
        let mut kept: Vec<Xy> = Vec::new();
        let mut last = None;
        for point in points() {
            last = Some(point);
            let near = kept.last().is_some_and(|before| {
                (point.0 - before.0).abs() / width < step && (point.1 - before.1).abs() < step
            });
            if !near && kept.len() <= MAX_POINTS {
                kept.push(point);
            }
        }
        if let Some(last) = last.filter(|last| kept.last() != Some(last)) {
            kept.push(last);
        }
        if kept.len() <= MAX_POINTS {
            return kept;
        }
        step *= 1.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(score: f32, bad: bool) -> ScoredRow {
        ScoredRow {
            score,
            label: bad.then_some(0),
            alarm: false,
        }
    }

    #[test]
    fn curves_of_many_rows_stay_small_and_keep_both_ends() {
        // Alternating rows make the precision jump at every point.
        let rows: Vec<ScoredRow> = (0..200_000)
            .map(|index| row(index as f32, index % 2 == 0))
            .collect();
        let detail = Detail::new(
            &rows,
            Timeline::default(),
            Matched::default(),
            Contributions::default(),
        );
        for curve in [&detail.precision_recall, &detail.roc, &detail.roc_log] {
            assert!((50..=MAX_POINTS).contains(&curve.len()), "{}", curve.len());
        }
        assert_eq!(detail.roc.first(), Some(&(0.0, 0.0)));
        assert_eq!(detail.roc.last(), Some(&(1.0, 1.0)));
        assert_eq!(detail.precision_recall.last(), Some(&(1.0, 0.5)));
        assert_eq!(detail.benign.iter().sum::<u64>(), 100_000);
    }

    #[test]
    fn a_timeline_of_any_length_stays_bounded_and_loses_no_peak() {
        let mut timeline = Timeline::default();
        for window in 0..100_000u64 {
            let peak = if window == 77_777 { 50.0 } else { 1.0 };
            timeline.window(window * 10, window * 10 + 10, &[row(peak, true), row(0.5, false)]);
        }
        let cells = timeline.cells();
        assert!((100..=MAX_CELLS).contains(&cells.len()), "{}", cells.len());
        assert!(cells.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
        assert_eq!((cells[0].start_ns, cells[cells.len() - 1].end_ns), (0, 1_000_000));
        let peaks: Vec<&Cell> = cells.iter().filter(|cell| cell.malicious > 1.0).collect();
        assert_eq!(peaks.len(), 1);
        assert!(peaks[0].start_ns <= 777_770 && peaks[0].end_ns > 777_770);
        assert!(cells.iter().all(|cell| (cell.benign - 0.5).abs() < 1e-6));
    }

    #[test]
    fn strengths_beyond_the_axis_fall_into_the_outer_bins() {
        let rows = [
            row(0.0, false),
            row(1e9, false),
            row(f32::NAN, false),
            row(1.0, true),
        ];
        let (benign, malicious) = (histogram(&rows, false), histogram(&rows, true));
        assert_eq!(benign.iter().sum::<u64>(), 3);
        assert_eq!((benign[0], benign[BINS - 1]), (2, 1));
        assert_eq!(malicious[20], 1);
    }
}
