//! Builds the BPF objects with the pinned toolchain, so that a plain `cargo build` gives one self-contained binary.
//!
//! This is aya-build's recipe with three more flags, which aya-build 0.2 has no way to pass: the BPF instruction set
//! v3 (Linux 5.1: 32-bit arithmetic), plain unaligned packet loads instead of byte by byte, which the verifier
//! allows on the architectures we support (docs/adr/0001-toolchain.md; `sensor_xdp` shrank from 46,520 to 37,888 translated bytes),
//! and memory copied, compared and cleared in words where it is used instead of by calls of functions that go byte by
//! byte (docs/adr/0004-verifier.md).
//! `RUSTC_BOOTSTRAP` is set for the BPF child build only: `-Z build-std=core` is all it is needed for.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

/// Objects that are embedded: binaries of `sensor-ebpf`.
const OBJECTS: [&str; 2] = ["sensor-ebpf", "sensor-ebpf-bench"];

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.join("..");
    for watched in [
        "sensor-ebpf/src",
        "sensor-ebpf/Cargo.toml",
        "sensor-common/src",
        "Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let target = if env::var("CARGO_CFG_TARGET_ENDIAN")? == "big" {
        "bpfeb-unknown-none"
    } else {
        "bpfel-unknown-none"
    };
    let flags = [
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Ctarget-cpu=v3".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        "-Clink-arg=--cpu-features=+allows-misaligned-mem-access".to_owned(),
        "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
    ];
    let target_dir = out.join("bpf");
    let output = Command::new(env::var("CARGO")?)
        .current_dir(root.join("sensor-ebpf"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "sensor-ebpf",
            "--bins",
            "--locked",
        ])
        .args(["--target", target, "-Z", "build-std=core", "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // What the outer build set for the host (clippy's wrapper among it) is not for this one.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "building the BPF programs failed. If rust-src or bpf-linker is missing, `cargo xtask setup` installs \
             them.\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    for object in OBJECTS {
        fs::copy(
            target_dir.join(target).join("release").join(object),
            out.join(object),
        )?;
    }
    Ok(())
}
