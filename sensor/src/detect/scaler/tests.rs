//! Scaling of single values and of whole rows.

use super::*;

const LOG: ColumnKind = ColumnKind {
    log1p: true,
    span: f32::INFINITY,
    excess: Excess::Both,
};
const UNIT: ColumnKind = ColumnKind {
    log1p: false,
    span: 1.0,
    excess: Excess::Both,
};
const COUNT: ColumnKind = ColumnKind {
    excess: Excess::Above,
    ..LOG
};

fn column(values: &[f32], kind: ColumnKind) -> Column {
    Scaler::fit(values, &[kind]).columns()[0]
}

#[test]
fn fast_logarithm_agrees_with_the_library() {
    let mut value = 1e-6f32;
    while value < 1e30 {
        let exact = f64::from(value).ln_1p();
        let got = f64::from(signed_ln_1p(value));
        assert!(
            (got - exact).abs() <= 3e-7 * exact.max(1.0),
            "{value}: {got} for {exact}"
        );
        assert!((signed_ln_1p(-value) + signed_ln_1p(value)).abs() < f32::EPSILON);
        value *= 1.37;
    }
    assert!(signed_ln_1p(f32::INFINITY).is_finite());
    assert!(signed_ln_1p(0.0).abs() < 1e-9);
}

#[test]
fn five_per_cent_of_huge_values_hardly_move_median_and_spread() {
    let clean: Vec<f32> = (0..1000).map(|i| 50.0 + (i % 100) as f32).collect();
    let mut bad = clean.clone();
    for value in bad.iter_mut().step_by(20) {
        *value = 1e9;
    }
    let (a, b) = (column(&clean, LOG), column(&bad, LOG));
    assert!((a.median - b.median).abs() < 0.1, "{a:?} {b:?}");
    assert!((a.scale / b.scale - 1.0).abs() < 0.3, "{a:?} {b:?}");
}

#[test]
fn whole_rows_scale_bit_for_bit_like_single_values() {
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 50.0).collect();
    let scaler = Scaler::fit(
        &values,
        &[LOG, UNIT, LOG, UNIT, LOG, COUNT, COUNT, LOG, LOG, UNIT],
    );
    let row = [
        1e9,
        f32::NAN,
        -3.0,
        1e20,
        f32::INFINITY,
        1e9,
        -1e9,
        f32::NAN,
        -5.0,
        0.3,
    ];
    let (mut inputs, mut weights, mut excess) = (Vec::new(), Vec::new(), Vec::new());
    scaler.apply(&row, &mut inputs, &mut weights, &mut excess);
    let mut sum = 0.0;
    for ((value, column), input) in row.iter().zip(scaler.columns()).zip(&inputs) {
        assert_eq!(column.input(*value).to_bits(), input.to_bits());
        sum += column.excess(*value).powi(2);
    }
    assert!(
        (sum / excess[0] - 1.0).abs() < 1e-6 && sum > 50.0,
        "{sum} {excess:?}"
    );
}

#[test]
fn absent_and_odd_values_stay_finite_and_absent_ones_do_not_count() {
    let scaler = Scaler::fit(&[1.0, 2.0, 3.0, f32::NAN], &[LOG]);
    let (mut inputs, mut weights, mut excess) = (Vec::new(), Vec::new(), Vec::new());
    scaler.apply(
        &[f32::NAN, f32::INFINITY, -5.0],
        &mut inputs,
        &mut weights,
        &mut excess,
    );
    assert!(inputs.iter().chain(&excess).all(|value| value.is_finite()));
    assert!(weights[0].abs() < 1e-9 && excess[0].abs() < 1e-9);
    assert!(excess[1] > 20.0);
}

#[test]
fn constant_columns_leave_the_network_but_a_departure_is_excess() {
    let scaler = Scaler::fit(&[0.0; 50], &[LOG]);
    assert_eq!(scaler.active(), 0);
    let column = scaler.columns()[0];
    assert!(column.excess(0.0).abs() < 1e-9 && column.excess(0.4).abs() < 1e-9);
    assert!(column.excess(1000.0) > 5.0);
    assert!(column.input(1000.0).abs() < 1e-9);
}

#[test]
fn a_count_below_its_range_is_no_excess_and_above_it_is() {
    let values: Vec<f32> = (0..500).map(|i| 100.0 + (i % 50) as f32).collect();
    let (one, both) = (column(&values, COUNT), column(&values, LOG));
    assert!(one.excess(0.0).abs() < 1e-9 && both.excess(0.0) > 5.0);
    assert!(one.excess(1e5) > 5.0 && (one.excess(1e5) - both.excess(1e5)).abs() < 1e-6);
    assert!((one.input(0.0) - one.low).abs() < 1e-6);
}

#[test]
fn excess_grows_with_the_value_and_is_bounded() {
    let column = column(&(0..500).map(|i| (i % 50) as f32).collect::<Vec<_>>(), LOG);
    let mut last = -1.0;
    for exponent in 2..38 {
        let excess = column.excess(10f32.powi(exponent));
        assert!(excess >= last && excess <= EXCESS_CAP);
        last = excess;
    }
}

#[test]
fn inverting_a_scaled_value_gives_the_raw_value() {
    for (values, kind, value) in [([1.0, 10.0, 100.0], LOG, 42.0), ([0.1, 0.5, 0.9], UNIT, 0.7)] {
        let column = column(&values, kind);
        assert!((column.invert(column.input(value)) / value - 1.0).abs() < 1e-4);
    }
}
