//! The tracked files of the repository.
//!
//! Must never look at what git ignores: build products and a developer's own files are nobody's business.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Tracked and new text files whose name ends in `.extension` (all of them when it is empty), as relative paths.
pub(crate) fn tracked(extension: &str) -> Vec<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output();
    let mut paths: Vec<String> = match output {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .unwrap()
            .split('\0')
            .map(str::to_owned)
            .collect(),
        // A source archive without git: everything but the build products.
        _ => walk(&root(), &root()),
    };
    paths.retain(|path| root().join(path).is_file());
    paths.retain(|path| extension.is_empty() || path.ends_with(&format!(".{extension}")));
    paths.retain(|path| {
        std::fs::read(root().join(path)).is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok())
    });
    paths.sort();
    assert!(
        !paths.is_empty(),
        "no .{extension} files found: the checks would check nothing"
    );
    paths
}

/// The text of a file, given by its relative path.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

fn walk(directory: &Path, root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            paths.extend(walk(&entry.path(), root));
        } else {
            paths.push(
                entry
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    paths
}
