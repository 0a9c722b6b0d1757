//! A keyed hash for tables whose keys are chosen by whoever sends packets. It must be used wherever an address enters
//! a table of fixed places.

use core::hash::Hasher as _;

use foldhash::{SharedSeed, quality::FoldHasher};

/// A seed and what is derived from it.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    seed: u64,
    shared: SharedSeed,
}

impl Keyed {
    /// The same seed gives the same hashes in every run.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            shared: SharedSeed::from_u64(seed),
        }
    }

    /// Hash of an address.
    #[inline]
    pub(super) fn address(&self, address: &[u8; 16]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(address);
        hasher.finish()
    }

    /// Hash of two numbers, themselves hashes or small integers.
    #[inline]
    pub(super) fn pair(&self, a: u64, b: u64) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write_u64(a);
        hasher.write_u64(b);
        hasher.finish()
    }
}
