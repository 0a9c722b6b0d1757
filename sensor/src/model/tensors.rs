//! Detectors as named arrays, the form in which they are stored, and back. It must never build a detector from arrays
//! that do not fit together: a damaged file is an error, not a wrong score.

use candle_core::{Device, Tensor};

use crate::detect::autoencoder::Autoencoder;
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
            Detector::Forest(_) => {}
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

/// Builds one detector; `read` gives an array by name, `None` as a dimension is any length.
pub(super) fn to_detector<E>(
    kind: DetectorKind,
    scaler: &Scaler,
    read: &dyn Fn(&str, &[Option<usize>]) -> Result<Array, E>,
    broken: &dyn Fn(String) -> E,
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
        _ => {
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
