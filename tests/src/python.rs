//! Python tools that tests compare with: a virtual environment under `target`, made once for each list of packages.
//!
//! Must never touch the machine's own Python packages.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::require;

/// A Python that has these packages (pip requirements, versions pinned): `let Some(python) = python::with(..)`.
///
/// Says why and returns `None` where there is no Python, no pip or no package index.
///
/// # Panics
/// When it cannot be had and `SENSOR_TEST_REQUIRE=1`.
pub fn with(requirements: &[&str]) -> Option<PathBuf> {
    match environment(requirements) {
        Ok(python) => Some(python),
        Err(cause) => {
            require::skip(&format!(
                "needs Python 3 with venv and pip, and {}: {cause:#}",
                requirements.join(", ")
            ));
            None
        }
    }
}

fn environment(requirements: &[&str]) -> Result<PathBuf> {
    let base = directory()?;
    fs::create_dir_all(&base)?;
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let place = base.join(format!("{:016x}", hasher.finish()));
    // Tests of several binaries may want the same one.
    let lock = File::create(place.with_extension("lock"))?;
    lock.lock()?;
    let python = place.join("bin/python");
    let complete = place.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(requirements))?;
    fs::write(complete, requirements.join("\n"))?;
    Ok(python)
}

/// Beside the build's products.
fn directory() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test
        .ancestors()
        .find(|path| path.join("CACHEDIR.TAG").is_file())
        .context("the test does not run from a target directory")?;
    Ok(target.join("python"))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
