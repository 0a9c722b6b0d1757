//! Flips the epoch, waits until no program writes the old half, reads it in place and empties it.
//! It must never read a half that programs still write, nor leave a packet uncounted.

use std::{os::fd::BorrowedFd, time::Instant};

use bytemuck::Zeroable as _;
use sensor_common::{
    counter::Counters,
    layout::{Control, Layout},
    overflow::{CELLS, OverflowCell},
    table::{Bucket, WAYS},
};

use super::{
    ProbeError,
    grace::GracePeriod,
    mapping::{Mapping, prefetch, write_u32},
};
use crate::source::FlowSink;

/// What one drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Nanoseconds it took, the grace period included.
    pub duration_ns: u64,
    /// Nanoseconds of it spent waiting for the grace period.
    pub grace_ns: u64,
    /// Flow records handed over.
    pub records: u64,
}

/// Reader of the tables. May live on another thread than the [`super::Probe`].
#[derive(Debug)]
pub struct Drainer {
    table: Mapping<Bucket>,
    overflow: Mapping<OverflowCell>,
    books: Mapping<Counters>,
    control: Mapping<Control>,
    layout: Layout,
    grace: GracePeriod,
    epoch: u32,
}

impl Drainer {
    pub(super) fn new(
        flows: BorrowedFd<'_>,
        overflow: BorrowedFd<'_>,
        books: BorrowedFd<'_>,
        control: BorrowedFd<'_>,
        layout: Layout,
        grace: GracePeriod,
    ) -> Result<Self, ProbeError> {
        let cells = layout.cell_entries() as usize;
        Ok(Self {
            table: Mapping::new(
                flows,
                "the flow table",
                0,
                2 * (layout.cpus * layout.buckets) as usize,
            )?,
            overflow: Mapping::new(overflow, "the overflow sketch", 0, cells)?,
            books: Mapping::new(books, "the books", 0, 2 * layout.cpus as usize)?,
            control: Mapping::new(control, "the control map", 0, 1)?,
            layout,
            grace,
            epoch: 0,
        })
    }

    /// Flow slots of one half, all CPUs.
    pub fn capacity(&self) -> u64 {
        u64::from(self.layout.cpus) * self.region_slots()
    }

    fn region_slots(&self) -> u64 {
        u64::from(self.layout.buckets) * WAYS as u64
    }

    /// Flow slots in use in the active half, all CPUs. A memory read, no system call.
    pub fn entries(&self) -> u64 {
        self.active_books().map(|books| books.used_slots).sum()
    }

    /// Share of the fullest CPU's slots in use in the active half, 0 to 1. A memory read, no system call.
    pub fn occupancy(&self) -> f32 {
        let fullest = self
            .active_books()
            .map(|books| books.used_slots)
            .max()
            .unwrap_or(0);
        fullest as f32 / self.region_slots() as f32
    }

    fn active_books(&self) -> impl Iterator<Item = Counters> + '_ {
        let cpus = self.layout.cpus;
        (0..cpus).filter_map(move |cpu| self.books.read(Layout::region(self.epoch, cpu, cpus) as usize))
    }

    /// Hands everything that was counted since the last drain to `sink` and empties it.
    ///
    /// # Errors
    /// When the grace period cannot be waited for: then nothing is lost, the next drain hands it over.
    pub fn drain(&mut self, sink: &mut dyn FlowSink) -> Result<DrainReport, ProbeError> {
        let began = Instant::now();
        let old = self.epoch;
        self.flip();
        if let Err(error) = self.grace.wait() {
            // Nobody may touch the old half: go back, so that the next drain finds all of it.
            self.flip();
            return Err(error);
        }
        let grace_ns = began.elapsed().as_nanos() as u64;
        let mut records = 0;
        for cpu in 0..self.layout.cpus {
            records += self.drain_region(Layout::region(old, cpu, self.layout.cpus), sink);
        }
        Ok(DrainReport {
            duration_ns: began.elapsed().as_nanos() as u64,
            grace_ns,
            records,
        })
    }

    fn flip(&mut self) {
        self.epoch ^= 1;
        if let Some(control) = self.control.get(0) {
            // The epoch is the first word of the element.
            const { assert!(std::mem::offset_of!(Control, epoch) == 0) };
            write_u32(control.cast(), self.epoch);
        }
    }

    fn drain_region(&mut self, region: u32, sink: &mut dyn FlowSink) -> u64 {
        let Some(&books) = self.books.idle().get(region as usize) else {
            return 0;
        };
        let mut records = 0;
        if books.used_slots > 0 {
            let first = region as usize * self.layout.buckets as usize;
            let buckets = self
                .table
                .idle()
                .get_mut(first..first + self.layout.buckets as usize);
            records = drain_buckets(buckets.unwrap_or_default(), books.used_slots, sink);
        }
        if books.overflow_packets > 0 {
            let first = (region * CELLS) as usize;
            let cells = self
                .overflow
                .idle()
                .get_mut(first..first + CELLS as usize)
                .unwrap_or_default();
            for cell in cells {
                if cell.packets > 0 {
                    sink.overflow(cell);
                    *cell = OverflowCell::zeroed();
                }
            }
        }
        if books != Counters::default() {
            sink.books(&books);
            if let Some(books) = self.books.idle().get_mut(region as usize) {
                *books = Counters::default();
            }
        }
        records
    }
}

/// Buckets ahead whose heads are asked for.
const HEADS_AHEAD: usize = 24;
/// Buckets ahead whose records are asked for; their heads have arrived by then.
const RECORDS_AHEAD: usize = 6;

/// Reads `used` records in place and empties their buckets; a bucket is empty when its head is zero.
///
/// Records lie a kilobyte apart or less, but with gaps: the loop asks ahead. It made no
/// difference while regions were mapped for each read; with the kept mapping it was not measured by itself.
fn drain_buckets(buckets: &mut [Bucket], used: u64, sink: &mut dyn FlowSink) -> u64 {
    let mut records = 0;
    for at in 0..buckets.len() {
        if let Some(ahead) = buckets.get(at + HEADS_AHEAD) {
            prefetch(&ahead.tag);
        }
        if let Some(ahead) = buckets.get(at + RECORDS_AHEAD) {
            for (tag, record) in ahead.tag.iter().zip(&ahead.slot) {
                if *tag != 0 {
                    prefetch(record);
                }
            }
        }
        let bucket = &mut buckets[at];
        if bucket.tag == [0; WAYS] {
            continue;
        }
        for (tag, record) in bucket.tag.iter().zip(&bucket.slot) {
            if *tag != 0 {
                sink.record(record);
                records += 1;
            }
        }
        bucket.clear();
        if records >= used {
            break;
        }
    }
    records
}
