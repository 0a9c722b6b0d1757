//! The k-means detector: how far a row is from the nearest of the groups that training rows fall into. A row's score is
//! the root of its mean squared distance over the active features plus the squared excess beyond the range of training,
//! so a feature outside of training raises the score monotonically. It must never fail on an odd row, and gives the same
//! bits for a row in any batch and on every machine.

mod fit;

use super::autoencoder::Contribution;
use super::scaler::{Excess, Lanes, Scaler};

/// Largest difference of one feature that counts, scaled units: its square is what [`super::scaler`] caps errors at.
const DIFFERENCE_CAP: f32 = 4.0;
/// Centroids whose distances are computed together.
const TOGETHER: usize = 32;
/// Most centroids that a model may have.
pub const CLUSTERS_MOST: usize = 4096;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KMeansSettings {
    /// Seed of the first centroids.
    pub seed: u64,
    /// Most clusters; small sets get one for every [`Self::rows_per_cluster`].
    pub max_clusters: usize,
    /// Training rows for each cluster, at least.
    pub rows_per_cluster: usize,
    /// Rows that take part, evenly spaced over those given: what a fit costs grows with rows times clusters.
    pub max_rows: usize,
    /// Passes of Lloyd's algorithm at most.
    pub max_iterations: u64,
    /// Training rows are in order of time. A cluster stays only if at least a tenth of its rows lie outside of every
    /// stretch of this share of all rows: what happened once in training may have been an attack.
    pub burst_share: f64,
}

impl Default for KMeansSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            max_clusters: 256,
            rows_per_cluster: 20,
            max_rows: 20_000,
            max_iterations: 30,
            burst_share: 0.05,
        }
    }
}

/// Why rows or parts make no model.
#[derive(Debug, thiserror::Error)]
pub enum KMeansError {
    /// Nothing to learn from.
    #[error("{values} values are no rows of {width} features: k-means needs whole rows, at least one")]
    Rows {
        /// Values given.
        values: usize,
        /// Features per row.
        width: usize,
    },
    /// The fit itself failed.
    #[error(
        "k-means did not converge to centroids: {0}; check the training rows for constant or broken features"
    )]
    Fit(String),
    /// Parts that do not belong together.
    #[error(
        "a k-means model with {spreads} spreads needs {spreads} x {width} values of centroids, it has {values}; \
         train it again"
    )]
    Shape {
        /// Values of centroids.
        values: usize,
        /// Spreads.
        spreads: usize,
        /// Features per row.
        width: usize,
    },
    /// Numbers that no fit gives.
    #[error("a k-means model has a {what} that is not a usable number; the file is damaged, train it again")]
    Unsound {
        /// Which part.
        what: &'static str,
    },
}

/// Centroids with their scaler, for one kind of row.
#[derive(Clone, Debug)]
pub struct KMeans {
    scaler: Scaler,
    centroids: Vec<f32>,
    spreads: Vec<f32>,
    /// The centroids again, in groups of [`TOGETHER`]: for each group and feature, the group's values. The last centroid
    /// fills the last group.
    groups: Vec<[f32; TOGETHER]>,
    /// One over the squared spreads, grouped likewise.
    inverse: Vec<[f32; TOGETHER]>,
    /// For each feature the smallest and largest difference (centroid less value) that counts.
    limits: Vec<[f32; 2]>,
}

