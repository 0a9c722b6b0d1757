//! What surrounds each flagged host in the flow rows of a window: its main peer, service and source port, half-open
//! connections, samples. Two passes over the flow rows; memory is bounded by the flagged hosts of the window, and what
//! is kept of each by constants. It must never depend on the order of a hash map.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::features::{FlowColumn, RowKey, Rows};

use super::{Flagged, MAX_TARGETS};

/// Flow rows kept per side as examples.
const MAX_SAMPLE: usize = 8;
/// Hosts followed at most because flagged hosts talk to them.
const MAX_COURTED: usize = 16;
/// Other ends of flagged hosts followed at most.
const MAX_HOSTS: usize = 1024;

/// A value that more than half of the additions (by weight) had, if there is one (Boyer and Moore 1981), with its exact
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Majority<T> {
    pub(super) value: T,
    pub(super) count: u64,
    votes: u64,
}

impl<T: Copy + PartialEq> Majority<T> {
    fn vote(&mut self, value: T) {
        self.vote_with(value, 1);
    }

    fn vote_with(&mut self, value: T, weight: u64) {
        if self.value == value {
            self.votes += weight;
        } else if self.votes >= weight {
            self.votes -= weight;
        } else {
            (self.value, self.votes) = (value, weight - self.votes);
        }
    }

    fn count(&mut self, value: T) {
        self.count_with(value, 1);
    }

    fn count_with(&mut self, value: T, weight: u64) {
        self.count += if self.value == value { weight } else { 0 };
    }
}

/// Flows of a host in one role.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) flows: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) peer: Majority<[u8; 16]>,
    pub(super) service: Majority<(u8, u16)>,
    /// Port of the peer that initiated (inbound side).
    pub(super) peer_port: Majority<u16>,
    /// TCP flows whose initiator sent a SYN and at most one packet more.
    pub(super) half_open: u64,
    /// Packets that initiators sent in UDP flows.
    pub(super) udp_packets: u64,
    /// Who sent most of those, by packets.
    pub(super) udp_sender: Majority<[u8; 16]>,
    /// Packets that initiators sent in ICMP flows, and who sent most of them.
    pub(super) icmp_packets: u64,
    pub(super) icmp_sender: Majority<[u8; 16]>,
    /// Bytes that initiators sent out of the local networks and got back, and to whom most of them went.
    pub(super) outside_bytes: [u64; 2],
    pub(super) outside_peer: Majority<[u8; 16]>,
    /// The first peers in flow order, a bounded set.
    pub(super) targets: BTreeSet<[u8; 16]>,
    /// The first flow rows.
    pub(super) sample: Vec<usize>,
}

impl Side {
    /// A lower bound of the distinct peers.
    pub(super) fn peers_at_least(&self) -> u64 {
        self.targets.len() as u64
    }
}

/// Both roles of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub(super) outbound: Side,
    pub(super) inbound: Side,
}

/// Surroundings of all flagged hosts and of those they mostly talk to.
pub(super) struct Surroundings {
    hosts: HashMap<[u8; 16], Around, foldhash::fast::FixedState>,
}

impl Surroundings {
    pub(super) fn of(flow: &Rows, flagged: &[Flagged]) -> Self {
        let mut hosts = HashMap::with_hasher(foldhash::fast::FixedState::default());
        for host in flagged {
            hosts.insert(host.host, Around::default());
        }
        // Those whom most flagged hosts talk to: the sources of a flood lead to its victim.
        let mut courted: HashMap<[u8; 16], u64, _> =
            HashMap::with_hasher(foldhash::fast::FixedState::default());
        for key in flow.keys.iter().filter(|key| hosts.contains_key(&key.initiator)) {
            *courted.entry(key.responder).or_default() += 1;
        }
        let mut courted: Vec<([u8; 16], u64)> = courted.into_iter().filter(|(_, flows)| *flows > 1).collect();
        courted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        for (host, _) in courted.into_iter().take(MAX_COURTED) {
            hosts.entry(host).or_default();
        }
        // The other ends of a few too: a flagged source leads to its victim, a flagged victim to its scanner.
        if flagged.len() <= MAX_TARGETS {
            let held = |host: &[u8; 16]| flagged.iter().any(|flagged| flagged.host == *host);
            for key in &flow.keys {
                if hosts.len() >= MAX_HOSTS {
                    break;
                }
                if !hosts.contains_key(&key.responder) && held(&key.initiator) {
                    hosts.insert(key.responder, Around::default());
                }
                if !hosts.contains_key(&key.initiator) && held(&key.responder) {
                    hosts.insert(key.initiator, Around::default());
                }
            }
        }
        let mut surroundings = Self { hosts };
        surroundings.first_pass(flow);
        surroundings.second_pass(flow);
        surroundings
    }

