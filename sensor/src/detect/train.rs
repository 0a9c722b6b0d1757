//! Training of one autoencoder: Adam on the trimmed reconstruction error, stopped early on rows it never trains on.
//! Reproducible: the same rows and seed give bit-identical weights. It must never read a clock or start a thread.

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::network::{Layer, Network};
use super::{Seeded, below};

/// Rows per step, and per pass over held-out rows (larger tensors make malloc map and unmap memory for each one).
pub const BATCH: usize = 256;

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainSettings {
    /// Seed of the start and of the order of rows.
    pub seed: u64,
    /// Optimiser steps at most; small sets get many passes, large ones few.
    pub max_steps: usize,
    /// Adam's step size for the first two thirds; a quarter of it afterwards.
    pub learning_rate: f64,
    /// Share of the worst rows of each batch that is ignored, so that a few bad rows are not learned.
    pub trim: f32,
    /// Passes without trimming: before the network knows anything, the worst rows mean nothing.
    pub warmup_epochs: usize,
    /// Passes without improvement on held-out rows after which training stops.
    pub patience: usize,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            max_steps: 6000,
            learning_rate: 2e-3,
            trim: 0.05,
            warmup_epochs: 3,
            patience: 12,
        }
    }
}

/// Scaled rows: `inputs` and `weights` are row-major and equally long.
#[derive(Clone, Debug, Default)]
pub struct ScaledRows {
    /// Columns per row.
    pub width: usize,
    /// Clamped scaled values.
    pub inputs: Vec<f32>,
    /// 1 where the error counts, 0 where the value is absent or the column unused.
    pub weights: Vec<f32>,
}

impl ScaledRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.inputs.len() / self.width.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn tensors(&self, rows: &[usize]) -> candle_core::Result<(Tensor, Tensor)> {
        let mut inputs = Vec::with_capacity(rows.len() * self.width);
        let mut weights = Vec::with_capacity(rows.len() * self.width);
        for row in rows {
            let span = row * self.width..(row + 1) * self.width;
            inputs.extend_from_slice(self.inputs.get(span.clone()).unwrap_or_default());
            weights.extend_from_slice(self.weights.get(span).unwrap_or_default());
        }
        let shape = (rows.len(), self.width);
        Ok((
            Tensor::from_vec(inputs, shape, &Device::Cpu)?,
            Tensor::from_vec(weights, shape, &Device::Cpu)?,
        ))
    }
}

/// Mean trimmed error after each pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossCurve {
    /// On the rows trained on, while training.
    pub training: Vec<f32>,
    /// On the held-out rows, after the pass.
    pub held_out: Vec<f32>,
    /// The pass whose weights were kept, counted from 0.
    pub best_epoch: usize,
}