impl KMeans {
    /// Joins a scaler, centroids (row-major, scaled units) and one spread for each (about 1; see [`Self::spreads`]).
    ///
    /// # Errors
    /// If the shapes do not fit each other or a number is not finite, a spread not positive.
    pub fn from_parts(scaler: Scaler, centroids: Vec<f32>, spreads: Vec<f32>) -> Result<Self, KMeansError> {
        let (width, count) = (scaler.width(), spreads.len());
        let shaped = width > 0 && count > 0 && count <= CLUSTERS_MOST;
        if !shaped || count.checked_mul(width) != Some(centroids.len()) {
            return Err(KMeansError::Shape {
                values: centroids.len(),
                spreads: count,
                width,
            });
        }
        if !scaler.is_sound() {
            return Err(KMeansError::Unsound { what: "scaler" });
        }
        // Scaled values lie within the scaler's clip, so that a centroid far outside is damage, and sums stay finite.
        if !centroids.iter().all(|value| value.abs() <= 1e3) {
            return Err(KMeansError::Unsound { what: "centroid" });
        }
        if !spreads.iter().all(|spread| (1e-3..=1e3).contains(spread)) {
            return Err(KMeansError::Unsound { what: "spread" });
        }
        let at = |cluster: usize| cluster.min(count - 1);
        let firsts = (0..count).step_by(TOGETHER);
        let groups = firsts.clone().flat_map(|first| {
            let centroids = &centroids;
            (0..width).map(move |column| {
                std::array::from_fn(|lane| {
                    centroids
                        .get(at(first + lane) * width + column)
                        .copied()
                        .unwrap_or(0.0)
                })
            })
        });
        let inverse = firsts.map(|first| {
            std::array::from_fn(|lane| {
                let spread = spreads.get(at(first + lane)).copied().unwrap_or(1.0);
                1.0 / (spread * spread)
            })
        });
        let limits = scaler.columns().iter().map(|column| {
            let side = |counts: bool| {
                if column.active && counts {
                    DIFFERENCE_CAP
                } else {
                    0.0
                }
            };
            // A centroid above the value: the row has less than expected.
            [
                -side(column.excess != Excess::Below),
                side(column.excess != Excess::Above),
            ]
        });
        Ok(Self {
            groups: groups.collect(),
            inverse: inverse.collect(),
            limits: limits.collect(),
            scaler,
            centroids,
            spreads,
        })
    }

    /// The scaler.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The centroids, row-major in scaled units.
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// Each cluster's spread (root mean squared distance of its training rows) over that of all, bounded: distances to
    /// a centroid are divided by its spread.
    pub fn spreads(&self) -> &[f32] {
        &self.spreads
    }

    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.spreads.len()
    }

    /// Features per row.
    pub fn width(&self) -> usize {
        self.scaler.width()
    }

    /// Scores rows (row-major raw values, NaN = absent); `scores` is cleared and gets one finite score per row.
    ///
    /// Nothing is allocated per row, and a row's score does not depend on the rows beside it.
    pub fn score(&self, values: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        scores.reserve(values.len() / self.width());
        pulp::Arch::new().dispatch(Scoring {
            detector: self,
            values,
            scores,
        });
    }

    /// Each feature's part in one row's score, largest first (ties in feature order): what it adds to the square of the
    /// score, times the active features. What is expected is the nearest centroid.
    pub fn explain(&self, row: &[f32]) -> Vec<Contribution> {
        let width = self.width();
        let Some(row) = row.get(..width) else {
            return Vec::new();
        };
        let mut place = Place::new(width);
        place.set(self, &self.scaler.lanes(), row);
        let nearest = self.nearest(&place);
        let spread = self.spreads.get(nearest).copied().unwrap_or(1.0);
        let centroid = self
            .centroids
            .chunks_exact(width)
            .nth(nearest)
            .unwrap_or_default();
        let columns = self.scaler.columns().iter().zip(row).enumerate();
        let mut parts: Vec<_> = columns
            .zip(centroid.iter().zip(&place.features))
            .map(|((index, (column, observed)), (centroid, feature))| {
                let beyond = column.excess(*observed);
                let difference = feature.difference(*centroid);
                let expected = if column.active {
                    column.invert(*centroid)
                } else {
                    column.usual
                };
                Contribution {
                    column: index,
                    observed: *observed,
                    expected: if expected.is_finite() {
                        expected.clamp(column.usual_low, column.usual_high)
                    } else {
                        column.usual
                    },
                    low: column.usual_low,
                    high: column.usual_high,
                    error: difference * difference / (spread * spread) + beyond * beyond,
                    share: 0.0,
                }
            })
            .collect();
        let total: f32 = parts.iter().map(|part| part.error).sum();
        for part in &mut parts {
            part.share = if total > 0.0 { part.error / total } else { 0.0 };
        }
        parts.sort_by(|a, b| b.error.total_cmp(&a.error).then(a.column.cmp(&b.column)));
        parts
    }

    /// Squared distances to a group's centroids, over their squared spreads.
    #[inline(always)]
    fn distances(&self, place: &Place, group: usize) -> [f32; TOGETHER] {
        let width = place.features.len();
        let values = self.groups.get(group * width..).unwrap_or_default();
        let mut sums = [0.0; TOGETHER];
        for (feature, centroids) in place.features.iter().zip(values) {
            for (sum, centroid) in sums.iter_mut().zip(centroids) {
                let difference = feature.difference(*centroid);
                *sum += difference * difference;
            }
        }
        if let Some(inverse) = self.inverse.get(group) {
            for (sum, inverse) in sums.iter_mut().zip(inverse) {
                *sum *= inverse;
            }
        }
        sums
    }

    /// The smallest squared distance over the squared spread.
    #[inline(always)]
    fn smallest(&self, place: &Place) -> f32 {
        let mut least = self.distances(place, 0);
        for group in 1..self.inverse.len() {
            for (least, distance) in least.iter_mut().zip(self.distances(place, group)) {
                *least = if distance < *least { distance } else { *least };
            }
        }
        least.into_iter().fold(f32::MAX, f32::min)
    }

    /// The cluster at the smallest distance, the first of several.
    fn nearest(&self, place: &Place) -> usize {
        let distances = (0..self.inverse.len()).flat_map(|group| self.distances(place, group));
        let least = distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map_or(0, |(cluster, _)| cluster.min(self.clusters() - 1))
    }
}

