//! The rules: which counts make which behaviour. Every number is a named constant with its reason; a rule must never
//! fire on counts that this host reaches in ordinary traffic.

use crate::features::{Family, HostColumn, HostFacts, RowKind, WindowRows};

use super::around::{Around, Surroundings};
use super::{Behaviour, Finding, Flagged, UsualHigh};

/// A scan touches at least this many ports or hosts in a window.
const SCAN_SPREAD: u64 = 15;
/// A SYN flood leaves at least this many connections half open in a window.
const FLOOD_ATTEMPTS: u64 = 50;
/// A UDP flood sends at least this many packets in a window.
const FLOOD_PACKETS: u64 = 1000;
/// Guessing passwords takes at least this many connections to one service in a window.
const BRUTE_ATTEMPTS: u64 = 10;
/// And in all cases at least this many times the usual upper end.
const OVER_USUAL: f32 = 2.0;
/// Services that ask for a password: FTP, SSH, Telnet, SMTP, POP3, IMAP, LDAP, SMB, databases, RDP, VNC, `WinRM`.
const LOGIN_PORTS: [u16; 20] = [
    21, 22, 23, 25, 110, 143, 389, 445, 465, 587, 993, 995, 1433, 2222, 3306, 3389, 5432, 5900, 5985, 6379,
];
/// UDP services known to amplify (CISA alert TA14-017A): chargen, DNS, TFTP, portmap, NTP, `NetBIOS`, SNMP, CLDAP, RIP,
/// SSDP, WS-Discovery, `CoAP`, memcached.
const AMPLIFIER_PORTS: [u16; 13] = [19, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 3702, 5683, 11211];
/// Protocols whose answers are flows of their own.
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

/// A window with what surrounds its flagged hosts.
pub(super) struct Scene<'a> {
    pub(super) rows: &'a WindowRows,
    pub(super) surroundings: Surroundings,
    pub(super) usual_high: UsualHigh<'a>,
}

