//! Behaviour of the k-means detector: what it learns, what it must not, and odd input.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use rand_chacha::rand_core::SeedableRng;

use super::super::scaler::ColumnKind;
use super::super::{Seeded, unit_interval};
use super::*;

const WIDTH: usize = 11;

/// Rows of four kinds of traffic, each around its own values.
fn traffic(rows: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seeded::seed_from_u64(seed);
    let mut values = Vec::new();
    for row in 0..rows {
        for column in 0..WIDTH {
            let usual = ((row % 4 * 7 + column * 3) % 5) as f32;
            values.push((usual + unit_interval(&mut rng) * 0.5).exp());
        }
    }
    values
}

fn scaler(values: &[f32], excess: Excess) -> Scaler {
    let kind = ColumnKind {
        log1p: true,
        span: f32::INFINITY,
        excess,
    };
    Scaler::fit(values, &[kind; WIDTH])
}

fn fitted(values: &[f32]) -> KMeans {
    KMeans::fit(scaler(values, Excess::Both), values, &KMeansSettings::default()).unwrap()
}

fn scores(detector: &KMeans, values: &[f32]) -> Vec<f32> {
    let mut scores = Vec::new();
    detector.score(values, &mut scores);
    scores
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

#[test]
fn rows_like_those_of_training_score_low_and_mixtures_of_kinds_high() {
    let detector = fitted(&traffic(2000, 1));
    assert_eq!(detector.clusters(), 100);
    let alike = traffic(400, 2);
    // Each value is usual for its column, but not together: the first half from one kind, the second from the next.
    let mut mixed = Vec::new();
    for pair in alike.chunks_exact(2 * WIDTH) {
        mixed.extend_from_slice(&pair[..WIDTH / 2]);
        mixed.extend_from_slice(&pair[WIDTH + WIDTH / 2..]);
    }
    let (alike, mixed) = (scores(&detector, &alike), scores(&detector, &mixed));
    let most = alike.iter().copied().fold(0.0, f32::max);
    assert!(mixed.iter().all(|score| *score > most), "{most} {mixed:?}");
    assert!(mean(&mixed) > 5.0 * mean(&alike));
}

#[test]
fn the_same_rows_and_seed_give_the_same_bits_and_another_seed_does_not() {
    let values = traffic(1000, 3);
    let (first, second) = (fitted(&values), fitted(&values));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(first.centroids()), bits(second.centroids()));
    assert_eq!(bits(first.spreads()), bits(second.spreads()));
    let settings = KMeansSettings {
        seed: 2,
        ..KMeansSettings::default()
    };
    let other = KMeans::fit(scaler(&values, Excess::Both), &values, &settings).unwrap();
    assert_ne!(bits(first.centroids()), bits(other.centroids()));
}

#[test]
fn a_burst_within_training_is_not_learned_but_the_same_rows_spread_over_it_are() {
    let clean = traffic(2000, 4);
    let mut rng = Seeded::seed_from_u64(9);
    // 3 % of rows that mix two kinds, in one piece or every 33rd.
    let odd: Vec<f32> = (0..60 * WIDTH)
        .map(|at| ((if at % WIDTH < 5 { 4.0 } else { 0.5 }) + unit_interval(&mut rng) * 0.2).exp())
        .collect();
    let mut burst = clean[..900 * WIDTH].to_vec();
    burst.extend_from_slice(&odd);
    burst.extend_from_slice(&clean[900 * WIDTH..]);
    let mut spread = Vec::new();
    for (index, row) in clean.chunks_exact(WIDTH).enumerate() {
        spread.extend_from_slice(row);
        if index % 33 == 0 {
            spread.extend(odd.chunks_exact(WIDTH).nth(index / 33).unwrap_or_default());
        }
    }
    let [none, burst, spread] = [&clean, &burst, &spread].map(|values| mean(&scores(&fitted(values), &odd)));
    assert!(
        burst > 0.8 * none && spread < 0.3 * none,
        "{none} {burst} {spread}"
    );
}

#[test]
fn a_feature_growing_tenfold_again_and_again_never_lowers_the_score_and_leads_the_reasons() {
    let detector = fitted(&traffic(1000, 5));
    for row in traffic(4, 6).chunks_exact(WIDTH) {
        for column in 0..WIDTH {
            let mut batch = row.to_vec();
            // Beyond the largest value of training first.
            for exponent in 2..=8 {
                let mut moved = row.to_vec();
                moved[column] *= 10f32.powi(exponent);
                batch.extend(moved);
            }
            let scores = scores(&detector, &batch);
            assert!(
                scores.windows(2).all(|pair| pair[1] >= pair[0]),
                "column {column}: {scores:?}"
            );
            let reasons = detector.explain(&batch[4 * WIDTH..5 * WIDTH]);
            assert_eq!(reasons[0].column, column);
            assert!(reasons[0].observed > reasons[0].high && reasons[0].share > 0.3);
            assert!(reasons[0].expected <= reasons[0].high && reasons[0].expected >= reasons[0].low);
        }
    }
}

