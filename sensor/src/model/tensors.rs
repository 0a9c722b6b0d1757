//! Detectors as named arrays, the form in which they are stored, and back. It must never build a detector from arrays
//! that do not fit together: a damaged file is an error, not a wrong score.

use candle_core::{Device, Tensor};

use crate::detect::autoencoder::Autoencoder;
use crate::detect::forest::{Forest, ForestParts};
use crate::detect::kmeans::KMeans;
use crate::detect::network::{Layer, Network, shapes};
use crate::detect::scaler::Scaler;
use crate::detect::scorer::Scorer;
use crate::detect::scorer::{Detector, DetectorKind};

/// One array of 32-bit floats.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Gives an array by name and dimensions, of which `None` is any length.
pub(super) type Read<'a, E> = &'a dyn Fn(&str, &[Option<usize>]) -> Result<Array, E>;
/// Makes an error of a cause.
pub(super) type Broken<'a, E> = &'a dyn Fn(String) -> E;

impl Array {
    fn new(name: impl Into<String>, dims: &[usize], values: Vec<f32>) -> Self {
        Self {
            name: name.into(),
            dims: dims.to_vec(),
            values,
        }
    }

    /// Its values, little-endian.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// All arrays of the detectors for one kind of row.
pub(super) fn of_scorer(scorer: &Scorer) -> candle_core::Result<Vec<Array>> {
    let mut arrays = Vec::new();
    for member in scorer.members() {
        let norms = &member.norms;
        let kind = member.detector.kind().label();
        arrays.push(Array::new(format!("{kind}.norms"), &[norms.len()], norms.clone()));
        match &member.detector {
            Detector::Autoencoder(detector) => autoencoder(detector, &mut arrays)?,
            Detector::Kmeans(detector) => {
                let (width, clusters) = (detector.width(), detector.clusters());
                let centroids = detector.centroids().to_vec();
                arrays.push(Array::new("kmeans.centroids", &[clusters, width], centroids));
                arrays.push(Array::new(
                    "kmeans.spreads",
                    &[clusters],
                    detector.spreads().to_vec(),
                ));
            }
            Detector::Forest(detector) => forest(detector, &mut arrays)?,
        }
    }
    Ok(arrays)
}

fn autoencoder(detector: &Autoencoder, arrays: &mut Vec<Array>) -> candle_core::Result<()> {
    for (index, layer) in detector.network().layers().iter().enumerate() {
        for (part, tensor) in [("weight", &layer.weight), ("bias", &layer.bias)] {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            arrays.push(Array::new(
                format!("autoencoder.layer{index}.{part}"),
                tensor.dims(),
                values,
            ));
        }
    }
    Ok(())
}

/// Node numbers are stored as floats, exact up to here: far more nodes than a hundred trees have.
const MOST_EXACT: u32 = 1 << 24;

fn forest(detector: &Forest, arrays: &mut Vec<Array>) -> candle_core::Result<()> {
    let parts = detector.parts();
    let classes = vec![detector.class_count() as u32];
    for (name, numbers) in [
        ("class_count", &classes),
        ("roots", &parts.roots),
        ("features", &parts.features),
        ("lefts", &parts.lefts),
        ("classes", &parts.classes),
    ] {
        if numbers.iter().any(|number| *number > MOST_EXACT) {
            let cause = format!(
                "the forest is too large to be stored: {} nodes",
                parts.features.len()
            );
            return Err(candle_core::Error::Msg(cause));
        }
        let values: Vec<f32> = numbers.iter().map(|number| *number as f32).collect();
        arrays.push(Array::new(format!("forest.{name}"), &[values.len()], values));
    }
    for (name, values) in [("thresholds", parts.thresholds), ("benign", parts.benign)] {
        arrays.push(Array::new(format!("forest.{name}"), &[values.len()], values));
    }
    Ok(())
}

fn to_forest<E>(width: usize, read: Read<'_, E>, broken: Broken<'_, E>) -> Result<Detector, E> {
    let numbers = |name: &str, length: Option<usize>| -> Result<Vec<u32>, E> {
        let values = read(&format!("forest.{name}"), &[length])?.values;
        let whole = |value: &f32| value.fract() == 0.0 && (0.0..=MOST_EXACT as f32).contains(value);
        if !values.iter().all(whole) {
            return Err(broken(format!(
                "forest.{name} holds values that are no numbers of nodes"
            )));
        }
        Ok(values.iter().map(|value| *value as u32).collect())
    };
    let features = numbers("features", None)?;
    let nodes = Some(features.len());
    let parts = ForestParts {
        roots: numbers("roots", None)?,
        lefts: numbers("lefts", nodes)?,
        classes: numbers("classes", nodes)?,
        thresholds: read("forest.thresholds", &[nodes])?.values,
        benign: read("forest.benign", &[nodes])?.values,
        features,
    };
    let class_count = numbers("class_count", Some(1))?.first().copied().unwrap_or(0);
    Forest::from_parts(width, class_count as usize, &parts)
        .map(Detector::Forest)
        .map_err(|error| broken(error.to_string()))
}

/// Builds one detector; `read` gives an array by name, `None` as a dimension is any length.
pub(super) fn to_detector<E>(
    kind: DetectorKind,
    scaler: &Scaler,
    read: Read<'_, E>,
    broken: Broken<'_, E>,
) -> Result<Detector, E> {
    match kind {
        DetectorKind::Kmeans => {
            let centroids = read("kmeans.centroids", &[None, Some(scaler.width())])?;
            let clusters = centroids.dims.first().copied();
            let spreads = read("kmeans.spreads", &[clusters])?;
            KMeans::from_parts(scaler.clone(), centroids.values, spreads.values)
                .map(Detector::Kmeans)
                .map_err(|error| broken(error.to_string()))
        }
        DetectorKind::Forest => to_forest(scaler.width(), read, broken),
        DetectorKind::Ensemble => Err(broken("an ensemble cannot be a part of one".to_owned())),
        DetectorKind::Autoencoder => {
            let mut layers = Vec::new();
            for (index, (inputs, outputs)) in shapes(scaler.width()).into_iter().enumerate() {
                let tensor = |part: &str, dims: &[usize]| {
                    let expected: Vec<Option<usize>> = dims.iter().copied().map(Some).collect();
                    let array = read(&format!("autoencoder.layer{index}.{part}"), &expected)?;
                    Tensor::from_vec(array.values, dims, &Device::Cpu)
                        .map_err(|error| broken(error.to_string()))
                };
                layers.push(Layer {
                    weight: tensor("weight", &[inputs, outputs])?,
                    bias: tensor("bias", &[outputs])?,
                });
            }
            let network = Network::from_layers(layers);
            Ok(Detector::Autoencoder(Autoencoder::new(scaler.clone(), network)))
        }
    }
}
