//! The autoencoder detector: scaler and network together. A row's score is the root of the mean squared reconstruction
//! error over the active features plus the squared excess beyond the range of training, so a feature outside of training raises the
//! score monotonically whatever the network makes of it; what one feature can add is bounded. It must never fail on an odd row.

use candle_core::{Device, Tensor};

use super::network::{Inference, Network};
use super::scaler::{Lanes, Scaler};

/// Rows that go through the network together, so that each weight is read once for all of them.
const TOGETHER: usize = 4;

/// A trained network with its scaler, for one kind of row.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    scaler: Scaler,
    network: Network,
    /// Scaler and network in the form in which rows are scored: made once, because windows of few rows are many.
    lanes: Lanes,
    /// `None` if the network cannot be one of ours; scoring says why.
    inference: Option<Inference>,
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
        Self {
            lanes: scaler.lanes(),
            inference: Inference::of(&network).ok(),
            scaler,
            network,
        }
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
    /// Nothing is allocated per row, and a row's score does not depend on the rows beside it.
    ///
    /// # Errors
    /// Only if the width does not fit the network.
    pub fn score(&self, values: &[f32], scores: &mut Vec<f32>) -> candle_core::Result<()> {
        let width = self.width();
        scores.clear();
        if width == 0 {
            return Ok(());
        }
        scores.reserve(values.len() / width);
        let Some(inference) = &self.inference else {
            return Inference::of(&self.network).map(|_| ());
        };
        if inference.width() != width {
            return Err(candle_core::Error::Msg(format!(
                "the scaler has {width} features and the network {}",
                inference.width()
            )));
        }
        pulp::Arch::new().dispatch(Scoring {
            scaler: &self.scaler,
            lanes: &self.lanes,
            inference,
            values,
            scores,
        });
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
            let network_error = column.network_error(at(&inputs), at(&rebuilt)) * at(&weights);
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

/// One call of [`Autoencoder::score`]: compiled for several sets of vector registers, of which pulp takes the widest
/// that this machine has.
struct Scoring<'a> {
    scaler: &'a Scaler,
    lanes: &'a Lanes,
    inference: &'a Inference,
    values: &'a [f32],
    scores: &'a mut Vec<f32>,
}

impl pulp::WithSimd for Scoring<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let width = self.scaler.width();
        let batch = Batch {
            lanes: self.lanes,
            inference: self.inference,
            width,
            scale: 1.0 / self.scaler.active().max(1) as f32,
        };
        let mut inputs = vec![0.0; width * TOGETHER];
        let mut rebuilt = vec![0.0; self.inference.stride() * TOGETHER];
        let together = self.values.chunks_exact(width * TOGETHER);
        let rest = together.remainder();
        for rows in together {
            let scores = batch.score::<TOGETHER>(rows, &mut inputs, &mut rebuilt);
            self.scores.extend_from_slice(&scores);
        }
        for row in rest.chunks_exact(width) {
            let scores = batch.score::<1>(row, &mut inputs, &mut rebuilt);
            self.scores.extend_from_slice(&scores);
        }
    }
}

/// What scoring needs for every row.
struct Batch<'a> {
    lanes: &'a Lanes,
    inference: &'a Inference,
    width: usize,
    /// One over the active features.
    scale: f32,
}

impl Batch<'_> {
    /// Scores `R` rows.
    #[inline(always)]
    fn score<const R: usize>(&self, values: &[f32], inputs: &mut [f32], rebuilt: &mut [f32]) -> [f32; R] {
        let mut scores = [0.0; R];
        let rows = values.chunks_exact(self.width);
        let places = inputs.chunks_exact_mut(self.width);
        for ((score, row), place) in scores.iter_mut().zip(rows.clone()).zip(places) {
            *score = self.lanes.input(row, place);
        }
        let part = |index: usize| index * self.width..(index + 1) * self.width;
        let parts = std::array::from_fn(|index| inputs.get(part(index)).unwrap_or_default());
        self.inference.reconstruct::<R>(parts, rebuilt);
        let rebuilt = rebuilt.chunks_exact(self.inference.stride());
        for (((score, row), inputs), rebuilt) in scores.iter_mut().zip(rows).zip(parts).zip(rebuilt) {
            let rebuilt = rebuilt.get(..self.width).unwrap_or_default();
            *score = ((*score + self.lanes.error(row, inputs, rebuilt)) * self.scale).sqrt();
        }
        scores
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
                assert!(scores[3] > scores[0] + 0.5, "column {column}: {scores:?}");
                let reasons = detector.explain(&batch[3 * WIDTH..4 * WIDTH]).unwrap();
                assert_eq!(reasons[0].column, column);
                assert!(reasons[0].observed > reasons[0].high && reasons[0].share > 0.3);
                assert!(reasons[0].expected <= reasons[0].high && reasons[0].expected >= reasons[0].low);
            }
        }
    }

    #[test]
    fn scores_are_the_same_bits_in_any_batch_and_agree_with_the_explanation() {
        let detector = trained();
        let values = traffic(700, 5);
        let mut all = Vec::new();
        detector.score(&values, &mut all).unwrap();
        assert_eq!(all.len(), 700);
        for row in [0, 255, 256, 699] {
            let one_row = &values[row * WIDTH..(row + 1) * WIDTH];
            let mut one = Vec::new();
            detector.score(one_row, &mut one).unwrap();
            assert_eq!(one[0].to_bits(), all[row].to_bits());
            let parts: f32 = detector
                .explain(one_row)
                .unwrap()
                .iter()
                .map(|part| part.error)
                .sum();
            assert!(((parts / WIDTH as f32).sqrt() - all[row]).abs() <= 1e-4 * all[row].max(1.0));
        }
    }

    #[test]
    fn a_network_of_another_width_is_refused_not_misread() {
        let detector = Autoencoder::new(trained().scaler, Network::seeded(WIDTH + 2, 1).unwrap());
        assert!(detector.score(&traffic(5, 1), &mut Vec::new()).is_err());
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let detector = trained();
        let values = traffic(100, 6);
        let inference = Inference::of(&detector.network).unwrap();
        let (mut widest, mut plain) = (Vec::new(), Vec::new());
        detector.score(&values, &mut widest).unwrap();
        pulp::WithSimd::with_simd(
            Scoring {
                scaler: &detector.scaler,
                lanes: &detector.lanes,
                inference: &inference,
                values: &values,
                scores: &mut plain,
            },
            pulp::Scalar,
        );
        let bits = |scores: &[f32]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&widest), bits(&plain));
        assert_eq!(plain.len(), 100);
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
        assert!(scores[0].abs() < 1e-6 && scores[1] > 4.0);
    }
}
