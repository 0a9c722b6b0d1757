//! The scaler's inner loop over whole rows: statistics as parallel arrays and no branches, so that the compiler can use
//! vector registers. It must give bit for bit what [`Column`] gives for single values (a test compares them).

use super::super::sum_of_squares;
use super::{Column, EXCESS_LINEAR, compress, signed_ln_1p};

/// Statistics of all columns, one array each.
pub(super) struct Lanes {
    /// All ones where `log1p` comes first, zero elsewhere.
    log1p: Vec<u32>,
    median: Vec<f32>,
    inverse_scale: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
    active: Vec<f32>,
    /// 0 where values below the range are no excess, 1 elsewhere.
    two_sided: Vec<f32>,
    scaled: Vec<f32>,
    beyond: Vec<f32>,
}

impl Lanes {
    pub(super) fn of(columns: &[Column]) -> Self {
        let all = |value: fn(&Column) -> f32| columns.iter().map(value).collect::<Vec<f32>>();
        Self {
            log1p: columns
                .iter()
                .map(|column| if column.log1p { u32::MAX } else { 0 })
                .collect(),
            median: all(|column| column.median),
            inverse_scale: all(|column| 1.0 / column.scale),
            low: all(|column| column.low),
            high: all(|column| column.high),
            active: all(|column| if column.active { 1.0 } else { 0.0 }),
            two_sided: all(|column| if column.one_sided { 0.0 } else { 1.0 }),
            scaled: vec![0.0; columns.len()],
            beyond: vec![0.0; columns.len()],
        }
    }

    /// Scales one row into `inputs` and `weights` (all as long as the columns); returns the summed squared excess.
    pub(super) fn scale(&mut self, row: &[f32], inputs: &mut [f32], weights: &mut [f32]) -> f32 {
        scale_row(
            row,
            &self.log1p,
            &self.median,
            &self.inverse_scale,
            &mut self.scaled,
        );
        weigh_row(row, &self.active, weights);
        clamp_row(&self.scaled, &self.low, &self.high, inputs, &mut self.beyond);
        mask_row(weights, inputs);
        mask_low(&self.scaled, &self.low, &self.two_sided, &mut self.beyond);
        mask_absent(row, &mut self.beyond);
        let sum = sum_of_squares(&self.beyond);
        // Compression begins at EXCESS_LINEAR: only rows far outside of training come here.
        if sum <= EXCESS_LINEAR * EXCESS_LINEAR {
            return sum;
        }
        for distance in &mut self.beyond {
            *distance = compress(*distance);
        }
        sum_of_squares(&self.beyond)
    }
}

// Small functions on purpose: as arguments the slices are known not to overlap, without which nothing is vectorised.

#[inline(never)]
fn scale_row(row: &[f32], log1p: &[u32], median: &[f32], inverse: &[f32], out: &mut [f32]) {
    let columns = row.iter().zip(log1p).zip(median).zip(inverse);
    for (out, (((value, log1p), median), inverse)) in out.iter_mut().zip(columns) {
        let logarithm = signed_ln_1p(*value).to_bits();
        let forward = f32::from_bits((logarithm & log1p) | (value.to_bits() & !log1p));
        *out = (forward - median) * inverse;
    }
}

#[inline(never)]
fn clamp_row(scaled: &[f32], low: &[f32], high: &[f32], inputs: &mut [f32], beyond: &mut [f32]) {
    let out = inputs.iter_mut().zip(beyond);
    for ((input, beyond), ((scaled, low), high)) in out.zip(scaled.iter().zip(low).zip(high)) {
        *input = scaled.max(*low).min(*high);
        *beyond = (scaled - *input).abs();
    }
}

#[inline(never)]
fn weigh_row(row: &[f32], active: &[f32], weights: &mut [f32]) {
    for (weight, (value, active)) in weights.iter_mut().zip(row.iter().zip(active)) {
        *weight = if value.is_nan() { 0.0 } else { *active };
    }
}

#[inline(never)]
fn mask_row(weights: &[f32], inputs: &mut [f32]) {
    for (input, weight) in inputs.iter_mut().zip(weights) {
        *input = if *weight > 0.0 { *input } else { 0.0 };
    }
}

#[inline(never)]
fn mask_low(scaled: &[f32], low: &[f32], two_sided: &[f32], beyond: &mut [f32]) {
    for (beyond, ((scaled, low), two_sided)) in beyond.iter_mut().zip(scaled.iter().zip(low).zip(two_sided)) {
        *beyond *= if scaled < low { *two_sided } else { 1.0 };
    }
}

#[inline(never)]
fn mask_absent(row: &[f32], beyond: &mut [f32]) {
    for (beyond, value) in beyond.iter_mut().zip(row) {
        *beyond = if value.is_nan() { 0.0 } else { *beyond };
    }
}
