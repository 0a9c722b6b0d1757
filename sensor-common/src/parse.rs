//! The only packet parser of the project: frame bytes in, flow key and per-packet facts out.
//! It must never allocate, loop without a bound, or read beyond the headers.
//!
//! Scope: Ethernet with up to two VLAN tags, ARP, IPv4 with options and fragments, IPv6 with extension headers,
//! TCP, UDP, UDP-Lite, DCCP, SCTP, ICMP, ICMPv6, any other IP protocol without ports, and one tunnel level (VXLAN,
//! GENEVE, GRE, IP in IP, 6in4) whose inner flow becomes the key. A tunnel whose inside cannot be parsed is counted
//! as the outer flow. Anything else has a [`Skip`] reason.

mod ip;
mod link;
mod transport;
mod tunnel;

use bytemuck::Zeroable;

use crate::{
    counter::Skip,
    flow::{FlowKey, NET_ARP, TUNNEL_NONE, VLAN_PRESENT},
    packet::{Packet, be16},
};

use self::tunnel::Tunnel;

pub use self::link::{ETH_ARP, ETH_IPV4, ETH_IPV6};

/// Bytes of one VLAN tag.
pub const TAG_LEN: u32 = 4;

/// Where in the frame parsing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An Ethernet header.
    Ethernet,
    /// An IP header: tun and other devices without a link layer, link type RAW.
    Ip,
    /// `ethertype` is known from elsewhere (Linux cooked capture), its header begins at `offset`.
    EtherType {
        /// EtherType of what begins at `offset`.
        ethertype: u16,
        /// Bytes before it.
        offset: u32,
    },
}

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where parsing begins.
    pub start: Start,
    /// Length of the frame as the hook sees it, in bytes (may exceed the captured bytes).
    pub len: u32,
    /// VLAN tag that the kernel keeps beside the frame (`skb->vlan_tci`) as `VLAN_PRESENT | id`; 0 if none.
    pub tag: u16,
    /// Interface slot that goes into the key.
    pub iface: u16,
}

impl Frame {
    /// Bytes that the tag beside the frame takes on the wire. Without a branch: the verifier would walk what follows for
    /// both answers.
    #[inline(always)]
    pub const fn tag_len(&self) -> u32 {
        (self.tag / VLAN_PRESENT) as u32 * TAG_LEN
    }

    /// An Ethernet frame of a capture or a test.
    #[inline(always)]
    pub const fn ethernet(len: u32) -> Self {
        Self {
            start: Start::Ethernet,
            len,
            tag: 0,
            iface: 0,
        }
    }
}

/// What one packet says about its flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroable)]
pub struct Parsed {
    /// The flow.
    pub key: FlowKey,
    /// Bytes behind the transport header, by the IP length field but never more than the frame holds.
    pub payload_len: u32,
    /// Bytes before the transport payload, link header and a tag beside the frame included: what segmentation
    /// repeats.
    pub header_len: u32,
    /// TCP window field.
    pub tcp_window: u16,
    /// Which half of the record counts this packet: 0 if it goes from `addr[0]` to `addr[1]`.
    pub half: u8,
    /// TCP flags; 1 or 2 (request, reply) for ARP.
    pub tcp_flags: u8,
    /// IP time to live or hop limit; 0 for ARP.
    pub ttl: u8,
    /// 1 if the packet is a fragment.
    pub fragment: u8,
    /// Source MAC address of the outer frame.
    pub mac: [u8; 6],
}

/// Source and destination of a packet, before they are ordered. Addresses are two big-endian words.
struct Ends {
    src: [u64; 2],
    dst: [u64; 2],
    src_port: u16,
    dst_port: u16,
}

/// What the key says beside the endpoints.
struct Scope {
    tunnel_id: u32,
    vlan: [u16; 2],
    iface: u16,
    tunnel: u8,
}

/// Parses one frame.
///
/// # Errors
/// The reason for which the packet cannot be given a flow.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P, frame: &Frame) -> Result<Parsed, Skip> {
    let mut parsed = Parsed::zeroed();
    parse_into(packet, frame, &mut parsed)?;
    Ok(parsed)
}

/// As [`parse`], into memory of the caller; what is left there after an error means nothing.
///
/// # Errors
/// As [`parse`].
#[inline(always)]
pub fn parse_into<P: Packet + ?Sized>(packet: &P, frame: &Frame, parsed: &mut Parsed) -> Result<(), Skip> {
    let link = link::parse(packet, frame)?;
    parsed.mac = link.mac;
    let scope = Scope {
        tunnel_id: 0,
        vlan: link.vlan,
        iface: frame.iface,
        tunnel: TUNNEL_NONE,
    };
    if link.ethertype == ETH_ARP {
        return arp(packet, link.offset, &scope, parsed);
    }
    let outer = ip::parse(packet, link.ethertype, link.offset, frame.len)?;
    transport::parse(packet, &outer, &scope, parsed)?;
    if outer.fragment == 0
        && let Some(tunnel) = tunnel::find(packet, &outer)
    {
        // A tunnel whose inside cannot be parsed stays the outer flow that is in `parsed` by now.
        inside(packet, &tunnel, frame, core::hint::black_box(parsed));
    }
    parsed.header_len += frame.tag_len();
    Ok(())
}

