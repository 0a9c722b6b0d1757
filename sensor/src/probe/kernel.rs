//! Facts about the kernel and this process's rights, for loading and for `sensor doctor`.
//! It must never change anything but this process's memory lock limit.

#![expect(unsafe_code, reason = "raw system calls")]

use std::{fs, io};

use aya::programs::{SchedClassifier, TcAttachType};
use sensor_common::hash::Seed;

use super::{ProbeError, netlink};

/// Capabilities the sensor needs: name, number, what for (capabilities(7)).
pub const NEEDED_CAPABILITIES: [(&str, u32, &str); 3] = [
    ("CAP_NET_ADMIN", 12, "attach programs to interfaces"),
    ("CAP_PERFMON", 38, "load programs that compare packet pointers"),
    ("CAP_BPF", 39, "create maps and load programs"),
];
/// `CAP_SYS_ADMIN` contains `CAP_BPF` and `CAP_PERFMON`.
const CAP_SYS_ADMIN: u32 = 21;

/// Kernel release, such as `6.18.44`.
pub fn release() -> String {
    // SAFETY: a zeroed utsname is valid; uname fills it with terminated strings.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        name
    };
    name.release
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| char::from(*byte as u8))
        .collect()
}

/// Whether the kernel is at least `major.minor`.
pub fn at_least(major: u32, minor: u32) -> bool {
    let release = release();
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// Whether programs can be attached to TC by link (TCX).
pub fn has_tcx() -> bool {
    at_least(6, 6)
}

/// Whether the kernel describes its own types.
pub fn btf_available() -> bool {
    fs::metadata("/sys/kernel/btf/vmlinux").is_ok()
}

/// Needed capabilities and whether the effective set has them.
pub fn capabilities() -> Vec<(&'static str, bool)> {
    let effective = effective_set();
    let has = |number: u32| effective >> number & 1 == 1;
    NEEDED_CAPABILITIES
        .iter()
        .map(|(name, number, _)| (*name, has(*number) || (*number != 12 && has(CAP_SYS_ADMIN))))
        .collect()
}

fn effective_set() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

/// Possible CPUs: the tables have a region for each, whether it is online or not.
///
/// # Errors
/// When sysfs cannot be read.
pub fn possible_cpus() -> Result<u32, ProbeError> {
    let path = "/sys/devices/system/cpu/possible";
    let text =
        fs::read_to_string(path).map_err(|source| ProbeError::from_io(format!("reading {path}"), source))?;
    let last = text
        .trim()
        .rsplit([',', '-'])
        .next()
        .and_then(|number| number.parse::<u32>().ok());
    last.map(|last| last + 1).ok_or_else(|| {
        ProbeError::from_io(
            format!("reading {path}"),
            io::Error::new(io::ErrorKind::InvalidData, text),
        )
    })
}

/// Draws the secret of the hashes.
pub(super) fn random_seed() -> Result<Seed, ProbeError> {
    let mut seed: Seed = [0; 6];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut seed);
    // SAFETY: the buffer is writable for its length. Up to 256 bytes getrandom does not return less.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got as usize == bytes.len() {
        Ok(seed)
    } else {
        Err(ProbeError::sys("getrandom"))
    }
}

/// Kernels before 5.11 charge maps to the memory lock limit. Failure shows when maps are made.
pub(super) fn raise_memlock() {
    let unlimited = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: a valid struct that lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) } != 0 {
        tracing::debug!("the memory lock limit stays as it is");
    }
}

/// A program on a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookHolder {
    /// Hook: `xdp native`, `xdp generic`, `tcx ingress`, `tcx egress`.
    pub hook: String,
    /// Program name, empty if the kernel does not tell.
    pub program: String,
    /// Program id.
    pub id: u32,
}

/// Programs on the hooks of an interface.
///
/// # Errors
/// The interface does not exist.
pub fn hook_holders(iface: &str) -> Result<Vec<HookHolder>, ProbeError> {
    let link = netlink::link(iface)?;
    let mut holders: Vec<HookHolder> = link
        .xdp
        .iter()
        .map(|(mode, id)| HookHolder {
            hook: format!("xdp {mode}"),
            program: program_name(*id),
            id: *id,
        })
        .collect();
    for (hook, direction) in [
        ("tcx ingress", TcAttachType::Ingress),
        ("tcx egress", TcAttachType::Egress),
    ] {
        // Kernels without TCX have nothing to tell.
        if let Ok((_, programs)) = SchedClassifier::query_tcx(iface, direction) {
            holders.extend(programs.iter().map(|program| HookHolder {
                hook: hook.to_owned(),
                program: program.name_as_str().unwrap_or_default().to_owned(),
                id: program.id(),
            }));
        }
    }
    Ok(holders)
}

/// Name of a loaded program, or `program` if it cannot be asked (it needs `CAP_SYS_ADMIN`).
pub(super) fn program_name(id: u32) -> String {
    let found = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id);
    found
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_else(|| "program".to_owned())
}