#[test]
fn scores_are_the_same_bits_in_any_batch_and_agree_with_the_explanation() {
    let detector = fitted(&traffic(1000, 7));
    let mut values = traffic(300, 8);
    values[5] = f32::NAN;
    values[40] = 1e20;
    let all = scores(&detector, &values);
    assert_eq!(all.len(), 300);
    for (row, score) in values.chunks_exact(WIDTH).zip(&all) {
        assert_eq!(scores(&detector, row)[0].to_bits(), score.to_bits());
        let parts: f32 = detector.explain(row).iter().map(|part| part.error).sum();
        assert!(((parts / WIDTH as f32).sqrt() - score).abs() <= 1e-4 * score.max(1.0));
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let detector = fitted(&traffic(1000, 9));
    let values = traffic(100, 10);
    let mut plain = Vec::new();
    pulp::WithSimd::with_simd(
        Scoring {
            detector: &detector,
            values: &values,
            scores: &mut plain,
        },
        pulp::Scalar,
    );
    let bits = |scores: &[f32]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&scores(&detector, &values)), bits(&plain));
    assert_eq!(plain.len(), 100);
}

#[test]
fn an_absent_value_adds_nothing_and_odd_rows_get_finite_scores() {
    let detector = fitted(&traffic(1000, 11));
    let mut values = vec![f32::NAN; WIDTH];
    values.extend([f32::INFINITY; WIDTH]);
    values.extend([f32::NEG_INFINITY; WIDTH]);
    values.extend([-1.0; WIDTH]);
    let scores = scores(&detector, &values);
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    assert!(scores[0].abs() < 1e-6 && scores[1] > 3.0, "{scores:?}");
    assert!(detector.explain(&[1.0]).is_empty());
}

#[test]
fn where_only_values_above_speak_against_a_row_a_smaller_one_adds_nothing() {
    let values = traffic(1000, 12);
    let above = KMeans::fit(
        scaler(&values, Excess::Above),
        &values,
        &KMeansSettings::default(),
    )
    .unwrap();
    assert!(scores(&above, &[0.0; WIDTH])[0].abs() < 1e-6);
    assert!(scores(&fitted(&values), &[0.0; WIDTH])[0] > 0.5);
}

#[test]
fn parts_make_the_same_detector_and_damaged_ones_none() {
    let values = traffic(1000, 13);
    let detector = fitted(&values);
    let (scaler, centroids, spreads) = (
        detector.scaler().clone(),
        detector.centroids().to_vec(),
        detector.spreads().to_vec(),
    );
    let again = KMeans::from_parts(scaler.clone(), centroids.clone(), spreads.clone()).unwrap();
    assert_eq!(scores(&again, &values), scores(&detector, &values));
    let shape = KMeans::from_parts(scaler.clone(), centroids[1..].to_vec(), spreads.clone());
    assert!(matches!(shape, Err(KMeansError::Shape { .. })));
    assert!(KMeans::from_parts(scaler.clone(), Vec::new(), Vec::new()).is_err());
    for odd in [f32::NAN, f32::INFINITY, 1e30] {
        let mut wrong = centroids.clone();
        wrong[3] = odd;
        assert!(KMeans::from_parts(scaler.clone(), wrong, spreads.clone()).is_err());
        let mut wrong = spreads.clone();
        wrong[0] = odd;
        assert!(KMeans::from_parts(scaler.clone(), centroids.clone(), wrong).is_err());
    }
}

#[test]
fn training_on_no_whole_row_is_refused_and_one_row_or_equal_rows_suffice() {
    let values = traffic(100, 14);
    let settings = KMeansSettings::default();
    for wrong in [0, WIDTH - 1, WIDTH + 1] {
        let fit = KMeans::fit(scaler(&values, Excess::Both), &values[..wrong], &settings);
        assert!(matches!(fit, Err(KMeansError::Rows { .. })));
    }
    let one = KMeans::fit(scaler(&values, Excess::Both), &values[..WIDTH], &settings).unwrap();
    assert_eq!(one.clusters(), 1);
    let equal = values[..WIDTH].repeat(100);
    let equal = KMeans::fit(scaler(&values, Excess::Both), &equal, &settings).unwrap();
    assert!(scores(&equal, &values).iter().all(|score| score.is_finite()));
    assert!(scores(&equal, &values[..WIDTH])[0] < 1e-3);
}
