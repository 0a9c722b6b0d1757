//! The kernel side: loads the programs, attaches them to interfaces, and reads and clears their tables.
//! It must never block the network: programs only count, links vanish with the process, and a failure to attach
//! leaves the interface as it was.
//!
//! [`Probe`] owns programs and links; [`Drainer`] owns the mapped tables and may live on another thread.

mod attach;
mod drain;
mod error;
pub mod follow;
mod grace;
pub mod kernel;
mod klog;
mod load;
mod mapping;
mod netlink;

pub use self::{
    attach::{AttachMode, Attachment, Mode},
    drain::{DrainReport, Drainer},
    error::ProbeError,
    klog::KernelLog,
    load::{Probe, ProbeSettings, ProgramStats},
};

/// The compiled programs of `sensor-ebpf`.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf"));

/// The same code behind a program that changes source addresses, for `cargo xtask bench kernel`; never attached.
#[doc(hidden)]
pub static BENCH_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf-bench"));
