//! Fitting the centroids: seeded k-means++ (Arthur and Vassilvitskii 2007) of our own, then linfa's Lloyd iterations. Of
//! linfa's starts, k-means|| depends on the number of threads and k-means++ computes every distance again for each new
//! centroid; its iterations use threads only for each row's own nearest centroid and sum in row order, so that the same
//! rows and seed give the same bits on any number of threads. It must never take a random number from elsewhere.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{KMeans as Lloyd, KMeansInit};
use ndarray::{Array2, ArrayView2};
use rand_chacha::rand_core::SeedableRng;

use super::{KMeans, KMeansError, KMeansSettings, Place};
use crate::detect::scaler::Scaler;
use crate::detect::{Seeded, below, quantile, unit_interval};

/// Centroids move less than this in all when Lloyd's algorithm is done, scaled units.
const TOLERANCE: f32 = 1e-2;
/// Bounds of a cluster's spread over that of all: a cluster of equal rows is not infinitely sure of itself.
const SPREAD_LEAST: f32 = 0.5;
const SPREAD_MOST: f32 = 2.0;
/// A cluster's spread counts as if it had this many more rows of the overall spread.
const SPREAD_PRIOR_ROWS: f64 = 20.0;

impl KMeans {
    /// Fits centroids to `values` (row-major raw values in order of time, NaN = absent).
    ///
    /// Reproducible: the same rows and settings give bit-identical centroids, whatever the number of threads.
    ///
    /// # Errors
    /// If there is no whole row, or the centroids come out unusable.
    pub fn fit(scaler: Scaler, values: &[f32], settings: &KMeansSettings) -> Result<Self, KMeansError> {
        let width = scaler.width();
        let rows = values.len().checked_div(width).unwrap_or(0);
        if rows == 0 || rows * width != values.len() {
            return Err(KMeansError::Rows {
                values: values.len(),
                width,
            });
        }
        let stride = rows.div_ceil(settings.max_rows.max(1)).max(1);
        let mut taken = Vec::with_capacity(rows.div_ceil(stride) * width);
        for row in values.chunks_exact(width).step_by(stride) {
            taken.extend_from_slice(row);
        }
        let mut inputs = Vec::new();
        scaler.lanes().inputs(&taken, &mut inputs, &mut Vec::new());
        let rows = taken.len() / width;
        let clusters = rows / settings.rows_per_cluster.max(1);
        let clusters = clusters.clamp(1, settings.max_clusters.clamp(1, super::CLUSTERS_MOST));
        let centroids = lloyd(&inputs, width, clusters, settings)?;
        let equal = vec![1.0; centroids.len() / width];
        let fitted = Self::from_parts(scaler, centroids, equal)?;
        fitted
            .keep_recurring(&taken, settings.burst_share)?
            .measure_spreads(&taken)
    }

    /// Each row's cluster and squared distance.
    fn assign(&self, values: &[f32]) -> Vec<(usize, f32)> {
        let lanes = self.scaler.lanes();
        let mut place = Place::new(self.width());
        let rows = values.chunks_exact(self.width());
        rows.map(|row| {
            place.set(self, &lanes, row);
            (self.nearest(&place), self.smallest(&place))
        })
        .collect()
    }

    /// Drops the clusters whose rows came in one burst, unless those are all.
    fn keep_recurring(self, values: &[f32], burst_share: f64) -> Result<Self, KMeansError> {
        let assigned = self.assign(values);
        let burst = (assigned.len() as f64 * burst_share) as usize;
        if burst == 0 {
            return Ok(self);
        }
        let mut members = vec![Vec::new(); self.clusters()];
        for (row, (cluster, _)) in assigned.iter().enumerate() {
            if let Some(members) = members.get_mut(*cluster) {
                members.push(row);
            }
        }
        let recurs = |rows: &[usize]| {
            let elsewhere = rows.len() - most_within(rows, burst);
            !rows.is_empty() && elsewhere >= rows.len().div_ceil(10)
        };
        let kept = self.centroids.chunks_exact(self.width()).zip(&members);
        let kept: Vec<f32> = kept
            .filter(|(_, rows)| recurs(rows))
            .flat_map(|(centroid, _)| centroid.iter().copied())
            .collect();
        if kept.is_empty() {
            return Ok(self);
        }
        let equal = vec![1.0; kept.len() / self.width()];
        Self::from_parts(self.scaler, kept, equal)
    }

