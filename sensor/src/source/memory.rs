//! The flow table in ordinary memory: the kernel's tables for every source that is not the kernel.
//! It must never count a packet differently from the programs: both call `sensor_common::observe`.

use bytemuck::Zeroable as _;
use sensor_common::{
    counter::Counters,
    flow::Sighting,
    hash::Seed,
    layout::Layout,
    observe::{Tables, observe},
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
    /// Pairs that hold something, in the order of first use: most windows of a capture touch few of them, and a drain
    /// must not cost a walk over all.
    touched: Vec<u32>,
    touched_cells: Vec<u32>,
}

impl Tables for Region {
    fn pair(&mut self, hash: u64) -> Option<&mut Pair> {
        let mask = self.pairs.len() - 1;
        let index = hash as u32 as usize & mask;
        let pair = self.pairs.get_mut(index)?;
        // Slots fill from the first, and never become free before a drain.
        if pair.bucket.iter().all(|bucket| bucket.tag[0] == 0) {
            self.touched.push(index as u32);
        }
        Some(pair)
    }

    fn cell(&mut self, index: u32) -> Option<&mut OverflowCell> {
        let cell = self.cells.get_mut(index as usize)?;
        if cell.packets == 0 {
            self.touched_cells.push(index);
        }
        Some(cell)
    }
}

impl MemoryTables {
    /// Tables of at most `budget_bytes` (two of these would be the kernel's for one CPU).
    pub fn new(budget_bytes: u64, seed: Seed) -> Self {
        let layout = Layout::fit(2 * budget_bytes, 1);
        let region = Region {
            pairs: vec![Pair::zeroed(); layout.pairs() as usize],
            cells: vec![OverflowCell::zeroed(); CELLS as usize],
            touched: Vec::new(),
            touched_cells: Vec::new(),
        };
        Self {
            region,
            counters: Counters::default(),
            seed,
            scratch: Parsed::zeroed(),
        }
    }

    /// Counts one frame; returns what the parser made of it, or `None` for one that is counted as skipped.
    pub fn observe<P: Packet + ?Sized>(
        &mut self,
        packet: &P,
        frame: &Frame,
        seen: Sighting,
    ) -> Option<&Parsed> {
        let mut in_a_flow = false;
        observe(
            packet,
            frame,
            |parsed| {
                in_a_flow = parsed.is_some();
                seen
            },
            &self.seed,
            &mut self.counters,
            &mut self.region,
            &mut self.scratch,
        );
        in_a_flow.then_some(&self.scratch)
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
        let Region {
            pairs,
            cells,
            touched,
            touched_cells,
        } = &mut self.region;
        for index in touched.drain(..) {
            let Some(pair) = pairs.get_mut(index as usize) else {
                continue;
            };
            for bucket in &mut pair.bucket {
                for (tag, record) in bucket.tag.iter().zip(&bucket.slot) {
                    if *tag != 0 {
                        sink.record(record);
                    }
                }
                bucket.clear();
            }
        }
        for index in touched_cells.drain(..) {
            if let Some(cell) = cells.get_mut(index as usize) {
                sink.overflow(cell);
                *cell = OverflowCell::zeroed();
            }
        }
        sink.books(&self.counters);
        self.counters = Counters::default();
    }
}
