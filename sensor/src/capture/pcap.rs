//! The classic format of libpcap: a file header, then records.
//! It must never trust a length: what a record claims is bounded, and where no record can begin the next one is looked
//! for.
//!
//! libpcap gives up at the first impossible record. Here the rest is searched for a place where two records follow
//! each other, with lengths that are possible and times that are near, because half a day behind one bad disk sector
//! is worth having. Records are told by 8 bytes of time and 8 of lengths; random bytes pass for two of them once in
//! more than 10^15 places.

use pcap_parser::PcapHeader;

use crate::capture::buffer::Window;
use crate::capture::link::{Link, cooked_interface};
use crate::capture::reader::{Head, Tally};
use crate::capture::report::{Interface, What};

/// Longest frame that is taken for one: the largest snap length of libpcap for networks.
pub(super) const MAX_FRAME: u32 = 256 << 10;
/// Longest frame of other link types (USB, D-Bus), which are passed over.
const MAX_UNSUPPORTED: u32 = 128 << 20;
/// Bytes of the file header.
pub(super) const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// The header of "modified" captures has an interface index and more behind the four fields.
const MODIFIED_RECORD_HEADER: usize = 24;
/// Seconds between two records that are taken for neighbours when the next record is looked for.
const NEAR_S: u32 = 7 * 86_400;

/// Reads the records of one file.
#[derive(Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    header: usize,
    /// Nanoseconds in the unit of the fraction field, and its end.
    unit_ns: u64,
    units: u32,
    /// Snap length of the file, if it has a sane one.
    snap: u32,
    link: Link,
    link_type: u16,
    /// Seconds of the last record.
    last_s: Option<u32>,
}

/// The fields of a record header.
#[derive(Clone, Copy)]
struct Record {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Pcap {
    /// From the file header.
    pub(super) fn new(header: &PcapHeader, tally: &mut Tally) -> Self {
        // The upper bits tell the length of frame check sequences.
        let link_type = header.network.0 as u16;
        tally.report.interface(Interface {
            name: None,
            link_type,
            index: 0,
        });
        let (unit_ns, units) = if header.is_nanosecond_precision() {
            (1, 1_000_000_000)
        } else {
            (1_000, 1_000_000)
        };
        Self {
            big_endian: header.is_bigendian(),
            header: if header.is_modified_format() {
                MODIFIED_RECORD_HEADER
            } else {
                RECORD_HEADER
            },
            unit_ns,
            units,
            snap: if header.snaplen == 0 {
                MAX_FRAME
            } else {
                header.snaplen.min(MAX_FRAME)
            },
            link: Link::of(link_type),
            link_type,
            last_s: None,
        }
    }

    /// The next frame of a supported link type.
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window, tally: &mut Tally) -> Option<Head> {
        loop {
            if !window.ensure(self.header) {
                tally.finish(window);
                return None;
            }
            let record = self.record(window.data())?;
            if self.link == Link::Unsupported {
                if !self.pass_over(record, window, tally) {
                    return None;
                }
                continue;
            }
            let whole = self.header + record.captured as usize;
            if !self.acceptable(&record, window) || !window.ensure(whole) {
                if !self.resume(window, tally) {
                    return None;
                }
                continue;
            }
            self.last_s = Some(record.seconds);
            let at = window.position() + self.header;
            window.consume(whole);
            let time_ns =
                u64::from(record.seconds) * 1_000_000_000 + u64::from(record.fraction) * self.unit_ns;
            let mut head = tally.frame(
                window,
                self.link,
                0,
                time_ns,
                at,
                record.captured as usize,
                record.wire,
            );
            if self.link == Link::CookedV2 {
                head.interface = tally.cooked(0, cooked_interface(window.at(at, record.captured as usize)));
            }
            return Some(head);
        }
    }

    /// Counts a record of an unsupported link type; false at the end.
    fn pass_over(&mut self, record: Record, window: &mut Window, tally: &mut Tally) -> bool {
        if record.captured > MAX_UNSUPPORTED || record.is_zero() {
            return self.resume(window, tally);
        }
        let from = window.offset();
        window.consume(self.header);
        if window.skip(u64::from(record.captured)) < u64::from(record.captured) {
            tally.end_within(from, window);
            return false;
        }
        self.last_s = Some(record.seconds);
        tally.unsupported(self.link_type);
        true
    }

    #[inline]
    fn record(&self, bytes: &[u8]) -> Option<Record> {
        let fields: &[u8; RECORD_HEADER] = bytes.first_chunk()?;
        let field = |at: usize| {
            let bytes = [fields[at], fields[at + 1], fields[at + 2], fields[at + 3]];
            if self.big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        Some(Record {
            seconds: field(0),
            fraction: field(4),
            captured: field(8),
            wire: field(12),
        })
    }

    /// Whether a record begins here. What is odd but possible must have a record behind it.
    #[inline]
    fn acceptable(&self, record: &Record, window: &mut Window) -> bool {
        if record.captured > MAX_FRAME || record.is_zero() {
            return false;
        }
        let odd =
            record.captured > self.snap || record.captured > record.wire || record.fraction >= self.units;
        !odd || self.followed(record, window, |next| {
            next.captured <= MAX_FRAME && !next.is_zero()
        })
    }

    /// Whether the end of the file or a `fitting` record of about the same time comes behind this one.
    fn followed(&self, record: &Record, window: &mut Window, fitting: impl Fn(&Record) -> bool) -> bool {
        let whole = self.header + record.captured as usize;
        if !window.ensure(whole + self.header) {
            return window.available() >= whole;
        }
        let next = window.data().get(whole..).and_then(|bytes| self.record(bytes));
        next.is_some_and(|next| fitting(&next) && next.seconds.abs_diff(record.seconds) < NEAR_S)
    }

    /// Whether a record that nothing is wrong with begins here, and another one behind it.
    fn plausible(&self, window: &mut Window) -> bool {
        let sane = |record: &Record| {
            record.captured <= self.snap
                && record.captured <= record.wire
                && record.wire <= MAX_UNSUPPORTED
                && record.fraction < self.units
                && !record.is_zero()
        };
        let Some(record) = self.record(window.data()) else {
            return false;
        };
        record.captured > 0
            && sane(&record)
            && self
                .last_s
                .is_none_or(|last_s| record.seconds.abs_diff(last_s) < NEAR_S)
            && self.followed(&record, window, sane)
    }

    /// Looks for the next record behind a place where none begins; false if there is none.
    #[cold]
    fn resume(&mut self, window: &mut Window, tally: &mut Tally) -> bool {
        let from = window.offset();
        window.consume(1);
        while window.ensure(self.header) {
            if self.plausible(window) {
                tally
                    .report
                    .damaged(from, What::BadRecord, window.offset() - from);
                return true;
            }
            window.consume(1);
        }
        tally.end_within(from, window);
        false
    }
}

impl Record {
    /// What a hole in a file looks like: no frame has neither time nor length.
    const fn is_zero(&self) -> bool {
        self.seconds | self.fraction | self.captured | self.wire == 0
    }
}