/// Largest offset at which an inner header may begin: behind the longest chain of extension headers.
const MAX_INNER_OFFSET: usize = 0x3fff;

/// Replaces the outer flow in `parsed` by the inner one if there is one.
#[inline(always)]
fn inside<P: Packet + ?Sized>(packet: &P, tunnel: &Tunnel, frame: &Frame, parsed: &mut Parsed) {
    let offset = packet.opaque(tunnel.offset as u64) as usize;
    let ethertype = packet.opaque(tunnel.ethertype as u64) as u16;
    let scope = Scope {
        tunnel_id: packet.opaque(tunnel.id as u64) as u32,
        vlan: parsed.key.vlan,
        iface: frame.iface,
        tunnel: packet.opaque(tunnel.kind as u64) as u8,
    };
    if offset <= MAX_INNER_OFFSET
        && let Ok(inner) = ip::parse(packet, ethertype, offset, frame.len)
    {
        // The inner flow replaces the outer one whole or, where it cannot be parsed, not at all.
        let _outer_stays = transport::parse(packet, &inner, &scope, parsed);
    }
}

/// ARP (RFC 826) for IPv4 over Ethernet: the flow is sender and target protocol address.
#[inline(always)]
fn arp<P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    scope: &Scope,
    parsed: &mut Parsed,
) -> Result<(), Skip> {
    let fixed: [u16; 3] = packet.load(offset).ok_or(Skip::Truncated)?;
    // Hardware type 1, protocol type 0x0800, address lengths 6 and 4.
    if fixed != [1u16.to_be(), ETH_IPV4.to_be(), 0x0604u16.to_be()] {
        return Err(Skip::BadArp);
    }
    let operation = be16(packet, offset + 6).ok_or(Skip::Truncated)?;
    let sender: u32 = packet.load(offset + 14).ok_or(Skip::Truncated)?;
    let target: u32 = packet.load(offset + 24).ok_or(Skip::Truncated)?;
    parsed.tcp_flags = match operation {
        1 => 1,
        2 => 2,
        _ => 0,
    };
    parsed.tcp_window = 0;
    parsed.ttl = 0;
    parsed.fragment = 0;
    parsed.payload_len = 0;
    parsed.header_len = offset as u32 + 28;
    let ends = Ends {
        src: ip::mapped(sender),
        dst: ip::mapped(target),
        src_port: 0,
        dst_port: 0,
    };
    identify(&ends, scope, 0, NET_ARP, parsed);
    Ok(())
}

/// Makes the key, endpoints in their canonical order, and remembers which way the packet went.
#[inline(always)]
fn identify(ends: &Ends, scope: &Scope, proto: u8, network: u8, parsed: &mut Parsed) {
    let src = (
        u64::from_be(ends.src[0]),
        u64::from_be(ends.src[1]),
        ends.src_port,
    );
    let dst = (
        u64::from_be(ends.dst[0]),
        u64::from_be(ends.dst[1]),
        ends.dst_port,
    );
    let (low, high, ports, half) = if src <= dst {
        (ends.src, ends.dst, [ends.src_port, ends.dst_port], 0)
    } else {
        (ends.dst, ends.src, [ends.dst_port, ends.src_port], 1)
    };
    parsed.half = half;
    // Whole words: the hash reads words, and a load that spans several smaller stores waits for them all.
    let protocol = [proto, network << 4 | scope.tunnel];
    parsed.key = bytemuck::must_cast([
        low[0],
        low[1],
        high[0],
        high[1],
        word([
            half_words(scope.tunnel_id)[0],
            half_words(scope.tunnel_id)[1],
            ports[0],
            ports[1],
        ]),
        word([
            scope.vlan[0],
            scope.vlan[1],
            scope.iface,
            u16::from_ne_bytes(protocol),
        ]),
    ]);
}

/// Four 16-bit fields as the word they are in memory.
#[inline(always)]
const fn word(fields: [u16; 4]) -> u64 {
    let fields = [
        fields[0] as u64,
        fields[1] as u64,
        fields[2] as u64,
        fields[3] as u64,
    ];
    if cfg!(target_endian = "little") {
        fields[0] | fields[1] << 16 | fields[2] << 32 | fields[3] << 48
    } else {
        fields[0] << 48 | fields[1] << 32 | fields[2] << 16 | fields[3]
    }
}

/// A 32-bit field as its two halves in memory.
#[inline(always)]
const fn half_words(field: u32) -> [u16; 2] {
    if cfg!(target_endian = "little") {
        [field as u16, (field >> 16) as u16]
    } else {
        [(field >> 16) as u16, field as u16]
    }
}
