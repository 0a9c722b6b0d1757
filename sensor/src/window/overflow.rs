//! Overflow cells of many CPUs and drains, one per target. It must never hold more than `MAX_TARGETS`: what goes
//! beyond is added up without a name.

use core::hash::Hasher as _;
use std::collections::BTreeMap;

use bytemuck::Zeroable as _;
use foldhash::{SharedSeed, quality::FoldHasher};
use sensor_common::overflow::{Addition, CELLS, OverflowCell};

use super::Amount;

/// Names kept per window: enough for 16 full sketches that agree on nothing; 576 KiB.
const MAX_TARGETS: usize = 16 * CELLS as usize;

/// Name of a target.
type Name = ([u8; 16], u16, u8, u8, u16);

fn name(cell: &OverflowCell) -> Name {
    (cell.target, cell.port, cell.proto, cell.kind, cell.iface)
}

/// Cells by target.
#[derive(Debug)]
pub(super) struct Targets {
    cells: BTreeMap<Name, OverflowCell>,
    unnamed: Amount,
    seed: u64,
    shared_seed: SharedSeed,
}

impl Targets {
    /// No cells. `seed` keys the count of sources.
    pub(super) fn new(seed: u64) -> Self {
        let shared_seed = SharedSeed::from_u64(seed);
        Self {
            cells: BTreeMap::new(),
            unnamed: Amount::default(),
            seed,
            shared_seed,
        }
    }

    /// Adds a cell of the kernel's sketch. Its majority target stands for all its packets.
    pub(super) fn add(&mut self, cell: &OverflowCell) {
        if cell.packets == 0 {
            return;
        }
        if let Some(held) = self.cells.get_mut(&name(cell)) {
            held.merge(cell);
        } else if self.cells.len() < MAX_TARGETS {
            self.cells.insert(name(cell), *cell);
        } else {
            self.unnamed.packets += cell.packets;
            self.unnamed.bytes += cell.bytes;
        }
    }

    /// Adds packets of one flow.
    pub(super) fn add_packets(&mut self, addition: &Addition) {
        let mut cell = OverflowCell::zeroed();
        cell.add(addition);
        self.add(&cell);
    }

    /// Hash of a source address for the count of sources; keyed, because whoever sends chooses the addresses.
    pub(super) fn source_hash(&self, address: &[u8; 16]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared_seed);
        hasher.write(address);
        hasher.finish()
    }

    /// The cells sorted by target, and what had no name; both start anew.
    pub(super) fn take(&mut self) -> (Vec<OverflowCell>, Amount) {
        (
            core::mem::take(&mut self.cells).into_values().collect(),
            core::mem::take(&mut self.unnamed),
        )
    }
}
