//! When a host last contacted a service of a peer, how often it does over ten minutes, and how regular the times between
//! contacts are: what makes a beacon visible that shows one unremarkable connection in each window. A fixed number of places; the entry with the fewest
//! (decayed) contacts of a bucket goes first.

/// Entries that one hash may occupy.
const WAYS: usize = 4;
/// Contacts before regularity has a value: three intervals.
const MIN_CONTACTS: u32 = 4;
/// Intervals remembered by the exponentially weighted mean and variance.
const MEMORY: u32 = 8;
/// Time constant of the rate of contacts, in seconds.
const RATE_S: f64 = 600.0;
/// Hours that weigh as much as doubling the number of contacts, when a place must be freed.
const HALF_LIFE_NS: f64 = 6.0 * 3600.0 * 1e9;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Upper half of the hash.
    tag: u32,
    /// Contacts so far (saturating); 0 means free.
    contacts: u32,
    last_ns: u64,
    mean_s: f32,
    variance_s2: f32,
    /// Flows opened per window, exponentially weighted over [`RATE_S`], as of window `rated`.
    opened_per_window: f32,
    /// The same of bytes sent by the initiator.
    bytes_per_window: f32,
    rated: u32,
}

impl Entry {
    /// Orders entries by their decayed number of contacts at any common time; free ones first.
    fn rank(&self) -> f64 {
        if self.contacts == 0 {
            return f64::NEG_INFINITY;
        }
        f64::from(self.contacts).log2() + self.last_ns as f64 / HALF_LIFE_NS
    }

    /// Mean and variance follow West (1979) until `MEMORY` intervals, then forget exponentially.
    fn interval(&mut self, seconds: f32) {
        let share = 1.0 / self.contacts.min(MEMORY) as f32;
        let off = seconds - self.mean_s;
        self.mean_s += share * off;
        self.variance_s2 = (1.0 - share) * (self.variance_s2 + share * off * off);
        self.contacts = self.contacts.saturating_add(1);
    }

    fn rhythm(&self) -> Option<Rhythm> {
        (self.contacts >= MIN_CONTACTS && self.mean_s > 0.0).then(|| Rhythm {
            regularity: (1.0 - 2.0 * self.variance_s2.max(0.0).sqrt() / self.mean_s).max(0.0),
            period_s: self.mean_s,
        })
    }
}

/// How contacts follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rhythm {
    /// 1 - 2 std/mean of the intervals, at least 0; 1 is clockwork.
    pub(super) regularity: f32,
    /// Mean interval.
    pub(super) period_s: f32,
}

/// A table of contact times.
#[derive(Debug)]
pub(super) struct Contacts {
    entries: Vec<Entry>,
    /// Shorter intervals belong to the same contact.
    min_interval_ns: u64,
    /// What remains of the rate of contacts after a window.
    decay: f32,
    /// The first window in which rates have a value: before, they rise only because there is nothing behind them, and
    /// what is learned from them is passed by ordinary traffic soon after.
    rates_from: u32,
}

/// What is known of a contact after a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Contact {
    /// How regular it is; `None` before the fourth.
    pub(super) rhythm: Option<Rhythm>,
    /// Flows opened per window over ten minutes; NaN while the table is younger than that.
    pub(super) opened_per_window: f32,
    /// Bytes sent by the initiator per window over ten minutes; NaN likewise.
    pub(super) bytes_per_window: f32,
}

impl Contacts {
    /// Room for about `capacity` contacts (rounded up to a power of two), 36 bytes each.
    pub(super) fn new(capacity: usize, window_ns: u64) -> Self {
        let entries = vec![Entry::default(); capacity.max(WAYS).next_power_of_two()];
        Self {
            entries,
            min_interval_ns: window_ns / 2,
            decay: (-(window_ns as f64) / 1e9 / RATE_S).exp() as f32,
            rates_from: (RATE_S * 1e9 / window_ns.max(1) as f64).ceil() as u32,
        }
    }

