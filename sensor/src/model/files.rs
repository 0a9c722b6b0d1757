//! Model directories on disk: `manifest.json` and one `.safetensors` file per network. Saving is atomic (a temporary
//! directory beside the target, synced, then renamed); loading checks every digest, shape and value. It must never
//! leave a half-written model where one is looked for, nor return one that was not checked.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use sha2::{Digest, Sha256};

use crate::detect::scaler::Scaler;
use crate::detect::scorer::{DetectorKind, Member, Scorer};
use crate::features::{Family, RowKind, schema_hash};

use super::manifest::{FORMAT_VERSION, MANIFEST, Manifest, Version};
use super::tensors::{Array, of_scorer, to_detector};
use super::{Model, ModelError};
use crate::detect::hex;

fn tensor_file(kind: RowKind) -> String {
    format!("{}.safetensors", kind.label())
}

fn io(op: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::NotFound if op == "read" => ModelError::Missing { path },
        _ => ModelError::Io { op, path, source },
    }
}

/// Saves a model as the directory `target`, replacing a model that is there.
///
/// # Errors
/// If the parent directory cannot be written to; `target` is then as it was.
pub fn save(model: &Model, target: &Path) -> Result<(), ModelError> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(io("create", parent))?;
    let name = target
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let scratch = parent.join(format!(".{name}.new-{}", std::process::id()));
    let retired = parent.join(format!(".{name}.old-{}", std::process::id()));
    // Leftovers of a process that died while saving under the same process id.
    let _ = fs::remove_dir_all(&scratch);
    let _ = fs::remove_dir_all(&retired);
    let written = write_all(model, &scratch).and_then(|()| swap_in(&scratch, &retired, target));
    let _ = fs::remove_dir_all(&scratch);
    let _ = fs::remove_dir_all(&retired);
    written?;
    sync_directory(parent)
}

/// Renames the finished directory into place. A directory cannot be renamed onto one that has files, so the old one
/// steps aside first; if the second rename fails it is put back.
fn swap_in(scratch: &Path, retired: &Path, target: &Path) -> Result<(), ModelError> {
    let had_old = match fs::rename(target, retired) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(io("replace", target)(error)),
    };
    fs::rename(scratch, target).map_err(|error| {
        if had_old {
            let _ = fs::rename(retired, target);
        }
        io("rename", target)(error)
    })
}

fn write_all(model: &Model, directory: &Path) -> Result<(), ModelError> {
    fs::create_dir(directory).map_err(io("create", directory))?;
    let mut digests = BTreeMap::new();
    for kind in RowKind::ALL {
        let file = tensor_file(kind);
        let path = directory.join(&file);
        let bytes = tensor_bytes(model.scorer(kind), &path)?;
        digests.insert(file, hex(&Sha256::digest(&bytes)));
        write_synced(&path, &bytes)?;
    }
    let path = directory.join(MANIFEST);
    let manifest =
        serde_json::to_vec_pretty(&Manifest::of(model, digests)).map_err(|error| ModelError::Manifest {
            path: path.clone(),
            cause: error.to_string(),
        })?;
    write_synced(&path, &manifest)?;
    sync_directory(directory)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let mut file = File::create(path).map_err(io("create", path))?;
    file.write_all(bytes).map_err(io("write", path))?;
    file.sync_all().map_err(io("sync", path))
}

fn sync_directory(path: &Path) -> Result<(), ModelError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(io("sync", path))
}

