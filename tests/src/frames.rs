//! Builds the few frames that tests and attacks send by hand, with right lengths and checksums.
//!
//! Independent of the project's parser on purpose. Must never grow into a packet library: the differential tests
//! generate their frames with `etherparse`.

use std::net::Ipv4Addr;

/// Source and destination of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Source and destination MAC address.
    pub macs: ([u8; 6], [u8; 6]),
    /// Source and destination IPv4 address.
    pub addresses: (Ipv4Addr, Ipv4Addr),
    /// Source and destination port.
    pub ports: (u16, u16),
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const TTL: u8 = 64;

/// TCP SYN.
pub const SYN: u8 = 0x02;

/// An IPv4 TCP segment without payload: `flags` as on the wire ([`SYN`] for a connection attempt).
pub fn tcp_ipv4(ends: Ends, flags: u8, sequence: u32) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend(ends.ports.0.to_be_bytes());
    segment.extend(ends.ports.1.to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(0_u32.to_be_bytes());
    segment.extend([5 << 4, flags]);
    segment.extend(64_240_u16.to_be_bytes());
    segment.extend([0; 4]);
    ipv4(ends, TCP, &mut segment, 16)
}

/// An IPv4 UDP datagram.
pub fn udp_ipv4(ends: Ends, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend(ends.ports.0.to_be_bytes());
    datagram.extend(ends.ports.1.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0; 2]);
    datagram.extend(payload);
    ipv4(ends, UDP, &mut datagram, 6)
}

/// Wraps a transport segment, after writing its checksum at `checksum_offset`.
fn ipv4(ends: Ends, protocol: u8, segment: &mut [u8], checksum_offset: usize) -> Vec<u8> {
    let (source, destination) = (ends.addresses.0.octets(), ends.addresses.1.octets());
    let mut pseudo = Vec::with_capacity(12 + segment.len());
    pseudo.extend(source);
    pseudo.extend(destination);
    pseudo.extend([0, protocol]);
    pseudo.extend((segment.len() as u16).to_be_bytes());
    pseudo.extend(&*segment);
    // UDP spells a checksum of zero as all ones, because zero means that there is none.
    let sum = match checksum(&pseudo) {
        0 if protocol == UDP => 0xffff,
        sum => sum,
    };
    segment[checksum_offset..checksum_offset + 2].copy_from_slice(&sum.to_be_bytes());

    let mut header = Vec::with_capacity(20);
    header.extend([0x45, 0]);
    header.extend((20 + segment.len() as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, TTL, protocol, 0, 0]);
    header.extend(source);
    header.extend(destination);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());

    let mut frame = Vec::with_capacity(14 + header.len() + segment.len());
    frame.extend(ends.macs.1);
    frame.extend(ends.macs.0);
    frame.extend(0x0800_u16.to_be_bytes());
    frame.extend(header);
    frame.extend(&*segment);
    frame
}

/// The Internet checksum (RFC 1071) of `bytes`, in which the checksum field itself is zero.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_a_known_header() {
        // The worked example of the IPv4 header checksum in common textbooks: result 0xb861.
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
            0xa8, 0x00, 0xc7,
        ];
        assert_eq!(checksum(&header), 0xb861);
    }

    #[test]
    fn a_finished_frame_sums_to_zero_in_both_headers() {
        let ends = Ends {
            macs: ([2; 6], [4; 6]),
            addresses: (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)),
            ports: (1234, 80),
        };
        for (frame, protocol) in [(tcp_ipv4(ends, SYN, 7), TCP), (udp_ipv4(ends, b"odd"), UDP)] {
            assert_eq!(checksum(&frame[14..34]), 0);
            let mut pseudo = frame[26..34].to_vec();
            pseudo.extend([0, protocol]);
            pseudo.extend((frame.len() as u16 - 34).to_be_bytes());
            pseudo.extend(&frame[34..]);
            assert_eq!(checksum(&pseudo), 0);
        }
    }
}
