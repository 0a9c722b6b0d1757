//! What counts as a flood at a host. It must never name a sender that did not send most of it: sources of floods are as
//! likely forged as not.

use crate::features::{HostColumn, HostFacts};

use super::around::Around;
use super::rules::{ICMP, ICMP_V6, Scene};
use super::{Behaviour, Finding, Flagged};

/// A SYN flood leaves at least this many connections half open in a window.
const FLOOD_ATTEMPTS: u64 = 50;
/// A UDP flood sends at least this many packets in a window.
const FLOOD_PACKETS: u64 = 1000;
/// Fewer are one if they come from many sources at once: its first window may hold only its beginning.
const FLOOD_SOURCES: u64 = 100;
const FLOOD_PACKETS_OF_MANY: u64 = 200;
/// UDP services known to amplify (CISA alert TA14-017A): chargen, DNS, TFTP, portmap, NTP, `NetBIOS`, SNMP, CLDAP, RIP,
/// SSDP, WS-Discovery, `CoAP`, memcached.
const AMPLIFIER_PORTS: [u16; 13] = [19, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 3702, 5683, 11211];

impl Scene<'_> {
    /// Floods at `victim`.
    pub(super) fn flood(
        &self,
        flagged: &Flagged,
        victim: &[u8; 16],
        facts: &HostFacts,
        around: &Around,
    ) -> Option<Finding> {
        let inbound = &around.inbound;
        let over = |proto: u8| {
            if facts.overflow_proto == proto {
                facts.overflow_packets
            } else {
                0
            }
        };
        let sources = facts.sources.max(inbound.peers_at_least()) + facts.overflow_sources;
        let half_open = inbound.half_open + over(6);
        let concentrated = 2 * inbound.service.count + over(6) >= inbound.flows || sources >= 100;
        let syn = half_open >= FLOOD_ATTEMPTS
            && 2 * half_open >= inbound.flows
            && concentrated
            && self.unusual(half_open, HostColumn::FlowsAccepted);
        let datagrams = inbound.udp_packets + over(17);
        let enough = if sources >= FLOOD_SOURCES {
            FLOOD_PACKETS_OF_MANY
        } else {
            FLOOD_PACKETS
        };
        let udp = datagrams >= enough && self.unusual(datagrams, HostColumn::PacketsIn);
        let pings = inbound.icmp_packets + over(ICMP) + over(ICMP_V6);
        let icmp = pings >= enough && self.unusual(pings, HostColumn::PacketsIn);
        let overflowed = facts.overflow_packets > inbound.packets;
        let service = if overflowed {
            (facts.overflow_proto, facts.overflow_port)
        } else {
            inbound.service.value
        };
        let (behaviour, count, service) = if syn {
            (Behaviour::SynFlood, half_open, service)
        } else if udp && inbound.peer_port.count > 0 && AMPLIFIER_PORTS.contains(&inbound.peer_port.value) {
            (Behaviour::Amplification, datagrams, (17, inbound.peer_port.value))
        } else if udp {
            (Behaviour::UdpFlood, datagrams, service)
        } else if icmp {
            (Behaviour::IcmpFlood, pings, (ICMP, 0))
        } else {
            return None;
        };
        // A source that sent most of it is named; otherwise they are many, and as likely forged as not.
        let (sender, all) = match behaviour {
            Behaviour::SynFlood => (&inbound.peer, inbound.flows + facts.overflow_packets),
            Behaviour::IcmpFlood => (&inbound.icmp_sender, pings),
            _ => (&inbound.udp_sender, datagrams),
        };
        let actor = (2 * sender.count > all).then_some(sender.value);
        Some(Finding {
            behaviour,
            subject: *victim,
            actor,
            sources,
            targets: vec![*victim],
            target_count: 1,
            service,
            count,
            packets: facts.packets_in.max(inbound.packets),
            bytes: facts.bytes_in.max(inbound.bytes),
            strongest: *flagged,
            hosts: 1,
            flows: inbound.sample.clone(),
        })
    }
}
