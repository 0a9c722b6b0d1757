//! What any source of traffic (live tables, a capture file, a simulator) hands to the window stage.
//! It must never know where the records came from: live and replay are the same code from here on.

mod memory;

use sensor_common::{counter::Counters, flow::FlowRecord, overflow::OverflowCell};

pub use self::memory::MemoryTables;

/// Receives one drain: all records, overflow cells and books of the tables since the drain before.
///
/// Several drains add up to one window; a flow may appear in several records of one drain (one per CPU).
pub trait FlowSink {
    /// One flow's counters, borrowed in place from the table.
    fn record(&mut self, record: &FlowRecord);
    /// One cell of the overflow sketch that holds packets.
    fn overflow(&mut self, cell: &OverflowCell);
    /// The books of one CPU.
    fn books(&mut self, counters: &Counters);
}
