//! Frames as bytes: Ethernet, ARP, IPv4 and IPv6, TCP, UDP, ICMP, each with valid lengths and checksums.
//! It must never decide what to send; addresses, ports and numbers come from the caller.

use std::net::{IpAddr, Ipv4Addr};

use sensor_common::parse::{ETH_ARP, ETH_IPV4, ETH_IPV6};

/// An Ethernet address.
pub(super) type Mac = [u8; 6];

/// TCP flags.
pub(super) mod flags {
    pub(in crate::simulate) const FIN: u8 = 1;
    pub(in crate::simulate) const SYN: u8 = 2;
    pub(in crate::simulate) const RST: u8 = 4;
    pub(in crate::simulate) const PSH: u8 = 8;
    pub(in crate::simulate) const ACK: u8 = 16;
    pub(in crate::simulate) const URG: u8 = 32;
}

/// IP protocol numbers.
pub(super) mod proto {
    pub(in crate::simulate) const ICMP: u8 = 1;
    pub(in crate::simulate) const TCP: u8 = 6;
    pub(in crate::simulate) const UDP: u8 = 17;
    pub(in crate::simulate) const ICMPV6: u8 = 58;
}

/// Shortest Ethernet frame without its check sequence; shorter ones are padded on the wire.
const MIN_FRAME: usize = 60;
/// Largest IP packet on Ethernet.
pub(super) const MTU: usize = 1500;
const ETH_LEN: usize = 14;

/// Everything of a packet before its transport header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Ethernet source.
    pub(super) src_mac: Mac,
    /// Ethernet destination.
    pub(super) dst_mac: Mac,
    /// IP source.
    pub(super) src: IpAddr,
    /// IP destination; of the same family.
    pub(super) dst: IpAddr,
    /// Time to live or hop limit where the capture is taken.
    pub(super) ttl: u8,
    /// IPv4 identification.
    pub(super) id: u16,
    /// IPv4 "do not fragment".
    pub(super) dont_fragment: bool,
}

/// A TCP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp<'a> {
    /// Source port.
    pub(super) sport: u16,
    /// Destination port.
    pub(super) dport: u16,
    /// Sequence number.
    pub(super) seq: u32,
    /// Acknowledgement number.
    pub(super) ack: u32,
    /// Flags.
    pub(super) flags: u8,
    /// Window field.
    pub(super) window: u16,
    /// Options, a multiple of four bytes.
    pub(super) options: &'a [u8],
}

fn sum(bytes: &[u8], mut total: u64) -> u64 {
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        if let Ok(word) = <[u8; 4]>::try_from(word) {
            total += u64::from(u32::from_be_bytes(word));
        }
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    total + u64::from(u32::from_be_bytes(last))
}

/// The Internet checksum (RFC 1071) of what was summed up.
const fn fold(mut total: u64) -> u16 {
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

fn put16(out: &mut [u8], at: usize, value: u16) {
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Sum over the pseudo header (RFC 793, RFC 8200 section 8.1).
fn pseudo(path: &Path, protocol: u8, len: usize) -> u64 {
    let total = match (path.src, path.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => sum(&dst.octets(), sum(&src.octets(), 0)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => sum(&dst.octets(), sum(&src.octets(), 0)),
        _ => 0,
    };
    total + u64::from(protocol) + len as u64
}

fn ethernet(out: &mut Vec<u8>, src: Mac, dst: Mac, ethertype: u16) {
    out.extend_from_slice(&dst);
    out.extend_from_slice(&src);
    out.extend_from_slice(&ethertype.to_be_bytes());
}

fn pad(out: &mut Vec<u8>) {
    if out.len() < MIN_FRAME {
        out.resize(MIN_FRAME, 0);
    }
}

/// Link and network header; `payload_len` bytes follow. `fragment` is the IPv4 field of flags and offset.
fn network(out: &mut Vec<u8>, path: &Path, protocol: u8, payload_len: usize, fragment: u16) {
    match (path.src, path.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ethernet(out, path.src_mac, path.dst_mac, ETH_IPV4);
            let start = out.len();
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&(payload_len as u16 + 20).to_be_bytes());
            out.extend_from_slice(&path.id.to_be_bytes());
            let fragment = if path.dont_fragment { 0x4000 } else { fragment };
            out.extend_from_slice(&fragment.to_be_bytes());
            out.extend_from_slice(&[path.ttl, protocol, 0, 0]);
            out.extend_from_slice(&src.octets());
            out.extend_from_slice(&dst.octets());
            let check = fold(sum(out.get(start..).unwrap_or_default(), 0));
            put16(out, start + 10, check);
        }
        (src, dst) => {
            let bytes = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            ethernet(out, path.src_mac, path.dst_mac, ETH_IPV6);
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&(payload_len as u16).to_be_bytes());
            out.extend_from_slice(&[protocol, path.ttl]);
            out.extend_from_slice(&bytes(src));
            out.extend_from_slice(&bytes(dst));
        }
    }
}

/// Sets the checksum of the transport packet that begins at `start`.
fn seal(out: &mut Vec<u8>, path: &Path, protocol: u8, start: usize, field: usize) {
    let packet = out.get(start..).unwrap_or_default();
    // ICMP over IPv4 has no pseudo header.
    let first = if protocol == proto::ICMP {
        0
    } else {
        pseudo(path, protocol, packet.len())
    };
    let mut check = fold(sum(packet, first));
    if protocol == proto::UDP && check == 0 {
        check = 0xffff;
    }
    put16(out, start + field, check);
    pad(out);
}

