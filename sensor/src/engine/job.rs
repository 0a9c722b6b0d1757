//! Training as a job of its own: everything it needs is inside, so that the caller can run it on any thread. Reproducible
//! from the learned rows and the seed. It must never train on the stretches of time it calibrates on.

use crate::detect::calibrate::Calibration;
use crate::detect::scorer::DetectorKind;
use crate::features::RowKind;
use crate::model::{Model, Origin, Training, family_names, pool_names};

use super::fit::Fit;
use super::learned::{Learned, Place};

/// Learning is cut into this many blocks of time.
const BLOCKS: u64 = 20;
/// Blocks from here on are held out: early stopping and calibration.
pub(super) const HELD_OUT_FROM: u64 = 16;
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
    /// A detector that learns from labels has none.
    #[error(
        "no labelled rows to learn from: a forest needs --labels that name malicious packets of the inputs"
    )]
    NoLabels,
    /// Clusters could not be fitted.
    #[error(transparent)]
    Clusters(#[from] crate::detect::kmeans::KMeansError),
    /// Trees could not be fitted.
    #[error(transparent)]
    Trees(#[from] crate::detect::forest::ForestError),
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
    pub(super) detector: DetectorKind,
    /// Names of the classes of labelled rows, benign not among them.
    pub(super) classes: Vec<String>,
    pub(super) seed: u64,
    pub(super) window_ns: u64,
    pub(super) parent: Option<String>,
}

impl TrainingJob {
    /// A training of `detector` on what was learned from windows of this length. Class `n` of a row is called
    /// `classes[n - 1]`.
    pub fn new(
        learned: Learned,
        detector: DetectorKind,
        classes: Vec<String>,
        seed: u64,
        window_ns: u64,
        parent: Option<String>,
    ) -> Self {
        Self {
            learned,
            detector,
            classes,
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
        let fit = Fit {
            detector: self.detector,
            classes: self.classes.len(),
            windows,
            seed: self.seed,
        };
        let [flow_rows, host_rows] = &self.learned.kept;
        let (flow, flow_training) = fit.kind(flow_rows, &mut scored, &mut |share| progress(share * 0.7))?;
        let (host, host_training) =
            fit.kind(host_rows, &mut scored, &mut |share| progress(0.7 + share * 0.25))?;
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
        let origin = Origin {
            detector: self.detector,
            classes: self.classes,
            parent: self.parent,
            created_ns,
        };
        let model = Model::new((flow, host), calibration, training, origin)?;
        progress(1.0);
        Ok(model)
    }
}

/// Block of time of a window.
pub(super) fn block(window: u32, windows: u32) -> u64 {
    u64::from(window) * BLOCKS / u64::from(windows.max(1))
}

/// Three of four blocks before the held-out tail; the fourth is for calibration, so that calibration sees all of
/// learning and not only its end.
pub(super) fn is_training(block: u64) -> bool {
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
    fn three_fifths_of_time_train_and_the_rest_never_does() {
        let roles: Vec<bool> = (0..100).map(|window| is_training(block(window, 100))).collect();
        assert_eq!(roles.iter().filter(|training| **training).count(), 60);
        assert!(roles[80..].iter().all(|training| !training));
        // Calibration also has blocks from the first half.
        assert!(!roles[10] && !roles[14]);
    }
}
