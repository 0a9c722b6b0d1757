//! The flow table: pairs of 4-way buckets with an exact, counted rule for what happens when one is full.
//! The kernel programs and the host run this same code; it must never lose a packet from the books.
//!
//! A bucket keeps tags, weights and ghosts of its four slots in its first cache line. A hit reads that line and the
//! slot; a flood of new flows is decided by that line alone.
//!
//! The rule when both buckets are full: the newcomer's weight is 1, or 2 if the bucket remembers its fingerprint (a ghost:
//! the flow was here shortly before, so it is no one-packet flow). The lightest slot gives way if it weighs no more
//! than the newcomer, or if the bucket was missed eight times its weight (the vote of the Elastic Sketch, Yang and
//! others, SIGCOMM 2018). What gives way, evicted record or newcomer's packet, goes to the overflow sketch.

use bytemuck::{Pod, Zeroable};

use crate::{
    flow::{FlowRecord, SYN, Sighting},
    hash::{self, Seed},
    overflow::Addition,
    parse::Parsed,
};

/// Slots of a bucket.
pub const WAYS: usize = 4;
/// Fingerprints of flows that were here and had to go.
const GHOSTS: usize = 12;
/// Misses, as a multiple of the lightest slot's weight, after which it gives way all the same.
const PATIENCE: u32 = 8;

/// Four flows and what is needed to choose among them; 1,024 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Bucket {
    /// Hash tags; 0 is a free slot.
    pub tag: [u32; WAYS],
    /// Packets of each slot, saturating.
    pub weight: [u32; WAYS],
    /// Fingerprints of recent leavers; a ring.
    pub ghost: [u16; GHOSTS],
    /// Misses since the last eviction by vote.
    pub misses: u32,
    /// Low half: next ghost to overwrite. High half: slot from which the search for the lightest begins.
    pub cursor: u32,
    /// The flows.
    pub slot: [FlowRecord; WAYS],
}
const _: () = assert!(size_of::<Bucket>() == 1024);
/// Bytes of a bucket that must be zeroed to empty it (one cache line).
pub const BUCKET_HEAD: usize = 64;
const _: () = assert!(core::mem::offset_of!(Bucket, slot) == BUCKET_HEAD);

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It was added to its flow.
    Hit,
    /// It began a record in a free slot.
    Started,
    /// It may have the slot of another flow: the caller accounts for that flow's record
    /// ([`Bucket::leaving`] of [`Pair::home`]) and then calls [`Bucket::replace`].
    Contested {
        /// The slot.
        way: u32,
        /// Weight that the newcomer begins with.
        weight: u32,
    },
    /// It found no place: the caller must account for it.
    Refused,
}

/// The part of a key's hash that tells flows of one bucket apart; never 0.
#[inline(always)]
const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The part of a tag that is remembered after a flow left; never 0.
#[inline(always)]
const fn ghost_of(tag: u32) -> u16 {
    (tag >> 16) as u16 | 1
}

/// Where in a pair a flow is or may be. A number, so that the caller can hide it from the verifier between
/// [`Pair::seek`] and [`Pair::place`]: what follows is then walked once and not once for each slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(pub u64);

impl Spot {
    /// Set if the slot is free.
    const FREE: u64 = 2 * WAYS as u64;
    /// All slots hold other flows.
    const NONE: Self = Self(2 * Self::FREE);
}

/// Two buckets side by side: one element of the table. A flow belongs in one of them, its home, and goes to the other
/// when its home is full: at half occupancy 4 % of all flows would find four slots taken, but hardly any eight.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Pair {
    /// The two buckets.
    pub bucket: [Bucket; 2],
}

/// Which bucket of the pair is a flow's home.
#[inline(always)]
const fn home_of(hash: u64) -> usize {
    (hash >> 31 & 1) as usize
}

impl Pair {
    /// Finds a flow's slot, or one that it may have.
    #[inline(always)]
    pub fn seek(&self, hash: u64, parsed: &Parsed) -> Spot {
        let tag = tag_of(hash);
        let home = home_of(hash);
        if let Some(spot) = self.bucket[home].seek(tag, parsed) {
            return Spot((home * WAYS) as u64 + spot);
        }
        // Slots are never freed within an epoch: only now can the flow be in the other bucket.
        let other = (home ^ 1) & 1;
        match self.bucket[other].seek(tag, parsed) {
            Some(spot) => Spot((other * WAYS) as u64 + spot),
            None => Spot::NONE,
        }
    }

    /// Counts a packet in its flow's slot, making one if there is a free one, or finds out who has to go. `spot` is what
    /// [`Self::seek`] said of the same flow.
    #[inline(always)]
    pub fn place(&mut self, spot: Spot, hash: u64, parsed: &Parsed, seen: &Sighting) -> Placed {
        let Spot(spot) = spot;
        if spot >= Spot::NONE.0 {
            return self.home(hash).contest(tag_of(hash));
        }
        let bucket = &mut self.bucket[spot as usize / WAYS & 1];
        let way = spot as usize & (WAYS - 1);
        if spot & Spot::FREE == 0 {
            bucket.slot[way].update(parsed, seen);
            bucket.weight[way] = bucket.weight[way].saturating_add(seen.segments);
            Placed::Hit
        } else {
            bucket.tag[way] = tag_of(hash);
            bucket.weight[way] = seen.segments;
            bucket.slot[way].start(parsed, seen);
            Placed::Started
        }
    }

    /// The bucket whose slots are contested.
    #[inline(always)]
    pub fn home(&mut self, hash: u64) -> &mut Bucket {
        &mut self.bucket[home_of(hash)]
    }
}

