//! Round trips, and every way in which a directory can be odd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use rand_chacha::rand_core::SeedableRng;

use super::*;
use candle_core::{Device, Tensor};

use crate::detect::autoencoder::Autoencoder;
use crate::detect::calibrate::{Calibration, ScoredRow};
use crate::detect::forest::{Forest, ForestSettings};
use crate::detect::kmeans::{KMeans, KMeansSettings};
use crate::detect::network::Network;
use crate::detect::scaler::{ColumnKind, Excess, Scaler};
use crate::detect::scorer::Detector;
use crate::detect::{Seeded, unit_interval};
use crate::features::{Family, RowKey, Rows, Scale};
use crate::model::{Origin, RowScore, Training, family_names, pool_index, pool_names};

fn rows(kind: RowKind, count: usize, seed: u64) -> Rows {
    let mut rng = Seeded::seed_from_u64(seed);
    let mut rows = Rows::empty(kind);
    for _ in 0..count {
        rows.values
            .extend((0..kind.width()).map(|_| unit_interval(&mut rng) * 20.0));
        rows.keys.push(RowKey {
            flow: bytemuck::Zeroable::zeroed(),
            initiator: [1; 16],
            responder: [2; 16],
            packets: 1,
            bytes: 1,
            service_port: 0,
            initiator_port: 0,
            iface: 0,
            proto: 6,
            family: if kind == RowKind::Flow {
                Family::Udp
            } else {
                Family::Local
            },
        });
    }
    rows
}

/// An untrained but complete model.
fn model(seed: u64) -> Model {
    let mut scored = Vec::new();
    let detectors = RowKind::ALL.map(|kind| {
        let rows = rows(kind, 300, seed);
        let kinds: Vec<_> = kind
            .features()
            .iter()
            .map(|f| ColumnKind {
                log1p: f.scale == Scale::Log1p,
                span: f.high - f.low,
                excess: Excess::Both,
            })
            .collect();
        let network = Network::seeded(kind.width(), seed).unwrap();
        let scaler = Scaler::fit(&rows.values, &kinds);
        let clusters = KMeansSettings {
            seed,
            ..KMeansSettings::default()
        };
        let trees = ForestSettings {
            seed,
            trees: 5,
            ..ForestSettings::default()
        };
        let classes: Vec<u16> = (0..300).map(|row| row % 3).collect();
        let forest = Forest::fit(&rows.values, kind.width(), &classes, 3, &trees).unwrap();
        let detectors = [
            Detector::Autoencoder(Autoencoder::new(scaler.clone(), network)),
            Detector::Kmeans(KMeans::fit(scaler.clone(), &rows.values, &clusters).unwrap()),
            Detector::Forest(forest),
        ];
        let families = vec![0; 300];
        let mut scores = Vec::new();
        let members = detectors.map(|detector| {
            detector.score(&rows.values, &mut scores).unwrap();
            Member::fit(detector, &scores, &families, Family::ALL.len(), scaler.active())
        });
        let detector = Scorer::new(scaler, members.into());
        let of_rows = rows.keys.iter().map(|key| key.family as usize);
        detector.score(&rows.values, &of_rows, &mut scores).unwrap();
        scored.extend(
            scores
                .iter()
                .zip(&rows.keys)
                .enumerate()
                .map(|(unit, (score, key))| ScoredRow {
                    family: key.family as usize,
                    pool: pool_index(kind),
                    unit: unit as u32,
                    window: unit as u32 / 3,
                    host: unit as u32 % 3,
                    score: *score,
                }),
        );
        detector
    });
    let calibration = Calibration::fit(&scored, &family_names(), &pool_names(), 3.0, 10_000_000_000);
    let [flow, host] = detectors;
    let training = Training {
        seed,
        windows: 30,
        ..Training::default()
    };
    let origin = Origin {
        detector: DetectorKind::Ensemble,
        classes: vec!["scan".to_owned(), "flood".to_owned()],
        parent: Some("en-parent".to_owned()),
        created_ns: 1_700_000_000_000_000_000,
    };
    Model::new((flow, host), calibration, training, origin).unwrap()
}

fn scores(model: &Model) -> Vec<RowScore> {
    let mut all = Vec::new();
    for kind in RowKind::ALL {
        let mut scores = Vec::new();
        model.score_batch(&rows(kind, 400, 77), &mut scores).unwrap();
        all.extend(scores);
    }
    all
}

fn edit_manifest(directory: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = directory.join(MANIFEST);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

fn saved() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("model");
    save(&model(1), &directory).unwrap();
    (parent, directory)
}

fn refusal(directory: &Path) -> String {
    let message = load(directory).expect_err("must be refused").to_string();
    assert!(
        message.contains("sensor run --learn") && message.contains(directory.to_str().unwrap()),
        "{message}"
    );
    message
}

