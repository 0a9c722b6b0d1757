//! What a base capture shows of its network: local hosts, gateway, resolver, services, initial TTLs, time span.
//! One pass, bounded tables. It must never keep a frame.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use sensor_common::{
    flow::{NET_ARP, NET_IPV4, TUNNEL_NONE, VLAN_PRESENT},
    parse::{Frame, Start, parse},
};

use super::{
    SimulateError,
    frame::{Mac, flags, proto},
};
use crate::capture::{CapturedFrame, FrameSource};

/// The most addresses that are followed; more are counted.
const MAX_HOSTS: usize = 65_536;
/// The most services and sites that are followed.
const MAX_SERVICES: usize = 65_536;
/// The most addresses that are remembered of an Ethernet address.
const MAX_PER_MAC: usize = 16;

/// What is known of an address.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) mac: Mac,
    pub(super) packets: u64,
    pub(super) ttl: u8,
    /// TCP ports that it answered on, with SYN-ACKs sent.
    pub(super) services: BTreeMap<u16, u64>,
}

/// The result of looking through a base capture.
#[derive(Debug, Default)]
pub struct Survey {
    pub(super) hosts: BTreeMap<Ipv4Addr, Seen>,
    /// Source addresses by Ethernet address.
    pub(super) macs: BTreeMap<Mac, BTreeSet<Ipv4Addr>>,
    /// Servers of DNS and NTP by responses sent.
    pub(super) resolvers: BTreeMap<Ipv4Addr, u64>,
    pub(super) clocks: BTreeMap<Ipv4Addr, u64>,
    vlans: BTreeMap<u16, u64>,
    services: usize,
    /// Times of first and last frame, nanoseconds since the Unix epoch.
    pub(super) span_ns: Option<(u64, u64)>,
    /// Frames looked at.
    pub frames: u64,
    /// Addresses that found no place in the tables.
    pub unlisted: u64,
}

impl Survey {
    /// Looks through a capture, at most `limit_ns` of it.
    ///
    /// # Errors
    /// A frame that is not Ethernet: nothing could be mixed in.
    pub fn of(source: &mut dyn FrameSource, limit_ns: Option<u64>) -> Result<Self, SimulateError> {
        let mut survey = Self::default();
        while let Some(frame) = source.next_frame() {
            if frame.start != Start::Ethernet {
                return Err(SimulateError::NotEthernet { frame: frame.number });
            }
            let (first, last) = survey.span_ns.unwrap_or((frame.time_ns, frame.time_ns));
            if limit_ns.is_some_and(|limit| frame.time_ns > first.saturating_add(limit)) {
                break;
            }
            survey.span_ns = Some((first.min(frame.time_ns), last.max(frame.time_ns)));
            survey.frames += 1;
            survey.look_at(&frame);
        }
        Ok(survey)
    }

    fn look_at(&mut self, frame: &CapturedFrame<'_>) {
        let Ok(parsed) = parse(frame.data, &Frame::ethernet(frame.wire_len)) else {
            return;
        };
        let key = &parsed.key;
        if key.tunnel() != TUNNEL_NONE || !matches!(key.network(), NET_IPV4 | NET_ARP) {
            return;
        }
        let half = usize::from(parsed.half);
        let Some(source) = v4(key.addr[half]) else {
            return;
        };
        if source.is_unspecified() || source.is_multicast() || source.is_broadcast() {
            return;
        }
        if !self.hosts.contains_key(&source) && self.hosts.len() >= MAX_HOSTS {
            self.unlisted += 1;
            return;
        }
        *self.vlans.entry(key.vlan[0]).or_default() += 1;
        let addresses = self.macs.entry(parsed.mac).or_default();
        if addresses.len() < MAX_PER_MAC {
            addresses.insert(source);
        }
        let seen = self.hosts.entry(source).or_default();
        seen.packets += 1;
        seen.mac = parsed.mac;
        seen.ttl = seen.ttl.max(parsed.ttl);
        let port = key.port[half];
        match key.proto {
            proto::TCP
                if parsed.tcp_flags & (flags::SYN | flags::ACK) == flags::SYN | flags::ACK
                    && (self.services < MAX_SERVICES || seen.services.contains_key(&port)) =>
            {
                let count = seen.services.entry(port).or_default();
                self.services += usize::from(*count == 0);
                *count += 1;
            }
            proto::UDP if port == 53 => *self.resolvers.entry(source).or_default() += 1,
            proto::UDP if port == 123 => *self.clocks.entry(source).or_default() += 1,
            _ => {}
        }
    }

    /// The VLAN tag that most frames have, as in the frame; `None` if most have none.
    pub(super) fn vlan(&self) -> Option<u16> {
        let (vlan, _) = self.vlans.iter().max_by_key(|(_, count)| **count)?;
        (vlan & VLAN_PRESENT != 0).then_some(vlan & 0x0fff)
    }
}

fn v4(address: [u8; 16]) -> Option<Ipv4Addr> {
    Ipv6Addr::from(address).to_ipv4_mapped()
}

/// Source and destination port of a TCP frame, for rules about what is withheld.
pub(super) fn tcp_ports(frame: &CapturedFrame<'_>) -> Option<(u16, u16)> {
    let parsed = parse(frame.data, &Frame::ethernet(frame.wire_len)).ok()?;
    let (half, key) = (usize::from(parsed.half), &parsed.key);
    (key.proto == proto::TCP).then(|| (key.port[half], key.port[1 - half]))
}
