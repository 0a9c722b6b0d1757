//! Figures of a ranking: areas and points of the ROC and the precision-recall curve. Ties are treated as one step, so
//! that the order of equal scores changes nothing. It must never choose a threshold.

/// One judged row: its score and whether it is malicious.
pub type Judged = (f32, bool);

/// One point of both curves, at a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Rows at or above this score count as alarms here.
    pub score: f32,
    /// Malicious rows at or above it.
    pub tp: u64,
    /// Benign rows at or above it.
    pub fp: u64,
}

/// The curves of a set of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// One point per distinct score, from the highest.
    pub points: Vec<Point>,
    /// Malicious rows.
    pub positives: u64,
    /// Benign rows.
    pub negatives: u64,
}

impl Curves {
    /// Sorts and sums the rows. A NaN counts as the lowest score.
    pub fn of(rows: impl Iterator<Item = Judged>) -> Self {
        let mut rows: Vec<Judged> = rows
            .map(|(score, bad)| (if score.is_nan() { f32::NEG_INFINITY } else { score }, bad))
            .collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut points: Vec<Point> = Vec::new();
        let (mut tp, mut fp) = (0, 0);
        for (score, bad) in rows {
            tp += u64::from(bad);
            fp += u64::from(!bad);
            match points.last_mut() {
                Some(last) if last.score.total_cmp(&score).is_eq() => (last.tp, last.fp) = (tp, fp),
                _ => points.push(Point { score, tp, fp }),
            }
        }
        Self {
            points,
            positives: tp,
            negatives: fp,
        }
    }

    /// Area under the ROC curve: the probability that a malicious row is above a benign one (ties count half; Hanley and
    /// `McNeil` 1982). `None` without rows of both kinds.
    pub fn roc_auc(&self) -> Option<f64> {
        let (mut area, mut before) = (0.0, (0, 0));
        for point in &self.points {
            area += (point.fp - before.1) as f64 * (point.tp + before.0) as f64 / 2.0;
            before = (point.tp, point.fp);
        }
        ratio(area, self.positives as f64 * self.negatives as f64)
    }

    /// Average precision: the sum of precision times the step in recall, without interpolation (as scikit-learn has it).
    /// `None` without malicious rows.
    pub fn pr_auc(&self) -> Option<f64> {
        let (mut area, mut before) = (0.0, 0);
        for point in &self.points {
            let precision = point.tp as f64 / (point.tp + point.fp) as f64;
            area += precision * (point.tp - before) as f64;
            before = point.tp;
        }
        ratio(area, self.positives as f64)
    }

    /// Largest true positive rate at a false positive rate of at most `fpr`. `None` without rows of both kinds.
    pub fn tpr_at(&self, fpr: f64) -> Option<f64> {
        let most = fpr * self.negatives as f64;
        let below = self.points.partition_point(|point| point.fp as f64 <= most);
        let tp = below
            .checked_sub(1)
            .and_then(|index| self.points.get(index))
            .map_or(0, |point| point.tp);
        (self.negatives > 0)
            .then(|| ratio(tp as f64, self.positives as f64))
            .flatten()
    }
}

/// A quotient, or `None` for nothing over nothing.
pub fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Values of scikit-learn 1.5 `roc_auc_score` and `average_precision_score` on the same rows.
    #[test]
    fn areas_are_those_of_scikit_learn() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.2, 0.8];
        let bad = [false, false, true, true, true, false, false, true];
        let curves = Curves::of(scores.into_iter().zip(bad));
        assert!((curves.roc_auc().unwrap() - 0.656_25).abs() < 1e-12);
        // Steps: 0.9 → 0/1; 0.8 → 2/3 (+2); 0.4 → 3/5 (+1); 0.35 → 4/6 (+1), over 4.
        let expected = (2.0 * 2.0 / 3.0 + 3.0 / 5.0 + 4.0 / 6.0) / 4.0;
        assert!((curves.pr_auc().unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn rates_at_a_false_positive_rate_never_exceed_it() {
        let rows = (0..1000).map(|index| (index as f32, index % 100 == 99));
        let curves = Curves::of(rows);
        // 990 benign rows: 9.9 false alarms allowed, so the points up to nine of them: only the row 999 is above.
        assert_eq!(curves.tpr_at(0.01), Some(0.1));
        assert_eq!(curves.tpr_at(0.0), Some(0.1));
        assert_eq!(curves.tpr_at(1.0), Some(1.0));
    }

    #[test]
    fn ties_and_missing_kinds_are_no_skill() {
        let tied = Curves::of([(1.0, true), (1.0, false), (1.0, false)].into_iter());
        assert_eq!(tied.roc_auc(), Some(0.5));
        assert_eq!(tied.tpr_at(0.4), Some(0.0));
        let benign = Curves::of([(1.0, false)].into_iter());
        assert_eq!(
            (benign.roc_auc(), benign.pr_auc(), benign.tpr_at(0.5)),
            (None, None, None)
        );
        let odd = Curves::of([(f32::NAN, false), (0.0, true)].into_iter());
        assert_eq!(odd.roc_auc(), Some(1.0));
    }
}
