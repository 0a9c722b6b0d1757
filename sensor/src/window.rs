//! Records of many CPUs and drains become one row per flow and window, and the flows' lives are followed across windows.
//! Pure: times come from the records and from the caller; it must never lose a packet from the books, and never hold
//! more than `max_flows` flows, whatever arrives.
//!
//! The order of records does not matter: everything kept is a sum, an extreme or a union of time spans.

mod builder;
mod flow;
mod live;
mod overflow;
mod spans;
#[cfg(test)]
mod tests;

use sensor_common::{counter::Counters, overflow::OverflowCell};

pub use builder::WindowBuilder;
pub use flow::{Flow, FlowHalf};

/// Bounds and timeouts of the window stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSettings {
    /// Live flows followed at most; packets of further flows go to the overflow cells.
    pub max_flows: usize,
    /// A flow without packets for this long has ended.
    pub idle_timeout_ns: u64,
    /// A flow older than this is ended; its next packet begins a new life.
    pub active_timeout_ns: u64,
}

/// Flows that ended in a window, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowsEnded {
    /// Both sides sent FIN.
    pub fin: u64,
    /// A side sent RST.
    pub rst: u64,
    /// No packet for the idle timeout.
    pub idle: u64,
    /// Older than the active timeout.
    pub active: u64,
    /// Moved to the overflow sketch by the kernel to make room.
    pub evicted: u64,
}

impl FlowsEnded {
    /// Value of the `reason` label and count, for each reason.
    pub fn by_reason(&self) -> [(&'static str, u64); 5] {
        [
            ("fin", self.fin),
            ("rst", self.rst),
            ("idle", self.idle),
            ("active", self.active),
            ("evicted", self.evicted),
        ]
    }
}

/// Packets and what they amount to, where no names are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Packets.
    pub packets: u64,
    /// Frame bytes.
    pub bytes: u64,
}

/// Everything counted between two times.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Start, nanoseconds of the source's clock.
    pub start_ns: u64,
    /// End, exclusive.
    pub end_ns: u64,
    /// Flows with a packet in the window, sorted by key.
    pub flows: Vec<Flow>,
    /// Targets of packets that are in no flow, one cell per target, sorted by target: the kernel's overflow and flows
    /// beyond `max_flows`.
    pub overflow: Vec<OverflowCell>,
    /// Overflow beyond the bound on named targets.
    pub overflow_unnamed: Amount,
    /// Books of all CPUs and drains.
    pub books: Counters,
    /// Share of the seen packets that are in flow rows, 0 to 1; 1 for a window without packets.
    pub coverage: f32,
    /// Distance between the packets seen and those in flows, overflow and skips: 0 unless something is wrong.
    pub unaccounted_packets: u64,
    /// Records refused because `max_flows` was reached (their packets are in `overflow`).
    pub refused_records: u64,
    /// Flows that began, those that the kernel evicted included.
    pub flows_started: u64,
    /// Flows that ended.
    pub flows_ended: FlowsEnded,
    /// Flows followed at the end of the window.
    pub live_flows: u64,
}

impl Window {
    /// Packets that are in no flow row, by reason of space.
    pub fn overflow_packets(&self) -> u64 {
        self.overflow.iter().map(|cell| cell.packets).sum::<u64>() + self.overflow_unnamed.packets
    }
}
