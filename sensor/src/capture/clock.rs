//! Time stamps of captures in nanoseconds since the epoch.
//! It must never wrap: a stamp that does not fit is held to the nearest that does.

const NS_PER_S: u64 = 1_000_000_000;

/// How the time stamps of an interface count (`if_tsresol`, `if_tsoffset` of pcapng).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    /// Nanoseconds added to each.
    offset_ns: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds in a tick.
    Nanoseconds(u64),
    /// Ticks in a nanosecond.
    PerNanosecond(u64),
    /// Powers of two in a second.
    Binary(u32),
}

impl Clock {
    /// Of a resolution byte, as it is in the file (microseconds are 6), and an offset in seconds.
    pub(super) const fn new(resolution: u8, offset_s: i64) -> Self {
        let exponent = (resolution & 0x7f) as u32;
        let unit = if resolution & 0x80 != 0 {
            Unit::Binary(exponent)
        } else if exponent <= 9 {
            Unit::Nanoseconds(10u64.pow(9 - exponent))
        } else if exponent - 9 < 20 {
            Unit::PerNanosecond(10u64.pow(exponent - 9))
        } else {
            // Finer than any 64-bit number of ticks can express: all stamps are zero.
            Unit::PerNanosecond(u64::MAX)
        };
        Self {
            unit,
            offset_ns: offset_s as i128 * NS_PER_S as i128,
        }
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub(super) fn time_ns(&self, ticks: u64) -> u64 {
        let ns = match self.unit {
            Unit::Nanoseconds(ns) => ticks.saturating_mul(ns),
            Unit::PerNanosecond(ticks_per_ns) => ticks / ticks_per_ns,
            Unit::Binary(power) => {
                let ns = (u128::from(ticks) * u128::from(NS_PER_S)) >> power;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        if self.offset_ns == 0 {
            return ns;
        }
        (i128::from(ns) + self.offset_ns).clamp(0, i128::from(u64::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_of_both_bases_give_nanoseconds() {
        assert_eq!(Clock::new(6, 0).time_ns(1_500_000), 1_500_000_000);
        assert_eq!(Clock::new(9, 0).time_ns(7), 7);
        assert_eq!(Clock::new(0, 0).time_ns(3), 3 * NS_PER_S);
        assert_eq!(Clock::new(12, 0).time_ns(5_000), 5);
        assert_eq!(Clock::new(0x80 | 0xa, 0).time_ns(1536), 1_500_000_000);
        assert_eq!(Clock::new(0x80, 0).time_ns(2), 2 * NS_PER_S);
    }

    #[test]
    fn an_offset_is_added_in_seconds_and_never_wraps() {
        assert_eq!(Clock::new(6, 10).time_ns(1), 10 * NS_PER_S + 1_000);
        assert_eq!(Clock::new(6, -1).time_ns(2_000_000), NS_PER_S);
        assert_eq!(Clock::new(6, -10).time_ns(1), 0);
        assert_eq!(Clock::new(0, i64::MAX).time_ns(u64::MAX), u64::MAX);
        assert_eq!(Clock::new(0, i64::MIN).time_ns(0), 0);
    }

    #[test]
    fn no_resolution_byte_is_impossible() {
        for resolution in 0..=255 {
            let clock = Clock::new(resolution, 0);
            assert!(clock.time_ns(1) <= clock.time_ns(u64::MAX), "{resolution}");
        }
        assert_eq!(Clock::new(127, 0).time_ns(1 << 60), 0);
        assert_eq!(Clock::new(255, 0).time_ns(u64::MAX), 0);
    }
}
