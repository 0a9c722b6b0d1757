//! Link types of captures (the numbers of the tcpdump project): where parsing begins in a frame.
//! It must never look beyond the link header.

use sensor_common::parse::{ETH_IPV4, ETH_IPV6, Start};

/// Bytes of a Linux cooked header, version 1 and 2, and of a loopback header.
const COOKED_LEN: usize = 16;
const COOKED_V2_LEN: usize = 20;
const LOOPBACK_LEN: usize = 4;
/// Not a protocol: the parser counts the frame as one whose EtherType it does not know.
const UNKNOWN_PROTOCOL: u16 = 0xffff;

/// A link type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    Ip,
    Ipv4,
    Ipv6,
    Cooked,
    CookedV2,
    Loopback,
    Unsupported,
}

impl Link {
    pub(super) const fn of(link_type: u16) -> Self {
        match link_type {
            1 => Self::Ethernet,
            // RAW has its own number; 12 and 14 are what systems call it that write their own instead.
            101 | 12 | 14 => Self::Ip,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            113 => Self::Cooked,
            276 => Self::CookedV2,
            0 | 108 => Self::Loopback,
            _ => Self::Unsupported,
        }
    }

    /// Where parsing of a frame begins. A frame that is shorter than its link header begins behind its own end, so
    /// that the parser finds it truncated.
    #[inline]
    pub(super) fn start(self, data: &[u8]) -> Start {
        match self {
            Self::Ethernet => Start::Ethernet,
            Self::Ip | Self::Unsupported => Start::Ip,
            Self::Ipv4 => behind(0, Some(ETH_IPV4)),
            Self::Ipv6 => behind(0, Some(ETH_IPV6)),
            Self::Cooked => behind(COOKED_LEN, big_endian(data, COOKED_LEN, 14)),
            Self::CookedV2 => behind(COOKED_V2_LEN, big_endian(data, COOKED_V2_LEN, 0)),
            Self::Loopback => behind(LOOPBACK_LEN, family(data)),
        }
    }
}

fn behind(offset: usize, ethertype: Option<u16>) -> Start {
    Start::EtherType {
        ethertype: ethertype.unwrap_or(ETH_IPV4),
        offset: offset as u32,
    }
}

fn big_endian(data: &[u8], header: usize, at: usize) -> Option<u16> {
    let header = data.get(..header)?;
    Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]))
}

/// The protocol of a BSD loopback frame. NULL has the address family in the byte order of the capturing host, LOOP in
/// network order; families are small numbers, so one of the two orders makes sense. IPv6 has a number of its own on
/// each system.
fn family(data: &[u8]) -> Option<u16> {
    let bytes: [u8; LOOPBACK_LEN] = data.get(..LOOPBACK_LEN)?.try_into().ok()?;
    let family = u32::from_le_bytes(bytes).min(u32::from_be_bytes(bytes));
    Some(match family {
        2 => ETH_IPV4,
        // Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 23 | 24 | 28 | 30 => ETH_IPV6,
        _ => UNKNOWN_PROTOCOL,
    })
}

/// The interface that a cooked frame of version 2 names.
pub(super) fn cooked_interface(data: &[u8]) -> u32 {
    match data.get(4..8).map(<[u8; 4]>::try_from) {
        Some(Ok(bytes)) => u32::from_be_bytes(bytes),
        _ => 0,
    }
}