fn tensor_bytes(scorer: &Scorer, path: &Path) -> Result<Vec<u8>, ModelError> {
    let broken = |cause: String| ModelError::Tensor {
        path: path.to_owned(),
        cause,
    };
    let arrays = of_scorer(scorer).map_err(|error| broken(error.to_string()))?;
    let data: Vec<(&Array, Vec<u8>)> = arrays.iter().map(|array| (array, array.bytes())).collect();
    let views = data
        .iter()
        .map(|(array, bytes)| {
            let view = TensorView::new(Dtype::F32, array.dims.clone(), bytes)?;
            Ok((array.name.as_str(), view))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| broken(error.to_string()))?;
    let metadata = HashMap::from([("feature_schema".to_owned(), schema_hash())]);
    serialize(views, Some(metadata)).map_err(|error| broken(error.to_string()))
}

/// Loads and checks the model in `directory`.
///
/// # Errors
/// See [`ModelError`]: a missing or damaged file, another feature schema, a newer format, wrong shapes, a value that is
/// not finite.
pub fn load(directory: &Path) -> Result<Model, ModelError> {
    let path = directory.join(MANIFEST);
    let manifest = read_manifest(&path)?;
    let mut detectors = Vec::with_capacity(RowKind::ALL.len());
    for kind in RowKind::ALL {
        let bytes = read_checked(directory, &tensor_file(kind), &manifest)?;
        let file = directory.join(tensor_file(kind));
        let scaler = manifest.scaler.get(kind.label()).cloned();
        let scaler = scaler
            .filter(|s| s.width() == kind.width() && s.is_sound())
            .ok_or_else(|| ModelError::Unsound {
                path: path.clone(),
                what: format!("the scaler of {} rows", kind.label()),
            })?;
        let members = manifest
            .detectors
            .get(kind.label())
            .map(Vec::as_slice)
            .unwrap_or_default();
        detectors.push(read_scorer(&bytes, scaler, members, &file)?);
    }
    let calibration = manifest.calibration;
    let pools = RowKind::ALL.len();
    if !calibration.is_sound()
        || calibration.families.len() != Family::ALL.len()
        || calibration.pools.len() != pools
    {
        return Err(ModelError::Unsound {
            path,
            what: "the calibration".to_owned(),
        });
    }
    let (Some(host), Some(flow)) = (detectors.pop(), detectors.pop()) else {
        return Err(ModelError::Unsound {
            path,
            what: "the list of detectors".to_owned(),
        });
    };
    Ok(Model {
        id: manifest.id,
        parent: manifest.parent,
        created_ns: manifest.created_ns,
        kind: manifest.detector,
        classes: manifest.classes,
        flow,
        host,
        calibration,
        training: manifest.training,
    })
}

fn read_manifest(path: &Path) -> Result<Manifest, ModelError> {
    let bytes = fs::read(path).map_err(io("read", path))?;
    let broken = |error: serde_json::Error| ModelError::Manifest {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    let found = serde_json::from_slice::<Version>(&bytes)
        .map_err(broken)?
        .format_version;
    if found > FORMAT_VERSION {
        return Err(ModelError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: FORMAT_VERSION,
        });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(broken)?;
    let expected = schema_hash();
    if manifest.feature_schema != expected {
        return Err(ModelError::Schema {
            path: path.to_owned(),
            found: manifest.feature_schema,
            expected,
        });
    }
    Ok(manifest)
}

fn read_checked(directory: &Path, file: &str, manifest: &Manifest) -> Result<Vec<u8>, ModelError> {
    let path: PathBuf = directory.join(file);
    let Some(expected) = manifest.files.get(file) else {
        let cause = format!("`files` does not name {file}");
        return Err(ModelError::Manifest {
            path: directory.join(MANIFEST),
            cause,
        });
    };
    let bytes = fs::read(&path).map_err(io("read", &path))?;
    let found = hex(&Sha256::digest(&bytes));
    if found != *expected {
        return Err(ModelError::Damaged {
            path,
            found,
            expected: expected.clone(),
        });
    }
    Ok(bytes)
}

fn read_scorer(
    bytes: &[u8],
    scaler: Scaler,
    kinds: &[DetectorKind],
    path: &Path,
) -> Result<Scorer, ModelError> {
    let broken = |cause: String| ModelError::Tensor {
        path: path.to_owned(),
        cause,
    };
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| broken(error.to_string()))?;
    let read = |name: &str, dims: &[Option<usize>]| -> Result<Array, ModelError> {
        let view = tensors
            .tensor(name)
            .map_err(|error| broken(format!("tensor {name}: {error}")))?;
        let fits = view.shape().len() == dims.len()
            && dims
                .iter()
                .zip(view.shape())
                .all(|(wanted, found)| wanted.is_none_or(|wanted| wanted == *found));
        if view.dtype() != Dtype::F32 || !fits {
            let cause = format!(
                "tensor {name} is {:?} {:?}, expected F32 {dims:?}",
                view.dtype(),
                view.shape()
            );
            return Err(broken(cause));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::Unsound {
                path: path.to_owned(),
                what: format!("tensor {name}"),
            });
        }
        Ok(Array {
            name: name.to_owned(),
            dims: view.shape().to_vec(),
            values,
        })
    };
    if kinds.is_empty() || kinds.contains(&DetectorKind::Ensemble) {
        return Err(broken(
            "the manifest names no detectors for these rows".to_owned(),
        ));
    }
    let mut members = Vec::new();
    for kind in kinds {
        let norms = read(&format!("{}.norms", kind.label()), &[Some(Family::ALL.len())])?.values;
        if norms.iter().any(|norm| *norm <= 0.0) {
            return Err(broken(format!("the scale of {} is not positive", kind.label())));
        }
        members.push(Member {
            detector: to_detector(*kind, &scaler, &read, &broken)?,
            norms,
        });
    }
    Ok(Scorer::new(scaler, members))
}

#[cfg(test)]
mod tests;
