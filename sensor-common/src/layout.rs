//! Where things lie in the maps that the kernel programs and the agent share, and the arithmetic of their sizes.
//! The layout must never change without a new [`ABI_VERSION`].
//!
//! Flow table: `2 epochs × CPUs × buckets per region` buckets of 1,024 bytes (4 flows), two of them an element. A region
//! belongs to one CPU in one epoch; only that CPU writes it, so there are no atomics and no lost updates. With the
//! default budget of 32 MiB a region has 32 MiB / (2 × CPUs × 1 KiB) buckets, rounded down to a power of two:
//!
//! | possible CPUs | buckets per region | flows per region | flow table | overflow sketch | books |
//! |---|---|---|---|---|---|
//! | 1 | 16,384 | 65,536 | 32 MiB | 64 KiB | 8.4 KiB |
//! | 8 | 2,048 | 8,192 | 32 MiB | 512 KiB | 67 KiB |
//! | 128 | 128 | 512 | 32 MiB | 8 MiB | 1.1 MiB |

use bytemuck::{Pod, Zeroable};

use crate::{hash::Seed, overflow::CELLS, table::Bucket};

/// Version of everything in this crate that the kernel and the agent must agree on.
pub const ABI_VERSION: u32 = 1;

/// Interface slots; slot 0 stands for "not known to the agent".
pub const IFACES: u32 = 256;
/// Slots that the programs probe for an interface before they give up.
pub const IFACE_PROBES: u32 = 4;
/// Set in [`IfaceSlot::flags`] for devices without a link layer header (tun, `WireGuard`).
pub const IFACE_L3: u32 = 1;

/// `bpf_ktime_get_ns`: exact, the default.
pub const CLOCK_KTIME: u32 = 0;
/// `bpf_ktime_get_coarse_ns`: the time of the last tick.
pub const CLOCK_COARSE: u32 = 1;
/// `bpf_jiffies64`, in units of 4 ms.
pub const CLOCK_JIFFIES: u32 = 2;
/// [`Control::supplied_ns`], for tests that need to know the time of each packet.
pub const CLOCK_SUPPLIED: u32 = 3;

/// An interface that the agent watches; 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct IfaceSlot {
    /// Interface index; 0 is a free slot.
    pub ifindex: u32,
    /// Maximum transmission unit in bytes, to tell super-packets from large ones where the hook does not say.
    pub mtu: u32,
    /// [`IFACE_L3`].
    pub flags: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// What the agent tells the programs while they run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Control {
    /// The active epoch, 0 or 1.
    pub epoch: u32,
    /// [`ABI_VERSION`] of the agent that made the tables.
    pub abi: u32,
    /// The time of every packet where the programs were loaded with [`CLOCK_SUPPLIED`] (tests).
    pub supplied_ns: u64,
    /// Secret of the hashes.
    pub seed: Seed,
    /// Watched interfaces: interface index `i` is in slot `i % IFACES` or one of the next [`IFACE_PROBES`] - 1.
    pub ifaces: [IfaceSlot; IFACES as usize],
}

/// Map elements per region and their arithmetic for one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Possible CPUs of the machine.
    pub cpus: u32,
    /// Buckets of one CPU in one epoch; a power of two.
    pub buckets: u32,
}

impl Layout {
    /// The layout that fits `budget_bytes` for `cpus` possible CPUs; at least one pair of buckets per region.
    pub const fn fit(budget_bytes: u64, cpus: u32) -> Self {
        let per_region = budget_bytes / (2 * cpus as u64 * size_of::<Bucket>() as u64);
        let mut buckets = 2u32;
        while (buckets as u64) * 2 <= per_region && buckets < 1 << 24 {
            buckets *= 2;
        }
        Self { cpus, buckets }
    }

    /// Elements of the flow table (pairs of buckets).
    pub const fn table_entries(&self) -> u32 {
        2 * self.cpus * self.pairs()
    }

    /// Pairs of buckets of one CPU in one epoch; a power of two.
    pub const fn pairs(&self) -> u32 {
        self.buckets / 2
    }

    /// Elements of the overflow sketch.
    pub const fn cell_entries(&self) -> u32 {
        2 * self.cpus * CELLS
    }

    /// Index of the region of a CPU in an epoch; regions of one epoch lie together.
    #[inline(always)]
    pub const fn region(epoch: u32, cpu: u32, cpus: u32) -> u32 {
        (epoch & 1) * cpus + cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_sizes_are_the_computed_ones() {
        for (cpus, buckets) in [(1, 16_384), (8, 2_048), (128, 128)] {
            let layout = Layout::fit(32 << 20, cpus);
            assert_eq!(layout.buckets, buckets);
            assert_eq!(u64::from(layout.table_entries()) * 2048, 32 << 20);
        }
    }

    #[test]
    fn a_budget_below_one_pair_still_gives_a_table() {
        assert_eq!(Layout::fit(0, 4), Layout { cpus: 4, buckets: 2 });
    }
}
