//! Reasons that are right: one feature made unusual is named, and what is named is what the score hangs on.

use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::alert::explain::reasons;
use crate::detect::scaler::{Column, Excess};
use crate::detect::{Seeded, below};
use crate::features::{RowKind, Rows, Scale};

const TRIALS: usize = 100;
/// Spreads beyond the range of training that make a value unusual beyond doubt.
const BEYOND: f32 = 8.0;

/// A raw value that far above what training had; `None` where the feature cannot be so or where more is no news.
fn unusual(column: &Column, low: f32, high: f32, scale: Scale) -> Option<f32> {
    let forward = column.median + column.scale * (column.high + BEYOND);
    let raw = match scale {
        Scale::Log1p => forward.exp() - 1.0,
        Scale::Linear => forward,
    };
    let counts = matches!(column.excess, Excess::Both | Excess::Above);
    (column.active && counts && raw >= low && raw <= high).then_some(raw)
}

/// A trained model, ordinary rows of one kind, and for each trial a row and a column with its unusual value.
struct Trials {
    model: Arc<Model>,
    rows: Rows,
    injected: Vec<(usize, usize, f32)>,
}

impl Trials {
    fn of(kind: RowKind, seed: u64) -> Self {
        let mut lab = Lab::learned(seed, LEARN_WINDOWS);
        lab.network.ordinary();
        let window = lab.network.close();
        let made = lab.engine.extractor.rows(&window);
        let rows = if kind == RowKind::Flow {
            made.flow
        } else {
            made.host
        };
        let model = Arc::clone(lab.engine.model().unwrap());
        let mut rng = Seeded::seed_from_u64(seed);
        let mut injected = Vec::new();
        while injected.len() < TRIALS / 2 {
            let row = below(&mut rng, rows.len());
            let column = below(&mut rng, kind.width());
            let feature = &kind.features()[column];
            let fitted = &model.scorer(kind).scaler().columns()[column];
            if let Some(value) = unusual(fitted, feature.low, feature.high, feature.scale)
                && rows.row(row)[column].is_finite()
            {
                injected.push((row, column, value));
            }
        }
        Self {
            model,
            rows,
            injected,
        }
    }

    fn each(&self, mut judge: impl FnMut(&Self, Vec<f32>, usize) -> bool) -> usize {
        self.injected
            .iter()
            .filter(|(row, column, value)| {
                let mut values = self.rows.row(*row).to_vec();
                values[*column] = *value;
                judge(self, values, *column)
            })
            .count()
    }

    fn score(&self, values: &[f32], like: usize) -> f32 {
        let rows = Rows {
            kind: self.rows.kind,
            width: self.rows.width,
            values: values.to_vec(),
            keys: vec![self.rows.keys[like]],
        };
        let mut scores = Vec::new();
        self.model.score_batch(&rows, &mut scores).unwrap();
        scores[0].score
    }
}

#[test]
fn the_three_strongest_reasons_name_the_feature_that_was_made_unusual() {
    let mut named = 0;
    for (kind, seed) in [(RowKind::Flow, 51), (RowKind::Host, 52)] {
        named += Trials::of(kind, seed).each(|trials, values, column| {
            let parts = trials.model.scorer(kind).explain(&values).unwrap();
            let wanted = kind.features()[column].name;
            let told = reasons(kind, &parts);
            let top: Vec<_> = told
                .iter()
                .take(3)
                .map(|reason| reason.feature.as_str())
                .collect();
            top.contains(&wanted)
        });
    }
    assert!(named >= 95, "{named} of {TRIALS}");
}

#[test]
fn the_strongest_reason_is_the_feature_without_which_the_score_falls_most() {
    // The exact answer, by leaving each feature out: put what was expected in its place and score again.
    let mut right = 0;
    for (kind, seed) in [(RowKind::Flow, 53), (RowKind::Host, 54)] {
        right += Trials::of(kind, seed).each(|trials, values, _| {
            let parts = trials.model.scorer(kind).explain(&values).unwrap();
            let without = |column: usize, expected: f32| {
                let mut values = values.clone();
                values[column] = expected;
                trials.score(&values, 0)
            };
            let mut ablated: Vec<(usize, f32)> = parts
                .iter()
                .filter(|part| part.observed.is_finite())
                .map(|part| (part.column, without(part.column, part.expected)))
                .collect();
            ablated.sort_by(|a, b| a.1.total_cmp(&b.1));
            ablated.first().map(|(column, _)| *column) == parts.first().map(|part| part.column)
        });
    }
    assert!(right >= 90, "{right} of {TRIALS}");
}
