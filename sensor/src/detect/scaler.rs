//! Raw feature values → robust units: part of the model, fitted on training rows, applied identically live.
//! It must never let an absent or odd value (NaN, infinity) out, nor hide a value far outside of training.
//!
//! Per column: `log1p` where the feature says so, minus the median, over a robust spread with a floor. The network
//! sees the result clamped to the range of training (within ±[`CLIP`]); what lies beyond that range is kept apart as
//! *excess*, so that the network's behaviour outside of training cannot hide it. Columns that were constant in
//! training carry no information for the network and are dropped from it, but a departure from the constant is excess.

mod lanes;

use serde::{Deserialize, Serialize};

pub use self::lanes::Lanes;
use super::quantile;

/// Largest scaled value that the network sees.
pub const CLIP: f32 = 8.0;
/// The network's range reaches this far beyond the smallest and largest training value.
const RANGE_MARGIN: f32 = 1.0;
/// A column that was constant in training may move this far before it counts as out of range.
const CONSTANT_SLACK: f32 = 2.0;
/// A column that was absent throughout training may move this far: nothing is known of its usual values.
const ABSENT_SLACK: f32 = 6.0;
/// Up to here excess counts in full, beyond it its logarithm: many features that are somewhat off speak louder than one
/// that is far off, which in real traffic is mostly a quirk of one peer (docs/detection.md has the comparison).
const EXCESS_LINEAR: f32 = 3.0;
/// Excess stops growing here.
const EXCESS_CAP: f32 = 6.0;
/// The squared error of one feature counts up to here, for the same reason.
const ERROR_CAP: f32 = 16.0;
/// Smallest spread of a `log1p` column: a quarter of a natural-log unit, so that one packet more than always is not news.
const FLOOR_LOG: f32 = 0.25;
/// Smallest spread of a linear column, as a share of its declared range or its median.
const FLOOR_LINEAR_SHARE: f32 = 0.2;
/// Statistics are taken over at most this many evenly spaced rows.
const FIT_ROWS: usize = 20_000;

/// Fitted statistics of one column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Whether `log1p` comes first.
    pub log1p: bool,
    /// Median after the logarithm.
    pub median: f32,
    /// Robust spread after the logarithm, at least the floor.
    pub scale: f32,
    /// Lower end of the network's range, scaled units.
    pub low: f32,
    /// Upper end of the network's range, scaled units.
    pub high: f32,
    /// Whether the network uses this column (false: it was constant in training).
    pub active: bool,
    /// Which values outside of that range are excess.
    #[serde(default)]
    pub excess: Excess,
    /// 1 % quantile of the raw values in training.
    pub usual_low: f32,
    /// Median of the raw values in training.
    pub usual: f32,
    /// 99 % quantile of the raw values in training.
    pub usual_high: f32,
}

/// How one column is to be fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnKind {
    /// Whether `log1p` comes first.
    pub log1p: bool,
    /// Width of the declared range in raw units; infinite if open.
    pub span: f32,
    /// Which values outside the range of training are excess.
    pub excess: Excess,
}

/// Which values outside the range of training are excess, and which differences from the network's expectation count:
/// where only one side speaks against a row, the other does in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Excess {
    /// Those beyond either end.
    #[default]
    Both,
    /// Only those above.
    Above,
    /// Only those below.
    Below,
    /// None: the network alone judges, on the clamped value.
    Neither,
}

impl Excess {
    /// 1 where a value above the network's expectation is an error, 0 otherwise.
    fn more(self) -> f32 {
        if self == Self::Below { 0.0 } else { 1.0 }
    }

    /// 1 where a value below the network's expectation is an error, 0 otherwise.
    fn less(self) -> f32 {
        if self == Self::Above { 0.0 } else { 1.0 }
    }

    /// 1 where values above the range count, 0 otherwise.
    fn above(self) -> f32 {
        if matches!(self, Self::Both | Self::Above) {
            1.0
        } else {
            0.0
        }
    }

