//! Detectors for one kind of row, and how they score rows that they were not trained on. It must never train on the
//! stretches of time it calibrates on, nor let what one host did in one window shape a detector.

use crate::detect::autoencoder::Autoencoder;
use crate::detect::calibrate::ScoredRow;
use crate::detect::forest::{Forest, ForestSettings};
use crate::detect::kmeans::{KMeans, KMeansSettings};
use crate::detect::scaler::{ColumnKind, Excess, Scaler};
use crate::detect::scorer::{Detector, DetectorKind, Member, Scorer};
use crate::detect::train::{LossCurve, ScaledRows, TrainSettings, train};
use crate::features::{Family, Feature, RowKind, Scale};
use crate::model::{NetworkTraining, pool_index};

use super::job::{HELD_OUT_FROM, TrainError, block, is_training};
use super::learned::{Kept, Place};

/// Training rows of one host and window at most.
const TRAINING_ROWS_PER_UNIT: u64 = 32;

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) detector: DetectorKind,
    /// Classes of labelled rows, benign not among them.
    pub(super) classes: usize,
    pub(super) windows: u32,
    pub(super) seed: u64,
}

impl Fit {
    /// Fits the detectors of one kind of row; `scored` gets the calibration rows.
    pub(super) fn kind(
        &self,
        kept: &Kept,
        scored: &mut Vec<ScoredRow>,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Scorer, NetworkTraining), TrainError> {
        let at = |place: &Place| block(place.window, self.windows);
        let benign = |place: &Place| place.class == 0;
        let (values, places) = kept.select(
            &|place| is_training(at(place)) && benign(place),
            TRAINING_ROWS_PER_UNIT,
        );
        let (tail, tail_places) = kept.select(
            &|place| at(place) >= HELD_OUT_FROM && benign(place),
            TRAINING_ROWS_PER_UNIT,
        );
        let (calibration, calibration_places) =
            kept.select(&|place| !is_training(at(place)) && benign(place), u64::MAX);
        let scaler = Scaler::fit(&values, &column_kinds(kept.kind));
        let mut detectors = Vec::new();
        let mut loss = LossCurve::default();
        let wants = |kind| self.detector == kind || self.detector == DetectorKind::Ensemble;
        if wants(DetectorKind::Autoencoder) {
            let (network, curve) = self.network(&scaler, &values, &tail, progress)?;
            detectors.push(Detector::Autoencoder(network));
            loss = curve;
        }
        if wants(DetectorKind::Kmeans) {
            let settings = KMeansSettings {
                seed: self.seed,
                ..KMeansSettings::default()
            };
            detectors.push(Detector::Kmeans(KMeans::fit(scaler.clone(), &values, &settings)?));
        }
        if wants(DetectorKind::Forest) {
            match self.forest(kept)? {
                Some(forest) => detectors.push(Detector::Forest(forest)),
                None if self.detector == DetectorKind::Forest => return Err(TrainError::NoLabels),
                None => {}
            }
        }
        let families: Vec<u8> = calibration_places.iter().map(|place| place.family).collect();
        let mut members = Vec::new();
        let mut scores = Vec::new();
        for detector in detectors {
            detector.score(&calibration, &mut scores)?;
            let active = scaler.active();
            members.push(Member::fit(
                detector,
                &scores,
                &families,
                Family::ALL.len(),
                active,
            ));
        }
        let dropped = kept.kind.features().iter().zip(scaler.columns());
        let dropped = dropped.filter(|(_, column)| !column.active);
        let summary = NetworkTraining {
            training_rows: places.len() as u64,
            held_out_rows: tail_places.len() as u64,
            calibration_rows: calibration_places.len() as u64,
            dropped_features: dropped.map(|(feature, _)| feature.name.to_owned()).collect(),
            loss,
        };
        let scorer = Scorer::new(scaler, members);
        scorer.score(
            &calibration,
            &families.iter().map(|family| usize::from(*family)),
            &mut scores,
        )?;
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
                    window: place.window,
                    host: place.host,
                    score: *score,
                }),
        );
        Ok((scorer, summary))
    }

    fn network(
        &self,
        scaler: &Scaler,
        values: &[f32],
        tail: &[f32],
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Autoencoder, LossCurve), TrainError> {
        let scaled = |values: &[f32]| {
            let mut rows = ScaledRows {
                width: scaler.width(),
                ..ScaledRows::default()
            };
            scaler.apply(values, &mut rows.inputs, &mut rows.weights, &mut Vec::new());
            rows
        };
        let settings = TrainSettings {
            seed: self.seed,
            ..TrainSettings::default()
        };
        let (network, loss) = train(&scaled(values), &scaled(tail), &settings, progress)?;
        if network.values()?.iter().any(|value| !value.is_finite()) {
            return Err(TrainError::Diverged);
        }
        Ok((Autoencoder::new(scaler.clone(), network), loss))
    }

    /// A forest over all rows of the stretches of time that train, the labelled ones among them; `None` without any.
    fn forest(&self, kept: &Kept) -> Result<Option<Forest>, TrainError> {
        let trains = |place: &Place| is_training(block(place.window, self.windows)) || place.class != 0;
        let (values, places) = kept.select(&trains, u64::MAX);
        if places.iter().all(|place| place.class == 0) {
            return Ok(None);
        }
        let classes: Vec<u16> = places.iter().map(|place| place.class).collect();
        let settings = ForestSettings {
            seed: self.seed,
            ..ForestSettings::default()
        };
        let forest = Forest::fit(&values, kept.kind.width(), &classes, self.classes + 1, &settings)?;
        Ok(Some(forest))
    }
}

fn column_kinds(kind: RowKind) -> Vec<ColumnKind> {
    let of = |feature: &Feature| ColumnKind {
        log1p: feature.scale == Scale::Log1p,
        span: feature.high - feature.low,
        excess: excess(kind, feature),
    };
    kind.features().iter().map(of).collect()
}

/// Which values outside of what was learned speak against a row by themselves.
fn excess(kind: RowKind, feature: &Feature) -> Excess {
    match (kind, feature.name) {
        // A flow cannot have been silent for longer than learning took, and be so for days afterwards.
        (RowKind::Flow, "silence_before") => Excess::Neither,
        // A long pause is not a sign of anything, a burst is; what is known only becomes better known.
        (
            RowKind::Flow,
            "iat_mean"
            | "iat_min"
            | "iat_max"
            | "peer_familiarity"
            | "service_familiarity"
            | "offer_familiarity",
        ) => Excess::Below,
        // In a quiet window, or when traffic is held up, all counts of a host are low at once.
        (RowKind::Host, _) if feature.scale == Scale::Log1p => Excess::Above,
        (RowKind::Flow, name)
            if feature.scale == Scale::Log1p
                && ["initiator_", "responder_", "target_", "upload_"]
                    .iter()
                    .any(|ends| name.starts_with(ends)) =>
        {
            Excess::Above
        }
        _ => Excess::Both,
    }
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
        assert_eq!(of(RowKind::Flow, "initiator_bytes_out"), Some(Excess::Above));
        assert_eq!(of(RowKind::Host, "packets_in"), Some(Excess::Above));
    }
}
