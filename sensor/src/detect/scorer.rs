//! The detectors of a model for one kind of row, as one score. Several detectors are brought to a common scale first: a
//! score of 1 is what nine of ten ordinary rows of the same kind of traffic stay below. Their mean is the ensemble's
//! score. It must never let one detector's units decide.

use serde::{Deserialize, Serialize};

use super::autoencoder::{Autoencoder, Contribution};
use super::forest::{Forest, Influence};
use super::kmeans::KMeans;
use super::quantile;
use super::scaler::Scaler;

/// What a model detects with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetectorKind {
    /// Reconstruction error of a neural network.
    #[default]
    Autoencoder,
    /// Distance to the nearest cluster.
    Kmeans,
    /// Votes of decision trees that learned from labels.
    Forest,
    /// All that the data allow.
    Ensemble,
}

impl DetectorKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Autoencoder, Self::Kmeans, Self::Forest, Self::Ensemble];

    /// Name in manifests, metrics, alerts and on the command line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Autoencoder => "autoencoder",
            Self::Kmeans => "kmeans",
            Self::Forest => "forest",
            Self::Ensemble => "ensemble",
        }
    }

    /// First letters of model ids.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Autoencoder => "ae",
            Self::Kmeans => "km",
            Self::Forest => "rf",
            Self::Ensemble => "en",
        }
    }
}

/// One trained detector.
#[derive(Clone, Debug)]
pub enum Detector {
    /// See [`Autoencoder`].
    Autoencoder(Autoencoder),
    /// See [`KMeans`].
    Kmeans(KMeans),
    /// See [`Forest`].
    Forest(Forest),
}

/// Share of ordinary rows below a score of 1, and of a forest's: most ordinary rows have no vote against them at all.
const NORM_SHARE: f64 = 0.9;
const FOREST_NORM_SHARE: f64 = 0.99;
/// A family's scale is at least this share of that of all rows: a very regular family must not cry at its first small
/// irregularity.
const MIN_NORM_SHARE: f32 = 0.2;
/// A scale is at least what a row scores of which one feature is this many robust spreads off (a root of a mean): a host as regular as a
/// clock must not alarm at its first small irregularity.
const LEAST_SPREADS: f32 = 1.0;
/// A forest's scale is at least this: one vote in ten.
const MIN_FOREST_NORM: f32 = 0.1;
/// Families with fewer rows use the scale of all rows.
const MIN_FAMILY_ROWS: usize = 200;

impl Detector {
    /// Its kind.
    pub const fn kind(&self) -> DetectorKind {
        match self {
            Self::Autoencoder(_) => DetectorKind::Autoencoder,
            Self::Kmeans(_) => DetectorKind::Kmeans,
            Self::Forest(_) => DetectorKind::Forest,
        }
    }

    /// Raw scores of rows, in the detector's own unit.
    ///
    /// # Errors
    /// If the width does not fit.
    pub fn score(&self, values: &[f32], scores: &mut Vec<f32>) -> candle_core::Result<()> {
        match self {
            Self::Autoencoder(detector) => detector.score(values, scores)?,
            Self::Kmeans(detector) => detector.score(values, scores),
            Self::Forest(detector) => detector.score(values, scores),
        }
        Ok(())
    }

    fn explain(&self, scaler: &Scaler, row: &[f32]) -> candle_core::Result<Vec<Contribution>> {
        match self {
            Self::Autoencoder(detector) => detector.explain(row),
            Self::Kmeans(detector) => Ok(detector.explain(row)),
            Self::Forest(detector) => Ok(reasons_of_votes(detector, scaler, row)),
        }
    }
}

/// What spoke for an attack among the trees, in the form of the other detectors: there is no expected value beside the
/// usual one.
fn reasons_of_votes(forest: &Forest, scaler: &Scaler, row: &[f32]) -> Vec<Contribution> {
    let influences = forest.explain(row);
    let against = |change: f32| (-change).max(0.0);
    let total: f32 = influences.iter().map(|part| against(part.benign_change)).sum();
    let columns = scaler.columns();
    let contribution = |part: &Influence| {
        let column = columns.get(part.column)?;
        let error = against(part.benign_change);
        Some(Contribution {
            column: part.column,
            observed: part.observed,
            expected: column.usual,
            low: column.usual_low,
            high: column.usual_high,
            error,
            share: if total > 0.0 { error / total } else { 0.0 },
        })
    };
    influences.iter().filter_map(contribution).collect()
}

