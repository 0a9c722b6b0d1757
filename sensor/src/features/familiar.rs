//! How well a pair (host and peer, host and service) is known: in how many windows it was seen, slowly forgotten.
//! A fixed number of places; a flood of strangers may push out strangers but hardly what is well known, because the
//! least known entry of a bucket goes first.

/// Entries that one hash may occupy.
const WAYS: usize = 8;
/// Half-life of what is known, in seconds: yesterday counts half.
const HALF_LIFE_S: f64 = 86_400.0;
/// Windows after which a pair counts as known to 63 %.
const KNOWN_WINDOWS: f32 = 8.0;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Upper half of the hash; 0 with `weight` 0 means free.
    tag: u32,
    /// Window of the last sighting.
    seen: u32,
    /// Decayed number of windows, as of `seen`.
    weight: f32,
    /// log2(weight) + seen / half-life: orders entries by their decayed weight at any common time.
    rank: f32,
}

/// A table of decayed window counts.
#[derive(Debug)]
pub(super) struct Familiar {
    entries: Vec<Entry>,
    half_life_windows: f64,
}

impl Familiar {
    /// Room for about `capacity` pairs (rounded up to a power of two), 16 bytes each.
    pub(super) fn new(capacity: usize, window_ns: u64) -> Self {
        let entries = vec![Entry::default(); capacity.max(WAYS).next_power_of_two()];
        Self {
            entries,
            half_life_windows: HALF_LIFE_S * 1e9 / (window_ns.max(1) as f64),
        }
    }

    /// Notes that the pair was seen in window `now` and returns in how many windows before (decayed); 0 if unknown.
    /// A second call in the same window changes nothing and returns the same.
    pub(super) fn touch(&mut self, hash: u64, now: u32) -> f32 {
        let half_life = self.half_life_windows;
        let buckets = self.entries.len() / WAYS;
        let start = (hash as usize & (buckets - 1)) * WAYS;
        let tag = (hash >> 32) as u32;
        let Some(bucket) = self.entries.get_mut(start..start + WAYS) else {
            return 0.0;
        };
        if let Some(entry) = bucket
            .iter_mut()
            .find(|entry| entry.tag == tag && entry.weight > 0.0)
        {
            if entry.seen == now {
                return entry.weight - 1.0;
            }
            let before =
                entry.weight * (-f64::from(now.saturating_sub(entry.seen)) / half_life).exp2() as f32;
            *entry = Entry::seen(tag, now, before + 1.0, half_life);
            return before;
        }
        if let Some(weakest) = bucket.iter_mut().min_by(|a, b| {
            (a.weight > 0.0)
                .cmp(&(b.weight > 0.0))
                .then(a.rank.total_cmp(&b.rank))
        }) {
            *weakest = Entry::seen(tag, now, 1.0, half_life);
        }
        0.0
    }

    /// In how many windows before `now` (decayed) the pair was seen; 0 if unknown. Changes nothing.
    pub(super) fn peek(&self, hash: u64, now: u32) -> f32 {
        let buckets = self.entries.len() / WAYS;
        let start = (hash as usize & (buckets - 1)) * WAYS;
        let tag = (hash >> 32) as u32;
        let bucket = self.entries.get(start..start + WAYS).unwrap_or_default();
        let entry = bucket.iter().find(|entry| entry.tag == tag && entry.weight > 0.0);
        entry.map_or(0.0, |entry| {
            if entry.seen == now {
                return entry.weight - 1.0;
            }
            let elapsed = f64::from(now.saturating_sub(entry.seen));
            entry.weight * (-elapsed / self.half_life_windows).exp2() as f32
        })
    }

    /// Bytes held.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
    }
}

impl Entry {
    fn seen(tag: u32, seen: u32, weight: f32, half_life: f64) -> Self {
        let rank = f64::from(weight).log2() + f64::from(seen) / half_life;
        Self {
            tag,
            seen,
            weight,
            rank: rank as f32,
        }
    }
}

/// Degree of acquaintance, 0 to 1, of a pair seen in `windows` windows before.
pub(super) fn familiarity(windows: f32) -> f32 {
    1.0 - (-windows / KNOWN_WINDOWS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::keyed::Keyed;

    const WINDOW_NS: u64 = 10_000_000_000;

    #[test]
    fn a_pair_becomes_known_window_by_window_and_is_forgotten_by_half_a_day_later() {
        let mut known = Familiar::new(64, WINDOW_NS);
        for now in 0..5_u8 {
            // Twice in a window counts once.
            assert!((known.peek(77, now.into()) - f32::from(now)).abs() < 0.01);
            assert!((known.touch(77, now.into()) - f32::from(now)).abs() < 0.01);
            assert!((known.touch(77, now.into()) - f32::from(now)).abs() < 0.01);
            assert!((known.peek(77, now.into()) - f32::from(now)).abs() < 0.01);
        }
        assert!((known.touch(77, 4 + 8640) - 2.5).abs() < 0.01);
        assert!((familiarity(8.0) - 0.632_120_6).abs() < 1e-6);
        assert!(familiarity(0.0).abs() < 1e-9);
    }

    #[test]
    fn a_million_strangers_use_no_more_memory_and_do_not_displace_the_known() {
        let mut known = Familiar::new(4096, WINDOW_NS);
        let keyed = Keyed::new(9);
        for now in 0..10 {
            for pair in 0..500 {
                known.touch(keyed.pair(1, pair), now);
            }
        }
        let bytes = known.bytes();
        for stranger in 0..1_000_000 {
            known.touch(keyed.pair(2, stranger), 10);
        }
        assert_eq!(known.bytes(), bytes);
        let kept = (0..500)
            .filter(|&pair| known.touch(keyed.pair(1, pair), 11) > 9.0)
            .count();
        assert_eq!(kept, 500);
    }
}
