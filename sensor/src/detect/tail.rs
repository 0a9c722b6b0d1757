//! From held-out scores to p-values: conformal within the data, a generalised Pareto tail just beyond it, and nothing
//! further out. It must never claim a rate that the number of calibration scores cannot support.
//!
//! - Conformal p-value: (1 + scores at least as large) / (n + 1) (Bates and others 2023, "Testing for outliers").
//! - Tail: peaks over the threshold, fitted by probability-weighted moments (Hosking and Wallis 1987), used between
//!   1/n and 1/(20 n) and labelled as extrapolated. Never mean plus k sigma.

use serde::{Deserialize, Serialize};

use super::quantile;

/// Extrapolation ends at 1/(`REACH` · n).
pub const REACH: f64 = 20.0;
/// Scores kept at most; thinned evenly in rank below the upper [`KEEP_TOP`].
const KEEP: usize = 4096;
const KEEP_TOP: usize = 512;
/// Fewer peaks than this are fitted as an exponential tail.
const MIN_PEAKS: usize = 20;

/// A p-value and whether it rests on the tail model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PValue {
    /// Probability of a score at least this large in ordinary traffic.
    pub value: f64,
    /// Beyond the largest calibration score: the tail model's word, or its floor.
    pub extrapolated: bool,
}

/// Generalised Pareto distribution of excesses over a threshold. Kept in `f32`, which JSON carries without loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gpd {
    /// Scores above this are peaks.
    pub threshold: f32,
    /// Share of scores above the threshold.
    pub rate: f32,
    /// Shape ξ, between 0 (exponential; a bounded tail is never assumed) and 0.9.
    pub shape: f32,
    /// Scale σ.
    pub scale: f32,
}

impl Gpd {
    /// Fits the upper tenth of ascending scores. `None` if there are fewer than ten scores.
    pub fn fit(ascending: &[f32]) -> Option<Self> {
        let n = ascending.len();
        if n < 10 {
            return None;
        }
        let peaks_from = n - (n / 10).max(5);
        let threshold = f64::from(*ascending.get(peaks_from.checked_sub(1)?)?);
        let peaks: Vec<f64> = ascending
            .get(peaks_from..)?
            .iter()
            .map(|s| f64::from(*s) - threshold)
            .collect();
        let count = peaks.len() as f64;
        let mean = peaks.iter().sum::<f64>() / count;
        // α₁ estimates E[X(1 − F(X))] with plotting positions (i − 0.35)/k.
        let weighted = peaks
            .iter()
            .enumerate()
            .map(|(i, x)| x * (1.0 - (i as f64 + 0.65) / count))
            .sum::<f64>()
            / count;
        let floor = (threshold.abs() * 1e-3).max(1e-9);
        let (mut shape, mut scale) = (0.0, mean.max(floor));
        if peaks.len() >= MIN_PEAKS && mean > 2.0 * weighted && weighted > 0.0 {
            let raw = 2.0 - mean / (mean - 2.0 * weighted);
            if raw > 0.0 {
                shape = raw.min(0.9);
                // Given the shape, the scale that keeps the mean: σ = m(1 − ξ).
                scale = (mean * (1.0 - shape)).max(floor);
            }
        }
        let (threshold, rate) = (threshold as f32, (count / n as f64) as f32);
        Some(Self {
            threshold,
            rate,
            shape: shape as f32,
            scale: scale as f32,
        })
    }

    /// Probability of a score above `score` (which must be above the threshold).
    pub fn survival(&self, score: f64) -> f64 {
        let z = ((score - f64::from(self.threshold)) / f64::from(self.scale)).max(0.0);
        let shape = f64::from(self.shape);
        let tail = if shape < 1e-6 {
            (-z).exp()
        } else {
            (1.0 + shape * z).powf(-1.0 / shape)
        };
        f64::from(self.rate) * tail
    }

    /// The score exceeded with probability `p` (which must be below the rate).
    pub fn score_at(&self, p: f64) -> f64 {
        let ratio = (f64::from(self.rate) / p).max(1.0);
        let shape = f64::from(self.shape);
        let z = if shape < 1e-6 {
            ratio.ln()
        } else {
            (ratio.powf(shape) - 1.0) / shape
        };
        f64::from(self.threshold) + f64::from(self.scale) * z
    }
}