#[test]
fn a_saved_model_loads_with_identical_scores_and_facts() {
    let (_parent, directory) = saved();
    let (original, loaded) = (model(1), load(&directory).unwrap());
    assert_eq!(scores(&original), scores(&loaded));
    assert_eq!((&original.id, &original.parent), (&loaded.id, &loaded.parent));
    assert_eq!(original.calibration, loaded.calibration);
    assert_eq!(original.training, loaded.training);
    assert_eq!(original.flow.scaler(), loaded.flow.scaler());
    assert_eq!(original.created_ns, loaded.created_ns);
    assert_eq!((original.kind, &original.classes), (loaded.kind, &loaded.classes));
}

#[test]
fn equal_models_have_equal_ids_and_others_differ() {
    assert_eq!(model(1).id, model(1).id);
    assert_ne!(model(1).id, model(2).id);
}

#[test]
fn saving_replaces_the_old_model_and_leaves_nothing_else_behind() {
    let (parent, directory) = saved();
    save(&model(2), &directory).unwrap();
    assert_eq!(load(&directory).unwrap().id, model(2).id);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn a_target_that_cannot_be_written_is_named_and_the_old_model_stays() {
    let (_parent, directory) = saved();
    let below_a_file = directory.join(MANIFEST).join("model");
    let message = save(&model(2), &below_a_file)
        .expect_err("a file is no directory")
        .to_string();
    assert!(message.contains(MANIFEST), "{message}");
    assert_eq!(load(&directory).unwrap().id, model(1).id);
}

#[test]
fn a_missing_file_is_named() {
    let (_parent, directory) = saved();
    fs::remove_file(directory.join("host.safetensors")).unwrap();
    assert!(refusal(&directory).contains("host.safetensors: missing"));
    assert!(refusal(&directory.join("elsewhere")).contains("manifest.json: missing"));
}

#[test]
fn every_flipped_byte_and_every_truncation_is_noticed() {
    let (_parent, directory) = saved();
    let path = directory.join("flow.safetensors");
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(refusal(&directory).contains("damaged"));
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(refusal(&directory).contains("damaged"));
    }
}

#[test]
fn a_broken_manifest_is_refused() {
    let (_parent, directory) = saved();
    let bytes = fs::read(directory.join(MANIFEST)).unwrap();
    fs::write(directory.join(MANIFEST), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&directory).contains("not a readable manifest"));
}

#[test]
fn another_schema_and_a_newer_format_are_refused_by_name() {
    let (_parent, directory) = saved();
    edit_manifest(&directory, |json| json["feature_schema"] = "0123".into());
    assert!(refusal(&directory).contains("schema 0123"));
    edit_manifest(&directory, |json| {
        json["format_version"] = (FORMAT_VERSION + 1).into();
    });
    assert!(refusal(&directory).contains("format version 2"));
}

/// Replaces the network in a tensor file and the file's digest, as a faulty writer would.
fn replace_network(directory: &Path, network: Network) {
    let path = directory.join("flow.safetensors");
    let sound = model(1).flow;
    let mut members = sound.members().to_vec();
    members[0].detector = Detector::Autoencoder(Autoencoder::new(sound.scaler().clone(), network));
    let bytes = tensor_bytes(&Scorer::new(sound.scaler().clone(), members), &path).unwrap();
    edit_manifest(directory, |json| {
        json["files"]["flow.safetensors"] = hex(&Sha256::digest(&bytes)).into();
    });
    fs::write(path, bytes).unwrap();
}

#[test]
fn wrong_shapes_and_values_that_are_not_finite_are_refused() {
    let (_parent, directory) = saved();
    replace_network(&directory, Network::seeded(RowKind::Flow.width() + 1, 1).unwrap());
    assert!(refusal(&directory).contains("layer0.weight"));
    let sound = Network::seeded(RowKind::Flow.width(), 1).unwrap();
    let mut layers = sound.layers().to_vec();
    let outputs = RowKind::Flow.width();
    layers[3].bias = Tensor::from_vec(vec![f32::NAN; outputs], outputs, &Device::Cpu).unwrap();
    replace_network(&directory, Network::from_layers(layers));
    assert!(refusal(&directory).contains("not finite"));
}

#[test]
fn impossible_statistics_are_refused() {
    let (_parent, directory) = saved();
    edit_manifest(&directory, |json| {
        json["scaler"]["host"]["columns"][0]["scale"] = 0.0.into();
    });
    assert!(refusal(&directory).contains("scaler of host rows"));
    let (_parent, directory) = saved();
    edit_manifest(&directory, |json| {
        json["calibration"]["pools"][0]["normaliser"] = (-1.0).into();
    });
    assert!(refusal(&directory).contains("calibration"));
}
