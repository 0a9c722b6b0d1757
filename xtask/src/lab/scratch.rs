//! The lab's temporary directory: made for root only, removed with its guard, swept after a kill.
//!
//! Must never remove anything that is not named `sensor-lab-PID`.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const PREFIX: &str = "sensor-lab-";

/// A directory that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes `sensor-lab-PID` in the system's directory for temporary files.
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        // Fails when it exists: nobody else's directory is ever used.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Removes the directories of runs whose process no longer exists, and returns their paths.
pub(crate) fn sweep() -> Result<Vec<String>> {
    let mut swept = Vec::new();
    for entry in fs::read_dir(std::env::temp_dir())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(Ok(pid)) = name.strip_prefix(PREFIX).map(str::parse::<u32>) else {
            continue;
        };
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if directory && !Path::new(&format!("/proc/{pid}")).exists() {
            fs::remove_dir_all(entry.path()).with_context(|| format!("cannot remove {name}"))?;
            swept.push(entry.path().display().to_string());
        }
    }
    Ok(swept)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_directory_goes_with_its_guard_and_leftovers_with_the_sweep() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        // Process ids end at 2^22: this one cannot be running.
        let stale = std::env::temp_dir().join(format!("{PREFIX}4194998"));
        fs::create_dir_all(&stale).unwrap();
        sweep().unwrap();
        assert!(!stale.exists());
        assert!(path.exists(), "swept the directory of a running process");
        drop(scratch);
        assert!(!path.exists());
    }
}