    /// 1 where values below the range count, 0 otherwise.
    fn below(self) -> f32 {
        if matches!(self, Self::Both | Self::Below) {
            1.0
        } else {
            0.0
        }
    }
}

/// Robust scaling of all columns of one kind of row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    columns: Vec<Column>,
}

impl Scaler {
    /// Fits the columns to `values` (row-major, NaN = absent). Columns without any value count as constant at 0.
    pub fn fit(values: &[f32], kinds: &[ColumnKind]) -> Self {
        let width = kinds.len().max(1);
        let rows = values.len() / width;
        let stride = rows.div_ceil(FIT_ROWS).max(1);
        let mut scratch = Vec::with_capacity(rows.div_ceil(stride));
        let columns = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| {
                scratch.clear();
                let column = values.iter().skip(index).step_by(width * stride);
                scratch.extend(column.filter(|value| value.is_finite()));
                fit_column(&mut scratch, *kind)
            })
            .collect();
        Self { columns }
    }

    /// The fitted columns, in feature order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Columns that the network uses.
    pub fn active(&self) -> usize {
        self.columns.iter().filter(|column| column.active).count()
    }

    /// Whether every statistic is finite and every spread positive.
    pub fn is_sound(&self) -> bool {
        self.columns.iter().all(|c| {
            let all = [
                c.median,
                c.scale,
                c.low,
                c.high,
                c.usual_low,
                c.usual,
                c.usual_high,
            ];
            all.iter().all(|value| value.is_finite()) && c.scale > 0.0 && c.low <= c.high
        })
    }

    /// Scales rows for the network: `inputs` gets the clamped values, `weights` 1 where the network's error counts
    /// (present, active) and 0 elsewhere, `excess` each row's summed squared excess. All three are overwritten.
    pub fn apply(
        &self,
        values: &[f32],
        inputs: &mut Vec<f32>,
        weights: &mut Vec<f32>,
        excess: &mut Vec<f32>,
    ) {
        let width = self.columns.len().max(1);
        let whole = values.len() / width * width;
        weights.resize(whole, 0.0);
        self.lanes().inputs(values, inputs, excess);
        for (row, weights) in values.chunks_exact(width).zip(weights.chunks_exact_mut(width)) {
            for (weight, (value, column)) in weights.iter_mut().zip(row.iter().zip(&self.columns)) {
                *weight = if column.active && !value.is_nan() {
                    1.0
                } else {
                    0.0
                };
            }
        }
    }

    /// The columns in the form that whole rows are scaled with.
    pub fn lanes(&self) -> Lanes {
        Lanes::of(&self.columns)
    }
}

impl Column {
    /// Scaled and clamped value, excess beyond the range (compressed, never negative), and the weight of the error.
    #[inline]
    fn scale_value(&self, value: f32) -> (f32, f32, f32) {
        if value.is_nan() {
            return (0.0, 0.0, 0.0);
        }
        let forward = if self.log1p { signed_ln_1p(value) } else { value };
        let scaled = (forward - self.median) * (1.0 / self.scale);
        let clamped = clamp(scaled, self.low, self.high);
        let above = positive(scaled - self.high) * self.excess.above();
        let below = positive(self.low - scaled) * self.excess.below();
        let beyond = compress(above + below);
        let weight = if self.active { 1.0 } else { 0.0 };
        (if self.active { clamped } else { 0.0 }, beyond, weight)
    }

    /// Excess of a raw value beyond the training range, in compressed scaled units.
    pub fn excess(&self, value: f32) -> f32 {
        self.scale_value(value).1
    }

    /// Scaled and clamped value, as the network sees it.
    pub fn input(&self, value: f32) -> f32 {
        self.scale_value(value).0
    }

    /// Squared difference between what the network saw and what it made of it, if it counts on its side.
    pub fn network_error(&self, input: f32, rebuilt: f32) -> f32 {
        let error = rebuilt - input;
        let side = if error > 0.0 {
            self.excess.less()
        } else {
            self.excess.more()
        };
        (error * error).min(ERROR_CAP) * side
    }