    pub(super) fn get(&self, host: &[u8; 16]) -> Option<&Around> {
        self.hosts.get(host)
    }

    fn first_pass(&mut self, flow: &Rows) {
        for (index, key) in flow.keys.iter().enumerate() {
            let row = flow.row(index);
            let at = |column: FlowColumn| {
                row.get(column as usize)
                    .copied()
                    .filter(|v| v.is_finite())
                    .unwrap_or(0.0)
            };
            let sent = at(FlowColumn::PacketsOut);
            let half_open = key.proto == 6 && at(FlowColumn::SynPackets) >= 1.0 && sent <= 2.0;
            let service = (key.proto, key.service_port);
            let (datagrams, pings, outside) = (datagrams(key, row), pings(key, row), outside_bytes(row));
            let mut add = |host: &[u8; 16], peer: [u8; 16], inbound: bool| {
                let Some(around) = self.hosts.get_mut(host) else {
                    return;
                };
                let side = if inbound {
                    &mut around.inbound
                } else {
                    &mut around.outbound
                };
                side.flows += 1;
                side.packets += key.packets;
                side.bytes += key.bytes;
                side.peer.vote(peer);
                side.service.vote(service);
                side.peer_port.vote(key.initiator_port);
                side.half_open += u64::from(half_open);
                side.udp_packets += datagrams;
                side.udp_sender.vote_with(peer, datagrams);
                side.icmp_packets += pings;
                side.icmp_sender.vote_with(peer, pings);
                side.outside_bytes[0] += outside[0];
                side.outside_bytes[1] += outside[1];
                side.outside_peer.vote_with(peer, outside[0]);
                if side.targets.len() < MAX_TARGETS {
                    side.targets.insert(peer);
                }
                if side.sample.len() < MAX_SAMPLE {
                    side.sample.push(index);
                }
            };
            add(&key.initiator, key.responder, false);
            add(&key.responder, key.initiator, true);
        }
    }

    fn second_pass(&mut self, flow: &Rows) {
        for (index, key) in flow.keys.iter().enumerate() {
            let row = flow.row(index);
            let (datagrams, pings, outside) = (datagrams(key, row), pings(key, row), outside_bytes(row));
            let mut count = |host: &[u8; 16], peer: [u8; 16], inbound: bool| {
                let Some(around) = self.hosts.get_mut(host) else {
                    return;
                };
                let side = if inbound {
                    &mut around.inbound
                } else {
                    &mut around.outbound
                };
                side.peer.count(peer);
                side.udp_sender.count_with(peer, datagrams);
                side.icmp_sender.count_with(peer, pings);
                side.outside_peer.count_with(peer, outside[0]);
                side.service.count((key.proto, key.service_port));
                side.peer_port.count(key.initiator_port);
            };
            count(&key.initiator, key.responder, false);
            count(&key.responder, key.initiator, true);
        }
    }
}

/// Packets that the initiator sent, in UDP flows.
fn datagrams(key: &RowKey, row: &[f32]) -> u64 {
    let sent = row.get(FlowColumn::PacketsOut as usize).copied().unwrap_or(0.0);
    // NaN becomes 0.
    if key.proto == 17 { sent as u64 } else { 0 }
}

/// Packets that the initiator sent, in ICMP flows.
fn pings(key: &RowKey, row: &[f32]) -> u64 {
    let sent = row.get(FlowColumn::PacketsOut as usize).copied().unwrap_or(0.0);
    if matches!(key.proto, 1 | 58) {
        sent as u64
    } else {
        0
    }
}

/// Bytes that the initiator sent and got back, of flows that leave the local networks.
fn outside_bytes(row: &[f32]) -> [u64; 2] {
    let at = |column: FlowColumn| row.get(column as usize).copied().unwrap_or(0.0);
    if at(FlowColumn::ToOutside) > 0.5 {
        [at(FlowColumn::BytesOut) as u64, at(FlowColumn::BytesIn) as u64]
    } else {
        [0, 0]
    }
}
