//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each section with its own byte order and interfaces.
//! It must never trust a length: a block is taken for one when both its lengths agree, and it is no longer than blocks
//! are; where none begins, the next one is looked for.

use pcap_parser::pcapng::{parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le};
use pcap_parser::{InterfaceDescriptionBlock, OptionCode, PcapError};

use crate::capture::buffer::Window;
use crate::capture::clock::Clock;
use crate::capture::link::Link;
use crate::capture::reader::{Found, Head, Tally, number};
use crate::capture::report::{Interface, What};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Type, length, and the first word of the body (a section's byte order).
const BLOCK_HEADER: usize = 12;
/// Length of the shortest section header block.
const SECTION_LEN: usize = 28;
/// Longest block that is looked into: a frame of the largest snap length and options many times as long.
const MAX_KEPT: u32 = 1 << 20;
/// Longest block of other types that is passed over, as in libpcap.
const MAX_PASSED: u32 = 16 << 20;
/// Interfaces of one section; libpcap has no bound, a file with more is made up.
const MAX_DESCRIBED: usize = 4096;
/// Offsets of the frame in simple packet blocks and in the others.
const SIMPLE_DATA: usize = 12;
const PACKET_DATA: usize = 28;

/// Reads the blocks of one stream.
#[derive(Debug)]
pub(super) struct PcapNg {
    big_endian: bool,
    described: Vec<Described>,
}

/// An interface of the section.
#[derive(Clone, Copy, Debug)]
struct Described {
    /// In the report.
    index: u16,
    link: Link,
    link_type: u16,
    snap: u32,
    clock: Clock,
}

/// Where a packet block has its frame.
struct Packet {
    interface: u32,
    ticks: Option<u64>,
    at: usize,
    captured: usize,
    wire: u32,
}

/// What a block came to.
enum Outcome {
    Frame(Head),
    Nothing,
    Bad(What),
}

/// Whether a stream begins with a section.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.len() >= BLOCK_HEADER
        && bytes.starts_with(&SECTION_HEADER.to_be_bytes())
        && section_order(bytes).is_some()
}

/// Whether a section is big-endian, by its byte order word.
fn section_order(bytes: &[u8]) -> Option<bool> {
    match word(bytes, 8, false)? {
        BYTE_ORDER => Some(false),
        swapped if swapped == BYTE_ORDER.swap_bytes() => Some(true),
        _ => None,
    }
}

#[inline]
fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    Some(number(*bytes.get(at..)?.first_chunk()?, big_endian))
}

impl PcapNg {
    pub(super) const fn new() -> Self {
        Self {
            big_endian: false,
            described: Vec::new(),
        }
    }