/// The distribution of held-out scores of one kind of traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Calibration scores it was made of.
    pub n: u64,
    /// Kept scores, ascending.
    scores: Vec<f32>,
    /// For each kept score how many calibration scores were at least as large.
    at_least: Vec<u64>,
    /// The tail model.
    pub gpd: Option<Gpd>,
}

impl Tail {
    /// Sorts and thins the scores and fits the tail.
    pub fn fit(mut scores: Vec<f32>) -> Self {
        scores.retain(|score| score.is_finite());
        scores.sort_unstable_by(f32::total_cmp);
        let n = scores.len();
        let gpd = Gpd::fit(&scores);
        let body = n.saturating_sub(KEEP_TOP);
        let stride = if n <= KEEP {
            1
        } else {
            body.div_ceil(KEEP - KEEP_TOP)
        };
        let keep = (0..body).step_by(stride).chain(body..n);
        let (scores, at_least) = keep
            .filter_map(|index| scores.get(index).map(|score| (*score, (n - index) as u64)))
            .unzip();
        Self {
            n: n as u64,
            scores,
            at_least,
            gpd,
        }
    }

    /// How surprising a score is. Never below 1/(20 n), nor below 1/(n + 1) without a tail model.
    pub fn p_value(&self, score: f32) -> PValue {
        // The next kept score below decides: thinning can only make the p-value larger.
        let above = self.scores.partition_point(|kept| *kept < score);
        let exactly = self.scores.get(above).is_some_and(|kept| *kept <= score);
        let index = if exactly {
            Some(above)
        } else {
            above.checked_sub(1)
        };
        let count = match index {
            _ if above == self.scores.len() => 0,
            Some(index) if exactly => self.at_least.get(index).copied().unwrap_or(0),
            Some(index) => self.at_least.get(index).map_or(0, |count| count - 1),
            None => self.n,
        };
        let n = self.n as f64;
        let conformal = (1.0 + count as f64) / (n + 1.0);
        match self.gpd {
            Some(gpd) if count == 0 => {
                let value = gpd.survival(f64::from(score)).clamp(1.0 / (REACH * n), conformal);
                PValue {
                    value,
                    extrapolated: true,
                }
            }
            _ => PValue {
                value: conformal,
                extrapolated: false,
            },
        }
    }

    /// The score that ordinary traffic exceeds (strictly) with probability `p`; beyond the reach of the data the score at the
    /// end of that reach, with `true`. 0 without scores.
    pub fn score_at(&self, p: f64) -> (f64, bool) {
        let n = self.n as f64;
        let allowed = (p * (n + 1.0)).floor();
        if allowed >= 1.0 {
            // Scores above the largest kept one whose own p-value is too large have (1 + count) / (n + 1) <= p.
            let index = self
                .at_least
                .partition_point(|count| *count as f64 + 1.0 > allowed);
            return (
                index
                    .checked_sub(1)
                    .and_then(|i| self.scores.get(i))
                    .map_or(0.0, |s| f64::from(*s)),
                false,
            );
        }
        let largest = f64::from(self.scores.last().copied().unwrap_or(0.0));
        let end = 1.0 / (REACH * n.max(1.0));
        let score = self
            .gpd
            .map_or(largest, |gpd| gpd.score_at(p.max(end)).max(largest));
        (score, p < end)
    }

    /// Quantiles for reports, from the kept scores.
    pub fn quantile(&self, share: f64) -> f32 {
        if self.n as usize == self.scores.len() {
            return quantile(&self.scores, share);
        }
        let rank = ((1.0 - share) * self.n as f64).max(1.0);
        let index = self.at_least.partition_point(|count| *count as f64 > rank);
        self.scores
            .get(index)
            .or(self.scores.last())
            .copied()
            .unwrap_or(0.0)
    }

    /// The largest calibration score; 0 without scores.
    pub fn largest(&self) -> f32 {
        self.scores.last().copied().unwrap_or(0.0)
    }

