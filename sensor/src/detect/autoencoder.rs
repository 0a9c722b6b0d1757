//! The autoencoder detector: scaler and network together. A row's score is the mean squared reconstruction error over
//! the active features plus the squared excess beyond the range of training, so a feature far outside of training
//! raises the score monotonically whatever the network makes of it. It must never fail on an odd row.

use candle_core::{Device, Tensor};

use super::network::Network;
use super::scaler::Scaler;
use super::train::BATCH;

/// A trained network with its scaler, for one kind of row.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    scaler: Scaler,
    network: Network,
}

/// What one feature did to a row's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Column of the feature.
    pub column: usize,
    /// Raw value.
    pub observed: f32,
    /// Raw value that the network expected from the rest of the row, kept within the usual range.
    pub expected: f32,
    /// 1 % quantile in training.
    pub low: f32,
    /// 99 % quantile in training.
    pub high: f32,
    /// Squared error plus squared excess, scaled units.
    pub error: f32,
    /// This feature's share of the row's score, 0 to 1.
    pub share: f32,
}

impl Autoencoder {
    /// Joins a scaler and a network of the same width (the caller has checked that).
    pub fn new(scaler: Scaler, network: Network) -> Self {
        Self { scaler, network }
    }

    /// The scaler.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Features per row.
    pub fn width(&self) -> usize {
        self.scaler.width()
    }

    /// Scores rows (row-major raw values, NaN = absent); `scores` is cleared and gets one finite score per row.
    ///
    /// Work goes in batches of [`BATCH`] with buffers reused between batches, nothing is allocated per row.
    ///
    /// # Errors
    /// Only if the width does not fit the network.
    pub fn score(&self, values: &[f32], scores: &mut Vec<f32>) -> candle_core::Result<()> {
        let width = self.width().max(1);
        scores.clear();
        scores.reserve(values.len() / width);
        let lanes = self.scaler.lanes();
        let (mut inputs, mut excess) = (Vec::new(), Vec::new());
        let scale = 1.0 / self.scaler.active().max(1) as f32;
        for batch in values.chunks(width * BATCH) {
            lanes.inputs(batch, &mut inputs, &mut excess);
            let tensor = Tensor::from_slice(&inputs, (excess.len(), width), &Device::Cpu)?;
            self.network.reconstruct(&tensor, &mut |rebuilt, bias| {
                let rows = rebuilt.chunks_exact(width).zip(inputs.chunks_exact(width));
                for ((row, (rebuilt, inputs)), beyond) in batch.chunks_exact(width).zip(rows).zip(&excess) {
                    scores.push((lanes.error(row, inputs, rebuilt, bias) + beyond) * scale);
                }
            })?;
        }
        Ok(())
    }

