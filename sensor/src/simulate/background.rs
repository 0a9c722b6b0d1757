//! Ordinary traffic of the simulator's own network: people who browse, devices that keep in touch, and the upkeep that
//! every network has. All of it is benign. It must never depend on which scenarios run.

mod devices;
mod people;
mod upkeep;

use std::rc::Rc;

use super::{
    cast::Cast,
    random::Random,
    stage::{SECOND, Stage},
};

/// How much goes on at a time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    /// Whether people sleep.
    pub(super) by_day: bool,
}

impl Rhythm {
    /// By how much pauses of people are longer at `now` than at the busiest hour (two in the afternoon, UTC).
    fn pause_factor(self, now: u64) -> f64 {
        if !self.by_day {
            return 1.0;
        }
        let hour = (now / SECOND % 86_400) as f64 / 3600.0;
        let activity = 0.5 + 0.5 * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos();
        1.0 / (0.04 + 0.96 * activity * activity)
    }
}

/// Starts everything.
pub(super) fn start(stage: &mut Stage, cast: &Rc<Cast>, rhythm: Rhythm, random: &mut Random) {
    people::start(stage, cast, rhythm, random);
    devices::start(stage, cast, random);
    upkeep::start(stage, cast, random);
}
