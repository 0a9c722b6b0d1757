//! `cargo xtask setup`: what a fresh Debian or Ubuntu machine with rustup lacks.
//!
//! Every step looks first and does nothing when there is nothing to do. What cannot be installed from here is named
//! together with the command that installs it. Must never remove or upgrade anything else.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sensor_tests::require::is_root;

use crate::shell;

/// Has to match the LLVM of the pinned toolchain (docs/adr/0001-toolchain.md).
const BPF_LINKER: &str = "0.10.3";

/// A program and the Debian package that brings it.
const PACKAGES: [(&str, &str); 2] = [
    // Linker and C compiler of every Rust build.
    ("cc", "gcc libc6-dev"),
    // Namespaces and veth pairs of the tests and the lab.
    ("ip", "iproute2"),
];

/// Checks everything and installs what is missing.
pub(crate) fn run() -> Result<()> {
    system_packages()?;
    toolchain()?;
    bpf_linker()
}

fn system_packages() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| !shell::exists(program))
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    if missing.is_empty() {
        say("system packages", "present");
        return Ok(());
    }
    let wanted = missing.join(" ");
    ensure!(
        shell::exists("apt-get"),
        "missing system packages (Debian names): {wanted}. There is no apt-get here: install them with your \
         package manager and run this again"
    );
    ensure!(
        is_root() || shell::exists("sudo"),
        "missing system packages: {wanted}. Run as root: apt-get update && apt-get install {wanted}"
    );
    say("system packages", &format!("installing {wanted}"));
    let apt = Path::new("apt-get");
    shell::run(shell::as_root(apt).args(["update", "--quiet"]))?;
    shell::run(
        shell::as_root(apt)
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing),
    )
}

fn toolchain() -> Result<()> {
    let wanted = pinned_toolchain()?;
    let version = shell::output(&mut rustc(&["--version"])).context("no rustc: install rustup")?;
    if version.split(' ').nth(1) != Some(wanted.as_str()) {
        // Only an override (RUSTUP_TOOLCHAIN, `cargo +name`) or a rustc without rustup leads here.
        bail!(
            "rustc is `{version}`, but rust-toolchain.toml pins {wanted}: run without a toolchain override"
        );
    }
    let sysroot = shell::output(&mut rustc(&["--print", "sysroot"])).context("rustc has no sysroot")?;
    let mut missing = Vec::new();
    if !Path::new(&sysroot)
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
    {
        missing.push("rust-src");
    }
    for (component, program) in [("clippy", "cargo-clippy"), ("rustfmt", "cargo-fmt")] {
        if !Path::new(&sysroot).join("bin").join(program).is_file() {
            missing.push(component);
        }
    }
    if missing.is_empty() {
        say("toolchain", &format!("{wanted} with rust-src, clippy, rustfmt"));
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(
        shell::exists("rustup"),
        "the toolchain {wanted} lacks {names}, and there is no rustup to add them: install rustup (https://rustup.rs)"
    );
    say("toolchain", &format!("adding {names}"));
    shell::run(
        Command::new("rustup")
            .args(["component", "add"])
            .args(missing)
            .current_dir(shell::root()),
    )
}

fn bpf_linker() -> Result<()> {
    let wanted = format!("bpf-linker {BPF_LINKER}");
    let version = || shell::output(Command::new("bpf-linker").arg("--version"));
    let found = version();
    if found.as_deref() == Some(&wanted) {
        say("bpf-linker", BPF_LINKER);
        return Ok(());
    }
    let instead = found
        .map(|found| format!(" instead of {found}"))
        .unwrap_or_default();
    say(
        "bpf-linker",
        &format!("installing {BPF_LINKER}{instead} (about a minute)"),
    );
    let version_argument = format!("={BPF_LINKER}");
    shell::run(&mut shell::cargo([
        "install",
        "bpf-linker",
        "--locked",
        "--version",
        &version_argument,
    ]))?;
    ensure!(
        version().as_deref() == Some(&wanted),
        "bpf-linker {BPF_LINKER} is installed but not the one on PATH: put cargo's bin directory first"
    );
    Ok(())
}

/// The channel of rust-toolchain.toml.
fn pinned_toolchain() -> Result<String> {
    let path = shell::root().join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let channel = text.lines().find_map(|line| line.strip_prefix("channel = "));
    Ok(channel
        .context("rust-toolchain.toml has no channel")?
        .trim_matches('"')
        .to_owned())
}

fn say(what: &str, state: &str) {
    eprintln!("setup: {what}: {state}");
}

/// The compiler that builds the workspace, whatever directory xtask was started in.
fn rustc(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustc");
    command.args(arguments).current_dir(shell::root());
    command
}
