//! Network namespaces and veth pairs that vanish with the value that made them.
//!
//! Built on iproute2 (`ip`), so that what a test makes is what a person can look at with the same tool. Must never
//! change anything in the namespace the process was started in.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

const NAMES: &str = "/run/netns";
const PREFIX: &str = "sensor";

/// Tells apart the namespaces of one process.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback up; deleted when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

/// The counters of one interface, as the kernel keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets the interface received.
    pub receive_packets: u64,
    /// Bytes the interface received, link headers included.
    pub receive_bytes: u64,
    /// Packets the interface sent.
    pub transmit_packets: u64,
    /// Bytes the interface sent, link headers included.
    pub transmit_bytes: u64,
    /// Packets it should have sent and did not: a veth counts here what found its peer's ring full.
    pub transmit_dropped: u64,
}

impl Netns {
    /// Makes a namespace named `sensor-PID-SERIAL-label`.
    ///
    /// Addresses given to its interfaces are usable at once (no duplicate address detection), and its interfaces send
    /// nothing by themselves (no link-local IPv6 addresses, no router solicitations).
    ///
    /// # Errors
    /// When `ip` is missing or the process may not make namespaces; see [`crate::require::netns`].
    pub fn create(label: &str) -> Result<Self> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{serial}-{label}", std::process::id());
        ip(&format!("netns add {name}"))?;
        // From here on the guard removes it, whatever fails below.
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        namespace.run(|| -> io::Result<()> {
            let ipv6 = Path::new("/proc/sys/net/ipv6/conf/default");
            if ipv6.exists() {
                fs::write(ipv6.join("accept_dad"), "0")?;
                fs::write(ipv6.join("router_solicitations"), "0")?;
                fs::write(ipv6.join("addr_gen_mode"), "1")?;
            }
            Ok(())
        })??;
        Ok(namespace)
    }

    /// The name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// Runs `work` on a thread of its own inside the namespace and returns what it returns.
    ///
    /// The thread sees what a process under `ip netns exec` sees: this namespace's sockets, `/proc/sys/net` and
    /// `/sys/class/net`. Sockets and BPF links made inside stay usable outside. A panic inside is passed on.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        thread::scope(|scope| {
            let worker = scope.spawn(move || enter(&path).map(|()| work()));
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// As [`Netns::run`], for work that goes on beside the caller.
    ///
    /// # Errors
    /// When the thread cannot be started; entering the namespace may still fail inside it.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let path = self.path();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || enter(&path).map(|()| work()))
            .with_context(|| format!("cannot start the thread {name}"))
    }

    /// A command that will run inside the namespace; the process it starts is `program` itself, not a wrapper.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `ip ARGUMENTS` in the namespace, for example `ip("addr add 192.0.2.1/24 dev eth0")`.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        ip(&format!("-netns {} {arguments}", self.name))
    }

    /// Writes a kernel setting below `/proc/sys/net`, for example `sysctl("ipv4/ip_forward", "1")`.
    ///
    /// # Errors
    /// When there is no such setting or the value is refused.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(|| {
            fs::write(Path::new("/proc/sys/net").join(key), value)
                .with_context(|| format!("cannot set {key} to {value}"))
        })?
    }

    /// Forbids IPv6 on every interface made in here from now on: for tests that count every packet.
    ///
    /// # Errors
    /// When the kernel refuses the setting.
    pub fn disable_ipv6(&self) -> Result<()> {
        self.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        self.sysctl("ipv6/conf/all/disable_ipv6", "1")
    }

    /// The counters of `interface`, from `/proc/net/dev`.
    ///
    /// # Errors
    /// When the namespace has no such interface.
    pub fn counters(&self, interface: &str) -> Result<LinkCounters> {
        let text = self.run(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
        parse_counters(&text)
            .remove(interface)
            .ok_or_else(|| anyhow!("no interface {interface} in {}", self.name))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.name)) {
            eprintln!("cannot delete the namespace {}: {error:#}", self.name);
        }
    }
}

