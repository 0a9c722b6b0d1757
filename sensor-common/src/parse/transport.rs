//! Transport layer: ports, TCP flags and window, ICMP type and code in the place of ports.
//! It must never read ports from a fragment that has none.

use crate::{
    counter::Skip,
    packet::{Packet, be16},
    parse::{Ends, Parsed, Scope, identify, ip::Ip},
};

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const DCCP: u8 = 33;
pub(super) const ICMPV6: u8 = 58;
pub(super) const SCTP: u8 = 132;
pub(super) const UDP_LITE: u8 = 136;

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    ip: &Ip,
    scope: &Scope,
    parsed: &mut Parsed,
) -> Result<(), Skip> {
    let mut ends = Ends {
        src: ip.src,
        dst: ip.dst,
        src_port: 0,
        dst_port: 0,
    };
    let mut header = 0;
    let (mut flags, mut window) = (0, 0);
    if ip.fragment != 2 {
        match ip.proto {
            TCP | UDP | SCTP | UDP_LITE | DCCP => {
                let ports: [u16; 2] = packet.load(ip.offset).ok_or(Skip::Truncated)?;
                ends.src_port = u16::from_be(ports[0]);
                ends.dst_port = u16::from_be(ports[1]);
                header = match ip.proto {
                    TCP => {
                        let length;
                        (length, flags, window) = tcp(packet, ip.offset);
                        length
                    }
                    SCTP | DCCP => 12,
                    _ => 8,
                };
            }
            ICMP | ICMPV6 => {
                let kind = be16(packet, ip.offset).ok_or(Skip::Truncated)?;
                let (kind, code) = ((kind >> 8) as u8, kind as u8);
                let partner = if ip.proto == ICMP {
                    counterpart(kind)
                } else {
                    counterpart_v6(kind)
                };
                let partner = packet.opaque(partner as u64) as u16;
                ends.src_port = kind as u16;
                ends.dst_port = if partner == NO_PARTNER {
                    code as u16
                } else {
                    partner
                };
                header = 8;
            }
            _ => {}
        }
    }
    // Nothing may fail from here on: an inner flow replaces the outer one whole or not at all.
    parsed.tcp_flags = flags;
    parsed.tcp_window = window;
    parsed.ttl = ip.ttl;
    parsed.fragment = (ip.fragment != 0) as u8;
    parsed.header_len = ip.offset as u32 + header;
    parsed.payload_len = ip.rest_len.saturating_sub(header);
    identify(&ends, scope, ip.proto, ip.network, parsed);
    Ok(())
}

/// Header length, flags and window. A header cut behind the ports (tiny fragments, short snap lengths)
/// still gives a flow: what is missing counts as zero.
#[inline(always)]
fn tcp<P: Packet + ?Sized>(packet: &P, offset: usize) -> (u32, u8, u16) {
    let Some([a, b]) = packet.load::<[u16; 2]>(offset + 12) else {
        return (20, 0, 0);
    };
    let a = u16::from_be(a);
    let header = (a as u32 >> 12) << 2;
    (if header < 20 { 20 } else { header }, a as u8, u16::from_be(b))
}

const NO_PARTNER: u16 = u16::MAX;

/// The type that answers an ICMP type (Community ID v1): both directions then share one key.
#[inline(always)]
const fn counterpart(kind: u8) -> u16 {
    match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => NO_PARTNER,
    }
}

/// The type that answers an ICMPv6 type (Community ID v1).
#[inline(always)]
const fn counterpart_v6(kind: u8) -> u16 {
    match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => NO_PARTNER,
    }
}
