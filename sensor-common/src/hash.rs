//! The seeded hash of flow keys: NH, the universal hash of UMAC (RFC 4418, section 5.2), over 32-bit halves.
//! It must never be used without a secret seed: then nobody can aim collisions at a table.
//!
//! For two different keys the sums collide with probability at most 2^-32 over the seed. The products do not depend
//! on each other, so a CPU runs them side by side. The final mixing spreads the bits for use as a table index.

/// Secret words of the hash; the agent draws them at load.
pub type Seed = [u64; 6];

/// Odd constant of the final multiplication (the golden ratio, Knuth volume 3, section 6.4).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
const fn nh(word: u64, secret: u64) -> u64 {
    let low = (word as u32).wrapping_add(secret as u32);
    let high = ((word >> 32) as u32).wrapping_add((secret >> 32) as u32);
    low as u64 * high as u64
}

#[inline(always)]
const fn mix(sum: u64) -> u64 {
    let folded = (sum ^ sum >> 32).wrapping_mul(MIX);
    folded ^ folded >> 29
}

/// Hash of a flow key (six words).
#[inline(always)]
pub const fn key(words: &[u64; 6], seed: &Seed) -> u64 {
    let sum = nh(words[0], seed[0])
        .wrapping_add(nh(words[1], seed[1]))
        .wrapping_add(nh(words[2], seed[2]))
        .wrapping_add(nh(words[3], seed[3]))
        .wrapping_add(nh(words[4], seed[4]))
        .wrapping_add(nh(words[5], seed[5]));
    mix(sum)
}

/// Hash of an address and one more word.
#[inline(always)]
pub const fn address(words: &[u64; 2], extra: u64, seed: &Seed) -> u64 {
    let sum = nh(words[0], seed[3])
        .wrapping_add(nh(words[1], seed[4]))
        .wrapping_add(nh(extra, seed[5]));
    mix(sum)
}
