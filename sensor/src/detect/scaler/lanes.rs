//! The scaler's inner loops over whole rows: one pass, eight columns at a time and no branches, so that the compiler can
//! use vector registers. It must give bit for bit what [`Column`] gives for single values (a test compares them).

use super::super::sum_of_squares;
use super::{Column, EXCESS_LINEAR, clamp, compress, positive, signed_ln_1p};

/// Columns scaled together.
const WIDE: usize = 8;

/// Statistics of eight columns, one array each.
#[derive(Clone, Debug)]
struct Eight {
    /// All ones where `log1p` comes first, zero elsewhere.
    log1p: [u32; WIDE],
    median: [f32; WIDE],
    inverse_scale: [f32; WIDE],
    low: [f32; WIDE],
    high: [f32; WIDE],
    /// 1 where values above (below) the range are excess, 0 elsewhere.
    above: [f32; WIDE],
    below: [f32; WIDE],
    /// 1 where a value above (below) what the network expects is an error, 0 elsewhere.
    more: [f32; WIDE],
    less: [f32; WIDE],
    /// All ones where the network uses the column, zero elsewhere.
    active: [u32; WIDE],
}

/// All columns of a scaler, for whole rows.
#[derive(Clone, Debug)]
pub struct Lanes {
    eights: Vec<Eight>,
    width: usize,
}

impl Lanes {
    pub(super) fn of(columns: &[Column]) -> Self {
        let eights = columns.chunks(WIDE).map(|columns| {
            let at = |index: usize| columns.get(index);
            let float = |value: fn(&Column) -> f32| std::array::from_fn(|index| at(index).map_or(0.0, value));
            let mask = |value: fn(&Column) -> bool| {
                std::array::from_fn(|index| if at(index).is_some_and(value) { u32::MAX } else { 0 })
            };
            Eight {
                log1p: mask(|column| column.log1p),
                median: float(|column| column.median),
                inverse_scale: float(|column| 1.0 / column.scale),
                low: float(|column| column.low),
                high: float(|column| column.high),
                above: float(|column| column.excess.above()),
                below: float(|column| column.excess.below()),
                more: float(|column| column.excess.more()),
                less: float(|column| column.excess.less()),
                active: mask(|column| column.active),
            }
        });
        Self {
            eights: eights.collect(),
            width: columns.len(),
        }
    }

    /// Scales rows: `inputs` gets the clamped values for the network, `excess` each row's summed squared excess. Both are
    /// overwritten.
    pub fn inputs(&self, values: &[f32], inputs: &mut Vec<f32>, excess: &mut Vec<f32>) {
        let width = self.width.max(1);
        inputs.resize(values.len() / width * width, 0.0);
        excess.clear();
        for (row, inputs) in values.chunks_exact(width).zip(inputs.chunks_exact_mut(width)) {
            let sum = self.scale(row, inputs);
            // Compression begins at EXCESS_LINEAR: only rows far outside of training need the second pass.
            let far = sum > EXCESS_LINEAR * EXCESS_LINEAR;
            excess.push(if far { self.compressed(row) } else { sum });
        }
    }

    /// Scales one row into `inputs`; returns the summed squared excess, not compressed.
    fn scale(&self, row: &[f32], inputs: &mut [f32]) -> f32 {
        let (rows, rest) = row.as_chunks::<WIDE>();
        let (whole, rest_inputs) = inputs.as_chunks_mut::<WIDE>();
        let mut sums = [0.0; WIDE];
        for ((row, inputs), eight) in rows.iter().zip(whole).zip(&self.eights) {
            let (scaled, beyond) = eight.scale(row);
            *inputs = scaled;
            for (sum, beyond) in sums.iter_mut().zip(beyond) {
                *sum += beyond * beyond;
            }
        }
        if let (false, Some(eight)) = (rest.is_empty(), self.eights.last()) {
            let (scaled, beyond) = eight.scale(&padded(rest));
            rest_inputs.copy_from_slice(scaled.get(..rest_inputs.len()).unwrap_or_default());
            for (sum, beyond) in sums.iter_mut().zip(beyond) {
                *sum += beyond * beyond;
            }
        }
        sums.iter().sum()
    }

