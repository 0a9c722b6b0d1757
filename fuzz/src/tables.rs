//! The flow table on any sequence of frames: every packet stays in the books, whatever the frames and the times.
//!
//! An input is a list of frames, each behind a byte of length and one of time. The table is the smallest there is, so
//! that it overflows.

use sensor::source::{FlowSink, MemoryTables};
use sensor_common::counter::Counters;
use sensor_common::flow::{FlowRecord, Sighting};
use sensor_common::hash::Seed;
use sensor_common::overflow::OverflowCell;
use sensor_common::parse::Frame;
use sensor_tests::generate::{self, Random};

/// Inputs that are generated as seeds, and frames of each.
const GENERATED: usize = 40;
const FRAMES: usize = 30;
/// Hash seed: any that does not change.
const SEED: Seed = [1, 2, 3, 4, 5, 6];

/// What a drain hands over, added up.
#[derive(Debug, Default)]
struct Sums {
    flow_packets: u64,
    flow_bytes: u64,
    overflow_packets: u64,
    overflow_bytes: u64,
    books: Counters,
}

impl FlowSink for Sums {
    fn record(&mut self, record: &FlowRecord) {
        for half in &record.half {
            self.flow_packets += u64::from(half.packets);
            self.flow_bytes += half.bytes;
        }
        assert!(record.first_ns <= record.last_ns, "{record:?}");
    }

    fn overflow(&mut self, cell: &OverflowCell) {
        self.overflow_packets += cell.packets;
        self.overflow_bytes += cell.bytes;
    }

    fn books(&mut self, counters: &Counters) {
        self.books.add(counters);
    }
}

/// Counts the frames in `data`.
pub fn run(data: &[u8]) {
    let mut tables = MemoryTables::new(0, SEED);
    let (mut packets, mut bytes) = (0, 0);
    let (mut rest, mut now_ns) = (data, 0);
    while let Some(([length, time], behind)) = rest.split_first_chunk::<2>() {
        let (frame, after) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = after;
        // From a nanosecond to half a minute.
        now_ns += 1_u64 << (time % 36);
        let len = frame.len() as u32;
        tables.observe(frame, &Frame::ethernet(len), Sighting::packet(now_ns, len));
        packets += 1;
        bytes += u64::from(len);
    }
    let mut sums = Sums::default();
    tables.drain(&mut sums);
    let Sums { books, .. } = &sums;
    assert_eq!(books.seen_packets, packets);
    assert_eq!(books.overflow_packets, sums.overflow_packets);
    assert_eq!(books.overflow_bytes, sums.overflow_bytes);
    assert_eq!(
        books.seen_packets,
        sums.flow_packets + books.overflow_packets + books.skipped_packets(),
        "{sums:?}"
    );
    assert_eq!(
        bytes,
        sums.flow_bytes + sums.overflow_bytes + books.skipped_bytes,
        "{sums:?}"
    );
    let mut empty = Sums::default();
    tables.drain(&mut empty);
    assert_eq!(
        empty.flow_packets + empty.overflow_packets + empty.books.seen_packets,
        0
    );
}

/// Sequences of generated frames.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random::new(0x007a_b1e5);
    (0..GENERATED)
        .map(|_| {
            let mut input = Vec::new();
            for _ in 0..FRAMES {
                let mut frame = generate::frame(&mut random);
                frame.truncate(255);
                input.extend([frame.len() as u8, random.number() as u8]);
                input.extend(frame);
            }
            input
        })
        .collect()
}
