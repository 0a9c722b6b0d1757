//! Thresholds that follow what they cost: alarms beyond the budget raise them, alarms below it let them come back to what
//! calibration said (adaptive conformal inference: Gibbs and Candès 2021). It must never lower a threshold below that, nor
//! raise it by more than [`MOST`], so that nobody can teach the sensor to overlook him.

/// How far thresholds may rise.
pub(super) const MOST: f64 = 1.5;
/// What one incident raises the logarithm of thresholds by: thirteen in a row reach the bound.
const STEP: f64 = 0.03;
const DAY_NS: f64 = 86_400e9;

/// See the module's description.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recalibration {
    /// Logarithm of the factor on thresholds, 0 to ln [`MOST`].
    log_factor: f64,
}

impl Recalibration {
    /// Takes in a window: how many incidents it opened that only say that something is unusual. What has a name is found by
    /// counts and does not speak against the model.
    pub(super) fn window(&mut self, opened: u64, window_ns: u64, alarm_budget_per_day: f64) {
        let allowed = alarm_budget_per_day * window_ns as f64 / DAY_NS;
        self.log_factor = (self.log_factor + STEP * (opened as f64 - allowed)).clamp(0.0, MOST.ln());
    }

    /// The factor on thresholds now.
    pub(super) fn factor(self) -> f64 {
        self.log_factor.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_NS: u64 = 10_000_000_000;

    #[test]
    fn a_rate_within_the_budget_changes_nothing_for_long_and_a_storm_is_bounded() {
        let mut thresholds = Recalibration::default();
        // Ten a day, as asked for.
        for window in 0..86_400 {
            thresholds.window(u64::from(window % 864 == 0), WINDOW_NS, 10.0);
            assert!(thresholds.factor() < 1.04);
        }
        for _ in 0..1000 {
            thresholds.window(3, WINDOW_NS, 10.0);
        }
        assert!((thresholds.factor() - MOST).abs() < 1e-9);
        // Two quiet days are enough to forget it.
        for _ in 0..2 * 8640 {
            thresholds.window(0, WINDOW_NS, 10.0);
        }
        assert!((thresholds.factor() - 1.0).abs() < 1e-9);
    }
}
