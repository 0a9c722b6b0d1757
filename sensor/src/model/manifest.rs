//! `manifest.json` of a model directory: everything about a model but its tensors. Its form is a contract; a reader
//! must never accept a newer format version or an unknown schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detect::calibrate::Calibration;
use crate::detect::scaler::Scaler;
use crate::detect::scorer::DetectorKind;
use crate::features::{Feature, RowKind, schema_hash};

use super::{Model, Training};

/// Newest format this sensor writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// File name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// One feature as the model knew it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureEntry {
    /// Column name.
    pub name: String,
    /// Unit of the raw value.
    pub unit: String,
}

impl From<&Feature> for FeatureEntry {
    fn from(feature: &Feature) -> Self {
        Self {
            name: feature.name.to_owned(),
            unit: feature.unit.to_owned(),
        }
    }
}

/// Only the version: read first, so that a newer manifest is refused by its number and not by its form.
#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    /// Format version.
    pub format_version: u32,
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version.
    pub format_version: u32,
    /// Identity of the model.
    pub id: String,
    /// Detector kind.
    pub detector: DetectorKind,
    /// The detectors it consists of, by kind of row.
    pub detectors: BTreeMap<String, Vec<DetectorKind>>,
    /// Names of the classes that a forest tells apart, benign not among them.
    pub classes: Vec<String>,
    /// Hash of the feature tables.
    pub feature_schema: String,
    /// Feature lists by kind of row.
    pub features: BTreeMap<String, Vec<FeatureEntry>>,
    /// Scalers by kind of row.
    pub scaler: BTreeMap<String, Scaler>,
    /// Families, units and what thresholds are made of.
    pub calibration: Calibration,
    /// How it was trained.
    pub training: Training,
    /// Seed of training.
    pub seed: u64,
    /// Id of the model before.
    pub parent: Option<String>,
    /// Time of training, RFC 3339.
    pub created: String,
    /// Time of training, Unix nanoseconds.
    pub created_ns: i64,
    /// Version of the sensor that wrote it.
    pub sensor_version: String,
    /// SHA-256 of each other file, lower-case hexadecimal.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of a model whose other files have these digests.
    pub fn of(model: &Model, files: BTreeMap<String, String>) -> Self {
        let by_kind = |kind: RowKind| kind.label().to_owned();
        let list = |kind: RowKind| kind.features().iter().map(FeatureEntry::from).collect();
        Self {
            format_version: FORMAT_VERSION,
            id: model.id.clone(),
            detector: model.kind,
            detectors: RowKind::ALL
                .iter()
                .map(|kind| {
                    let members = model.scorer(*kind).members().iter();
                    let kinds = members.map(|member| member.detector.kind()).collect();
                    (by_kind(*kind), kinds)
                })
                .collect(),
            classes: model.classes.clone(),
            feature_schema: schema_hash(),
            features: RowKind::ALL
                .iter()
                .map(|kind| (by_kind(*kind), list(*kind)))
                .collect(),
            scaler: RowKind::ALL
                .iter()
                .map(|kind| (by_kind(*kind), model.scorer(*kind).scaler().clone()))
                .collect(),
            calibration: model.calibration.clone(),
            training: model.training.clone(),
            seed: model.training.seed,
            parent: model.parent.clone(),
            created: crate::alert::rfc3339(model.created_ns),
            created_ns: model.created_ns,
            sensor_version: env!("CARGO_PKG_VERSION").to_owned(),
            files,
        }
    }
}
