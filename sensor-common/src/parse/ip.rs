//! Network layer: IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).
//! It must never walk more than a fixed number of headers, nor trust a length field beyond the frame.

use crate::{
    counter::Skip,
    flow::{NET_IPV4, NET_IPV6},
    packet::Packet,
    parse::link::{ETH_IPV4, ETH_IPV6},
};

/// IPv6 extension headers that are walked.
const MAX_EXTENSIONS: usize = 6;
/// Bytes that six of the longest extension headers and the fixed header take at most.
const MAX_WALK: usize = 40 + 6 * 2048;

/// Bits of the offset of a transport header: the largest offset of a network header and the longest walk fit.
const MAX_OFFSET: u64 = 0x7fff;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

pub(super) struct Ip {
    pub(super) src: [u64; 2],
    pub(super) dst: [u64; 2],
    /// Offset of the transport header.
    pub(super) offset: usize,
    /// Bytes from the transport header to the end of the IP packet.
    pub(super) rest_len: u32,
    pub(super) network: u8,
    pub(super) proto: u8,
    pub(super) ttl: u8,
    /// 0 whole, 1 first fragment, 2 later fragment (no transport header).
    pub(super) fragment: u8,
}

/// An IPv4 address as IPv4-mapped IPv6, in memory order.
#[inline(always)]
pub(super) const fn mapped(address: u32) -> [u64; 2] {
    // In memory: ten zero bytes, ff ff, then the address (which is in network order already).
    #[cfg(target_endian = "little")]
    return [0, 0xffff_0000 | (address as u64) << 32];
    #[cfg(target_endian = "big")]
    return [0, 0x0000_ffff_0000_0000 | address as u64];
}

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    ethertype: u16,
    offset: usize,
    frame_len: u32,
) -> Result<Ip, Skip> {
    let available = frame_len.saturating_sub(offset as u32);
    let mut ip = match ethertype {
        ETH_IPV4 => v4(packet, offset, available)?,
        ETH_IPV6 => v6(packet, offset, available)?,
        _ => return Err(Skip::EtherType),
    };
    // As one number, so that all paths to here meet again for the verifier.
    let found = packet.opaque(
        ip.offset as u64
            | (ip.network as u64) << 16
            | (ip.proto as u64) << 24
            | (ip.ttl as u64) << 32
            | (ip.fragment as u64) << 40,
    );
    ip.offset = (found & MAX_OFFSET) as usize;
    ip.network = (found >> 16) as u8;
    ip.proto = (found >> 24) as u8;
    ip.ttl = (found >> 32) as u8;
    ip.fragment = (found >> 40) as u8;
    Ok(ip)
}

#[inline(always)]
fn v4<P: Packet + ?Sized>(packet: &P, offset: usize, available: u32) -> Result<Ip, Skip> {
    let words: [u32; 5] = packet.load(offset).ok_or(Skip::Truncated)?;
    let first = u32::from_be(words[0]);
    let header = (first >> 24 & 0xf) << 2;
    if first >> 28 != 4 || header < 20 {
        return Err(Skip::BadIpHeader);
    }
    let total = bounded(first & 0xffff, available);
    let flags = u32::from_be(words[1]);
    let fragment = if flags & 0x1fff != 0 {
        2
    } else {
        (flags >> 13 & 1) as u8
    };
    let third = u32::from_be(words[2]);
    Ok(Ip {
        src: mapped(words[3]),
        dst: mapped(words[4]),
        offset: offset + header as usize,
        rest_len: total.saturating_sub(header),
        network: NET_IPV4,
        proto: (third >> 16) as u8,
        ttl: (third >> 24) as u8,
        fragment,
    })
}

#[inline(always)]
fn v6<P: Packet + ?Sized>(packet: &P, offset: usize, available: u32) -> Result<Ip, Skip> {
    let words: [u64; 5] = packet.load(offset).ok_or(Skip::Truncated)?;
    let first = u64::from_be(words[0]);
    if first >> 60 != 6 {
        return Err(Skip::BadIpHeader);
    }
    let length = (first >> 16) as u32 & 0xffff;
    // Length 0 is a jumbogram or an offloaded super-packet (RFC 2675; Linux BIG TCP): the frame says how long.
    let total = if length == 0 {
        available
    } else {
        bounded(length + 40, available)
    };
    let mut next = (first >> 8) as u8;
    let mut fragment = 0;
    let mut walked = 40usize;
    let mut known = false;
    for _ in 0..=MAX_EXTENSIONS {
        let step = match next {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                let [following, length]: [u8; 2] = packet.load(offset + walked).ok_or(Skip::Truncated)?;
                next = following;
                (length as usize + 1) << 3
            }
            AUTHENTICATION => {
                let [following, length]: [u8; 2] = packet.load(offset + walked).ok_or(Skip::Truncated)?;
                next = following;
                (length as usize + 2) << 2
            }
            FRAGMENT => {
                let [a, b]: [u16; 2] = packet.load(offset + walked).ok_or(Skip::Truncated)?;
                next = (u16::from_be(a) >> 8) as u8;
                fragment = if u16::from_be(b) & 0xfff8 == 0 { 1 } else { 2 };
                8
            }
            _ => {
                known = true;
                break;
            }
        };
        let reached = packet.opaque((walked + step) as u64 | (next as u64) << 32 | (fragment as u64) << 40);
        walked = reached as u32 as usize;
        next = (reached >> 32) as u8;
        fragment = (reached >> 40) as u8;
        if walked > MAX_WALK {
            return Err(Skip::ExtensionDepth);
        }
        if fragment == 2 {
            known = true;
            break;
        }
    }
    if !known {
        return Err(Skip::ExtensionDepth);
    }
    Ok(Ip {
        src: [words[1], words[2]],
        dst: [words[3], words[4]],
        offset: offset + walked,
        rest_len: total.saturating_sub(walked as u32),
        network: NET_IPV6,
        proto: next,
        ttl: first as u8,
        fragment,
    })
}

/// A length field, held to what the frame has; 0 (segmentation offload) means the whole frame.
#[inline(always)]
const fn bounded(length: u32, available: u32) -> u32 {
    if length == 0 || length > available {
        available
    } else {
        length
    }
}
