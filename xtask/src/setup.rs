//! `cargo xtask setup`: what a fresh Debian or Ubuntu machine with rustup lacks, to build and to run every test.
//!
//! Every step looks first and does nothing when there is nothing to do. What cannot be installed from here is named
//! together with the command that installs it. Must never remove or upgrade anything else.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
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

/// Checks everything that a build needs and installs what is missing.
pub(crate) fn run() -> Result<()> {
    let missing = PACKAGES.iter().filter(|(program, _)| !shell::exists(program));
    let missing: Vec<&str> = missing.flat_map(|(_, packages)| packages.split(' ')).collect();
    system_packages("system packages", &missing)?;
    toolchain()?;
    bpf_linker()
}

/// Whether a test may not be skipped: what tells continuous integration, or the variable that the tests look at.
pub(crate) fn required() -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| value == "true" || value == "1");
    set("CI") || set(sensor_tests::require::REQUIRED)
}

/// Checks the programs that tests compare with and installs what is missing. Where that cannot be done the tests that
/// need them say so and are skipped, unless they are required.
pub(crate) fn for_tests() -> Result<()> {
    unless_required("tests: tshark, Python with venv", test_packages())?;
    unless_required("promtool", fetched("promtool", "prometheus"))?;
    unless_required(
        "prometheus-alertmanager",
        fetched("prometheus-alertmanager", "prometheus-alertmanager"),
    )?;
    unless_required("rsyslog", rsyslog())?;
    unless_required("cargo-deny", cargo_deny())
}

/// Says what is left out, where that may be.
fn unless_required(what: &str, result: Result<()>) -> Result<()> {
    match result {
        Err(error) if !required() => {
            say(what, &format!("left out: {error:#}"));
            Ok(())
        }
        result => result.with_context(|| format!("setup of {what}")),
    }
}

/// tshark, and a Python that makes virtual environments: pandas, `DuckDB` and nfstream go into one under the target
/// directory, made by the tests that want them.
fn test_packages() -> Result<()> {
    let mut missing = Vec::new();
    if !shell::exists("tshark") {
        missing.push("tshark");
    }
    if shell::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_none() {
        missing.extend(["python3", "python3-venv"]);
    }
    system_packages("tests: tshark, Python with venv", &missing)
}

/// A program out of a Debian package, into the target directory: installing the package would start a server.
fn fetched(program: &str, package: &str) -> Result<()> {
    let place = tools();
    let within = place.join("usr/bin").join(program);
    if shell::exists(program) || within.is_file() {
        say(program, "present");
        return Ok(());
    }
    ensure!(
        shell::exists("apt-get") && shell::exists("dpkg-deb"),
        "{program} is missing, and there is no apt-get to fetch it with: put it on PATH (Debian package {package})"
    );
    say(program, &format!("fetching it from the package {package}"));
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let fetch = || {
        shell::run(
            Command::new("apt-get")
                .args(["download", package])
                .current_dir(&place),
        )
    };
    if fetch().is_err() {
        shell::run(shell::as_root(Path::new("apt-get")).args(["update", "--quiet"]))?;
        fetch()?;
    }
    for entry in fs::read_dir(&place)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "deb") {
            shell::run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&place))?;
            fs::remove_file(path)?;
        }
    }
    ensure!(
        within.is_file(),
        "the package {package} has no {program}: put one on PATH"
    );
    Ok(())
}

/// rsyslog with TLS, which the syslog output is tried with, and what makes its certificates. Installing it starts it on
/// machines that run systemd: only where nothing may be skipped.
fn rsyslog() -> Result<()> {
    let tls = ["/usr/lib", "/lib"].iter().any(|lib| {
        let places = fs::read_dir(lib).into_iter().flatten().flatten();
        places
            .map(|place| place.path().join("rsyslog/lmnsd_gtls.so"))
            .chain([Path::new(lib).join("rsyslog/lmnsd_gtls.so")])
            .any(|module| module.is_file())
    });
    let mut missing = Vec::new();
    if !(shell::exists("rsyslogd") || Path::new("/usr/sbin/rsyslogd").is_file()) {
        missing.push("rsyslog");
    }
    if !tls {
        missing.push("rsyslog-gnutls");
    }
    if !shell::exists("openssl") {
        missing.push("openssl");
    }
    ensure!(
        missing.is_empty() || required(),
        "it is not installed (Debian packages {}); the output to syslog is tried without it",
        missing.join(" ")
    );
    system_packages("tests: rsyslog with TLS", &missing)
}

/// `cargo deny` takes minutes to build, and the tidiness tests look at licences and sources, too: only where nothing
/// may be skipped.
fn cargo_deny() -> Result<()> {
    if shell::output(&mut shell::cargo(["deny", "--version"])).is_some() {
        say("cargo-deny", "present");
        return Ok(());
    }
    ensure!(
        required(),
        "it is not installed (`cargo install cargo-deny --locked`); the tidiness tests check licences and sources too"
    );
    say("cargo-deny", "installing (some minutes)");
    shell::run(&mut shell::cargo(["install", "cargo-deny", "--locked"]))
}

/// Where programs go that are fetched for tests.
fn tools() -> PathBuf {
    shell::target_directory().join("tools")
}

/// PATH with the programs that were fetched for tests behind those of the machine.
pub(crate) fn path_for_tests() -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&path).chain([tools().join("usr/bin")]);
    env::join_paths(all).context("PATH has an entry that cannot be part of it")
}

/// Installs Debian packages.
fn system_packages(what: &str, missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        say(what, "present");
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
    say(what, &format!("installing {wanted}"));
    let apt = Path::new("apt-get");
    shell::run(shell::as_root(apt).args(["update", "--quiet"]))?;
    // Packages that would ask something get their defaults.
    let mut install = shell::as_root(Path::new("env"));
    install.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes"]);
    shell::run(install.arg("--no-install-recommends").args(missing))
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
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
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