    /// Summed squared excess of one row, compressed.
    fn compressed(&self, row: &[f32]) -> f32 {
        let eights = row.chunks(WIDE).zip(&self.eights);
        let sums = eights.map(|(row, eight)| {
            let (_, beyond) = eight.scale(&padded(row));
            sum_of_squares(&beyond.map(compress))
        });
        sums.sum()
    }

    /// Squared error of a row over the columns that are present and active: `row` raw, `inputs` as scaled, `rebuilt` the
    /// network's last products, to which `bias` is still to be added.
    pub fn error(&self, row: &[f32], inputs: &[f32], rebuilt: &[f32], bias: &[f32]) -> f32 {
        let mut sums = [0.0; WIDE];
        let (rows, rest) = row.as_chunks::<WIDE>();
        let (whole, rest_inputs) = inputs.as_chunks::<WIDE>();
        let (products, rest_products) = rebuilt.as_chunks::<WIDE>();
        let (biases, rest_bias) = bias.as_chunks::<WIDE>();
        let columns = rows
            .iter()
            .zip(whole)
            .zip(products.iter().zip(biases))
            .zip(&self.eights);
        for (((row, inputs), (products, bias)), eight) in columns {
            eight.add_error([row, inputs, products, bias], &mut sums);
        }
        if let (false, Some(eight)) = (rest.is_empty(), self.eights.last()) {
            let [a, b, c, d] = [rest, rest_inputs, rest_products, rest_bias].map(padded);
            eight.add_error([&a, &b, &c, &d], &mut sums);
        }
        let total: f32 = sums.iter().sum();
        // Inputs are clamped, so this can only be a defect of the model; a row still gets a score.
        if total.is_finite() { total } else { f32::MAX.sqrt() }
    }
}

impl Eight {
    /// Clamped values for the network (0 where absent or unused), and excess, not compressed.
    #[inline(always)]
    fn scale(&self, row: &[f32; WIDE]) -> ([f32; WIDE], [f32; WIDE]) {
        let (mut inputs, mut beyond) = ([0.0; WIDE], [0.0; WIDE]);
        for at in 0..WIDE {
            let value = row[at];
            let logarithm = signed_ln_1p(value).to_bits();
            let forward = f32::from_bits((logarithm & self.log1p[at]) | (value.to_bits() & !self.log1p[at]));
            let scaled = (forward - self.median[at]) * self.inverse_scale[at];
            let present = if value.is_nan() { 0 } else { u32::MAX };
            let clamped = clamp(scaled, self.low[at], self.high[at]);
            inputs[at] = f32::from_bits(clamped.to_bits() & present & self.active[at]);
            let above = positive(scaled - self.high[at]) * self.above[at];
            let below = positive(self.low[at] - scaled) * self.below[at];
            beyond[at] = f32::from_bits((above + below).to_bits() & present);
        }
        (inputs, beyond)
    }

    /// Adds the squared errors of eight columns: raw values, inputs, products and biases.
    #[inline(always)]
    fn add_error(&self, [row, inputs, products, bias]: [&[f32; WIDE]; 4], sums: &mut [f32; WIDE]) {
        for at in 0..WIDE {
            let counts = if row[at].is_nan() { 0 } else { self.active[at] };
            let error = products[at] + bias[at] - inputs[at];
            let side = if error > 0.0 { self.less[at] } else { self.more[at] };
            sums[at] += f32::from_bits((error * error * side).to_bits() & counts);
        }
    }
}

/// The last columns of a row, absent ones behind them.
fn padded(rest: &[f32]) -> [f32; WIDE] {
    std::array::from_fn(|index| rest.get(index).copied().unwrap_or(f32::NAN))
}
