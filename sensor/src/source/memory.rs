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

/// Slots of a pair.
const SLOTS: usize = 2 * WAYS;

/// One region of the tables: as the kernel has one for each CPU and epoch.
#[derive(Debug)]
pub struct MemoryTables {
    region: Region,
    counters: Counters,
    seed: Seed,
    scratch: Parsed,
    /// Some pair is full.
    tight: bool,
}

#[derive(Debug)]
struct Region {
    pairs: Vec<Pair>,
    cells: Vec<OverflowCell>,
    /// Pairs that hold something, in the order of first use: most windows of a capture touch few of them, and a drain
    /// must not cost a walk over all.
    touched: Vec<u32>,
    touched_cells: Vec<u32>,
    /// The pair that was asked for last.
    last: usize,
}

impl Tables for Region {
    fn pair(&mut self, hash: u64) -> Option<&mut Pair> {
        let mask = self.pairs.len() - 1;
        self.last = hash as u32 as usize & mask;
        self.pairs.get_mut(self.last)
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
            last: 0,
        };
        Self {
            region,
            counters: Counters::default(),
            seed,
            scratch: Parsed::zeroed(),
            tight: false,
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
        let used = self.counters.used_slots;
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
        if self.counters.used_slots != used {
            self.slot_was_taken();
        }
        in_a_flow.then_some(&self.scratch)
    }

    fn slot_was_taken(&mut self) {
        let Some(pair) = self.region.pairs.get(self.region.last) else {
            return;
        };
        let tags = pair.bucket.iter().flat_map(|bucket| bucket.tag);
        match tags.filter(|tag| *tag != 0).count() {
            1 => self.region.touched.push(self.region.last as u32),
            SLOTS => self.tight = true,
            _ => {}
        }
    }

    /// Whether a further flow could find no place: whoever drains now loses none to the overflow.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.tight
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
            ..
        } = &mut self.region;
        self.tight = false;
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
