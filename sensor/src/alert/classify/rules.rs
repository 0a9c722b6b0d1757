//! The rules: which counts make which behaviour. Every number is a named constant with its reason; a rule must never
//! fire on counts that this host reaches in ordinary traffic.

use crate::features::{Family, HostColumn, HostFacts, RowKind, WindowRows};

use super::around::{Around, Surroundings};
use super::{Behaviour, Finding, Flagged, UsualHigh};

/// A scan touches at least this many ports or hosts in a window.
const SCAN_SPREAD: u64 = 15;
/// Guessing passwords takes at least this many connections to one service in a window.
const BRUTE_ATTEMPTS: u64 = 10;
/// On a service that is not known to ask for one: at least this many. Browsers open as many to a web server.
const BRUTE_ATTEMPTS_ANYWHERE: u64 = 20;
const WEB_PORTS: [u16; 4] = [80, 443, 8080, 8443];
/// An upload is worth a word from here on, in bytes of a window, and if that many times as much goes out as comes back.
const UPLOAD_BYTES: u64 = 1_000_000;
const UPLOAD_SHARE: u64 = 4;
/// And in all cases at least this many times the usual upper end.
const OVER_USUAL: f32 = 2.0;
/// Services that ask for a password: FTP, SSH, Telnet, SMTP, POP3, IMAP, LDAP, SMB, databases, RDP, VNC, `WinRM`.
pub(super) const LOGIN_PORTS: [u16; 20] = [
    21, 22, 23, 25, 110, 143, 389, 445, 465, 587, 993, 995, 1433, 2222, 3306, 3389, 5432, 5900, 5985, 6379,
];
/// Protocols whose answers are flows of their own.
pub(super) const ICMP: u8 = 1;
pub(super) const ICMP_V6: u8 = 58;

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
        is_local(self.rows, host)
    }

    pub(super) fn unusual(&self, count: u64, column: HostColumn) -> bool {
        count as f32 > OVER_USUAL * (self.usual_high)(column)
    }

    /// The behaviour with evidence, if there is one: what the host does, then what is done to it.
    pub(super) fn specific(&self, flagged: &Flagged) -> Option<Finding> {
        let facts = self.facts(&flagged.host);
        let around = self.surroundings.get(&flagged.host)?;
        self.flood(flagged, &flagged.host, &facts, around)
            .or_else(|| self.outbound(flagged, &flagged.host, &facts))
            .or_else(|| self.upload(flagged, &facts, around))
            .or_else(|| self.done_by_peer(flagged, around))
    }

    /// Much more sent to one host outside than this host sends at other times.
    fn upload(&self, flagged: &Flagged, facts: &HostFacts, around: &Around) -> Option<Finding> {
        let side = &around.outbound;
        let [sent, back] = side.outside_bytes;
        let peer = side.outside_peer;
        let leaves = peer.count >= UPLOAD_BYTES
            && 2 * peer.count > sent
            && sent >= UPLOAD_SHARE * back
            && self.unusual(sent, HostColumn::BytesOut);
        leaves.then(|| {
            let to_peer = |row: &&usize| {
                let key = self.rows.flow.keys.get(**row);
                key.is_some_and(|key| key.responder == peer.value)
            };
            let flows: Vec<usize> = side.sample.iter().filter(to_peer).copied().collect();
            let key = flows.first().and_then(|row| self.rows.flow.keys.get(*row));
            Finding {
                behaviour: Behaviour::Exfiltration,
                subject: flagged.host,
                actor: Some(flagged.host),
                sources: 0,
                targets: vec![peer.value],
                target_count: 1,
                service: key.map_or((0, 0), |key| (key.proto, key.service_port)),
                count: peer.count,
                packets: facts.packets_out + facts.packets_in,
                bytes: facts.bytes_out + facts.bytes_in,
                strongest: *flagged,
                hosts: 1,
                flows,
            }
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
        let guesses = if LOGIN_PORTS.contains(&facts.top_target_port) {
            BRUTE_ATTEMPTS
        } else {
            BRUTE_ATTEMPTS_ANYWHERE
        };
        let brute = facts.top_target_flows >= guesses
            && facts.top_target_proto == 6
            && !WEB_PORTS.contains(&facts.top_target_port)
            // What nobody answers guesses nothing.
            && 2 * facts.unanswered < facts.flows_opened
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

/// Whether the host has a row as a local one.
pub fn is_local(rows: &WindowRows, host: &[u8; 16]) -> bool {
    let keys = &rows.host.keys;
    let index = keys.binary_search_by(|key| key.initiator.cmp(host));
    let key = index.ok().and_then(|index| keys.get(index));
    key.is_some_and(|key| key.family == Family::Local)
}
