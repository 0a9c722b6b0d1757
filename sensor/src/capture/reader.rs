//! One capture as a stream of frames, whatever its format: what `Captures` merges and the fuzzer feeds.
//! It must never open a file.

use std::io::Read;

use crate::capture::buffer::Window;
use crate::capture::error::NotACapture;
use crate::capture::link::{Link, cooked_interface};
use crate::capture::pcap::{self, FileHeader, Pcap};
use crate::capture::pcapng::{self, PcapNg};
use crate::capture::report::{InputReport, Interface, What};
use sensor_common::parse::Start;

/// Reads one uncompressed stream.
#[derive(Debug)]
pub struct CaptureReader {
    window: Window,
    format: Format,
    tally: Tally,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// A frame that was found; its bytes are still in the reader.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// Where parsing begins.
    pub start: Start,
    /// Length on the wire; not below the captured length.
    pub wire_len: u32,
    /// Index into the interfaces of the report.
    pub interface: u16,
    /// 1-based number within the input.
    pub number: u64,
    at: usize,
    captured: usize,
}

/// Where a format found a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) link: Link,
    /// In the report.
    pub(super) interface: u16,
    pub(super) time_ns: u64,
    /// Position in the window, and captured length.
    pub(super) at: usize,
    pub(super) captured: usize,
    /// As the file has it.
    pub(super) wire_len: u32,
}

/// Four bytes of a file as a number.
#[inline]
pub(super) const fn number(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}

/// What is counted while reading.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) report: InputReport,
    last_ns: u64,
    /// The interface that the last cooked frame named, and its index in the report.
    last_cooked: Option<(u16, u32, u16)>,
}

impl CaptureReader {
    /// Tells the format of `stream` by its first bytes.
    ///
    /// # Errors
    /// When it is no capture.
    pub fn new(stream: Box<dyn Read + Send>, name: &str) -> Result<Self, NotACapture> {
        let mut window = Window::new(stream);
        let mut tally = Tally {
            report: InputReport {
                name: name.to_owned(),
                ..InputReport::default()
            },
            last_ns: 0,
            last_cooked: None,
        };
        window.ensure(pcap::FILE_HEADER);
        let format = if pcapng::begins(window.data()) {
            Format::PcapNg(PcapNg::new())
        } else {
            let Some(header) = FileHeader::of(window.data()) else {
                return Err(NotACapture::of(window.data(), window.failure()));
            };
            window.consume(pcap::FILE_HEADER);
            Format::Pcap(Pcap::new(&header, &mut tally))
        };
        Ok(Self {
            window,
            format,
            tally,
        })
    }

    /// Moves to the next frame of a supported link type; `None` at the end.
    #[inline]
    pub fn advance(&mut self) -> Option<Head> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window, &mut self.tally),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.window, &mut self.tally),
        }
    }

    /// The captured bytes of the frame that [`Self::advance`] returned last.
    #[inline]
    pub fn data(&self, head: &Head) -> &[u8] {
        self.window.at(head.at, head.captured)
    }

    /// What was read so far.
    pub fn report(&self) -> InputReport {
        InputReport {
            bytes: self.window.offset(),
            ..self.tally.report.clone()
        }
    }

    pub(super) fn interface(&self, index: usize) -> Option<&Interface> {
        self.tally.report.interfaces.get(index)
    }
}

impl Tally {
    /// Counts a frame.
    #[inline]
    pub(super) fn frame(&mut self, window: &Window, found: &Found) -> Head {
        let bytes = window.at(found.at, found.captured);
        self.report.frames += 1;
        self.report.backwards += u64::from(found.time_ns < self.last_ns);
        self.last_ns = found.time_ns;
        Head {
            time_ns: found.time_ns,
            start: found.link.start(bytes),
            wire_len: found.wire_len.max(found.captured as u32),
            interface: match found.link {
                Link::CookedV2 => self.cooked(found.interface, cooked_interface(bytes)),
                _ => found.interface,
            },
            number: self.report.frames,
            at: found.at,
            captured: found.captured,
        }
    }

    /// The interface that a cooked frame names: a capture of all interfaces keeps them apart as the live sensor does.
    fn cooked(&mut self, described: u16, index: u32) -> u16 {
        if let Some((of, last, known)) = self.last_cooked
            && (of, last) == (described, index)
        {
            return known;
        }
        let Some(interface) = self.report.interfaces.get(usize::from(described)) else {
            return described;
        };
        let interface = Interface {
            index,
            ..interface.clone()
        };
        let known = self.report.interface(interface);
        self.last_cooked = Some((described, index, known));
        known
    }

    /// Time of the last frame, for those that have none.
    pub(super) fn borrowed_time_ns(&mut self) -> u64 {
        self.report.without_time += 1;
        self.last_ns
    }

    /// Counts a frame of an unsupported link type.
    pub(super) fn unsupported(&mut self, link_type: u16) {
        self.report.frames += 1;
        *self.report.unsupported.entry(link_type).or_default() += 1;
    }

    /// The stream is over between two records, or in the middle of the next one's header.
    #[cold]
    pub(super) fn finish(&mut self, window: &mut Window) {
        if window.available() > 0 || window.failure().is_some() {
            self.end_within(window.offset(), window);
        }
    }

    /// Looks for the next record behind a place where none begins; false if there is none. `begins` is asked wherever
    /// there are at least `least` bytes.
    #[cold]
    pub(super) fn resume(
        &mut self,
        window: &mut Window,
        least: usize,
        begins: impl Fn(&mut Window) -> bool,
    ) -> bool {
        let from = window.offset();
        window.consume(1);
        while window.ensure(least) {
            if begins(window) {
                let lost = window.offset() - from;
                self.report.damaged(from, What::BadRecord, lost);
                return true;
            }
            window.consume(1);
        }
        self.end_within(from, window);
        false
    }

    /// The stream is over within the record that begins at `from`.
    #[cold]
    pub(super) fn end_within(&mut self, from: u64, window: &mut Window) {
        window.consume(window.available());
        let what = match window.failure() {
            Some(why) => What::Unreadable { why: why.to_owned() },
            None => What::Truncated,
        };
        self.report.damaged(from, what, window.offset() - from);
    }
}
