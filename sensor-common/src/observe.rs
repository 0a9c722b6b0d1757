//! One packet from frame to books: parse, find the flow, count. The kernel programs and every other source of
//! packets call this one function, so they cannot disagree. It must never decide what happens to the packet.

use crate::{
    counter::{Counters, Skip},
    flow::Sighting,
    hash::{self, Seed},
    overflow::{Addition, OverflowCell},
    packet::Packet,
    parse::{self, Frame, Parsed},
    table::{Pair, Placed, Spot},
};

/// The tables of one CPU and epoch.
pub trait Tables {
    /// The pair of buckets in which flows with this hash belong.
    fn pair(&mut self, hash: u64) -> Option<&mut Pair>;
    /// A cell of the overflow sketch, by index below [`crate::overflow::CELLS`].
    fn cell(&mut self, index: u32) -> Option<&mut OverflowCell>;
}

/// Packets and bytes that one frame is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Wire {
    #[inline(always)]
    fn of(seen: &Sighting, header_len: u32) -> Self {
        let repeated = header_len as u64 * (seen.segments as u64 - 1);
        Self {
            packets: seen.segments as u64,
            bytes: seen.len as u64 + repeated,
        }
    }
}

/// Counts one frame. `sight` tells when it was seen and how many packets it is on the wire; it is asked after
/// parsing, because some hooks need the header length to know. `seed` is the secret of the hashes.
///
/// `parsed` is working memory. In the kernel it is map memory: the verifier does not follow what was stored there, so
/// the paths through the parser meet again behind it instead of each being walked to the end of the program.
#[inline(always)]
pub fn observe<P, T, S>(
    packet: &P,
    frame: &Frame,
    sight: S,
    seed: &Seed,
    counters: &mut Counters,
    tables: &mut T,
    parsed: &mut Parsed,
) -> Wire
where
    P: Packet + ?Sized,
    T: Tables,
    S: FnOnce(Option<&Parsed>) -> Sighting,
{
    if let Err(skip) = parse::parse_into(packet, frame, parsed) {
        let wire = Wire::of(&sight(None), 0);
        skipped(skip, wire, counters);
        return wire;
    }
    // The compiler may not carry values over in registers either.
    let parsed = core::hint::black_box(parsed);
    let seen = sight(Some(parsed));
    let wire = Wire::of(&seen, parsed.header_len);
    let hash = hash::key(parsed.key.words(), seed);
    let Some(pair) = tables.pair(hash) else {
        skipped(Skip::NoTable, wire, counters);
        return wire;
    };
    counters.seen_packets += wire.packets;
    let spot = Spot(packet.opaque(pair.seek(hash, parsed).0));
    match pair.place(spot, hash, parsed, &seen) {
        Placed::Hit => {}
        Placed::Started => {
            counters.started_flows += 1;
            counters.used_slots += 1;
        }
        Placed::Contested { way, weight } => {
            let bucket = pair.home(hash);
            let evicted = Addition::of_record(bucket.leaving(way), seed);
            bucket.replace(way, weight, hash, parsed, &seen);
            counters.started_flows += 1;
            counters.evicted_flows += 1;
            overflow(&evicted, seed, counters, tables);
        }
        Placed::Refused => {
            let refused = Addition::of_packet(parsed, wire.packets, wire.bytes, seed);
            overflow(&refused, seed, counters, tables);
        }
    }
    wire
}

#[inline(always)]
fn skipped(skip: Skip, wire: Wire, counters: &mut Counters) {
    counters.seen_packets += wire.packets;
    counters.skipped_bytes += wire.bytes;
    let reason = skip as usize & (crate::counter::SKIP_SLOTS - 1);
    counters.skipped[reason] += wire.packets;
}

#[inline(always)]
fn overflow<T: Tables>(addition: &Addition, seed: &Seed, counters: &mut Counters, tables: &mut T) {
    counters.overflow_packets += addition.packets;
    counters.overflow_bytes += addition.bytes;
    if let Some(cell) = tables.cell(addition.cell(seed)) {
        cell.add(addition);
    }
}
