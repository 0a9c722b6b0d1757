//! Thresholds and p-values on scores of known distributions.

use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::detect::{Seeded, unit_interval};

const SECOND: u64 = 1_000_000_000;

/// Heavy-tailed scores of two families, family 1 four times as large; `per_unit` rows a unit.
fn rows(units: u32, per_unit: usize, seed: u64) -> Vec<ScoredRow> {
    let mut rng = Seeded::seed_from_u64(seed);
    let mut rows = Vec::new();
    for unit in 0..units {
        for row in 0..per_unit {
            let family = row % 2;
            let score = (1.0 - unit_interval(&mut rng)).powf(-0.25) * if family == 1 { 4.0 } else { 1.0 };
            rows.push(ScoredRow {
                family,
                pool: 0,
                unit,
                window: unit / 10,
                host: unit % 10,
                score,
            });
        }
    }
    rows
}

fn fit(units: u32, seed: u64) -> Calibration {
    Calibration::fit(&rows(units, 4, seed), &["a", "b"], &["flow"], 10.0, 10 * SECOND)
}

fn exceedances(calibration: &Calibration, threshold: f64, units: u32, seed: u64) -> usize {
    let mut alarmed: Vec<u32> = rows(units, 4, seed)
        .iter()
        .filter(|row| f64::from(calibration.strength(row.family, 0, row.score)) > threshold)
        .map(|row| row.unit)
        .collect();
    alarmed.dedup();
    alarmed.len()
}

#[test]
fn families_are_judged_by_their_own_scores() {
    let calibration = fit(1000, 1);
    let (a, b) = (calibration.strength(0, 0, 1.5), calibration.strength(1, 0, 6.0));
    assert!((a / b - 1.0).abs() < 0.2, "{a} {b}");
    assert!(calibration.row_p_value(0, 0, 4.0).value < 0.01);
    assert!(calibration.row_p_value(1, 0, 4.0).value > 0.9);
}

#[test]
fn a_small_family_uses_the_pool() {
    let mut all = rows(500, 2, 1);
    all.push(ScoredRow {
        family: 2,
        pool: 0,
        unit: 600,
        window: 60,
        host: 1,
        score: 3.0,
    });
    let calibration = Calibration::fit(&all, &["a", "b", "c"], &["flow"], 1.0, SECOND);
    assert!(calibration.families[2].is_none());
    assert_eq!(
        calibration.row_p_value(2, 0, 12.0),
        calibration.pools[0].tail.p_value(12.0)
    );
}

#[test]
fn the_budget_is_kept_within_a_factor_of_two_when_data_suffice() {
    // 20,000 calibration units; 86,400 units a day; half the budget is for evidence over many windows: 1,728 and 173 are
    // rates of 1e-2 and 1e-3.
    let calibration = fit(20_000, 1);
    for (budget, p) in [(1728.0, 1e-2), (172.8, 1e-3)] {
        let threshold = calibration.thresholds(budget)[0];
        assert!(!threshold.beyond_reach && (threshold.asked_p - p).abs() < 1e-9);
        let rate = exceedances(&calibration, threshold.strength, 40_000, 99) as f64 / 40_000.0;
        assert!(rate < 2.0 * p && rate > 0.5 * p, "asked {p}, got {rate}");
    }
}

#[test]
fn few_units_give_a_conservative_threshold_that_tightens_as_they_grow() {
    let mut last = f64::INFINITY;
    for units in [30, 120, 400] {
        let calibration = fit(units, 5);
        let threshold = calibration.thresholds(10.0)[0];
        assert!(threshold.beyond_reach);
        let factor = threshold.strength / f64::from(calibration.units[0].largest());
        assert!(factor > 1.2 && factor < last, "{units} units: {factor}");
        last = factor;
        assert_eq!(exceedances(&calibration, threshold.strength, 120, 77), 0);
    }
}

#[test]
fn a_smaller_budget_never_lowers_the_threshold() {
    for units in [50, 1000, 20_000] {
        let calibration = fit(units, 3);
        let mut last = f64::INFINITY;
        for budget in [1.0, 10.0, 100.0, 1000.0, 10_000.0] {
            let strength = calibration.thresholds(budget)[0].strength;
            assert!(strength <= last);
            last = strength;
        }
    }
}

#[test]
fn an_attack_while_learning_does_not_blind_the_threshold() {
    let clean = fit(400, 1).thresholds(10.0)[0].strength;
    let mut bad = rows(400, 4, 1);
    for row in bad.iter_mut().filter(|row| (200..216).contains(&row.unit)) {
        row.score *= 300.0;
    }
    let calibration = Calibration::fit(&bad, &["a", "b"], &["flow"], 10.0, 10 * SECOND);
    assert_eq!(calibration.foreign_units, 16);
    assert!(calibration.thresholds(10.0)[0].strength < 1.5 * clean);
}

#[test]
fn what_comes_back_all_over_learning_is_ordinary_however_rare() {
    let mut hourly = rows(400, 4, 1);
    for row in hourly.iter_mut().filter(|row| row.unit % 25 == 0) {
        row.score *= 300.0;
    }
    let calibration = Calibration::fit(&hourly, &["a", "b"], &["flow"], 10.0, 10 * SECOND);
    assert_eq!(calibration.foreign_units, 0);
    let threshold = calibration.thresholds(10.0)[0].strength;
    assert!(threshold > f64::from(calibration.strength(0, 0, 300.0)));
}
