//! Which behaviour the evidence of one window shows, and which flagged hosts are one story. Names rest on counts that
//! an operator can check, not on the model; the model only says that something is unusual. It must never turn the many
//! sources of a spoofed flood into many findings.

mod around;

use crate::features::{HostColumn, HostFacts, RowKind, WindowRows};

use self::around::{Around, Surroundings};
use super::Behaviour;

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
/// Targets named in a finding at most.
pub const MAX_TARGETS: usize = 64;
/// Findings with a behaviour, and findings without, in one window at most.
pub const MAX_FINDINGS: usize = 64;

/// A host whose strongest row in this window is over the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flagged {
    /// The host: initiator of the flow, or host of the host row.
    pub host: [u8; 16],
    /// How many times the threshold of its kind its strongest row is.
    pub over: f32,
    /// Score of that row.
    pub score: f32,
    /// p-value of the host in this window.
    pub p_value: f64,
    /// Kind of that row.
    pub kind: RowKind,
    /// Index of that row.
    pub row: usize,
}

/// One story in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it looks like; [`Behaviour::Unclassified`] until the reasons are known.
    pub behaviour: Behaviour,
    /// The address by which incidents are grouped: the actor, or the victim of a flood.
    pub subject: [u8; 16],
    /// Who does it; the victim if the sources are many.
    pub actor: [u8; 16],
    /// To whom, at most [`MAX_TARGETS`], ascending.
    pub targets: Vec<[u8; 16]>,
    /// To how many.
    pub target_count: u64,
    /// Protocol and port mostly concerned.
    pub service: (u8, u16),
    /// Ports, hosts, attempts or packets, as the behaviour counts them.
    pub count: u64,
    /// Packets of the subject in this window.
    pub packets: u64,
    /// Bytes of the subject in this window.
    pub bytes: u64,
    /// The flagged host whose row explains the finding best.
    pub strongest: Flagged,
    /// Flagged hosts that are part of it.
    pub hosts: u64,
    /// Flow rows of the subject, a bounded sample.
    pub flows: Vec<usize>,
}

/// Upper end of the usual range of a host feature.
pub type UsualHigh<'a> = &'a dyn Fn(HostColumn) -> f32;

/// The findings of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Behaviours with evidence, then hosts that are only unusual; strongest first in both.
    pub list: Vec<Finding>,
    /// Flagged hosts that are part of another host's finding.
    pub absorbed: u64,
    /// Flagged hosts left out because there were [`MAX_FINDINGS`] of their sort.
    pub over_limit: u64,
}

/// Turns the flagged hosts of a window into findings.
pub fn classify(rows: &WindowRows, flagged: &[Flagged], usual_high: UsualHigh<'_>) -> Findings {
    let mut found = Findings::default();
    if flagged.is_empty() {
        return found;
    }
    let mut order: Vec<&Flagged> = flagged.iter().collect();
    order.sort_by(|a, b| b.over.total_cmp(&a.over).then(a.host.cmp(&b.host)));
    let scene = Scene {
        rows,
        surroundings: Surroundings::of(&rows.flow, flagged),
        usual_high,
    };
    let mut weak = Vec::new();
    for host in order {
        match scene.specific(host) {
            Some(finding) => merge(&mut found, finding),
            None => weak.push(host),
        }
    }
    let named = found.list.len();
    for host in weak {
        let around = scene.surroundings.get(&host.host);
        let part_of = found
            .list
            .iter_mut()
            .take(named)
            .find(|finding| involves(finding, host, around, rows));
        if let Some(finding) = part_of {
            finding.hosts += 1;
            found.absorbed += 1;
        } else if found.list.len() < named + MAX_FINDINGS {
            found.list.push(scene.unnamed(host));
        } else {
            found.over_limit += 1;
        }
    }
    found
}

/// Adds a finding to the one of the same subject and behaviour, if there is one.
fn merge(found: &mut Findings, new: Finding) {
    let same = |held: &&mut Finding| held.subject == new.subject && held.behaviour == new.behaviour;
    let Some(held) = found.list.iter_mut().find(same) else {
        if found.list.len() < MAX_FINDINGS {
            found.list.push(new);
        } else {
            found.over_limit += 1;
        }
        return;
    };
    held.hosts += 1;
    found.absorbed += 1;
    // The subject's own row explains best; victims and sources follow.
    if new.strongest.host == held.subject && held.strongest.host != held.subject {
        held.strongest = new.strongest;
    }
}

/// Whether a flagged host without a behaviour of its own is a side effect of a finding.
fn involves(finding: &Finding, host: &Flagged, around: Option<&Around>, rows: &WindowRows) -> bool {
    let part =
        |address: &[u8; 16]| finding.actor == *address || finding.targets.binary_search(address).is_ok();
    // A flow row carries what its other end went through: an ordinary client of a scanned server stands out by that.
    let key = if host.kind == RowKind::Flow {
        rows.flow.keys.get(host.row)
    } else {
        None
    };
    part(&host.host)
        || key.is_some_and(|key| part(&key.responder))
        || around.is_some_and(|around| {
            [&around.outbound, &around.inbound]
                .into_iter()
                .any(|side| side.flows > 0 && part(&side.peer.value))
        })
}

struct Scene<'a> {
    rows: &'a WindowRows,
    surroundings: Surroundings,
    usual_high: UsualHigh<'a>,
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

    fn unusual(&self, count: u64, column: HostColumn) -> bool {
        count as f32 > OVER_USUAL * (self.usual_high)(column)
    }

    /// The behaviour with evidence, if there is one: what the host does, then what is done to it.
    fn specific(&self, flagged: &Flagged) -> Option<Finding> {
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
        // One source that sent nearly all of it is named; many sources are most likely forged.
        let single = facts.overflow_packets == 0 && 10 * inbound.peer.count >= 9 * inbound.flows;
        Some(Finding {
            behaviour,
            subject: *victim,
            actor: if single { inbound.peer.value } else { *victim },
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
        // Many answered contacts on one port are a busy client; scans fail, or go to strangers.
        let horizontal = facts.top_port_peers >= SCAN_SPREAD
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
            actor: *actor,
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
        if outbound.flows >= FLOOD_ATTEMPTS && 5 * outbound.peer.count >= 4 * outbound.flows {
            let victim = outbound.peer.value;
            let around = self.surroundings.get(&victim)?;
            return self.flood(flagged, &victim, &self.facts(&victim), around);
        }
        None
    }

    /// A flagged host without a specific behaviour.
    fn unnamed(&self, flagged: &Flagged) -> Finding {
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
            actor: flagged.host,
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

/// Names an unclassified finding by the feature that carries most of its score.
pub fn name_by_reason(feature: &str) -> Behaviour {
    match feature {
        "new_peers" | "new_peers_10m" | "new_peers_1h" | "peer_familiarity" => Behaviour::NewPeer,
        "new_services" | "new_services_10m" | "new_services_1h" | "service_familiarity" => {
            Behaviour::NewService
        }
        "bytes_out"
        | "bytes_in"
        | "bytes_out_1h"
        | "packets_out"
        | "packets_in"
        | "packet_rate"
        | "initiator_bytes_out" => Behaviour::VolumeSurge,
        _ => Behaviour::Unclassified,
    }
}
