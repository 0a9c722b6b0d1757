//! The autoencoder's network: shape, seeded start, forward pass. Four dense layers `w → 16 → 8 → 16 → w` with `ReLU`
//! between them (tanh costs five times as much in candle; for w = 44, hidden layers of 16 instead of 22 save a third of
//! the matrix products' time, whose kernels work in multiples of 8, at 3 % more error on held-out synthetic rows). It
//! must never use candle's global random generator.

mod inference;

use candle_core::{Device, Tensor};
use rand_chacha::rand_core::SeedableRng;

pub use self::inference::Inference;
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
    fn the_reconstruction_has_the_shape_of_the_batch() {
        let network = Network::seeded(30, 1).unwrap();
        let batch = Tensor::zeros((5, 30), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(network.forward(&batch).unwrap().dims(), [5, 30]);
    }
}