    /// Whether all numbers are finite and consistent (for loaded models).
    pub fn is_sound(&self) -> bool {
        let gpd = self.gpd.is_none_or(|g| {
            [g.threshold, g.rate, g.shape, g.scale]
                .iter()
                .all(|v| v.is_finite())
                && g.scale > 0.0
                && g.shape >= 0.0
        });
        gpd && self.scores.len() == self.at_least.len()
            && self.scores.iter().all(|score| score.is_finite())
            && self.scores.is_sorted()
            && self.at_least.is_sorted_by(|a, b| a > b)
            && self.at_least.iter().all(|count| (1..=self.n).contains(count))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::super::{Seeded, unit_interval};
    use super::*;

    /// Pareto with tail index 3 (ξ = 1/3), minus 1.
    fn heavy(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = Seeded::seed_from_u64(seed);
        (0..count)
            .map(|_| (1.0 - unit_interval(&mut rng)).powf(-1.0 / 3.0) - 1.0)
            .collect()
    }

    #[test]
    fn conformal_p_values_count_scores_at_least_as_large() {
        let tail = Tail::fit((1..=99).map(|i| i as f32).collect());
        assert!((tail.p_value(99.0).value - 0.02).abs() < 1e-12);
        assert!((tail.p_value(98.5).value - 0.02).abs() < 1e-12);
        assert!((tail.p_value(50.0).value - 0.51).abs() < 1e-12);
        assert!((tail.p_value(0.0).value - 1.0).abs() < 1e-12);
        assert!(!tail.p_value(99.0).extrapolated && tail.p_value(99.5).extrapolated);
    }

    #[test]
    fn p_values_never_rise_with_the_score_and_stop_at_the_reach() {
        let tail = Tail::fit(heavy(2000, 1));
        let mut last = 2.0;
        for step in 0..4000 {
            let p = tail.p_value(step as f32 * 0.05).value;
            assert!(p <= last && p >= 1.0 / 40_000.0);
            last = p;
        }
        assert!((last - 1.0 / 40_000.0).abs() < 1e-12);
    }

    #[test]
    fn asked_rates_are_reached_within_a_factor_of_two() {
        for (n, p) in [(2000, 1e-2), (2000, 1e-3), (20_000, 1e-4), (2000, 2e-4)] {
            let mut realised = 0.0;
            for seed in 0..20 {
                let (score, _) = Tail::fit(heavy(n, seed)).score_at(p);
                realised += (1.0 + score).powi(-3) / 20.0;
            }
            assert!(
                realised < 2.0 * p && realised > 0.4 * p,
                "n {n}: asked {p}, got {realised}"
            );
        }
    }

    #[test]
    fn rates_beyond_the_reach_are_refused() {
        let tail = Tail::fit(heavy(500, 3));
        let (end, refused) = tail.score_at(1.0 / 10_000.0);
        assert!(!refused);
        let (score, refused) = tail.score_at(1e-7);
        assert!(refused && (score - end).abs() < 1e-9);
    }

    #[test]
    fn thinning_keeps_the_tail_exact_and_the_body_conservative() {
        let scores = heavy(50_000, 4);
        let tail = Tail::fit(scores.clone());
        assert!(tail.scores.len() <= KEEP + 1 && tail.is_sound());
        let mut sorted = scores;
        sorted.sort_unstable_by(f32::total_cmp);
        for index in [49_999, 49_900, 49_600] {
            let exact = (1.0 + (50_000 - index) as f64) / 50_001.0;
            assert!((tail.p_value(sorted[index]).value - exact).abs() < 1e-12);
        }
        for index in [100, 20_000, 40_000] {
            let exact = (1.0 + (50_000 - index) as f64) / 50_001.0;
            let got = tail.p_value(sorted[index]).value;
            assert!(got >= exact && got < exact + 1e-3);
        }
    }

    #[test]
    fn the_fit_finds_the_shape_of_a_known_tail() {
        let mut scores = heavy(20_000, 5);
        scores.sort_unstable_by(f32::total_cmp);
        let gpd = Gpd::fit(&scores).unwrap();
        assert!((gpd.shape - 1.0 / 3.0).abs() < 0.12, "{gpd:?}");
        let mut rng = Seeded::seed_from_u64(6);
        let mut light: Vec<f32> = (0..20_000)
            .map(|_| -(1.0 - unit_interval(&mut rng)).ln())
            .collect();
        light.sort_unstable_by(f32::total_cmp);
        assert!(Gpd::fit(&light).unwrap().shape < 0.1);
    }
}
