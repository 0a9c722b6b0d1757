//! The forward pass for scoring: the network's layers in plain arithmetic, a few rows at a time, nothing allocated.
//! Candle's tensors cost more than the products at this size (docs/benchmarks.md); a test holds both to the same
//! results. Every sum is taken in one order, whatever the vector width and the rows beside it, so that a row's score is
//! the same bits on every machine. It must never use fused multiply-add, which would end that.

use super::{CODE, HIDDEN, Layer, Network, shapes};

/// Outputs of a layer that are computed together, and the weights to them.
#[derive(Clone, Debug)]
struct Panel<const N: usize> {
    bias: [f32; N],
    /// For each input, its weights to these outputs.
    weights: Vec<[f32; N]>,
}

/// A network's parameters in the order in which scoring reads them.
#[derive(Clone, Debug)]
pub struct Inference {
    width: usize,
    first: Panel<HIDDEN>,
    code: Panel<CODE>,
    third: Panel<HIDDEN>,
    /// The outputs in groups of [`HIDDEN`]; those beyond the width have weights of zero.
    last: Vec<Panel<HIDDEN>>,
}

impl Inference {
    /// The parameters of `network`, copied.
    ///
    /// # Errors
    /// If the layers have other shapes than [`shapes`] asks for, or are not `f32`.
    pub fn of(network: &Network) -> candle_core::Result<Self> {
        let [first, code, third, last] = network.layers() else {
            return Err(candle_core::Error::Msg(
                "an autoencoder has four layers".to_owned(),
            ));
        };
        let width = last.bias.elem_count();
        for (layer, shape) in network.layers().iter().zip(shapes(width)) {
            let found = layer.weight.dims2()?;
            if found != shape || layer.bias.dims1()? != shape.1 {
                return Err(candle_core::Error::Msg(format!(
                    "a layer of {width} features has shape {found:?} instead of {shape:?}"
                )));
            }
        }
        let groups = (0..width).step_by(HIDDEN);
        Ok(Self {
            width,
            first: Panel::of(first, 0)?,
            code: Panel::of(code, 0)?,
            third: Panel::of(third, 0)?,
            last: groups
                .map(|from| Panel::of(last, from))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Features per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Room that each row's reconstruction takes: the width, up to a whole number of groups.
    pub fn stride(&self) -> usize {
        self.width.next_multiple_of(HIDDEN)
    }

    /// Reconstructs `R` rows of scaled values into `rebuilt`, [`Self::stride`] values for each row.
    #[inline(always)]
    pub fn reconstruct<const R: usize>(&self, rows: [&[f32]; R], rebuilt: &mut [f32]) {
        let hidden = rectified(self.first.products(rows));
        let code = rectified(self.code.products(slices(&hidden)));
        let hidden = rectified(self.third.products(slices(&code)));
        for (group, panel) in self.last.iter().enumerate() {
            let products = panel.products(slices(&hidden));
            for (row, products) in rebuilt.chunks_exact_mut(self.stride()).zip(&products) {
                if let Some(place) = row.as_chunks_mut::<HIDDEN>().0.get_mut(group) {
                    *place = *products;
                }
            }
        }
    }
}

impl<const N: usize> Panel<N> {
    /// The outputs `from..from + N` of a layer.
    fn of(layer: &Layer, from: usize) -> candle_core::Result<Self> {
        let part = |values: &[f32]| std::array::from_fn(|at| values.get(from + at).copied().unwrap_or(0.0));
        Ok(Self {
            bias: part(&layer.bias.to_vec1()?),
            weights: layer.weight.to_vec2()?.iter().map(|row| part(row)).collect(),
        })
    }

    /// `bias + x · weights` for `R` rows: each weight is read once for all of them.
    #[inline(always)]
    fn products<const R: usize>(&self, rows: [&[f32]; R]) -> [[f32; N]; R] {
        let rows = rows.map(|row| row.get(..self.weights.len()).unwrap_or_default());
        let mut sums = [self.bias; R];
        for (input, weights) in self.weights.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let value = row[input];
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        sums
    }
}

#[inline(always)]
fn rectified<const N: usize, const R: usize>(rows: [[f32; N]; R]) -> [[f32; N]; R] {
    rows.map(|row| row.map(|value| if value > 0.0 { value } else { 0.0 }))
}

#[inline(always)]
fn slices<const N: usize, const R: usize>(rows: &[[f32; N]; R]) -> [&[f32]; R] {
    rows.each_ref().map(<[f32; N]>::as_slice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// A network with biases, and rows for it.
    fn network(width: usize, rows: usize) -> (Network, Vec<f32>) {
        let mut layers = Network::seeded(width, 1).unwrap().layers().to_vec();
        for layer in &mut layers {
            let count = layer.bias.elem_count();
            let values: Vec<f32> = (0..count).map(|at| (at as f32 * 1.3).sin()).collect();
            layer.bias = Tensor::from_vec(values, count, &Device::Cpu).unwrap();
        }
        let inputs = (0..rows * width).map(|at| (at as f32 * 0.7).sin() * 3.0);
        (Network::from_layers(layers), inputs.collect())
    }

    #[test]
    fn rows_come_out_as_candle_has_them_whatever_the_width() {
        for width in [1, 7, 16, 20, 48, 50] {
            let (network, inputs) = network(width, 3);
            let batch = Tensor::from_slice(&inputs, (3, width), &Device::Cpu).unwrap();
            let expected = network.forward(&batch).unwrap().to_vec2::<f32>().unwrap();
            let inference = Inference::of(&network).unwrap();
            let mut rebuilt = vec![f32::NAN; inference.stride() * 3];
            let rows = std::array::from_fn::<_, 3, _>(|row| &inputs[row * width..(row + 1) * width]);
            inference.reconstruct(rows, &mut rebuilt);
            for (got, expected) in rebuilt.chunks_exact(inference.stride()).zip(&expected) {
                // Candle may fuse multiply and add: sums differ by roundings of their largest parts.
                let largest = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
                for (got, expected) in got.iter().zip(expected) {
                    let off = (got - expected).abs();
                    assert!(off <= 1e-6 * largest, "{got} for {expected}, width {width}");
                }
            }
        }
    }

    #[test]
    fn a_row_comes_out_bit_for_bit_the_same_alone_and_among_others() {
        let (network, inputs) = network(20, 4);
        let inference = Inference::of(&network).unwrap();
        let stride = inference.stride();
        let (mut all, mut alone) = (vec![0.0; stride * 4], vec![0.0; stride]);
        let rows = std::array::from_fn::<_, 4, _>(|row| &inputs[row * 20..(row + 1) * 20]);
        inference.reconstruct(rows, &mut all);
        for (index, row) in rows.into_iter().enumerate() {
            inference.reconstruct([row], &mut alone);
            assert_eq!(alone[..20], all[index * stride..index * stride + 20]);
        }
    }

    #[test]
    fn layers_of_other_shapes_are_refused() {
        let (mut layers, other) = (
            network(20, 1).0.layers().to_vec(),
            network(24, 1).0.layers()[0].clone(),
        );
        layers[0] = other;
        assert!(Inference::of(&Network::from_layers(layers)).is_err());
        let three = network(20, 1).0.layers()[..3].to_vec();
        assert!(Inference::of(&Network::from_layers(three)).is_err());
    }
}
