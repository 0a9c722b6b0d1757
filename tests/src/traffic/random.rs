//! The seeded random numbers of the generators (`SplitMix64`).
//!
//! Must never be used where unpredictability matters.

use std::time::Duration;

/// A seeded generator; equal seeds give equal traffic.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator for one player: `player` keeps the players of one seed apart.
    pub fn new(seed: u64, player: u64) -> Self {
        let mut random = Self(seed ^ player.wrapping_mul(0xd134_2543_de82_ef95));
        random.bits();
        random
    }

    /// 64 random bits. Steele, Lea and Flood: "Fast splittable pseudorandom number generators" (2014).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform over the integers `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high - low + 1)
    }

    /// Log-uniform in `[low, high]`: small values are common, large ones happen.
    pub fn skewed(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    /// A pause, log-uniform between two numbers of milliseconds.
    pub fn pause(&mut self, low_ms: f64, high_ms: f64) -> Duration {
        Duration::from_secs_f64(self.skewed(low_ms, high_ms) / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_of_one_seed_differ_and_stay_in_their_ranges() {
        let (mut first, mut second) = (Random::new(1, 0), Random::new(1, 1));
        assert_ne!(first.bits(), second.bits());
        for _ in 0..1_000 {
            assert!((10..=20).contains(&first.between(10, 20)));
            assert!((200.0..=50_000.0).contains(&first.skewed(200.0, 50_000.0)));
        }
        let (mut again, mut same) = (Random::new(9, 3), Random::new(9, 3));
        assert!((0..100).all(|_| again.bits() == same.bits()));
    }
}
