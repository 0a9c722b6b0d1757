//! The random numbers of the simulator: one small generator, and the distributions that traffic follows.
//! It must never be seeded from anything but its argument.

/// A generator (SplitMix64, Steele and others 2014): small enough that every actor has its own.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent generator for a child.
    pub(super) const fn fork(&mut self) -> Self {
        Self(self.next() ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next 64 bits.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`; 0 if the limit is 0.
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: no bias worth the name for limits far below 2^64, and no division.
        ((self.next() as u128 * limit as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number in `0.0..1.0`.
    pub(super) const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether an event of this probability happens.
    pub(super) const fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the choices; `None` of none.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len() as u64) as usize).copied()
    }

    /// Exponential with this mean: times between independent events.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal around `median`, `sigma` of the logarithm: sizes, think times.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }

    /// Bounded Pareto: `low` and more, with a tail of this index, never over `high`.
    pub(super) fn pareto(&mut self, low: f64, index: f64, high: f64) -> f64 {
        (low / (1.0 - self.unit()).powf(1.0 / index)).min(high)
    }

    /// `value` changed by at most this share, either way.
    pub(super) fn jitter(&mut self, value: u64, share: f64) -> u64 {
        let factor = 1.0 + share * (2.0 * self.unit() - 1.0);
        (value as f64 * factor.max(0.0)) as u64
    }

    /// A time around `median_ns` with the jitter that networks have: never much shorter, sometimes much longer.
    pub(super) fn delay(&mut self, median_ns: u64) -> u64 {
        self.log_normal(median_ns as f64, 0.2) as u64
    }

    /// In random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