/// A detector and its scale.
#[derive(Clone, Debug)]
pub struct Member {
    /// The detector.
    pub detector: Detector,
    /// Score that counts as 1, by family of traffic.
    pub norms: Vec<f32>,
}

impl Member {
    /// Fits the scale to the scores of ordinary rows that the detector was not trained on. `active` is the number of
    /// features that vary.
    pub fn fit(
        detector: Detector,
        scores: &[f32],
        families: &[u8],
        family_count: usize,
        active: usize,
    ) -> Self {
        let (share, least) = match detector {
            Detector::Forest(_) => (FOREST_NORM_SHARE, MIN_FOREST_NORM),
            // Scores are roots of means over the active features.
            _ => (NORM_SHARE, LEAST_SPREADS / (active.max(1) as f32).sqrt()),
        };
        let at = |mut scores: Vec<f32>| {
            scores.sort_unstable_by(f32::total_cmp);
            quantile(&scores, share)
        };
        let all = at(scores.to_vec()).max(least);
        let norms = (0..family_count).map(|family| {
            let own = scores
                .iter()
                .zip(families)
                .filter(|(_, of)| usize::from(**of) == family);
            let own: Vec<f32> = own.map(|(score, _)| *score).collect();
            if own.len() < MIN_FAMILY_ROWS {
                all
            } else {
                at(own).max(all * MIN_NORM_SHARE).max(least)
            }
        });
        Self {
            norms: norms.collect(),
            detector,
        }
    }
}

/// The detectors for one kind of row.
#[derive(Clone, Debug)]
pub struct Scorer {
    scaler: Scaler,
    members: Vec<Member>,
}

impl Scorer {
    /// Joins detectors; `scaler` knows the usual ranges of the features.
    pub fn new(scaler: Scaler, members: Vec<Member>) -> Self {
        Self { scaler, members }
    }

    /// The usual ranges of the features.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The detectors.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The autoencoder, if there is one.
    pub fn autoencoder(&self) -> Option<&Autoencoder> {
        self.members.iter().find_map(|member| match &member.detector {
            Detector::Autoencoder(detector) => Some(detector),
            _ => None,
        })
    }

    /// Scores rows: `scores` is cleared and gets one per row, the mean of all detectors in units of their scale.
    ///
    /// # Errors
    /// If the width does not fit a detector.
    pub fn score(
        &self,
        values: &[f32],
        families: &(impl Iterator<Item = usize> + Clone),
        scores: &mut Vec<f32>,
    ) -> candle_core::Result<()> {
        scores.clear();
        let mut own = Vec::new();
        let part = 1.0 / self.members.len().max(1) as f32;
        for member in &self.members {
            member.detector.score(values, &mut own)?;
            scores.resize(own.len(), 0.0);
            for ((sum, score), family) in scores.iter_mut().zip(&own).zip(families.clone()) {
                let norm = member.norms.get(family).copied().unwrap_or(1.0);
                *sum += part * score / norm;
            }
        }
        Ok(())
    }

    /// What each detector says of one row, in its own unit.
    pub fn opinions(&self, row: &[f32]) -> Vec<(DetectorKind, f32)> {
        let mut one = Vec::new();
        let mut opinions = Vec::with_capacity(self.members.len());
        for member in &self.members {
            if member.detector.score(row, &mut one).is_ok() {
                opinions.push((member.detector.kind(), one.first().copied().unwrap_or(0.0)));
            }
        }
        opinions
    }

    /// Each feature's part in one row's score, largest first, by the first detector (the autoencoder where there is one).
    ///
    /// # Errors
    /// If the width does not fit.
    pub fn explain(&self, row: &[f32]) -> candle_core::Result<Vec<Contribution>> {
        self.members.first().map_or_else(
            || Ok(Vec::new()),
            |member| member.detector.explain(&self.scaler, row),
        )
    }
}
