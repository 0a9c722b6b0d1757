//! Real captures that tests read where they are: the directory `SENSOR_TEST_DATA`, or `../shared/data` beside the
//! repository. Nothing of them may be copied into the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the collection; says that it was left out where it is not there, which is no failure anywhere.
pub fn capture(name: &str) -> Option<PathBuf> {
    let path = base().join(name);
    if path.is_file() {
        return Some(path);
    }
    left_out(&path);
    None
}

/// All captures below a directory of the collection, sorted; none where it is not there, which it says.
pub fn captures(directory: &str) -> Vec<PathBuf> {
    let path = base().join(directory);
    let mut found = Vec::new();
    collect(&path, &mut found);
    if found.is_empty() {
        left_out(&path);
    }
    found.sort();
    found
}

fn base() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("SENSOR_TEST_DATA").map_or(beside, PathBuf::from)
}

fn left_out(path: &Path) {
    eprintln!(
        "left out: {} is not there (set SENSOR_TEST_DATA to the collection)",
        path.display()
    );
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if !matches!(
            path.extension().and_then(|end| end.to_str()),
            Some("csv" | "md" | "txt")
        ) {
            found.push(path);
        }
    }
}