    /// Each feature's part in one row's score, largest first (ties in feature order).
    ///
    /// # Errors
    /// Only if the width does not fit the network.
    pub fn explain(&self, row: &[f32]) -> candle_core::Result<Vec<Contribution>> {
        let (mut inputs, mut weights, mut excess) = (Vec::new(), Vec::new(), Vec::new());
        self.scaler.apply(row, &mut inputs, &mut weights, &mut excess);
        let tensor = Tensor::from_slice(&inputs, (1, inputs.len()), &Device::Cpu)?;
        let rebuilt = self.network.forward(&tensor)?.flatten_all()?.to_vec1::<f32>()?;
        let mut parts = Vec::with_capacity(row.len());
        for (index, (column, observed)) in self.scaler.columns().iter().zip(row).enumerate() {
            let at = |values: &[f32]| values.get(index).copied().unwrap_or(0.0);
            let beyond = column.excess(*observed);
            let network_error = (at(&rebuilt) - at(&inputs)).powi(2) * at(&weights);
            let expected = if column.active {
                column.invert(at(&rebuilt))
            } else {
                column.usual
            };
            parts.push(Contribution {
                column: index,
                observed: *observed,
                expected: if expected.is_finite() {
                    expected.clamp(column.usual_low, column.usual_high)
                } else {
                    column.usual
                },
                low: column.usual_low,
                high: column.usual_high,
                error: network_error + beyond * beyond,
                share: 0.0,
            });
        }
        let total: f32 = parts.iter().map(|part| part.error).sum();
        for part in &mut parts {
            part.share = if total > 0.0 { part.error / total } else { 0.0 };
        }
        parts.sort_by(|a, b| b.error.total_cmp(&a.error).then(a.column.cmp(&b.column)));
        Ok(parts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::super::scaler::{ColumnKind, Excess};
    use super::super::train::{ScaledRows, TrainSettings, train};
    use super::super::{Seeded, unit_interval};
    use super::*;

    const WIDTH: usize = 14;

    /// Positive, skewed, correlated values: three hidden causes times noise.
    fn traffic(rows: usize, seed: u64) -> Vec<f32> {
        let mut rng = Seeded::seed_from_u64(seed);
        let mut values = Vec::new();
        for _ in 0..rows {
            let causes = [(); 3].map(|()| unit_interval(&mut rng) * 2.0);
            for column in 0..WIDTH {
                let noise = unit_interval(&mut rng) * 0.3;
                values.push((causes[column % 3] + noise + column as f32 * 0.3).exp());
            }
        }
        values
    }

    fn trained() -> Autoencoder {
        let values = traffic(1500, 1);
        let kinds = [ColumnKind {
            log1p: true,
            span: f32::INFINITY,
            excess: Excess::Both,
        }; WIDTH];
        let scaler = Scaler::fit(&values, &kinds);
        let scaled = |values: &[f32]| {
            let mut rows = ScaledRows {
                width: WIDTH,
                ..ScaledRows::default()
            };
            scaler.apply(values, &mut rows.inputs, &mut rows.weights, &mut Vec::new());
            rows
        };
        let settings = TrainSettings {
            max_steps: 800,
            ..TrainSettings::default()
        };
        let (network, _) = train(
            &scaled(&values),
            &scaled(&traffic(300, 2)),
            &settings,
            &mut |_| (),
        )
        .unwrap();
        Autoencoder::new(scaler, network)
    }

    #[test]
    fn a_feature_growing_tenfold_again_and_again_never_lowers_the_score_and_leads_the_reasons() {
        let detector = trained();
        let base = traffic(4, 3);
        for row in base.chunks_exact(WIDTH) {
            for column in 0..WIDTH {
                let mut batch = row.to_vec();
                for exponent in 1..=6 {
                    let mut scaled = row.to_vec();
                    scaled[column] *= 10f32.powi(exponent);
                    batch.extend(scaled);
                }
                let mut scores = Vec::new();
                detector.score(&batch, &mut scores).unwrap();
                assert!(
                    scores.windows(2).all(|pair| pair[1] >= pair[0]),
                    "column {column}: {scores:?}"
                );
                assert!(scores[3] > 10.0 * scores[0], "column {column}: {scores:?}");
                let reasons = detector.explain(&batch[3 * WIDTH..4 * WIDTH]).unwrap();
                assert_eq!(reasons[0].column, column);
                assert!(reasons[0].observed > reasons[0].high && reasons[0].share > 0.3);
                assert!(reasons[0].expected <= reasons[0].high && reasons[0].expected >= reasons[0].low);
            }
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_batch_and_agree_with_the_explanation() {
        let detector = trained();
        let values = traffic(700, 5);
        let mut all = Vec::new();
        detector.score(&values, &mut all).unwrap();
        assert_eq!(all.len(), 700);
        for row in [0, 255, 256, 699] {
            let one_row = &values[row * WIDTH..(row + 1) * WIDTH];
            let mut one = Vec::new();
            detector.score(one_row, &mut one).unwrap();
            assert!((one[0] - all[row]).abs() <= 1e-5 * all[row].max(1.0));
            let parts: f32 = detector
                .explain(one_row)
                .unwrap()
                .iter()
                .map(|part| part.error)
                .sum();
            assert!((parts / WIDTH as f32 - all[row]).abs() <= 1e-4 * all[row].max(1.0));
        }
    }

    #[test]
    fn odd_rows_get_finite_scores() {
        let detector = trained();
        let mut values = vec![f32::NAN; WIDTH];
        values.extend([f32::INFINITY; WIDTH]);
        values.extend([f32::NEG_INFINITY; WIDTH]);
        values.extend([-1.0; WIDTH]);
        let mut scores = Vec::new();
        detector.score(&values, &mut scores).unwrap();
        assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
        assert!(scores[0].abs() < 1e-6 && scores[1] > 10.0);
    }
}
