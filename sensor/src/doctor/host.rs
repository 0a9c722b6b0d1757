//! The kernel, the rights of this process, memory, and the state directory.

use std::{fs, path::Path};

use super::Finding;
use crate::{
    config::{Settings, value::format_bytes},
    probe::kernel,
};

/// Oldest kernel that has everything the programs need (`BPF_F_MMAPABLE` arrays, BPF links for XDP).
const OLDEST: (u32, u32) = (5, 15);

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![kernel_release(), btf()];
    findings.extend(capabilities());
    findings.extend([
        memory(settings),
        memlock(),
        bpf_filesystem(),
        statistics(),
        clock(),
        state_dir(settings),
    ]);
    findings
}

fn kernel_release() -> Finding {
    let release = kernel::release();
    let (major, minor) = OLDEST;
    if !kernel::at_least(major, minor) {
        return Finding::missing("kernel", release, format!("run Linux {major}.{minor} or newer"));
    }
    if kernel::at_least(6, 6) {
        return Finding::good("kernel", format!("{release} (XDP, TCX)"));
    }
    Finding::note(
        "kernel",
        format!("{release} (XDP; no TCX before 6.6)"),
        "egress is counted through clsact instead",
    )
}

fn btf() -> Finding {
    if kernel::btf_available() {
        return Finding::good("BTF", "/sys/kernel/btf/vmlinux");
    }
    Finding::missing(
        "BTF",
        "the kernel does not describe its types",
        "run a kernel built with CONFIG_DEBUG_INFO_BTF=y",
    )
}

fn capabilities() -> Vec<Finding> {
    kernel::capabilities()
        .into_iter()
        .map(|(name, held)| {
            if held {
                return Finding::good(name, "held");
            }
            let fix = "run as root; or AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON in the systemd unit; \
                       or setcap cap_bpf,cap_net_admin,cap_perfmon+ep on the binary";
            Finding::missing(name, "not in the effective set", fix)
        })
        .collect()
}

fn memory(settings: &Settings) -> Finding {
    let subject = "table memory";
    let available_bytes = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let Ok(cpus) = kernel::possible_cpus() else {
        return Finding::note(subject, "the number of CPUs is unknown", "mount sysfs at /sys");
    };
    let per_cpu = settings.table_bytes / u64::from(cpus.max(1));
    let found = format!(
        "{} for {cpus} possible CPUs, {} each",
        format_bytes(settings.table_bytes),
        format_bytes(per_cpu >> 10 << 10)
    );
    match available_bytes {
        Some(bytes) if bytes < settings.table_bytes => Finding::missing(
            subject,
            format!("{found}; only {} available", format_bytes(bytes >> 20 << 20)),
            "lower table_bytes",
        ),
        _ => Finding::good(subject, found),
    }
}

/// `MemAvailable` of /proc/meminfo in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

fn memlock() -> Finding {
    let subject = "locked memory";
    if kernel::at_least(5, 11) {
        return Finding::good(
            subject,
            "BPF memory is not limited by RLIMIT_MEMLOCK on this kernel",
        );
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or("unknown");
    if limit == "unlimited" {
        return Finding::good(subject, limit);
    }
    Finding::note(
        subject,
        format!("{limit} bytes"),
        "the sensor raises it when run as root; else LimitMEMLOCK=infinity",
    )
}

fn bpf_filesystem() -> Finding {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts
        .lines()
        .any(|line| line.split_whitespace().nth(2) == Some("bpf"));
    if mounted {
        return Finding::good("/sys/fs/bpf", "mounted");
    }
    Finding::note(
        "/sys/fs/bpf",
        "no BPF file system is mounted",
        "not needed: nothing is pinned",
    )
}

fn statistics() -> Finding {
    let subject = "BPF statistics";
    let on = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1");
    if on {
        return Finding::good(
            subject,
            "on: sensor_bpf_run_seconds_total shows the cost per program",
        );
    }
    Finding::note(
        subject,
        "off",
        "sysctl kernel.bpf_stats_enabled=1 shows the programs' run time (at a small cost)",
    )
}

fn clock() -> Finding {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(path).map(|text| text.trim().to_owned());
    match source.as_deref() {
        Ok("hpet" | "acpi_pm" | "jiffies") => Finding::note(
            "clock source",
            source.unwrap_or_default(),
            "slow: each packet reads it; use tsc or the hypervisor's clock if the machine allows it",
        ),
        Ok(name) => Finding::good("clock source", name),
        Err(cause) => Finding::note("clock source", format!("unknown: {cause}"), "mount sysfs at /sys"),
    }
}

fn state_dir(settings: &Settings) -> Finding {
    let dir: &Path = &settings.state_dir;
    let subject = "state directory";
    // The directory may not exist yet: then its nearest parent decides.
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(dir);
    let writable = fs::metadata(existing).is_ok_and(|meta| meta.is_dir()) && writable(existing);
    if writable {
        return Finding::good(subject, dir.display().to_string());
    }
    let found = format!("{} cannot be written", existing.display());
    Finding::missing(
        subject,
        found,
        "make it writable for this user, or choose another with --state-dir",
    )
}

fn writable(path: &Path) -> bool {
    let Ok(text) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) else {
        return false;
    };
    // SAFETY: `text` is a terminated string that lives through the call; access only asks.
    unsafe { libc::access(text.as_ptr(), libc::W_OK) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        assert_eq!(
            available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