    /// The raw value that scales to `scaled`.
    pub fn invert(&self, scaled: f32) -> f32 {
        let forward = scaled * self.scale + self.median;
        if self.log1p {
            forward.signum() * forward.abs().exp_m1()
        } else {
            forward
        }
    }
}

fn fit_column(raw: &mut [f32], kind: ColumnKind) -> Column {
    raw.sort_unstable_by(f32::total_cmp);
    let (usual_low, usual, usual_high) = (quantile(raw, 0.01), quantile(raw, 0.5), quantile(raw, 0.99));
    let forward = |value: f32| if kind.log1p { signed_ln_1p(value) } else { value };
    // The transformation is monotone, so quantiles of the transformed values are transformed quantiles.
    let at = |share: f64| forward(quantile(raw, share));
    let median = at(0.5);
    let floor = if kind.log1p {
        FLOOR_LOG
    } else {
        let declared = if kind.span.is_finite() { kind.span } else { 0.0 };
        (FLOOR_LINEAR_SHARE * declared.max(median.abs())).max(1e-3)
    };
    // Quartiles and deciles over their normal-theory widths: neither moves much when a few per cent are bad.
    let quartiles = (at(0.75) - at(0.25)) / 1.349;
    let deciles = (at(0.9) - at(0.1)) / 2.563;
    let scale = quartiles.max(deciles).max(floor);
    let (first, last) = (
        raw.first().copied().unwrap_or(0.0),
        raw.last().copied().unwrap_or(0.0),
    );
    let active = forward(last) - forward(first) > 1e-6;
    let (low, high) = if active {
        let low = (forward(first) - median) / scale - RANGE_MARGIN;
        let high = (forward(last) - median) / scale + RANGE_MARGIN;
        (low.clamp(-CLIP, 0.0), high.clamp(0.0, CLIP))
    } else if raw.is_empty() {
        (-ABSENT_SLACK, ABSENT_SLACK)
    } else {
        (-CONSTANT_SLACK, CONSTANT_SLACK)
    };
    Column {
        log1p: kind.log1p,
        median,
        scale,
        low,
        high,
        active,
        excess: kind.excess,
        usual_low,
        usual,
        usual_high,
    }
}

/// Linear up to [`EXCESS_LINEAR`], logarithmic beyond, at most [`EXCESS_CAP`]; monotone and continuous.
fn compress(excess: f32) -> f32 {
    if excess <= EXCESS_LINEAR {
        return excess;
    }
    (EXCESS_LINEAR * (1.0 + (excess / EXCESS_LINEAR).ln())).min(EXCESS_CAP)
}

/// The value within the range. A plain comparison is one instruction, where `f32::max` also looks for NaN.
#[inline(always)]
fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

#[inline(always)]
fn positive(value: f32) -> f32 {
    if value > 0.0 { value } else { 0.0 }
}

/// `sign(x)·ln(1 + |x|)` to 3e-7 (absolute below 1, relative above; a test holds it to that): plain arithmetic on the bits, so that it costs a few cycles and gives
/// the same result on every machine. Infinity counts as the largest finite value.
#[inline(always)]
pub fn signed_ln_1p(value: f32) -> f32 {
    let size = value.abs();
    let y = 1.0 + if size > f32::MAX { f32::MAX } else { size };
    let bits = y.to_bits();
    // Mantissa in [√½, √2): the series below then converges with |s| < 0.172.
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (shifted as i32) >> 23;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    // ln m = 2·artanh s = 2(s + s³/3 + s⁵/5 + s⁷/7 + …), the last term replaced by its best fit with the ones before
    // over s² < 0.0295 (Chebyshev economisation).
    let series = s * (2.0 + s2 * (0.666_527_4 + s2 * 0.412_617));
    let ln = exponent as f32 * core::f32::consts::LN_2 + series;
    f32::from_bits(ln.to_bits() | (value.to_bits() & 0x8000_0000))
}

#[cfg(test)]
mod tests;