/// Trains a fresh network on `rows`, keeping the weights that do best on `held_out`.
///
/// `progress` hears shares from 0 to 1.
///
/// # Errors
/// Only if candle fails on a tensor.
pub fn train(
    rows: &ScaledRows,
    held_out: &ScaledRows,
    settings: &TrainSettings,
    progress: &mut dyn FnMut(f64),
) -> candle_core::Result<(Network, LossCurve)> {
    let start = Network::seeded(rows.width, settings.seed)?;
    let vars = start
        .layers()
        .iter()
        .flat_map(|layer| [&layer.weight, &layer.bias])
        .map(Var::from_tensor)
        .collect::<candle_core::Result<Vec<Var>>>()?;
    let network = Network::from_layers(
        vars.chunks_exact(2)
            .map(|pair| Layer {
                weight: pair[0].as_tensor().clone(),
                bias: pair[1].as_tensor().clone(),
            })
            .collect(),
    );
    let params = ParamsAdamW {
        lr: settings.learning_rate,
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let mut optimiser = AdamW::new(vars, params)?;
    let mut rng = Seeded::seed_from_u64(settings.seed ^ 0x7472_6169_6e00);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let steps_per_epoch = rows.len().div_ceil(BATCH).max(1);
    let epochs = (settings.max_steps / steps_per_epoch).clamp(4, 400);
    let mut curve = LossCurve::default();
    let (mut best, mut best_loss, mut stale) = (snapshot(&network)?, f32::INFINITY, 0);
    for epoch in 0..epochs {
        if epoch == epochs * 2 / 3 {
            optimiser.set_learning_rate(settings.learning_rate / 4.0);
        }
        for index in (1..order.len()).rev() {
            order.swap(index, below(&mut rng, index + 1));
        }
        let trim = if epoch < settings.warmup_epochs {
            0.0
        } else {
            settings.trim
        };
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            let (inputs, weights) = rows.tensors(batch)?;
            let (loss, value) = trimmed_loss(&network, &inputs, &weights, trim)?;
            optimiser.backward_step(&loss)?;
            sum += f64::from(value);
        }
        curve.training.push((sum / steps_per_epoch as f64) as f32);
        let loss = mean_loss(&network, held_out, settings.trim)?;
        curve.held_out.push(loss);
        // A gain below a thousandth is not worth another dozen passes.
        if loss < best_loss * 0.999 {
            (best, best_loss, stale) = (snapshot(&network)?, loss, 0);
            curve.best_epoch = epoch;
        } else {
            stale += 1;
        }
        progress((epoch + 1) as f64 / epochs as f64);
        if stale >= settings.patience {
            break;
        }
    }
    progress(1.0);
    Ok((best, curve))
}

/// A copy that later steps do not change (`Var::set` writes in place).
fn snapshot(network: &Network) -> candle_core::Result<Network> {
    let layers = network
        .layers()
        .iter()
        .map(|layer| {
            Ok(Layer {
                weight: layer.weight.detach().copy()?,
                bias: layer.bias.detach().copy()?,
            })
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Network::from_layers(layers))
}

/// Mean squared error per row, weighted; shape (rows).
fn row_losses(network: &Network, inputs: &Tensor, weights: &Tensor) -> candle_core::Result<Tensor> {
    (network.forward(inputs)? - inputs)?.sqr()?.mul(weights)?.mean(1)
}

/// The loss to descend: the mean over the rows of the batch without the worst `trim` of them.
fn trimmed_loss(
    network: &Network,
    inputs: &Tensor,
    weights: &Tensor,
    trim: f32,
) -> candle_core::Result<(Tensor, f32)> {
    let losses = row_losses(network, inputs, weights)?;
    let values = losses.to_vec1::<f32>()?;
    let (limit, mean) = trimmed(&values, trim);
    let keep: Vec<f32> = values
        .iter()
        .map(|value| if *value <= limit { 1.0 } else { 0.0 })
        .collect();
    let kept: f32 = keep.iter().sum();
    let keep = Tensor::from_vec(keep, values.len(), &Device::Cpu)?;
    Ok(((losses * keep)?.sum_all()? / f64::from(kept.max(1.0)), mean))
        .and_then(|(loss, mean)| Ok((loss?, mean)))
}

/// The largest value kept and the mean of those kept when the worst `trim` share is left out.
fn trimmed(values: &[f32], trim: f32) -> (f32, f32) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let keep = sorted.len() - (sorted.len() as f32 * trim).floor() as usize;
    let kept = sorted.get(..keep.max(1)).unwrap_or(&sorted);
    let mean = kept.iter().map(|value| f64::from(*value)).sum::<f64>() / kept.len().max(1) as f64;
    (kept.last().copied().unwrap_or(f32::INFINITY), mean as f32)
}

