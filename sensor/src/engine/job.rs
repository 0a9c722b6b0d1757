//! Training as a job of its own: everything it needs is inside, so that the caller can run it on any thread. Reproducible
//! from the learned rows and the seed. It must never train on the stretches of time it calibrates on.

use crate::detect::autoencoder::Autoencoder;
use crate::detect::calibrate::{Calibration, ScoredRow};
use crate::detect::scaler::{ColumnKind, Excess, Scaler};
use crate::detect::train::{ScaledRows, TrainSettings, train};
use crate::features::{Family, Feature, RowKind, Scale};
use crate::model::{Model, NetworkTraining, Training, family_names, pool_index, pool_names};

use super::learned::{Kept, Learned, Place};

/// Learning is cut into this many blocks of time.
const BLOCKS: u64 = 20;
/// Blocks from here on are held out: early stopping and calibration.
const HELD_OUT_FROM: u64 = 16;
/// Training rows of one host and window at most: what one host did in one window must not shape the network.
const TRAINING_ROWS_PER_UNIT: u64 = 32;
/// Least windows to learn from: each stretch of time needs some.
const MIN_WINDOWS: u64 = 20;
/// Least rows to train on, by kind of row.
const MIN_TRAINING_ROWS: [u64; 2] = [100, 40];
/// Least rows to calibrate on, by kind of row.
const MIN_CALIBRATION_ROWS: [u64; 2] = [40, 20];

/// Why no model came out.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Not enough traffic for a model.
    #[error(
        "too little traffic to learn from: {have} {what}, at least {need} are needed; let the sensor learn for longer (`--learn`), or check that it sees the traffic (`sensor doctor`)"
    )]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// How much there is.
        have: u64,
        /// How much is needed.
        need: u64,
    },
    /// The traffic ended before learning did.
    #[error(
        "the traffic ended while learning went on: {have_s} s of {need_s} s; learn for a shorter time (`--learn`) or from more traffic"
    )]
    TooShort {
        /// Seconds learned from.
        have_s: u64,
        /// Seconds asked for.
        need_s: u64,
    },
    /// The tensor library failed.
    #[error("training failed in the tensor library: {source}; this is a defect, please report it")]
    Tensor {
        /// Its word.
        #[from]
        source: candle_core::Error,
    },
    /// Training ended with numbers that cannot be used.
    #[error(
        "training diverged: the model holds values that are not finite; learn again, with another `--seed` if it happens twice"
    )]
    Diverged,
}

/// A training run, ready to go.
#[derive(Debug)]
pub struct TrainingJob {
    pub(super) learned: Learned,
    pub(super) seed: u64,
    pub(super) window_ns: u64,
    pub(super) parent: Option<String>,
}

impl TrainingJob {
    /// A training on what was learned from windows of this length.
    pub fn new(learned: Learned, seed: u64, window_ns: u64, parent: Option<String>) -> Self {
        Self {
            learned,
            seed,
            window_ns,
            parent,
        }
    }

    /// Flow rows and host rows it will learn from.
    pub fn rows(&self) -> [usize; 2] {
        [
            self.learned.kept[0].places.len(),
            self.learned.kept[1].places.len(),
        ]
    }

    /// Trains and calibrates; `progress` hears shares from 0 to 1. Takes seconds: run it on a thread of low priority.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn run(self, progress: &mut dyn FnMut(f64)) -> Result<Model, TrainError> {
        enough(&self.learned)?;
        let windows = self.learned.windows;
        let mut training = Training {
            seed: self.seed,
            windows: u64::from(windows),
            ..Training::default()
        };
        (training.first_ns, training.last_ns) = (self.learned.first_ns, self.learned.last_ns);
        let mut scored = Vec::new();
        let (flow, flow_training) = self.train_kind(&self.learned.kept[0], &mut scored, &mut |share| {
            progress(share * 0.7);
        })?;
        let (host, host_training) = self.train_kind(&self.learned.kept[1], &mut scored, &mut |share| {
            progress(0.7 + share * 0.25);
        })?;
        (training.flow, training.host) = (flow_training, host_training);
        let units_per_window = self.learned.units as f64 / f64::from(windows.max(1));
        let calibration = Calibration::fit(
            &scored,
            &family_names(),
            &pool_names(),
            units_per_window,
            self.window_ns,
        );
        if !calibration.is_sound() {
            return Err(TrainError::Diverged);
        }
        let created_ns = self.learned.last_ns;
        let model = Model::new((flow, host), calibration, training, self.parent, created_ns)?;
        progress(1.0);
        Ok(model)
    }

    fn train_kind(
        &self,
        kept: &Kept,
        scored: &mut Vec<ScoredRow>,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Autoencoder, NetworkTraining), TrainError> {
        let windows = self.learned.windows;
        let block = |window: u32| block(window, windows);
        let (training_values, training_places) =
            kept.select(&|window| is_training(block(window)), TRAINING_ROWS_PER_UNIT);
        let (tail_values, tail_places) =
            kept.select(&|window| block(window) >= HELD_OUT_FROM, TRAINING_ROWS_PER_UNIT);
        let (calibration_values, calibration_places) =
            kept.select(&|window| !is_training(block(window)), u64::MAX);
        let features = kept.kind.features();
        let kinds: Vec<ColumnKind> = features
            .iter()
            .map(|f| ColumnKind {
                log1p: f.scale == Scale::Log1p,
                span: f.high - f.low,
                excess: excess(kept.kind, f),
            })
            .collect();
        let scaler = Scaler::fit(&training_values, &kinds);
        let scaled = |values: &[f32]| {
            let mut rows = ScaledRows {
                width: features.len(),
                ..ScaledRows::default()
            };
            scaler.apply(values, &mut rows.inputs, &mut rows.weights, &mut Vec::new());
            rows
        };
        let settings = TrainSettings {
            seed: self.seed,
            ..TrainSettings::default()
        };
        let (network, loss) = train(
            &scaled(&training_values),
            &scaled(&tail_values),
            &settings,
            progress,
        )?;
        if network.values()?.iter().any(|value| !value.is_finite()) {
            return Err(TrainError::Diverged);
        }
        let dropped = features
            .iter()
            .zip(scaler.columns())
            .filter(|(_, column)| !column.active);
        let dropped_features = dropped.map(|(feature, _)| feature.name.to_owned()).collect();
        let detector = Autoencoder::new(scaler, network);
        let mut scores = Vec::new();
        detector.score(&calibration_values, &mut scores)?;
        let pool = pool_index(kept.kind);
        scored.extend(
            calibration_places
                .iter()
                .zip(&scores)
                // What never alarms by itself has no part in the thresholds.
                .filter(|(place, _)| usize::from(place.family) != Family::Arp as usize)
                .map(|(place, score)| ScoredRow {
                    family: usize::from(place.family),
                    pool,
                    unit: place.unit,
                    score: *score,
                }),
        );
        let summary = NetworkTraining {
            training_rows: training_places.len() as u64,
            held_out_rows: tail_places.len() as u64,
            calibration_rows: calibration_places.len() as u64,
            dropped_features,
            loss,
        };
        Ok((detector, summary))
    }
}

