//! The flow table in ordinary memory: the kernel's tables for every source that is not the kernel.
//! It must never count a packet differently from the programs: both call `sensor_common::observe`.

use bytemuck::Zeroable as _;
use sensor_common::{
    counter::Counters,
    flow::Sighting,
    hash::Seed,
    layout::Layout,
    observe::{Tables, Wire, observe},
    overflow::{CELLS, OverflowCell},
    packet::Packet,
    parse::{Frame, Parsed},
    table::{Pair, WAYS},
};

use super::FlowSink;

/// One region of the tables: as the kernel has one for each CPU and epoch.
#[derive(Debug)]
pub struct MemoryTables {
    region: Region,
    counters: Counters,
    seed: Seed,
    scratch: Parsed,
}

#[derive(Debug)]
struct Region {
    pairs: Vec<Pair>,
    cells: Vec<OverflowCell>,
}

impl Tables for Region {
    fn pair(&mut self, hash: u64) -> Option<&mut Pair> {
        let mask = self.pairs.len() - 1;
        self.pairs.get_mut(hash as u32 as usize & mask)
    }

    fn cell(&mut self, index: u32) -> Option<&mut OverflowCell> {
        self.cells.get_mut(index as usize)
    }
}

impl MemoryTables {
    /// Tables of at most `budget_bytes` (two of these would be the kernel's for one CPU).
    pub fn new(budget_bytes: u64, seed: Seed) -> Self {
        let layout = Layout::fit(2 * budget_bytes, 1);
        let region = Region {
            pairs: vec![Pair::zeroed(); layout.pairs() as usize],
            cells: vec![OverflowCell::zeroed(); CELLS as usize],
        };
        Self {
            region,
            counters: Counters::default(),
            seed,
            scratch: Parsed::zeroed(),
        }
    }

    /// Counts one frame.
    pub fn observe<P: Packet + ?Sized>(&mut self, packet: &P, frame: &Frame, seen: Sighting) -> Wire {
        observe(
            packet,
            frame,
            |_| seen,
            &self.seed,
            &mut self.counters,
            &mut self.region,
            &mut self.scratch,
        )
    }

    /// Share of the slots in use, 0 to 1.
    pub fn occupancy(&self) -> f32 {
        self.counters.used_slots as f32 / (self.region.pairs.len() * 2 * WAYS) as f32
    }

    /// Books since the last drain.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Hands everything over and empties the tables.
    pub fn drain(&mut self, sink: &mut dyn FlowSink) {
        for bucket in self.region.pairs.iter_mut().flat_map(|pair| &mut pair.bucket) {
            for (tag, record) in bucket.tag.iter().zip(&bucket.slot) {
                if *tag != 0 {
                    sink.record(record);
                }
            }
            bucket.clear();
        }
        for cell in self.region.cells.iter_mut().filter(|cell| cell.packets > 0) {
            sink.overflow(cell);
            *cell = OverflowCell::zeroed();
        }
        sink.books(&self.counters);
        self.counters = Counters::default();
    }
}