impl Bucket {
    /// The slot that holds the flow, or the first free one as [`Spot::FREE`] and its number.
    #[inline(always)]
    fn seek(&self, tag: u32, parsed: &Parsed) -> Option<u64> {
        for way in 0..WAYS {
            if self.tag[way] == tag && self.slot[way].key.words() == parsed.key.words() {
                return Some(way as u64);
            }
        }
        for way in 0..WAYS {
            if self.tag[way] == 0 {
                return Some(Spot::FREE + way as u64);
            }
        }
        None
    }

    /// All four slots hold other flows: whether the newcomer may have one of them.
    #[inline(always)]
    fn contest(&mut self, tag: u32) -> Placed {
        let known = self.recall(ghost_of(tag));
        let newcomer = 1 + known as u32;
        let first = self.cursor >> 16 & 3;
        // The lightest, and of equals the next in turn: weight and turn are compared as one number.
        let mut lightest = u64::MAX;
        for turn in 0..WAYS as u32 {
            let candidate = (self.weight[((first + turn) & 3) as usize] as u64) << 2 | turn as u64;
            if candidate < lightest {
                lightest = candidate;
            }
        }
        let way = ((lightest as u32 + first) & 3) as usize;
        let lightest = (lightest >> 2) as u32;
        self.misses = self.misses.saturating_add(1);
        if lightest > newcomer && self.misses / PATIENCE < lightest {
            self.remember(ghost_of(tag));
            return Placed::Refused;
        }
        self.misses = 0;
        self.cursor = self.cursor & 0xffff | ((way as u32 + 1) & 3) << 16;
        Placed::Contested {
            way: way as u32,
            weight: newcomer,
        }
    }

    /// The record that has to go from a contested slot.
    #[inline(always)]
    pub fn leaving(&self, way: u32) -> &FlowRecord {
        &self.slot[way as usize & (WAYS - 1)]
    }

    /// Begins the newcomer's record in a contested slot, after [`Self::leaving`] was accounted for.
    #[inline(always)]
    pub fn replace(&mut self, way: u32, weight: u32, hash: u64, parsed: &Parsed, seen: &Sighting) {
        let way = way as usize & (WAYS - 1);
        self.remember(ghost_of(self.tag[way]));
        self.tag[way] = tag_of(hash);
        self.weight[way] = if weight > seen.segments {
            weight
        } else {
            seen.segments
        };
        self.slot[way].start(parsed, seen);
    }

    /// Whether a flow with this fingerprint left lately.
    #[inline(always)]
    fn recall(&self, ghost: u16) -> bool {
        // A product of differences is zero if one of them is; four 16-bit factors fit in 64 bits. No branches: the
        // verifier would walk both sides of each.
        let mut found = 1;
        for four in 0..GHOSTS / 4 {
            let product = (self.ghost[4 * four] ^ ghost) as u64
                * (self.ghost[4 * four + 1] ^ ghost) as u64
                * (self.ghost[4 * four + 2] ^ ghost) as u64
                * (self.ghost[4 * four + 3] ^ ghost) as u64;
            // To one bit: zero stays zero.
            found &= (product | product.wrapping_neg()) >> 63;
        }
        found == 0
    }

    #[inline(always)]
    fn remember(&mut self, ghost: u16) {
        let next = self.cursor as u16 as usize;
        let next = if next < GHOSTS { next } else { 0 };
        self.ghost[next] = ghost;
        let following = if next + 1 < GHOSTS { next as u32 + 1 } else { 0 };
        self.cursor = self.cursor & 0xffff_0000 | following;
    }
}

impl Addition {
    /// A packet that found no place: its target is where it goes.
    #[inline(always)]
    pub fn of_packet(parsed: &Parsed, packets: u64, bytes: u64, seed: &Seed) -> Self {
        let (source, target) = if parsed.half == 0 { (0, 1) } else { (1, 0) };
        let key = &parsed.key;
        let is_syn = key.proto == 6 && parsed.tcp_flags & 0x12 == 0x02;
        Self {
            target: key.addr[target],
            source_hash: hash::address(&bytemuck::must_cast(key.addr[source]), 0, seed),
            packets,
            bytes,
            syn_packets: is_syn as u32,
            evicted_flows: 0,
            port: key.port[target],
            iface: key.iface,
            proto: key.proto,
            kind: key.kind,
        }
    }

    /// A record that had to go: its target is the endpoint that did not speak first.
    #[inline(always)]
    pub fn of_record(record: &FlowRecord, seed: &Seed) -> Self {
        let (source, target) = if record.first_half == 0 { (0, 1) } else { (1, 0) };
        let syn_packets = record.half[source].flag_counts[SYN];
        Self {
            target: record.key.addr[target],
            source_hash: hash::address(&bytemuck::must_cast(record.key.addr[source]), 0, seed),
            packets: record.half[0].packets as u64 + record.half[1].packets as u64,
            bytes: record.half[0].bytes + record.half[1].bytes,
            syn_packets: if record.key.proto == 6 { syn_packets } else { 0 },
            evicted_flows: 1,
            port: record.key.port[target],
            iface: record.key.iface,
            proto: record.key.proto,
            kind: record.key.kind,
        }
    }

    /// The overflow cell in which this addition belongs.
    #[inline(always)]
    pub fn cell(&self, seed: &Seed) -> u32 {
        let service = (self.port as u64) << 32 | (self.proto as u64) << 8 | self.iface as u64 & 0xff;
        hash::address(&bytemuck::must_cast(self.target), service, seed) as u32 & (crate::overflow::CELLS - 1)
    }
}

impl Bucket {
    /// Empties the bucket: its first cache line alone says what is in it.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.tag = [0; WAYS];
        self.weight = [0; WAYS];
        self.ghost = [0; GHOSTS];
        self.misses = 0;
        self.cursor = 0;
    }
}
