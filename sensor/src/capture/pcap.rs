//! The classic format of libpcap: a file header, then records.
//! It must never trust a length: what a record claims is bounded, and where no record can begin the next one is looked
//! for.
//!
//! libpcap gives up at the first impossible record. Here the rest is searched for a place where two records follow
//! each other, with lengths that are possible and times that are near, because half a day behind one bad disk sector
//! is worth having. Random bytes pass for two records in a row, a week apart at most, less than once in 10^20 places.

use pcap_parser::PcapHeader;

use crate::capture::buffer::Window;
use crate::capture::link::Link;
use crate::capture::reader::{Found, Head, Tally, number};
use crate::capture::report::Interface;

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

/// First words of files in the format of libpcap, and of the "modified" one.
const LIBPCAP: u32 = 0xa1b2_c3d4;
const MODIFIED: u32 = 0xa1b2_cd34;

/// The header of a file.
#[derive(Debug)]
pub(super) struct FileHeader {
    header: PcapHeader,
    modified: bool,
}

impl FileHeader {
    /// From the first bytes of a stream. "Modified" captures in big-endian order, which pcap-parser does not know, have
    /// the header of libpcap but for the first word.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut bytes: [u8; FILE_HEADER] = *bytes.first_chunk()?;
        let modified = bytes.starts_with(&MODIFIED.to_be_bytes());
        if modified {
            bytes[..4].copy_from_slice(&LIBPCAP.to_be_bytes());
        }
        let (_, header) = pcap_parser::parse_pcap_header(&bytes).ok()?;
        let modified = modified || header.is_modified_format();
        Some(Self { header, modified })
    }
}

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
    pub(super) fn new(file: &FileHeader, tally: &mut Tally) -> Self {
        let FileHeader { header, modified } = file;
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
            header: if *modified {
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
            let found = Found {
                link: self.link,
                interface: 0,
                time_ns,
                at,
                captured: record.captured as usize,
                wire_len: record.wire,
            };
            return Some(tally.frame(window, &found));
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
            number(bytes, self.big_endian)
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
        if !odd {
            return true;
        }
        let possible =
            |next: &Record| next.captured <= MAX_FRAME && !next.is_zero() && next.is_near(record.seconds);
        match self.behind(record, window) {
            Behind::Record(next) => possible(&next),
            Behind::End => true,
            Behind::Short => false,
        }
    }

    /// What comes behind a record.
    fn behind(&self, record: &Record, window: &mut Window) -> Behind {
        let whole = self.header + record.captured as usize;
        window.ensure(whole + self.header);
        let rest = window.data().get(whole..);
        match rest.map(|rest| self.record(rest)) {
            Some(Some(next)) => Behind::Record(next),
            Some(None) => Behind::End,
            None => Behind::Short,
        }
    }

    /// Whether a record that nothing is wrong with begins here. Either another one follows it, or it is the last one of
    /// the file and its time is near that of the last one that was read.
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
        if record.captured == 0 || !sane(&record) {
            return false;
        }
        match self.behind(&record, window) {
            Behind::Record(next) => sane(&next) && next.is_near(record.seconds),
            Behind::End => self.last_s.is_some_and(|last_s| record.is_near(last_s)),
            Behind::Short => false,
        }
    }

    /// Looks for the next record behind a place where none begins; false if there is none.
    #[cold]
    fn resume(&self, window: &mut Window, tally: &mut Tally) -> bool {
        tally.resume(window, self.header, |window| self.plausible(window))
    }
}

/// What comes behind a record.
enum Behind {
    Record(Record),
    /// The file ends, or does within the next record's header.
    End,
    /// The file ends within this record.
    Short,
}

impl Record {
    const fn is_near(&self, seconds: u32) -> bool {
        self.seconds.abs_diff(seconds) < NEAR_S
    }

    /// What a hole in a file looks like: no frame has neither time nor length.
    const fn is_zero(&self) -> bool {
        self.seconds | self.fraction | self.captured | self.wire == 0
    }
}
