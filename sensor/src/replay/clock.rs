//! Time of a recording, made fit for the pipeline: it never runs backwards and never leaps over years.
//! It must never change the time of a recording that is in order.

/// A pause longer than this is cut to [`SKIPPED_NS`]: one wrong time stamp must not cost millions of empty windows.
const LONGEST_PAUSE_NS: u64 = 7 * 86_400_000_000_000;
/// What remains of such a pause.
const SKIPPED_NS: u64 = 3_600_000_000_000;
/// A frame older than the one before by up to this is out of order (several cards, several queues); it is counted at
/// the time of the latest. Older still, and the recording's clock was set back.
const DISORDER_NS: u64 = 1_000_000_000;

/// Turns time stamps into pipeline time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureClock {
    /// Pipeline time minus wall time.
    shift_ns: i128,
    now_ns: u64,
    begun: bool,
    /// Frames that came out of order.
    pub disordered: u64,
    /// Times the recording's clock was set back.
    pub set_back: u64,
    /// Pauses that were cut short.
    pub skipped: u64,
}

impl CaptureClock {
    /// Pipeline time of a frame with this time stamp (Unix nanoseconds): never before that of the frame before.
    #[inline]
    pub fn tell(&mut self, wall_ns: u64) -> u64 {
        // Nearly every frame: in order, and no longer after the one before than a pause may be.
        if self.begun
            && self.shift_ns == 0
            && wall_ns
                .checked_sub(self.now_ns)
                .is_some_and(|gap_ns| gap_ns <= LONGEST_PAUSE_NS)
        {
            self.now_ns = wall_ns;
            return wall_ns;
        }
        self.tell_odd(wall_ns)
    }

    fn tell_odd(&mut self, wall_ns: u64) -> u64 {
        let time_ns = i128::from(wall_ns) + self.shift_ns;
        let late_ns = i128::from(self.now_ns) - time_ns;
        if !self.begun {
            self.begun = true;
        } else if late_ns > i128::from(DISORDER_NS) {
            self.set_back += 1;
            self.shift_ns += late_ns;
        } else if late_ns > 0 {
            self.disordered += 1;
            return self.now_ns;
        } else if -late_ns > i128::from(LONGEST_PAUSE_NS) {
            self.skipped += 1;
            self.shift_ns += late_ns + i128::from(SKIPPED_NS);
        }
        self.now_ns = u64::try_from(i128::from(wall_ns) + self.shift_ns).unwrap_or(self.now_ns);
        self.now_ns
    }

    /// Wall time, in Unix nanoseconds, of a moment of pipeline time, by the latest shift.
    pub fn wall_ns(&self, time_ns: u64) -> i64 {
        let wall = i128::from(time_ns) - self.shift_ns;
        i64::try_from(wall.max(0)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: u64 = 86_400_000_000_000;

    #[test]
    fn times_in_order_are_left_alone() {
        let mut clock = CaptureClock::default();
        for wall in [5 * DAY_NS, 5 * DAY_NS, 5 * DAY_NS + 7, 9 * DAY_NS] {
            assert_eq!(clock.tell(wall), wall);
            assert_eq!(clock.wall_ns(wall), wall as i64);
        }
        assert_eq!((clock.disordered, clock.set_back, clock.skipped), (0, 0, 0));
    }

    #[test]
    fn a_frame_out_of_order_gets_the_latest_time() {
        let mut clock = CaptureClock::default();
        clock.tell(DAY_NS);
        assert_eq!(clock.tell(DAY_NS - 500), DAY_NS);
        assert_eq!(clock.tell(DAY_NS + 3), DAY_NS + 3);
        assert_eq!(clock.disordered, 1);
    }

    #[test]
    fn a_clock_set_back_goes_on_and_wall_times_stay_those_of_the_recording() {
        let mut clock = CaptureClock::default();
        clock.tell(3 * DAY_NS);
        assert_eq!(clock.tell(DAY_NS), 3 * DAY_NS);
        assert_eq!(clock.tell(DAY_NS + 10), 3 * DAY_NS + 10);
        assert_eq!(clock.wall_ns(3 * DAY_NS + 10), (DAY_NS + 10) as i64);
        assert_eq!(clock.set_back, 1);
    }

    #[test]
    fn a_leap_over_years_becomes_an_hour() {
        let mut clock = CaptureClock::default();
        let first = clock.tell(DAY_NS);
        let second = clock.tell(4000 * DAY_NS);
        assert_eq!(second - first, SKIPPED_NS);
        assert_eq!(clock.wall_ns(second), (4000 * DAY_NS) as i64);
        // And back again, as with one wrong time stamp.
        assert_eq!(clock.tell(DAY_NS + 5), second);
        assert_eq!((clock.skipped, clock.set_back), (1, 1));
    }

    #[test]
    fn extreme_time_stamps_do_not_overflow() {
        let mut clock = CaptureClock::default();
        for wall in [0, u64::MAX, 0, u64::MAX / 2, 1] {
            clock.tell(wall);
        }
        assert!(clock.wall_ns(u64::MAX) >= 0);
    }
}
