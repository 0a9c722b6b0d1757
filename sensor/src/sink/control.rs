//! What the loop of an output is told from outside, and how long it waits. It must never wait longer than it may when the
//! end has come.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::service::clock;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// First pause after a failure; it doubles.
    pub(super) first: Duration,
    /// Longest pause.
    pub(super) longest: Duration,
    /// Longest wait for updates without looking.
    pub(super) idle: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_mins(1),
            idle: Duration::from_secs(1),
        }
    }
}

#[derive(Debug, Default)]
struct Orders {
    reopen: bool,
    /// Set once: when to give up, on the monotonic clock.
    deadline_ns: Option<u64>,
}

/// What the outside tells a worker.
#[derive(Debug, Default)]
pub(super) struct Control {
    orders: Mutex<Orders>,
    changed: Condvar,
}

impl Control {
    pub(super) fn reopen(&self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).reopen = true;
    }

    /// Send what is there until then, and end.
    pub(super) fn end(&self, deadline_ns: u64) {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .deadline_ns = Some(deadline_ns);
        self.changed.notify_all();
    }

    pub(super) fn take_reopen(&self) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut orders.reopen)
    }

    pub(super) fn ending(&self) -> bool {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .deadline_ns
            .is_some()
    }

    /// Waits; the order to end cuts it short. Says whether there is time left.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let resume_ns = clock::monotonic_ns() + pause.as_nanos() as u64;
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now_ns = clock::monotonic_ns();
            if orders
                .deadline_ns
                .is_some_and(|deadline_ns| now_ns >= deadline_ns)
            {
                return false;
            }
            let until_ns = orders
                .deadline_ns
                .map_or(resume_ns, |deadline_ns| deadline_ns.min(resume_ns));
            if now_ns >= resume_ns {
                return true;
            }
            orders = self
                .changed
                .wait_timeout(orders, Duration::from_nanos(until_ns.saturating_sub(now_ns)))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Pauses that double, each somewhere between half and all of itself, so that many sensors do not call at once.
#[derive(Debug)]
pub(super) struct Backoff {
    pub(super) pace: Pace,
    next: Duration,
    random: ChaCha8Rng,
}

impl Backoff {
    pub(super) fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pace,
            next: pace.first,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.pace.first;
    }

    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.pace.longest);
        let share = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_between_sensors() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(Pace::default(), seed);
            let pauses: Vec<Duration> = (0..10).map(|_| backoff.pause()).collect();
            backoff.reset();
            assert!(backoff.pause() <= Pace::default().first);
            pauses
        };
        for (index, pause) in pauses(1).into_iter().enumerate() {
            let whole = (Pace::default().first * 2u32.pow(index as u32)).min(Pace::default().longest);
            assert!(pause >= whole / 2 && pause <= whole, "{index}: {pause:?}");
        }
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