/// Joins two namespaces by a veth pair, both ends up, with fixed MAC addresses `02:..:01` and `02:..:02`.
///
/// # Errors
/// With what `ip` said.
pub fn connect(left: (&Netns, &str), right: (&Netns, &str)) -> Result<()> {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mac = |end: u8| {
        format!(
            "02:53:{:02x}:{:02x}:00:{end:02x}",
            serial >> 8 & 0xff,
            serial & 0xff
        )
    };
    ip(&format!(
        "-netns {} link add {} address {} type veth peer name {} address {} netns {}",
        left.0.name,
        left.1,
        mac(1),
        right.1,
        mac(2),
        right.0.name
    ))?;
    left.0.ip(&format!("link set {} up", left.1))?;
    right.0.ip(&format!("link set {} up", right.1))
}

/// Deletes the namespaces of runs whose process no longer exists, and returns their names.
///
/// # Errors
/// When a leftover cannot be deleted.
pub fn sweep() -> Result<Vec<String>> {
    let mut swept = Vec::new();
    let Ok(entries) = fs::read_dir(NAMES) else {
        return Ok(swept);
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        let (Some(PREFIX), Some(Ok(pid))) = (parts.next(), parts.next().map(str::parse::<u32>)) else {
            continue;
        };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            ip(&format!("netns del {name}"))?;
            swept.push(name);
        }
    }
    Ok(swept)
}

/// Moves the calling thread into the namespace file `path`, with a `/sys` that shows that namespace.
fn enter(path: &Path) -> Result<()> {
    let file = fs::File::open(path).with_context(|| format!("no namespace {}", path.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", path.display()))?;
    // sysfs shows the namespace that was current when it was mounted: mount one of our own, for this thread only.
    unshare(CloneFlags::CLONE_NEWNS).context("cannot unshare the mount namespace")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
        .context("cannot make / a slave mount")?;
    let bpffs = Path::new("/sys/fs/bpf");
    umount2("/sys", MntFlags::MNT_DETACH).context("cannot unmount /sys")?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).context("cannot mount /sys")?;
    // Pinning needs a BPF file system, which went away with the old /sys; a kernel without one is no error here.
    let _absent = mount(Some("bpf"), bpffs, Some("bpf"), MsFlags::empty(), none);
    Ok(())
}

/// Runs `ip` with arguments separated by blanks.
fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split_ascii_whitespace())
        .stdin(Stdio::null())
        .output()
        .context("cannot run `ip`: install the package iproute2 (`cargo xtask setup` does)")?;
    if !output.status.success() {
        bail!(
            "`ip {arguments}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn parse_counters(text: &str) -> BTreeMap<String, LinkCounters> {
    let mut all = BTreeMap::new();
    for line in text.lines().skip(2) {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        let fields: Vec<u64> = rest
            .split_ascii_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // Eight fields received, eight sent; the first two of each are bytes and packets.
        if let [
            receive_bytes,
            receive_packets,
            _,
            _,
            _,
            _,
            _,
            _,
            transmit_bytes,
            transmit_packets,
            _,
            transmit_dropped,
            ..,
        ] = fields[..]
        {
            let counters = LinkCounters {
                receive_packets,
                receive_bytes,
                transmit_packets,
                transmit_bytes,
                transmit_dropped,
            };
            all.insert(name.trim().to_owned(), counters);
        }
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_the_kernels_table() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets\n\
                    lo: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n wan0:70 7 0 0 0 0 0 0 90 9 0 0 0 0 0 0\n";
        let all = parse_counters(text);
        assert_eq!(all.len(), 2);
        let wan = all.get("wan0").unwrap();
        assert_eq!((wan.receive_bytes, wan.receive_packets), (70, 7));
        assert_eq!((wan.transmit_bytes, wan.transmit_packets), (90, 9));
    }
}