/// A TCP segment; `payload` appends its `payload_len` bytes.
pub(super) fn tcp(
    out: &mut Vec<u8>,
    path: &Path,
    head: &Tcp<'_>,
    payload_len: usize,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    let header = 20 + head.options.len();
    network(out, path, proto::TCP, header + payload_len, 0);
    let start = out.len();
    out.extend_from_slice(&head.sport.to_be_bytes());
    out.extend_from_slice(&head.dport.to_be_bytes());
    out.extend_from_slice(&head.seq.to_be_bytes());
    out.extend_from_slice(&head.ack.to_be_bytes());
    out.extend_from_slice(&[(header as u8 / 4) << 4, head.flags]);
    out.extend_from_slice(&head.window.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(head.options);
    payload(out);
    out.resize(start + header + payload_len, 0);
    seal(out, path, proto::TCP, start, 16);
}

/// A UDP datagram that fits into one packet.
pub(super) fn udp(out: &mut Vec<u8>, path: &Path, sport: u16, dport: u16, payload: &[u8]) {
    network(out, path, proto::UDP, 8 + payload.len(), 0);
    let start = out.len();
    udp_head(out, sport, dport, payload.len());
    out.extend_from_slice(payload);
    seal(out, path, proto::UDP, start, 6);
}

fn udp_head(out: &mut Vec<u8>, sport: u16, dport: u16, payload_len: usize) {
    out.extend_from_slice(&sport.to_be_bytes());
    out.extend_from_slice(&dport.to_be_bytes());
    out.extend_from_slice(&(payload_len as u16 + 8).to_be_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Payload that fits into one UDP packet over IPv4.
pub(super) const MAX_DATAGRAM: usize = MTU - 28;

/// A UDP datagram over IPv4 too large for one packet, as its fragments.
pub(super) fn fragments(path: &Path, sport: u16, dport: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    /// IP payload of all but the last; a multiple of eight.
    const PART: usize = (MTU - 20) / 8 * 8;
    let mut whole = Vec::with_capacity(8 + payload.len());
    udp_head(&mut whole, sport, dport, payload.len());
    whole.extend_from_slice(payload);
    let check = fold(sum(&whole, pseudo(path, proto::UDP, whole.len())));
    put16(&mut whole, 6, if check == 0 { 0xffff } else { check });
    let path = Path {
        dont_fragment: false,
        ..*path
    };
    let last = whole.len().saturating_sub(1) / PART;
    let parts = whole.chunks(PART).enumerate();
    parts
        .map(|(index, part)| {
            let mut out = Vec::with_capacity(ETH_LEN + MTU);
            let more = if index < last { 0x2000 } else { 0 };
            network(
                &mut out,
                &path,
                proto::UDP,
                part.len(),
                more | (index * PART / 8) as u16,
            );
            out.extend_from_slice(part);
            pad(&mut out);
            out
        })
        .collect()
}

/// An ICMP or ICMPv6 message (by the family of the path): type, code, the second word, the rest.
pub(super) fn icmp(out: &mut Vec<u8>, path: &Path, kind: u8, code: u8, word: u32, body: &[u8]) {
    let protocol = if path.src.is_ipv4() {
        proto::ICMP
    } else {
        proto::ICMPV6
    };
    network(out, path, protocol, 8 + body.len(), 0);
    let start = out.len();
    out.extend_from_slice(&[kind, code, 0, 0]);
    out.extend_from_slice(&word.to_be_bytes());
    out.extend_from_slice(body);
    seal(out, path, protocol, start, 2);
}

/// What an ICMP error quotes: the IP header and the first bytes behind it (RFC 1812 section 4.3.2.3).
pub(super) fn quote(frame: &[u8]) -> &[u8] {
    let packet = frame.get(ETH_LEN..).unwrap_or_default();
    // Without the padding of short frames: an error quotes the packet, not the frame.
    let len = match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet.get(2..4).map_or(0, be16),
        _ => 40 + packet.get(4..6).map_or(0, be16),
    };
    let packet = packet.get(..len).unwrap_or(packet);
    packet.get(..548).unwrap_or(packet)
}

fn be16(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}

/// An ARP message (RFC 826): 1 asks, 2 answers.
pub(super) fn arp(
    out: &mut Vec<u8>,
    operation: u8,
    dst_mac: Mac,
    sender: (Mac, Ipv4Addr),
    target: (Mac, Ipv4Addr),
) {
    ethernet(out, sender.0, dst_mac, ETH_ARP);
    out.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
    for (mac, address) in [sender, target] {
        out.extend_from_slice(&mac);
        out.extend_from_slice(&address.octets());
    }
    pad(out);
}

/// The Ethernet address of an IP group; `None` for other addresses.
pub(super) fn group_mac(address: IpAddr) -> Option<Mac> {
    match address {
        IpAddr::V4(address) => {
            let [_, b, c, d] = address.octets();
            if address.is_broadcast() {
                Some([0xff; 6])
            } else {
                address.is_multicast().then_some([1, 0, 0x5e, b & 0x7f, c, d])
            }
        }
        IpAddr::V6(address) => {
            let bytes = address.octets();
            let last = [bytes[12], bytes[13], bytes[14], bytes[15]];
            address
                .is_multicast()
                .then_some([0x33, 0x33, last[0], last[1], last[2], last[3]])
        }
    }
}