    /// The next frame of a supported link type.
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window, tally: &mut Tally) -> Option<Head> {
        loop {
            if !window.ensure(BLOCK_HEADER) {
                tally.finish(window);
                return None;
            }
            let Some((kind, length)) = self.header(window.data()) else {
                if !self.resume(window, tally) {
                    return None;
                }
                continue;
            };
            if length > MAX_KEPT {
                pass_over(length, self.big_endian, window, tally);
                continue;
            }
            let length = length as usize;
            if !window.ensure(length) || !self.closed(window.data(), length) {
                if !self.resume(window, tally) {
                    return None;
                }
                continue;
            }
            let (from, position) = (window.offset(), window.position());
            window.consume(length);
            match self.block(kind, position, length, window, tally) {
                Outcome::Frame(head) => return Some(head),
                Outcome::Nothing => {}
                Outcome::Bad(what) => tally.report.damaged(from, what, length as u64),
            }
        }
    }

    /// Type and length of the block that begins here, if they are possible. A section header has its own byte order.
    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<(u32, u32)> {
        let kind = word(bytes, 0, self.big_endian)?;
        let order = if kind == SECTION_HEADER {
            section_order(bytes)?
        } else {
            self.big_endian
        };
        let length = word(bytes, 4, order)?;
        let limits = match kind {
            SECTION_HEADER => SECTION_LEN as u32..=MAX_KEPT,
            INTERFACE_DESCRIPTION => 20..=MAX_KEPT,
            SIMPLE_PACKET => 16..=MAX_KEPT,
            PACKET | ENHANCED_PACKET => 32..=MAX_KEPT,
            _ => BLOCK_HEADER as u32..=MAX_PASSED,
        };
        (length.is_multiple_of(4) && limits.contains(&length)).then_some((kind, length))
    }

    /// Whether a block of this length ends with its length.
    #[inline]
    fn closed(&self, bytes: &[u8], length: usize) -> bool {
        let order = section_order(bytes).filter(|_| bytes.starts_with(&SECTION_HEADER.to_be_bytes()));
        word(bytes, length - 4, order.unwrap_or(self.big_endian)) == Some(length as u32)
    }

    #[inline]
    fn block(
        &mut self,
        kind: u32,
        position: usize,
        length: usize,
        window: &Window,
        tally: &mut Tally,
    ) -> Outcome {
        let bytes = window.at(position, length);
        let packet = match kind {
            ENHANCED_PACKET => self.packet(bytes, false),
            PACKET => self.packet(bytes, true),
            SIMPLE_PACKET => self.simple(bytes),
            SECTION_HEADER => {
                self.big_endian = section_order(bytes).unwrap_or_default();
                self.described.clear();
                return Outcome::Nothing;
            }
            INTERFACE_DESCRIPTION => return self.describe(bytes, tally),
            _ => return Outcome::Nothing,
        };
        let Some(packet) = packet else {
            return Outcome::Bad(What::BadBlock);
        };
        let Some(described) = self.described.get(packet.interface as usize) else {
            return Outcome::Bad(What::UnknownInterface {
                interface: packet.interface,
            });
        };
        if described.link == Link::Unsupported {
            tally.unsupported(described.link_type);
            return Outcome::Nothing;
        }
        let time_ns = match packet.ticks {
            Some(ticks) => described.clock.time_ns(ticks),
            None => tally.borrowed_time_ns(),
        };
        let found = Found {
            link: described.link,
            interface: described.index,
            time_ns,
            at: position + packet.at,
            captured: packet.captured,
            wire_len: packet.wire,
        };
        Outcome::Frame(tally.frame(window, &found))
    }

    fn describe(&mut self, bytes: &[u8], tally: &mut Tally) -> Outcome {
        let parse: fn(&[u8]) -> Parsed<'_, InterfaceDescriptionBlock<'_>> = if self.big_endian {
            parse_interfacedescriptionblock_be
        } else {
            parse_interfacedescriptionblock_le
        };
        let Ok((_, block)) = parse(bytes) else {
            return Outcome::Bad(What::BadBlock);
        };
        if self.described.len() >= MAX_DESCRIBED {
            return Outcome::Bad(What::BadBlock);
        }
        let link_type = block.linktype.0 as u16;
        let name = block
            .options
            .iter()
            .find(|option| option.code == OptionCode::IfName)
            .and_then(|option| option.as_bytes().ok())
            .map(|name| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
            .filter(|name| !name.is_empty());
        let index = tally.report.interface(Interface {
            // Interfaces without a name are told apart by their place in the section.
            index: if name.is_some() {
                0
            } else {
                self.described.len() as u32
            },
            name,
            link_type,
        });
        self.described.push(Described {
            index,
            link: Link::of(link_type),
            link_type,
            snap: block.snaplen,
            clock: Clock::new(block.if_tsresol, self.offset_s(&block)),
        });
        Outcome::Nothing
    }

    /// `if_tsoffset` in the byte order of the section (pcap-parser reads it as little-endian always).
    fn offset_s(&self, block: &InterfaceDescriptionBlock<'_>) -> i64 {
        let option = block
            .options
            .iter()
            .find(|option| option.code == OptionCode::IfTsoffset);
        let bytes: Option<[u8; 8]> = option
            .and_then(|option| option.as_bytes().ok())
            .and_then(|value| value.try_into().ok());
        bytes.map_or(0, |bytes| {
            if self.big_endian {
                i64::from_be_bytes(bytes)
            } else {
                i64::from_le_bytes(bytes)
            }
        })
    }

    /// An enhanced packet block, or the packet block of before 2009 with 16 bits of interface and 16 of drops. Options
    /// behind the frame are of no use here and are left unread.
    #[inline]
    fn packet(&self, bytes: &[u8], obsolete: bool) -> Option<Packet> {
        let fields: &[u8; PACKET_DATA] = bytes.first_chunk()?;
        let field = |at| word(fields, at, self.big_endian);
        let first = field(8)?;
        let captured = field(20)? as usize;
        (captured <= bytes.len() - PACKET_DATA - 4).then_some(Packet {
            interface: match (obsolete, self.big_endian) {
                (false, _) => first,
                (true, false) => first & 0xffff,
                (true, true) => first >> 16,
            },
            ticks: Some(u64::from(field(12)?) << 32 | u64::from(field(16)?)),
            at: PACKET_DATA,
            captured,
            wire: field(24)?,
        })
    }

    /// A simple packet block: no time, the first interface, and the snap length says how much was captured.
    fn simple(&self, bytes: &[u8]) -> Option<Packet> {
        let wire = word(bytes, 8, self.big_endian)?;
        let snap = match self.described.first() {
            Some(described) if described.snap != 0 => described.snap,
            _ => u32::MAX,
        };
        Some(Packet {
            interface: 0,
            ticks: None,
            at: SIMPLE_DATA,
            captured: (wire.min(snap) as usize).min(bytes.len() - SIMPLE_DATA - 4),
            wire,
        })
    }

    /// Looks for the next block behind a place where none begins; false if there is none. Garbage may have any length,
    /// so blocks may begin anywhere.
    #[cold]
    fn resume(&self, window: &mut Window, tally: &mut Tally) -> bool {
        tally.resume(window, BLOCK_HEADER, |window| {
            let found = self.header(window.data()).filter(|(kind, length)| {
                matches!(
                    *kind,
                    SECTION_HEADER | INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | ENHANCED_PACKET
                ) && *length <= MAX_KEPT
            });
            found.is_some_and(|(_, length)| {
                window.ensure(length as usize) && self.closed(window.data(), length as usize)
            })
        })
    }
}

/// What pcap-parser returns.
type Parsed<'a, T> = Result<(&'a [u8], T), pcap_parser::nom::Err<PcapError<&'a [u8]>>>;

/// Passes over a long block of a type that is not looked into.
#[cold]
fn pass_over(length: u32, big_endian: bool, window: &mut Window, tally: &mut Tally) {
    let from = window.offset();
    let body = u64::from(length) - 4;
    if window.skip(body) < body || !window.ensure(4) {
        tally.end_within(from, window);
        return;
    }
    if word(window.data(), 0, big_endian) == Some(length) {
        window.consume(4);
    } else {
        tally.report.damaged(from, What::BadRecord, body);
    }
}
