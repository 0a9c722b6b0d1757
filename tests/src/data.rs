//! Real captures that tests read where they are: the directory `SENSOR_TEST_DATA`, or `../shared/data` beside the
//! repository. Nothing of them may be copied into the repository.

use std::path::{Path, PathBuf};

/// A file of the collection; says that it was left out where it is not there, which is no failure anywhere.
pub fn capture(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let base = std::env::var_os("SENSOR_TEST_DATA").map_or(beside, PathBuf::from);
    let path = base.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!(
        "left out: {} is not there (set SENSOR_TEST_DATA to the collection)",
        path.display()
    );
    None
}