/// Which values outside of what was learned speak against a row by themselves.
fn excess(kind: RowKind, feature: &Feature) -> Excess {
    match (kind, feature.name) {
        // A flow cannot have been silent for longer than learning took, and be so for days afterwards.
        (RowKind::Flow, "silence_before") => Excess::Neither,
        // A long pause is not a sign of anything, a burst is; what is known only becomes better known.
        (RowKind::Flow, "iat_mean" | "iat_min" | "iat_max" | "peer_familiarity" | "service_familiarity") => {
            Excess::Below
        }
        // In a quiet window, or when traffic is held up, all counts of a host are low at once.
        (RowKind::Host, _) if feature.scale == Scale::Log1p => Excess::Above,
        _ => Excess::Both,
    }
}

/// Block of time of a window.
fn block(window: u32, windows: u32) -> u64 {
    u64::from(window) * BLOCKS / u64::from(windows.max(1))
}

/// Three of four blocks before the held-out tail; the fourth is for calibration, so that calibration sees all of
/// learning and not only its end.
fn is_training(block: u64) -> bool {
    block < HELD_OUT_FROM && block % 4 != 2
}

/// Whether a model could come out of what was learned.
pub(super) fn enough(learned: &Learned) -> Result<(), TrainError> {
    let need = |what, have: u64, need: u64| {
        if have >= need {
            Ok(())
        } else {
            Err(TrainError::TooFew { what, have, need })
        }
    };
    need("windows", u64::from(learned.windows), MIN_WINDOWS)?;
    for (index, kept) in learned.kept.iter().enumerate() {
        let training = |place: &&Place| is_training(block(place.window, learned.windows));
        let for_training = kept.places.iter().filter(training).count() as u64;
        let for_calibration = kept.places.len() as u64 - for_training;
        let (training, calibration) = match kept.kind {
            RowKind::Flow => ("flow rows to train on", "flow rows to calibrate on"),
            RowKind::Host => ("host rows to train on", "host rows to calibrate on"),
        };
        need(
            training,
            for_training,
            MIN_TRAINING_ROWS.get(index).copied().unwrap_or(0),
        )?;
        need(
            calibration,
            for_calibration,
            MIN_CALIBRATION_ROWS.get(index).copied().unwrap_or(0),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_grow_with_time_are_no_excess_and_all_names_exist() {
        let of = |kind: RowKind, name: &str| {
            let feature = kind.features().iter().find(|feature| feature.name == name);
            feature.map(|feature| excess(kind, feature))
        };
        assert_eq!(of(RowKind::Flow, "silence_before"), Some(Excess::Neither));
        for name in [
            "iat_mean",
            "iat_min",
            "iat_max",
            "peer_familiarity",
            "service_familiarity",
        ] {
            assert_eq!(of(RowKind::Flow, name), Some(Excess::Below));
        }
        assert_eq!(of(RowKind::Flow, "bytes_out"), Some(Excess::Both));
        assert_eq!(of(RowKind::Host, "packets_in"), Some(Excess::Above));
    }

    #[test]
    fn three_fifths_of_time_train_and_the_rest_never_does() {
        let roles: Vec<bool> = (0..100).map(|window| is_training(block(window, 100))).collect();
        assert_eq!(roles.iter().filter(|training| **training).count(), 60);
        assert!(roles[80..].iter().all(|training| !training));
        // Calibration also has blocks from the first half.
        assert!(!roles[10] && !roles[14]);
    }
}
