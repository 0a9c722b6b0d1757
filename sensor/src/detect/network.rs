//! The autoencoder's network: shape, seeded start, forward pass. Four dense layers `w → 16 → 8 → 16 → w` with `ReLU`
//! between them (tanh costs five times as much in candle; for w = 44, hidden layers of 16 instead of 22 save a third of
//! the matrix products' time, whose kernels work in multiples of 8, at 3 % more error on held-out synthetic rows). It must never use candle's global random generator.

use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Storage, Tensor};
use rand_chacha::rand_core::SeedableRng;

use super::{Seeded, unit_interval};

/// Width of the narrowest layer.
pub const CODE: usize = 8;
/// Width of the layers on both sides of it.
pub const HIDDEN: usize = 16;
/// Dense layers.
pub const LAYERS: usize = 4;

/// One dense layer: `x · weight + bias`.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Shape (inputs, outputs), row-major.
    pub weight: Tensor,
    /// Shape (outputs).
    pub bias: Tensor,
}

/// The dense layers of an autoencoder, all `f32` on the CPU.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Layer>,
}

/// Layer shapes (inputs, outputs) of an autoencoder over `width` features.
pub fn shapes(width: usize) -> [(usize, usize); LAYERS] {
    [(width, HIDDEN), (HIDDEN, CODE), (CODE, HIDDEN), (HIDDEN, width)]
}

impl Network {
    /// A fresh network: uniform weights of variance `2 / inputs` (He and others 2015), zero biases.
    ///
    /// # Errors
    /// Only if candle cannot make the tensors.
    pub fn seeded(width: usize, seed: u64) -> candle_core::Result<Self> {
        let mut rng = Seeded::seed_from_u64(seed);
        let mut layers = Vec::with_capacity(LAYERS);
        for (inputs, outputs) in shapes(width) {
            let bound = (6.0 / inputs as f32).sqrt();
            let values: Vec<f32> = (0..inputs * outputs)
                .map(|_| (unit_interval(&mut rng) * 2.0 - 1.0) * bound)
                .collect();
            layers.push(Layer {
                weight: Tensor::from_vec(values, (inputs, outputs), &Device::Cpu)?,
                bias: Tensor::from_vec(vec![0f32; outputs], outputs, &Device::Cpu)?,
            });
        }
        Ok(Self { layers })
    }

    /// A network of these layers; the caller has checked the shapes against [`shapes`].
    pub fn from_layers(layers: Vec<Layer>) -> Self {
        Self { layers }
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Reconstruction of a batch of shape (rows, width).
    ///
    /// # Errors
    /// Only if the width does not fit the layers.
    pub fn forward(&self, batch: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = batch.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            x = x.matmul(&layer.weight)?.broadcast_add(&layer.bias)?;
            if index + 1 < self.layers.len() {
                x = x.relu()?;
            }
        }
        Ok(x)
    }

    /// Reconstruction for scoring: the same sums as [`Self::forward`] with fewer passes over memory. `each` gets the last
    /// layer's products (row-major) and the bias that is still to be added to every row of them.
    ///
    /// # Errors
    /// Only if the width does not fit the layers, or a tensor is not `f32` on the CPU.
    pub fn reconstruct(
        &self,
        batch: &Tensor,
        each: &mut dyn FnMut(&[f32], &[f32]),
    ) -> candle_core::Result<()> {
        let Some((last, hidden)) = self.layers.split_last() else {
            return Ok(());
        };
        let mut x = batch.clone();
        for layer in hidden {
            x = x.matmul(&layer.weight)?;
            x.inplace_op2(&layer.bias, &AddThenRelu)?;
        }
        let x = x.matmul(&last.weight)?;
        let (products, products_layout) = x.storage_and_layout();
        let (bias, bias_layout) = last.bias.storage_and_layout();
        let (Storage::Cpu(products), Storage::Cpu(bias)) = (&*products, &*bias) else {
            return Err(candle_core::Error::Msg(
                "tensors of a model are on the CPU".to_owned(),
            ));
        };
        each(values(products, products_layout)?, values(bias, bias_layout)?);
        Ok(())
    }

    /// All parameters as plain values, in layer order: for comparisons and checks.
    ///
    /// # Errors
    /// Only if a tensor is not `f32`.
    pub fn values(&self) -> candle_core::Result<Vec<f32>> {
        let mut values = Vec::new();
        for layer in &self.layers {
            values.extend(layer.weight.flatten_all()?.to_vec1::<f32>()?);
            values.extend(layer.bias.to_vec1::<f32>()?);
        }
        Ok(values)
    }
}

/// `max(x + bias, 0)` for every row, in place.
struct AddThenRelu;

impl InplaceOp2 for AddThenRelu {
    fn name(&self) -> &'static str {
        "add-then-relu"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        rows_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<()> {
        let bias = values(bias, bias_layout)?;
        let CpuStorage::F32(rows) = rows else {
            return Err(candle_core::Error::Msg("layers are f32".to_owned()));
        };
        let (start, end) = span(rows_layout)?;
        for row in rows
            .get_mut(start..end)
            .unwrap_or_default()
            .chunks_exact_mut(bias.len().max(1))
        {
            for (value, bias) in row.iter_mut().zip(bias) {
                let sum = *value + bias;
                *value = if sum > 0.0 { sum } else { 0.0 };
            }
        }
        Ok(())
    }
}

fn span(layout: &Layout) -> candle_core::Result<(usize, usize)> {
    layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::Msg("layers are contiguous".to_owned()))
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let (start, end) = span(layout)?;
    Ok(storage.as_slice::<f32>()?.get(start..end).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_start_and_another_seed_another() {
        let values = |seed| Network::seeded(20, seed).unwrap().values().unwrap();
        assert_eq!(values(7), values(7));
        assert_ne!(values(7), values(8));
    }

    #[test]
    fn scoring_and_training_reconstruct_the_same() {
        let mut network = Network::seeded(20, 1).unwrap();
        for layer in &mut network.layers {
            layer.bias = (&layer.bias + 0.25).unwrap();
        }
        let input: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let batch = Tensor::from_vec(input, (3, 20), &Device::Cpu).unwrap();
        let forward = network
            .forward(&batch)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let mut rebuilt = Vec::new();
        network
            .reconstruct(&batch, &mut |products, bias| {
                rebuilt.extend(
                    products
                        .iter()
                        .zip(bias.iter().cycle())
                        .map(|(product, bias)| product + bias),
                );
            })
            .unwrap();
        assert_eq!(forward, rebuilt);
    }

    #[test]
    fn the_reconstruction_has_the_shape_of_the_batch() {
        let network = Network::seeded(30, 1).unwrap();
        let batch = Tensor::zeros((5, 30), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(network.forward(&batch).unwrap().dims(), [5, 30]);
    }
}
