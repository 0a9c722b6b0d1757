//! Every map and load-time constant of the programs. Sizes are set by the agent at load
//! (`sensor_common::layout::Layout`); one element is what the object declares.
//! Names must never be longer than 15 bytes: the kernel keeps no more.

use aya_ebpf::{Global, btf_maps::Array, macros::btf_map};
use sensor_common::{
    counter::{Counters, IfaceCounters},
    layout::Control,
    overflow::OverflowCell,
    parse::Parsed,
    table::Pair,
};

/// `BPF_F_MMAPABLE`: the agent reads and clears the arrays without system calls.
const MMAPABLE: usize = 1 << 10;

/// Epoch, seed and interfaces; one element, written by the agent.
#[btf_map]
pub static CONTROL: Array<Control, 1, MMAPABLE> = Array::new();

/// Flow table: element `region × PAIRS + hash`.
#[btf_map]
pub static FLOWS: Array<Pair, 1, MMAPABLE> = Array::new();

/// Overflow sketch: element `region × CELLS + cell`.
#[btf_map]
pub static OVERFLOW: Array<OverflowCell, 1, MMAPABLE> = Array::new();

/// Books: element `region`.
#[btf_map]
pub static BOOKS: Array<Counters, 1, MMAPABLE> = Array::new();

/// Interface counters: element `CPU × IFACES + slot`.
#[btf_map]
pub static IFACES: Array<IfaceCounters, 1, MMAPABLE> = Array::new();

/// Working memory of the parser: element CPU.
#[btf_map]
pub static SCRATCH: Array<Parsed, 1> = Array::new();

/// Possible CPUs.
#[unsafe(no_mangle)]
pub static CPUS: Global<u32> = Global::new(1);
/// Pairs of buckets of one region; a power of two.
#[unsafe(no_mangle)]
pub static PAIRS: Global<u32> = Global::new(1);
/// Which clock: `sensor_common::layout::CLOCK_KTIME` and others.
#[unsafe(no_mangle)]
pub static CLOCK: Global<u32> = Global::new(0);
/// 1: log when a region begins to overflow.
#[unsafe(no_mangle)]
pub static KERNEL_LOG: Global<u32> = Global::new(0);