impl Scene<'_> {
    fn facts(&self, host: &[u8; 16]) -> HostFacts {
        let index = self
            .rows
            .host
            .keys
            .binary_search_by(|key| key.initiator.cmp(host));
        index
            .ok()
            .and_then(|index| self.rows.host_facts.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// Whether the host is in a local network.
    pub(super) fn is_local(&self, host: &[u8; 16]) -> bool {
        let index = self
            .rows
            .host
            .keys
            .binary_search_by(|key| key.initiator.cmp(host));
        index
            .ok()
            .and_then(|index| self.rows.host.keys.get(index))
            .is_some_and(|key| key.family == Family::Local)
    }

    fn unusual(&self, count: u64, column: HostColumn) -> bool {
        count as f32 > OVER_USUAL * (self.usual_high)(column)
    }

    /// The behaviour with evidence, if there is one: what the host does, then what is done to it.
    pub(super) fn specific(&self, flagged: &Flagged) -> Option<Finding> {
        let facts = self.facts(&flagged.host);
        let around = self.surroundings.get(&flagged.host)?;
        self.flood(flagged, &flagged.host, &facts, around)
            .or_else(|| self.outbound(flagged, &flagged.host, &facts))
            .or_else(|| self.done_by_peer(flagged, around))
    }

    /// Floods at `victim`.
    fn flood(
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
        let udp = datagrams >= FLOOD_PACKETS && self.unusual(datagrams, HostColumn::PacketsIn);
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
        } else {
            return None;
        };
        // A source that sent most of it is named; otherwise they are many, and as likely forged as not.
        let (sender, all) = if behaviour == Behaviour::SynFlood {
            (&inbound.peer, inbound.flows + facts.overflow_packets)
        } else {
            (&inbound.udp_sender, datagrams)
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

    /// What `actor` does to others.
    fn outbound(&self, flagged: &Flagged, actor: &[u8; 16], facts: &HostFacts) -> Option<Finding> {
        let failed = facts.unanswered + facts.resets_received;
        let vertical = facts.top_peer_ports >= SCAN_SPREAD
            && self.unusual(facts.top_peer_ports, HostColumn::PortsOnTopPeer);
        // Errors that a flooded host sends back to its many sources are no scan of them.
        let replying = matches!(facts.top_port_proto, ICMP | ICMP_V6)
            && 2 * (facts.sources + facts.overflow_sources) >= facts.top_port_peers;
        // Many answered contacts on one port are a busy client; scans fail, or go to strangers.
        let horizontal = facts.top_port_peers >= SCAN_SPREAD
            && !replying
            && self.unusual(facts.top_port_peers, HostColumn::PeersOnTopService)
            && (5 * failed >= facts.flows_opened || 2 * facts.new_peers >= facts.top_port_peers);
        let arp = facts.arp_targets >= SCAN_SPREAD && self.unusual(facts.arp_targets, HostColumn::ArpTargets);
        let brute = facts.top_target_flows >= BRUTE_ATTEMPTS
            && facts.top_target_proto == 6
            && LOGIN_PORTS.contains(&facts.top_target_port)
            && self.unusual(facts.top_target_flows, HostColumn::AttemptsOnTopTarget);
        let top_target = (facts.top_target_proto, facts.top_target_port);
        let (behaviour, target, target_count, service, count) =
            if vertical && (!horizontal || facts.top_peer_ports >= facts.top_port_peers) {
                let service = (facts.top_port_proto, facts.top_port);
                (
                    Behaviour::VerticalScan,
                    Some(facts.top_peer),
                    1,
                    service,
                    facts.top_peer_ports,
                )
            } else if horizontal {
                let service = (facts.top_port_proto, facts.top_port);
                (
                    Behaviour::HorizontalScan,
                    None,
                    facts.top_port_peers,
                    service,
                    facts.top_port_peers,
                )
            } else if brute {
                (
                    Behaviour::BruteForce,
                    Some(facts.top_target),
                    1,
                    top_target,
                    facts.top_target_flows,
                )
            } else if arp {
                (
                    Behaviour::ArpScan,
                    None,
                    facts.arp_targets,
                    (0, 0),
                    facts.arp_targets,
                )
            } else {
                return None;
            };
        let around = self.surroundings.get(actor);
        let targets = match target {
            Some(target) => vec![target],
            None => around
                .map(|around| around.outbound.targets.iter().copied().collect())
                .unwrap_or_default(),
        };
        Some(Finding {
            behaviour,
            subject: *actor,
            actor: Some(*actor),
            sources: 0,
            targets,
            target_count,
            service,
            count,
            packets: facts.packets_out + facts.packets_in,
            bytes: facts.bytes_out + facts.bytes_in,
            strongest: *flagged,
            hosts: 1,
            flows: around
                .map(|around| around.outbound.sample.clone())
                .unwrap_or_default(),
        })
    }

    /// A host is flagged for what one peer does to it, or for taking part in a flood.
    fn done_by_peer(&self, flagged: &Flagged, around: &Around) -> Option<Finding> {
        let (inbound, outbound) = (&around.inbound, &around.outbound);
        if inbound.flows >= BRUTE_ATTEMPTS && 5 * inbound.peer.count >= 4 * inbound.flows {
            let actor = inbound.peer.value;
            if let Some(finding) = self.outbound(flagged, &actor, &self.facts(&actor)) {
                return Some(finding);
            }
        }
        if 5 * outbound.peer.count >= 4 * outbound.flows {
            let victim = outbound.peer.value;
            let around = self.surroundings.get(&victim)?;
            return self.flood(flagged, &victim, &self.facts(&victim), around);
        }
        None
    }

    /// A flagged host without a specific behaviour.
    pub(super) fn unnamed(&self, flagged: &Flagged) -> Finding {
        let facts = self.facts(&flagged.host);
        let around = self.surroundings.get(&flagged.host);
        let outbound = around.map(|around| &around.outbound);
        let key = match flagged.kind {
            RowKind::Flow => self.rows.flow.keys.get(flagged.row),
            RowKind::Host => None,
        };
        let mut targets: Vec<_> = outbound
            .map(|side| side.targets.iter().copied().collect())
            .unwrap_or_default();
        let mut flows = outbound.map(|side| side.sample.clone()).unwrap_or_default();
        let mut service = (facts.top_port_proto, facts.top_port);
        let mut target_count = facts.peers.max(targets.len() as u64);
        // A strong flow speaks of its own peer and service.
        if let Some(key) = key {
            (targets, target_count) = (vec![key.responder], 1);
            (flows, service) = (vec![flagged.row], (key.proto, key.service_port));
        }
        Finding {
            behaviour: Behaviour::Unclassified,
            subject: flagged.host,
            actor: Some(flagged.host),
            sources: 0,
            targets,
            target_count,
            service,
            count: facts.flows_opened,
            packets: facts.packets_out + facts.packets_in,
            bytes: facts.bytes_out + facts.bytes_in,
            strongest: *flagged,
            hosts: 1,
            flows,
        }
    }
}