    /// Window `now` (counted from the table's first) of the contact `hash`: `opened` flows and `bytes` sent by the
    /// initiator, with a contact at `contact_ns` if there is one.
    pub(super) fn touch(
        &mut self,
        hash: u64,
        contact_ns: Option<u64>,
        [opened, bytes]: [u64; 2],
        now: u32,
    ) -> Contact {
        let buckets = self.entries.len() / WAYS;
        let start = (hash as usize & (buckets - 1)) * WAYS;
        let tag = (hash >> 32) as u32;
        let gain = 1.0 - self.decay;
        let told = |rate: f32| if now < self.rates_from { f32::NAN } else { rate };
        let Some(bucket) = self.entries.get_mut(start..start + WAYS) else {
            return Contact::default();
        };
        if let Some(entry) = bucket
            .iter_mut()
            .find(|entry| entry.tag == tag && entry.contacts > 0)
        {
            let since = contact_ns.map_or(0, |now_ns| now_ns.saturating_sub(entry.last_ns));
            if since >= self.min_interval_ns.max(1) {
                entry.interval((since as f64 / 1e9) as f32);
                entry.last_ns += since;
            }
            let elapsed = now.saturating_sub(entry.rated).min(i32::MAX as u32);
            let faded = self.decay.powi(elapsed as i32);
            entry.opened_per_window = entry.opened_per_window * faded + gain * opened as f32;
            entry.bytes_per_window = entry.bytes_per_window * faded + gain * bytes as f32;
            entry.rated = now;
            return Contact {
                rhythm: entry.rhythm(),
                opened_per_window: told(entry.opened_per_window),
                bytes_per_window: told(entry.bytes_per_window),
            };
        }
        let (opened_per_window, bytes_per_window) = (gain * opened as f32, gain * bytes as f32);
        if let Some(first_ns) = contact_ns
            && let Some(weakest) = bucket.iter_mut().min_by(|a, b| a.rank().total_cmp(&b.rank()))
        {
            *weakest = Entry {
                tag,
                contacts: 1,
                last_ns: first_ns,
                mean_s: 0.0,
                variance_s2: 0.0,
                opened_per_window,
                bytes_per_window,
                rated: now,
            };
        }
        Contact {
            rhythm: None,
            opened_per_window: told(opened_per_window),
            bytes_per_window: told(bytes_per_window),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::keyed::Keyed;

    const SECOND: u64 = 1_000_000_000;

    fn last(times_s: &[f64]) -> Option<f32> {
        let mut contacts = Contacts::new(16, 10 * SECOND);
        let mut rhythm = None;
        for s in times_s {
            rhythm = contacts
                .touch(5, Some((s * 1e9) as u64), [1, 0], (s / 10.0) as u32)
                .rhythm;
        }
        rhythm.map(|rhythm| rhythm.regularity)
    }

    #[test]
    fn regularity_by_hand() {
        assert_eq!(last(&[1.0, 61.0, 121.0]), None);
        assert!((last(&[1.0, 61.0, 121.0, 181.0]).unwrap_or_default() - 1.0).abs() < 1e-6);
        // Intervals 54, 66, 60: mean 60, population deviation √24 = 4.899.
        let jitter = last(&[1.0, 55.0, 121.0, 181.0]).unwrap_or_default();
        assert!(
            (jitter - (1.0 - 2.0 * 24.0_f32.sqrt() / 60.0)).abs() < 1e-4,
            "{jitter}"
        );
        // Irregular browsing.
        assert!(last(&[1.0, 20.0, 400.0, 430.0]).unwrap_or(1.0) < 0.01);
    }

    #[test]
    fn contacts_within_half_a_window_are_one() {
        let burst = last(&[1.0, 2.0, 61.0, 62.0, 121.0, 122.0, 181.0, 183.0]).unwrap_or_default();
        assert!((burst - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_rate_of_contacts_rises_to_what_is_usual_and_fades() {
        let mut contacts = Contacts::new(16, 10 * SECOND);
        let mut rate = 0.0;
        for window in 0..600 {
            let contact = contacts.touch(7, Some(window * 10 * SECOND), [3, 300], window as u32);
            rate = contact.opened_per_window;
            assert!(rate.is_nan() || (contact.bytes_per_window / rate - 100.0).abs() < 0.1);
            // Ten minutes are 60 windows.
            assert_eq!(rate.is_nan(), window < 60, "window {window}: {rate}");
        }
        assert!((rate - 3.0).abs() < 1e-3, "{rate}");
        // Ten minutes of silence leave 1/e of it.
        let later = contacts.touch(7, None, [0, 0], 659).opened_per_window;
        assert!((later / rate - (-1.0f32).exp()).abs() < 1e-3, "{later}");
    }

    #[test]
    fn a_million_single_contacts_do_not_displace_a_beacon() {
        let keyed = Keyed::new(4);
        let mut contacts = Contacts::new(1024, 10 * SECOND);
        for beat in 1..10 {
            contacts.touch(
                keyed.pair(0, 0),
                Some(beat * 60 * SECOND),
                [1, 0],
                beat as u32 * 6,
            );
        }
        for stranger in 0..1_000_000 {
            contacts.touch(keyed.pair(1, stranger), Some(600 * SECOND), [1, 0], 60);
        }
        assert_eq!(contacts.entries.len(), 1024);
        let rhythm = contacts
            .touch(keyed.pair(0, 0), Some(600 * SECOND), [1, 0], 60)
            .rhythm;
        assert_eq!(
            rhythm,
            Some(Rhythm {
                regularity: 1.0,
                period_s: 60.0
            })
        );
    }
}
