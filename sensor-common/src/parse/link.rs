//! Link layer: Ethernet and VLAN tags (IEEE 802.3, 802.1Q, 802.1ad), down to the EtherType of the network layer.
//! It must never treat a length field or an unknown EtherType as something it is not.

use crate::{
    counter::Skip,
    flow::{VLAN_NONE, VLAN_PRESENT},
    packet::{Packet, be16},
    parse::{Frame, Start},
};

/// EtherType of IPv4.
pub const ETH_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETH_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETH_IPV6: u16 = 0x86dd;
const ETH_8021Q: u16 = 0x8100;
const ETH_8021AD: u16 = 0x88a8;
/// Pre-standard QinQ, still sent by older switches.
const ETH_QINQ: u16 = 0x9100;
const ETH_MPLS: u16 = 0x8847;
const ETH_MPLS_MULTICAST: u16 = 0x8848;
const ETH_PPPOE_DISCOVERY: u16 = 0x8863;
const ETH_PPPOE_SESSION: u16 = 0x8864;
/// Values below this are IEEE 802.3 lengths.
const ETH_MIN: u16 = 0x0600;

/// Bits of the offset at which a network header may begin.
const MAX_OFFSET: u64 = 0x3fff;

pub(super) struct Link {
    pub(super) ethertype: u16,
    pub(super) offset: usize,
    pub(super) vlan: [u16; 2],
    pub(super) mac: [u8; 6],
}

const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, ETH_8021Q | ETH_8021AD | ETH_QINQ)
}

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, frame: &Frame) -> Result<Link, Skip> {
    let mut mac = [0; 6];
    let (mut ethertype, mut offset) = match frame.start {
        Start::Ethernet => {
            mac = packet.load(6).ok_or(Skip::Truncated)?;
            (be16(packet, 12).ok_or(Skip::Truncated)?, 14)
        }
        Start::Ip => (by_version(packet, 0)?, 0),
        Start::EtherType { ethertype, offset } => (ethertype, offset as usize),
    };
    let mut vlan = [frame.tag, VLAN_NONE];
    let mut tags = frame.tag / VLAN_PRESENT;
    #[expect(
        clippy::explicit_counter_loop,
        reason = "a range from `tags` becomes arithmetic on the packet's end"
    )]
    for _ in 0..2 {
        if !is_vlan(ethertype) {
            break;
        }
        let tci = be16(packet, offset).ok_or(Skip::Truncated)?;
        ethertype = be16(packet, offset + 2).ok_or(Skip::Truncated)?;
        offset += 4;
        let id = VLAN_PRESENT | tci & 0x0fff;
        match tags {
            0 => vlan[0] = id,
            1 => vlan[1] = id,
            _ => return Err(Skip::VlanDepth),
        }
        tags += 1;
        offset = packet.opaque(offset as u64) as usize & 0x3f;
    }
    // As one number, so that all paths to here meet again for the verifier.
    let found = offset as u64 | (ethertype as u64) << 16 | (vlan[0] as u64) << 32 | (vlan[1] as u64) << 48;
    let found = packet.opaque(found);
    let (offset, ethertype) = ((found & MAX_OFFSET) as usize, (found >> 16) as u16);
    let vlan = [(found >> 32) as u16, (found >> 48) as u16];
    match ethertype {
        ETH_IPV4 | ETH_IPV6 | ETH_ARP => Ok(Link {
            ethertype,
            offset,
            vlan,
            mac,
        }),
        0..ETH_MIN => Err(Skip::Llc),
        ETH_MPLS | ETH_MPLS_MULTICAST => Err(Skip::Mpls),
        ETH_PPPOE_DISCOVERY | ETH_PPPOE_SESSION => Err(Skip::Pppoe),
        _ if is_vlan(ethertype) => Err(Skip::VlanDepth),
        _ => Err(Skip::EtherType),
    }
}

/// The EtherType that fits the version nibble of an IP header.
#[inline(always)]
pub(super) fn by_version<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<u16, Skip> {
    // Two bytes, though one would do: for a single byte the compiler's bounds check (`start >= end`) is one that the
    // BPF verifier does not learn from.
    match be16(packet, offset).ok_or(Skip::Truncated)? >> 12 {
        4 => Ok(ETH_IPV4),
        6 => Ok(ETH_IPV6),
        _ => Err(Skip::BadIpHeader),
    }
}

/// Ethernet inside a tunnel: EtherType and offset of its network layer, one VLAN tag skipped.
#[inline(always)]
pub(super) fn inner<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<(u16, usize)> {
    let ethertype = be16(packet, offset + 12)?;
    if is_vlan(ethertype) {
        return Some((be16(packet, offset + 16)?, offset + 18));
    }
    Some((ethertype, offset + 14))
}