    /// Sets each cluster's spread from its rows; the farthest twentieth of all rows has no say.
    fn measure_spreads(self, values: &[f32]) -> Result<Self, KMeansError> {
        let assigned = self.assign(values);
        let mut sorted: Vec<f32> = assigned.iter().map(|(_, squared)| *squared).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let cut = quantile(&sorted, 0.95);
        let mut sums = vec![(0.0f64, 0.0f64); self.clusters()];
        let mut all = (0.0f64, 0.0f64);
        for (cluster, squared) in assigned.into_iter().filter(|(_, squared)| *squared <= cut) {
            for sums in [sums.get_mut(cluster), Some(&mut all)].into_iter().flatten() {
                sums.0 += f64::from(squared);
                sums.1 += 1.0;
            }
        }
        let overall = all.0 / all.1;
        let spread = |(sum, rows): (f64, f64)| {
            let own = (sum + SPREAD_PRIOR_ROWS * overall) / (rows + SPREAD_PRIOR_ROWS);
            let ratio = (own / overall).sqrt() as f32;
            // Rows that are all equal to their centroids have no spread to compare.
            if ratio.is_finite() {
                ratio.clamp(SPREAD_LEAST, SPREAD_MOST)
            } else {
                1.0
            }
        };
        let spreads = sums.into_iter().map(spread).collect();
        Self::from_parts(self.scaler, self.centroids, spreads)
    }
}

/// Most of the ascending row numbers that lie within a stretch of `burst` rows.
fn most_within(rows: &[usize], burst: usize) -> usize {
    let mut first = 0;
    let counts = rows.iter().enumerate().map(|(last, row)| {
        while rows.get(first).is_some_and(|earliest| earliest + burst < *row) {
            first += 1;
        }
        last + 1 - first
    });
    counts.max().unwrap_or(0)
}

/// Seeded start and Lloyd's iterations over scaled rows: `clusters` centroids, row-major.
fn lloyd(
    inputs: &[f32],
    width: usize,
    clusters: usize,
    settings: &KMeansSettings,
) -> Result<Vec<f32>, KMeansError> {
    let wrong = |cause: &dyn ToString| KMeansError::Fit(cause.to_string());
    let start = plus_plus(inputs, width, clusters, settings.seed);
    let start = Array2::from_shape_vec((clusters, width), start).map_err(|error| wrong(&error))?;
    let rows = (inputs.len() / width, width);
    let rows = ArrayView2::from_shape(rows, inputs).map_err(|error| wrong(&error))?;
    let fitted = Lloyd::params(clusters)
        .init_method(KMeansInit::Precomputed(start))
        .n_runs(1)
        .max_n_iterations(settings.max_iterations.max(1))
        .tolerance(TOLERANCE)
        .fit(&DatasetBase::from(rows))
        .map_err(|error| wrong(&error))?;
    Ok(fitted.centroids().iter().copied().collect())
}

/// k-means++: each further centroid is a row drawn with a probability proportional to its squared distance from the
/// nearest centroid so far.
fn plus_plus(inputs: &[f32], width: usize, clusters: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seeded::seed_from_u64(seed);
    let rows = inputs.len() / width;
    let row = |index: usize| inputs.get(index * width..(index + 1) * width).unwrap_or_default();
    let mut distances = vec![f32::MAX; rows];
    let mut centroids = Vec::with_capacity(clusters * width);
    let mut next = below(&mut rng, rows);
    for _ in 0..clusters {
        let centroid = row(next);
        centroids.extend_from_slice(centroid);
        let mut total = 0.0f64;
        for (distance, other) in distances.iter_mut().zip(inputs.chunks_exact(width)) {
            *distance = distance.min(squared_distance(centroid, other));
            total += f64::from(*distance);
        }
        let mut left = f64::from(unit_interval(&mut rng)) * total;
        // Rounding may leave a rest: the last row that is not a centroid itself then.
        let mut chosen = distances
            .iter()
            .rposition(|distance| *distance > 0.0)
            .unwrap_or(next);
        for (index, distance) in distances.iter().enumerate() {
            left -= f64::from(*distance);
            if left < 0.0 {
                chosen = index;
                break;
            }
        }
        next = chosen;
    }
    centroids
}

/// Squared distance, in eight running sums so that the compiler can use vector registers.
fn squared_distance(left: &[f32], right: &[f32]) -> f32 {
    let (lefts, left_rest) = left.as_chunks::<8>();
    let (rights, right_rest) = right.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for (left, right) in lefts.iter().zip(rights) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += (left - right) * (left - right);
        }
    }
    let rest = left_rest
        .iter()
        .zip(right_rest)
        .map(|(left, right)| (left - right) * (left - right));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}