/// One scaled value, and which differences to it count.
#[derive(Clone, Copy, Debug, Default)]
struct Feature {
    value: f32,
    low: f32,
    high: f32,
}

impl Feature {
    /// Centroid less value, within what counts. Plain comparisons are one instruction each.
    #[inline(always)]
    fn difference(self, centroid: f32) -> f32 {
        let difference = centroid - self.value;
        let difference = if difference > self.low {
            difference
        } else {
            self.low
        };
        if difference < self.high {
            difference
        } else {
            self.high
        }
    }
}

/// Room for one row.
#[derive(Debug)]
struct Place {
    inputs: Vec<f32>,
    features: Vec<Feature>,
    /// Summed squared excess.
    excess: f32,
}

impl Place {
    fn new(width: usize) -> Self {
        Self {
            inputs: vec![0.0; width],
            features: vec![Feature::default(); width],
            excess: 0.0,
        }
    }

    /// Scales a row; an absent value or an unused feature is at no distance from anything.
    #[inline(always)]
    fn set(&mut self, detector: &KMeans, lanes: &Lanes, row: &[f32]) {
        self.excess = lanes.input(row, &mut self.inputs);
        let parts = self.features.iter_mut().zip(&self.inputs).zip(row);
        for (((feature, input), raw), [low, high]) in parts.zip(&detector.limits) {
            let counts = if raw.is_nan() { 0.0 } else { 1.0 };
            *feature = Feature {
                value: *input,
                low: low * counts,
                high: high * counts,
            };
        }
    }
}

/// One call of [`KMeans::score`]: compiled for several sets of vector registers, of which pulp takes the widest that
/// this machine has.
struct Scoring<'a> {
    detector: &'a KMeans,
    values: &'a [f32],
    scores: &'a mut Vec<f32>,
}

impl pulp::WithSimd for Scoring<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let detector = self.detector;
        let lanes = detector.scaler.lanes();
        let mut place = Place::new(detector.width());
        let scale = 1.0 / detector.scaler.active().max(1) as f32;
        for row in self.values.chunks_exact(detector.width()) {
            place.set(detector, &lanes, row);
            let squared = (detector.smallest(&place) + place.excess) * scale;
            self.scores.push(squared.sqrt());
        }
    }
}

#[cfg(test)]
mod tests;
