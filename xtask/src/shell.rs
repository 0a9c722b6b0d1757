//! Starts other programs: cargo with the right directory, anything as root, and says what it starts.
//!
//! Must never hide a failure: a program that ends badly is an error with its command line.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sensor_tests::require::is_root;

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    // Set by `cargo run`, and so by `cargo xtask`; a binary started by hand is taken to be where it was built.
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `cargo ARGUMENTS` in the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // What `cargo run` told xtask about itself means nothing to the packages built from here, and would rebuild them.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// `program`, through sudo with the same environment when this process is not root.
pub(crate) fn as_root(program: &Path) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    // sudo replaces PATH even with -E.
    let mut path = std::ffi::OsString::from("PATH=");
    path.push(env::var_os("PATH").unwrap_or_default());
    command.args(["-E", "env"]).arg(path).arg(program);
    command
}

/// Makes `cargo test` or `cargo bench` build as this user and run what it built as root.
pub(crate) fn run_tests_as_root(cargo: &mut Command) {
    if !is_root() {
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH)
            .to_uppercase()
            .replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{target}_RUNNER"), "sudo -E");
    }
}

/// Runs `command` to its end, with its output on ours.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = text(command);
    eprintln!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// What `command` prints, or `None` when it does not exist or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program of this name is on the path, or where system programs are.
pub(crate) fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// The command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_else(|| command.get_program());
    let words = std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}
