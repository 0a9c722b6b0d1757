//! Tunnels: where the inner packet begins, what it is and the tunnel's id.
//! It must never take ordinary traffic for a tunnel: reserved bits and versions are checked.

use crate::{
    flow::{TUNNEL_6IN4, TUNNEL_GENEVE, TUNNEL_GRE, TUNNEL_IPIP, TUNNEL_VXLAN},
    packet::{Packet, be32},
    parse::{
        ip::Ip,
        link::{self, ETH_IPV4, ETH_IPV6},
        transport::UDP,
    },
};

const IPIP: u8 = 4;
const SIX_IN_FOUR: u8 = 41;
const GRE: u8 = 47;
/// Transparent Ethernet bridging, the payload type of VXLAN-like tunnels.
const ETH_TEB: u16 = 0x6558;
const VXLAN_PORT: u16 = 4789;
/// Linux' default before IANA assigned 4789; still common.
const VXLAN_PORT_LINUX: u16 = 8472;
const GENEVE_PORT: u16 = 6081;

pub(super) struct Tunnel {
    pub(super) ethertype: u16,
    pub(super) offset: usize,
    pub(super) id: u32,
    pub(super) kind: u8,
}

#[inline(always)]
pub(super) fn find<P: Packet + ?Sized>(packet: &P, outer: &Ip) -> Option<Tunnel> {
    let offset = outer.offset;
    match outer.proto {
        UDP => udp(packet, offset),
        GRE => gre(packet, offset),
        IPIP => Some(Tunnel {
            ethertype: ETH_IPV4,
            offset,
            id: 0,
            kind: TUNNEL_IPIP,
        }),
        SIX_IN_FOUR => Some(Tunnel {
            ethertype: ETH_IPV6,
            offset,
            id: 0,
            kind: TUNNEL_6IN4,
        }),
        _ => None,
    }
}

/// VXLAN (RFC 7348 section 5) and GENEVE (RFC 8926 section 3.4), told by destination port and reserved bits.
#[inline(always)]
fn udp<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Tunnel> {
    let port = u16::from_be(packet.load(offset + 2)?);
    let (kind, ethertype, inner) = match port {
        VXLAN_PORT | VXLAN_PORT_LINUX => {
            // Only the I flag; the other bits must be zero.
            if be32(packet, offset + 8)? != 0x0800_0000 {
                return None;
            }
            (TUNNEL_VXLAN, ETH_TEB, offset + 16)
        }
        GENEVE_PORT => {
            let first = be32(packet, offset + 8)?;
            // Version 0; options come in units of four bytes.
            if first >> 30 != 0 {
                return None;
            }
            (
                TUNNEL_GENEVE,
                first as u16,
                offset + 16 + ((first >> 24 & 0x3f) << 2) as usize,
            )
        }
        _ => return None,
    };
    let id = be32(packet, offset + 12)? >> 8;
    into(packet, kind, ethertype, inner, id)
}

/// GRE version 0 (RFC 2784) with the optional checksum, key and sequence number (RFC 2890).
#[inline(always)]
fn gre<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Tunnel> {
    let first = be32(packet, offset)?;
    // Checksum, key and sequence flags may be set; routing, strict source route, recursion and version must be 0.
    if first >> 16 & 0x4fff != 0 {
        return None;
    }
    let mut inner = offset + 4;
    if first & 0x8000_0000 != 0 {
        inner += 4;
    }
    let mut id = 0;
    if first & 0x2000_0000 != 0 {
        id = be32(packet, inner)?;
        inner += 4;
    }
    if first & 0x1000_0000 != 0 {
        inner += 4;
    }
    into(packet, TUNNEL_GRE, first as u16, inner, id)
}

#[inline(always)]
fn into<P: Packet + ?Sized>(packet: &P, kind: u8, ethertype: u16, offset: usize, id: u32) -> Option<Tunnel> {
    let (ethertype, offset) = if ethertype == ETH_TEB {
        link::inner(packet, offset)?
    } else {
        (ethertype, offset)
    };
    Some(Tunnel {
        ethertype,
        offset,
        id,
        kind,
    })
}
