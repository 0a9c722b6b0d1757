//! The scaler's inner loops over whole rows: one pass, eight columns at a time and no branches, so that the compiler can
//! use vector registers. It must give bit for bit what [`Column`] gives for single values (a test compares them).

use super::super::sum_of_squares;
use super::{Column, ERROR_CAP, EXCESS_LINEAR, clamp, compress, positive, signed_ln_1p};

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
    /// All ones where the network uses the column and a value above (below) what it expects is an error, zero elsewhere.
    more: [u32; WIDE],
    less: [u32; WIDE],
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
                more: mask(|column| column.active && column.excess.more() > 0.0),
                less: mask(|column| column.active && column.excess.less() > 0.0),
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
            excess.push(self.input(row, inputs));
        }
    }

    /// Scales one row: `inputs`, as long, gets the clamped values for the network. Returns the summed squared excess.
    #[inline(always)]
    pub fn input(&self, row: &[f32], inputs: &mut [f32]) -> f32 {
        let sum = self.scale(row, inputs);
        // Compression begins at EXCESS_LINEAR: only rows far outside of training need the second pass.
        let far = sum > EXCESS_LINEAR * EXCESS_LINEAR;
        if far { self.compressed(row) } else { sum }
    }

    /// Scales one row into `inputs`; returns the summed squared excess, not compressed.
    #[inline(always)]
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
    #[cold]
    fn compressed(&self, row: &[f32]) -> f32 {
        let eights = row.chunks(WIDE).zip(&self.eights);
        let sums = eights.map(|(row, eight)| {
            let (_, beyond) = eight.scale(&padded(row));
            sum_of_squares(&beyond.map(compress))
        });
        sums.sum()
    }

    /// Squared error of a row over the columns that are present and active: `row` raw, `inputs` as scaled, `rebuilt` by
    /// the network, all of the same length.
    #[inline(always)]
    pub fn error(&self, row: &[f32], inputs: &[f32], rebuilt: &[f32]) -> f32 {
        let mut sums = [0.0; WIDE];
        let (rows, rest) = row.as_chunks::<WIDE>();
        let (whole, rest_inputs) = inputs.as_chunks::<WIDE>();
        let (rebuilt, rest_rebuilt) = rebuilt.as_chunks::<WIDE>();
        for (((row, inputs), rebuilt), eight) in rows.iter().zip(whole).zip(rebuilt).zip(&self.eights) {
            eight.add_error([row, inputs, rebuilt], &mut sums);
        }
        if let (false, Some(eight)) = (rest.is_empty(), self.eights.last()) {
            let [row, inputs, rebuilt] = [rest, rest_inputs, rest_rebuilt].map(padded);
            eight.add_error([&row, &inputs, &rebuilt], &mut sums);
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

    /// Adds the squared errors of eight columns: raw values, inputs and what was rebuilt.
    #[inline(always)]
    fn add_error(&self, [row, inputs, rebuilt]: [&[f32; WIDE]; 3], sums: &mut [f32; WIDE]) {
        for at in 0..WIDE {
            let error = rebuilt[at] - inputs[at];
            let present = if row[at].is_nan() { 0 } else { u32::MAX };
            let above = if error > 0.0 { u32::MAX } else { 0 };
            let counts = (self.less[at] & above) | (self.more[at] & !above);
            let squared = error * error;
            let squared = if squared < ERROR_CAP { squared } else { ERROR_CAP };
            sums[at] += f32::from_bits(squared.to_bits() & counts & present);
        }
    }
}

/// The last columns of a row, absent ones behind them.
#[inline(always)]
fn padded(rest: &[f32]) -> [f32; WIDE] {
    std::array::from_fn(|index| rest.get(index).copied().unwrap_or(f32::NAN))
}
