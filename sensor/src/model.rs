//! A trained model as a value: the detectors for both kinds of rows, their calibration, and where they came from.
//! [`files`] saves and loads it as a self-describing directory. It must never be used when anything about it is odd:
//! loading refuses, naming the file, the cause and the fix.

pub mod error;
pub mod files;
pub mod manifest;
mod tensors;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::detect::calibrate::Calibration;
use crate::detect::hex;
use crate::detect::scorer::{DetectorKind, Scorer};
use crate::detect::tail::PValue;
use crate::detect::train::LossCurve;
use crate::features::{Family, RowKind, Rows, schema_hash};

pub use error::ModelError;

/// How one of the two networks was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkTraining {
    /// Rows trained on.
    pub training_rows: u64,
    /// Rows used for early stopping.
    pub held_out_rows: u64,
    /// Rows used for calibration.
    pub calibration_rows: u64,
    /// Names of features that were constant or absent in training and are not in the network.
    pub dropped_features: Vec<String>,
    /// Trimmed mean error by pass.
    pub loss: LossCurve,
}

/// How the model was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Seed of every random choice.
    pub seed: u64,
    /// Windows learned from.
    pub windows: u64,
    /// Wall time of the first learned window's end, Unix nanoseconds.
    pub first_ns: i64,
    /// Wall time of the last learned window's end, Unix nanoseconds.
    pub last_ns: i64,
    /// The network over flow rows.
    pub flow: NetworkTraining,
    /// The network over host rows.
    pub host: NetworkTraining,
}

/// A trained and calibrated model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Identity, from the weights, the calibration and the schema: equal models have equal ids.
    pub id: String,
    /// Id of the model this one replaces.
    pub parent: Option<String>,
    /// Wall time of training, Unix nanoseconds.
    pub created_ns: i64,
    /// What it detects with.
    pub kind: DetectorKind,
    /// Names of the classes that a forest tells apart, benign not among them.
    pub classes: Vec<String>,
    /// Detectors over flow rows.
    pub flow: Scorer,
    /// Detectors over host rows.
    pub host: Scorer,
    /// Families, units and thresholds.
    pub calibration: Calibration,
    /// How it was trained.
    pub training: Training,
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// What it detects with.
    pub detector: DetectorKind,
    /// Names of the classes of labelled rows, benign not among them.
    pub classes: Vec<String>,
    /// Id of the model this one replaces.
    pub parent: Option<String>,
    /// Wall time of training, Unix nanoseconds.
    pub created_ns: i64,
}

impl Model {
    /// Puts a model together and gives it its id.
    ///
    /// # Errors
    /// If the weights cannot be read back from candle.
    pub fn new(
        parts: (Scorer, Scorer),
        calibration: Calibration,
        training: Training,
        origin: Origin,
    ) -> candle_core::Result<Self> {
        let (flow, host) = parts;
        let mut hash = Sha256::new();
        hash.update(schema_hash().as_bytes());
        for scorer in [&flow, &host] {
            for array in tensors::of_scorer(scorer)? {
                hash.update(array.bytes());
            }
        }
        hash.update(serde_json::to_vec(&calibration).unwrap_or_default());
        let digest = hex(&hash.finalize());
        let id = format!(
            "{}-{}",
            origin.detector.prefix(),
            digest.get(..12).unwrap_or_default()
        );
        Ok(Self {
            id,
            parent: origin.parent,
            created_ns: origin.created_ns,
            kind: origin.detector,
            classes: origin.classes,
            flow,
            host,
            calibration,
            training,
        })
    }

    /// The detectors for a kind of row.
    pub fn scorer(&self, kind: RowKind) -> &Scorer {
        match kind {
            RowKind::Flow => &self.flow,
            RowKind::Host => &self.host,
        }
    }
}

/// Score of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowScore {
    /// Score of the model's detectors.
    pub score: f32,
    /// Score relative to the row's kind of traffic: 1 is its 90 % quantile in calibration.
    pub strength: f32,
}

impl Model {
    /// Scores all rows; `out` is cleared and gets one element per row. Nothing is allocated per row.
    ///
    /// # Errors
    /// Only if the rows' width does not fit the model.
    pub fn score_batch(&self, rows: &Rows, out: &mut Vec<RowScore>) -> candle_core::Result<()> {
        out.clear();
        let mut scores = Vec::new();
        let families = rows.keys.iter().map(|key| key.family as usize);
        self.scorer(rows.kind)
            .score(&rows.values, &families, &mut scores)?;
        let pool = pool_index(rows.kind);
        out.extend(scores.iter().zip(&rows.keys).map(|(score, key)| RowScore {
            score: *score,
            strength: self.calibration.strength(key.family as usize, pool, *score),
        }));
        Ok(())
    }

    /// p-value of one row within its kind of traffic.
    pub fn row_p_value(&self, kind: RowKind, family: Family, score: f32) -> PValue {
        self.calibration
            .row_p_value(family as usize, pool_index(kind), score)
    }

    /// Rows that the calibration rests on.
    pub fn calibration_rows(&self) -> u64 {
        self.training.flow.calibration_rows + self.training.host.calibration_rows
    }
}

/// Calibration pool of a kind of row.
pub fn pool_index(kind: RowKind) -> usize {
    match kind {
        RowKind::Flow => 0,
        RowKind::Host => 1,
    }
}

/// Names of the calibration families, by index.
pub fn family_names() -> Vec<&'static str> {
    Family::ALL.iter().map(|family| family.label()).collect()
}

/// Names of the calibration pools, by index.
pub fn pool_names() -> Vec<&'static str> {
    RowKind::ALL.iter().map(|kind| kind.label()).collect()
}
