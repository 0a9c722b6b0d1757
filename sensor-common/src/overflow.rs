//! The overflow sketch: where packets are counted whose flow found no place in the table.
//! During a spoofed flood it still says who is hit, by how much and by how many sources; it must never grow.
//!
//! A cell is chosen by the hash of (destination, port, protocol). Its totals are exact for all targets that share
//! it; its name is the majority target, kept by the Boyer-Moore vote (Boyer and Moore 1981, "MJRTY").
//! Sources are counted with `HyperLogLog`, 64 registers (Flajolet and others 2007): standard error 13 %.

use bytemuck::{Pod, Zeroable};

/// `HyperLogLog` registers per cell.
pub const REGISTERS: usize = 64;
/// Cells per CPU and epoch; a power of two.
pub const CELLS: u32 = 256;

/// What was hit, how hard and by how many; 128 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct OverflowCell {
    /// Packets added, whatever their target.
    pub packets: u64,
    /// Bytes of those packets.
    pub bytes: u64,
    /// Address of the majority target.
    pub target: [u8; 16],
    /// Votes for the majority target; it surely got at least this many additions.
    pub votes: u32,
    /// Whole flow records that were evicted into this cell.
    pub evicted_flows: u32,
    /// Packets with SYN and no ACK.
    pub syn_packets: u32,
    /// Port of the majority target.
    pub port: u16,
    /// Protocol of the majority target.
    pub proto: u8,
    /// [`crate::flow::FlowKey::kind`] of the majority target.
    pub kind: u8,
    /// Interface slot of the majority target.
    pub iface: u16,
    /// Explicit padding.
    pub pad: [u16; 7],
    /// `HyperLogLog` registers over source addresses.
    pub sources: [u8; REGISTERS],
}
const _: () = assert!(size_of::<OverflowCell>() == 128);

/// One addition to a cell.
#[derive(Clone, Copy, Debug, Zeroable)]
pub struct Addition {
    /// Destination address.
    pub target: [u8; 16],
    /// Hash of the source address, for the count of sources.
    pub source_hash: u64,
    /// Packets added.
    pub packets: u64,
    /// Bytes added.
    pub bytes: u64,
    /// Of them with SYN and no ACK.
    pub syn_packets: u32,
    /// 1 if this is an evicted record.
    pub evicted_flows: u32,
    /// Destination port.
    pub port: u16,
    /// Interface slot.
    pub iface: u16,
    /// Protocol.
    pub proto: u8,
    /// Network layer and tunnel kind.
    pub kind: u8,
}

impl OverflowCell {
    /// Adds packets of one flow.
    #[inline(always)]
    pub fn add(&mut self, addition: &Addition) {
        self.packets += addition.packets;
        self.bytes += addition.bytes;
        self.syn_packets = self.syn_packets.wrapping_add(addition.syn_packets);
        self.evicted_flows = self.evicted_flows.wrapping_add(addition.evicted_flows);
        if self.votes == 0 {
            self.target = addition.target;
            self.port = addition.port;
            self.proto = addition.proto;
            self.kind = addition.kind;
            self.iface = addition.iface;
            self.votes = 1;
        } else if self.target == addition.target && self.port == addition.port && self.proto == addition.proto
        {
            self.votes = self.votes.wrapping_add(1);
        } else {
            self.votes -= 1;
        }
        let register = (addition.source_hash & (REGISTERS as u64 - 1)) as usize;
        let rank = rank((addition.source_hash >> 6) as u32);
        if let Some(held) = self.sources.get_mut(register)
            && rank > *held
        {
            *held = rank;
        }
    }

    /// Adds another CPU's or epoch's cell of the same index; the heavier majority gives the name.
    pub fn merge(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.syn_packets = self.syn_packets.saturating_add(other.syn_packets);
        self.evicted_flows = self.evicted_flows.saturating_add(other.evicted_flows);
        let same = self.target == other.target && self.port == other.port && self.proto == other.proto;
        if same {
            self.votes = self.votes.saturating_add(other.votes);
        } else if other.votes > self.votes {
            let rest = other.votes - self.votes;
            self.target = other.target;
            self.port = other.port;
            self.proto = other.proto;
            self.kind = other.kind;
            self.iface = other.iface;
            self.votes = rest;
        } else {
            self.votes -= other.votes;
        }
        for (held, rank) in self.sources.iter_mut().zip(other.sources) {
            *held = (*held).max(rank);
        }
    }
}

/// Position of the first 1 bit from the left, counted from 1; 33 for zero. Written as a bisection because BPF has no
/// instruction for it.
#[inline(always)]
const fn rank(bits: u32) -> u8 {
    if bits == 0 {
        return 33;
    }
    let mut value = bits;
    let mut zeros = 0u8;
    if value & 0xffff_0000 == 0 {
        zeros += 16;
        value <<= 16;
    }
    if value & 0xff00_0000 == 0 {
        zeros += 8;
        value <<= 8;
    }
    if value & 0xf000_0000 == 0 {
        zeros += 4;
        value <<= 4;
    }
    if value & 0xc000_0000 == 0 {
        zeros += 2;
        value <<= 2;
    }
    if value & 0x8000_0000 == 0 {
        zeros += 1;
    }
    zeros + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_is_leading_zeros_plus_one() {
        for shift in 0..32 {
            let bits = 1u32 << shift;
            assert_eq!(u32::from(rank(bits)), bits.leading_zeros() + 1);
            assert_eq!(rank(bits | bits >> 1), rank(bits));
        }
        assert_eq!(rank(0), 33);
    }
}
