//! Detection: feature rows become scores, scores become p-values, p-values meet the operator's alarm budget.
//! Pure: no I/O, no clock; every random choice comes from a seed. It must never decide what an alarm means
//! (that is [`crate::alert`]) and never see an address.
//!
//! - [`scaler`]: raw features → robust units, with the range seen in training.
//! - [`network`]: the autoencoder's shape, seeded start and forward pass.
//! - [`train`]: trimmed, early-stopped, reproducible training.
//! - [`autoencoder`]: scaler and network together: batch scores and per-feature explanations.
//! - [`kmeans`]: the distance to the nearest of the groups that training rows fall into.
//! - [`forest`]: classes of attacks, where labels exist.
//! - [`scorer`]: the detectors of a model as one score.
//! - [`persistence`]: evidence that adds up over windows.
//! - [`tail`]: conformal p-values and the generalised Pareto tail.
//! - [`calibrate`]: families of traffic, alarm units and the alarm budget.

pub mod autoencoder;
pub mod calibrate;
pub mod forest;
pub mod kmeans;
pub mod network;
pub mod persistence;
pub mod scaler;
pub mod scorer;
pub mod tail;
pub mod train;

/// The seeded generator used for all random choices of this module: the same stream on every platform.
pub type Seeded = rand_chacha::ChaCha8Rng;

/// A value in `0.0..1.0` from the generator's next 32 bits (24 of them, so that every value is exact in `f32`).
pub(crate) fn unit_interval(rng: &mut Seeded) -> f32 {
    use rand_chacha::rand_core::Rng;
    (rng.next_u32() >> 8) as f32 / 16_777_216.0
}

/// A value in `0..bound` (bias below 2⁻³² for the bounds used here); 0 for a bound of 0.
pub(crate) fn below(rng: &mut Seeded, bound: usize) -> usize {
    use rand_chacha::rand_core::Rng;
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

/// Sum of squares in eight running sums, so that the compiler can use vector registers.
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for eight in eights {
        for (sum, value) in sums.iter_mut().zip(eight) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// The value at `share` (0..=1) of an ascending slice, linearly interpolated (Hyndman and Fan 1996, type 7);
/// 0 for an empty slice.
pub(crate) fn quantile(ascending: &[f32], share: f64) -> f32 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let position = share.clamp(0.0, 1.0) * last as f64;
    let index = position.floor() as usize;
    let low = ascending.get(index).copied().unwrap_or(0.0);
    let high = ascending.get((index + 1).min(last)).copied().unwrap_or(low);
    low + (high - low) * (position - index as f64) as f32
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