/// Trimmed mean error over rows that are not trained on.
fn mean_loss(network: &Network, rows: &ScaledRows, trim: f32) -> candle_core::Result<f32> {
    let mut values = Vec::with_capacity(rows.len());
    let order: Vec<usize> = (0..rows.len()).collect();
    for batch in order.chunks(BATCH) {
        let (inputs, weights) = rows.tensors(batch)?;
        values.extend(row_losses(network, &inputs, &weights)?.to_vec1::<f32>()?);
    }
    Ok(trimmed(&values, trim).1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::unit_interval;
    use super::*;

    /// Rows on a plane of two hidden causes, `bad` of a thousand far off it.
    fn rows(count: usize, width: usize, seed: u64, bad: usize) -> ScaledRows {
        let mut rng = Seeded::seed_from_u64(seed);
        let mut inputs = Vec::new();
        for row in 0..count {
            let (a, b) = (
                unit_interval(&mut rng) * 2.0 - 1.0,
                unit_interval(&mut rng) * 2.0 - 1.0,
            );
            for column in 0..width {
                let angle = column as f32;
                let noise = (unit_interval(&mut rng) - 0.5) * 0.05;
                let off = if row % 1000 < bad && column % 3 == 0 {
                    7.0
                } else {
                    0.0
                };
                inputs.push(a * angle.sin() + b * angle.cos() + noise + off);
            }
        }
        ScaledRows {
            width,
            weights: vec![1.0; inputs.len()],
            inputs,
        }
    }

    fn quick(seed: u64) -> TrainSettings {
        TrainSettings {
            seed,
            max_steps: 400,
            ..TrainSettings::default()
        }
    }

    #[test]
    fn the_same_rows_and_seed_give_bit_identical_weights() {
        let (data, tail) = (rows(600, 12, 1, 0), rows(150, 12, 2, 0));
        let bits = |seed| {
            let (network, curve) = train(&data, &tail, &quick(seed), &mut |_| ()).unwrap();
            (
                network
                    .values()
                    .unwrap()
                    .into_iter()
                    .map(f32::to_bits)
                    .collect::<Vec<_>>(),
                curve,
            )
        };
        assert_eq!(bits(3), bits(3));
        assert_ne!(bits(3).0, bits(4).0);
    }

    #[test]
    fn training_learns_structure_and_stops_with_the_best_weights() {
        let (data, tail) = (rows(2000, 12, 1, 0), rows(400, 12, 2, 0));
        let (network, curve) = train(&data, &tail, &TrainSettings::default(), &mut |_| ()).unwrap();
        let first = curve.held_out[0];
        let best = curve.held_out[curve.best_epoch];
        assert!(best < first / 5.0, "{first} -> {best}");
        let again = mean_loss(&network, &tail, TrainSettings::default().trim).unwrap();
        assert!((again - best).abs() < 1e-6);
    }

    #[test]
    fn five_per_cent_bad_rows_are_not_learned() {
        let (data, tail) = (rows(3000, 12, 1, 50), rows(600, 12, 2, 50));
        let (network, _) = train(&data, &tail, &TrainSettings::default(), &mut |_| ()).unwrap();
        let clean = mean_loss(&network, &rows(300, 12, 9, 0), 0.0).unwrap();
        let bad = mean_loss(&network, &rows(40, 12, 9, 1000), 0.0).unwrap();
        assert!(clean < 0.1 && bad > 20.0 * clean, "clean {clean}, bad {bad}");
    }

    #[test]
    fn absent_values_have_no_influence() {
        let mut data = rows(300, 6, 1, 0);
        for (value, weight) in data.inputs.iter_mut().zip(data.weights.iter_mut()).step_by(6) {
            (*value, *weight) = (0.0, 0.0);
        }
        let (network, _) = train(&data, &data, &quick(1), &mut |_| ()).unwrap();
        let start = Network::seeded(6, 1).unwrap();
        let bias = |network: &Network| network.layers()[3].bias.to_vec1::<f32>().unwrap();
        assert!((bias(&network)[0] - bias(&start)[0]).abs() < 1e-9);
        assert!((bias(&network)[1] - bias(&start)[1]).abs() > 1e-6);
    }
}
