//! Who contacted whom on what: exact counts of distinct peers, ports and sources by sorting the window's flows. Memory is
//! a few words per flow, whatever the traffic, and the result does not depend on any order.

use sensor_common::flow::{ARP_REQUEST, NET_ARP};

use super::{
    HostFacts,
    contacts::{Contacts, Rhythm},
    familiar::{Familiar, familiarity},
    hosts::{Hosts, ICMP, ICMP_V6, NO_ENTRY, is_housekeeping},
    keyed::Keyed,
    offers::Offers,
};
use crate::window::Flow;

/// What the learned history says of one flow; NaN where it says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowContext {
    pub(super) peer_familiarity: f32,
    pub(super) service_familiarity: f32,
    pub(super) offer_familiarity: f32,
    pub(super) regularity: f32,
    pub(super) target_attempts: f32,
    pub(super) target_attempts_10m: f32,
    pub(super) target_bytes_out_10m: f32,
}

/// One flow as an edge: three numbers and the flow's index, packed so that sorting is comparing integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge(u128);

impl Edge {
    fn new(first: u32, second: u32, third: u32, flow: usize) -> Self {
        let high = u128::from(first) << 96 | u128::from(second) << 64;
        Self(high | u128::from(third) << 32 | flow as u128)
    }

    fn first(self) -> u32 {
        (self.0 >> 96) as u32
    }

    fn second(self) -> u32 {
        (self.0 >> 64) as u32
    }

    fn third(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn flow(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Protocol and responder's port as one number; ICMP types are not ports.
pub(super) fn service(flow: &Flow) -> u32 {
    let port = match flow.key.proto {
        ICMP | ICMP_V6 => 0,
        _ => flow.responder_endpoint().1,
    };
    u32::from(flow.key.proto) << 16 | u32::from(port)
}

/// The learned history and the scratch space of [`Self::walk`].
#[derive(Debug)]
pub(super) struct Graph {
    keyed: Keyed,
    peers: Familiar,
    services: Familiar,
    offers: Offers,
    contacts: Contacts,
    window_ns: u64,
    edges: Vec<Edge>,
    pairs: Vec<u64>,
    pub(super) context: Vec<FlowContext>,
}

impl Graph {
    /// An empty history sized for `max_hosts` hosts: 336 bytes each.
    pub(super) fn new(max_hosts: usize, window_ns: u64, keyed: Keyed) -> Self {
        Self {
            offers: Offers::new(max_hosts.saturating_mul(2), window_ns, keyed.clone()),
            keyed,
            peers: Familiar::new(max_hosts.saturating_mul(8), window_ns),
            services: Familiar::new(max_hosts.saturating_mul(2), window_ns),
            contacts: Contacts::new(max_hosts.saturating_mul(4), window_ns),
            window_ns,
            edges: Vec::new(),
            pairs: Vec::new(),
            context: Vec::new(),
        }
    }

    /// Counts distinct peers, services and sources into `hosts`, learns who talks to whom, and leaves the history of
    /// each flow in `context`. `learned` says that the history is old enough to call something new.
    pub(super) fn walk(&mut self, flows: &[Flow], hosts: &mut Hosts, now: u32, learned: bool) {
        let unknown = FlowContext {
            peer_familiarity: f32::NAN,
            service_familiarity: f32::NAN,
            offer_familiarity: f32::NAN,
            regularity: f32::NAN,
            target_attempts: f32::NAN,
            target_attempts_10m: f32::NAN,
            target_bytes_out_10m: f32::NAN,
        };
        self.context.clear();
        self.context.resize(flows.len(), unknown);
        self.by_peer(flows, hosts, now, learned);
        self.by_service(flows, hosts, now, learned);
        self.by_responder(flows, hosts);
        self.arp_targets(flows, hosts);
        self.edges.shrink_to(flows.len() * 2);
        self.pairs.shrink_to(flows.len() * 2);
    }

    fn by_peer(&mut self, flows: &[Flow], hosts: &mut Hosts, now: u32, learned: bool) {
        self.edges.clear();
        self.edges.extend(
            known_edges(flows, &hosts.ends).map(|(index, flow, [initiator, responder])| {
                Edge::new(initiator, responder, service(flow), index)
            }),
        );
        self.edges.sort_unstable();
        for of_initiator in self.edges.chunk_by(|a, b| a.first() == b.first()) {
            let Some(flow) = flows.get(of_initiator[0].flow()) else {
                continue;
            };
            let initiator_hash = self.keyed.address(&flow.initiator_endpoint().0);
            let mut facts = hosts
                .get(of_initiator[0].first())
                .map(|host| host.facts)
                .unwrap_or_default();
            let mut best = None;
            for of_pair in of_initiator.chunk_by(|a, b| a.second() == b.second()) {
                let Some(flow) = flows.get(of_pair[0].flow()) else {
                    continue;
                };
                let (peer, _) = flow.responder_endpoint();
                let pair_hash = self.keyed.pair(initiator_hash, self.keyed.address(&peer));
                let known = self.peers.touch(pair_hash, now);
                let mut ports = 0;
                for of_target in of_pair.chunk_by(|a, b| a.third() == b.third()) {
                    let opened = count_opened(of_target, flows);
                    let service = of_target[0].third();
                    let contact_ns = contact_ns(of_target, flows, self.window_ns);
                    let hash = self.keyed.pair(pair_hash, service.into());
                    let bytes_out = sum_bytes_out(of_target, flows);
                    let contact = self.contacts.touch(hash, contact_ns, [opened, bytes_out], now);
                    let rhythm = contact.rhythm;
                    let regularity = rhythm.map_or(f32::NAN, |rhythm| rhythm.regularity);
                    for edge in of_target {
                        if let Some(context) = self.context.get_mut(edge.flow()) {
                            context.regularity = regularity;
                            context.target_attempts = opened as f32;
                            context.target_attempts_10m = contact.opened_per_window;
                            context.target_bytes_out_10m = contact.bytes_per_window;
                            context.peer_familiarity = if learned { familiarity(known) } else { f32::NAN };
                        }
                    }
                    if let (Some(rhythm), Some(_)) = (rhythm, contact_ns)
                        && best.is_none_or(|best: Rhythm| rhythm.regularity > best.regularity)
                    {
                        best = Some(rhythm);
                        note_beacon(&mut facts, rhythm, peer, service);
                    }
                    ports += u64::from(opened > 0);
                    if opened > facts.top_target_flows {
                        facts.top_target_flows = opened;
                        facts.top_target = peer;
                        facts.top_target_port = service as u16;
                        facts.top_target_proto = (service >> 16) as u8;
                    }
                }
                facts.peers += u64::from(ports > 0);
                facts.new_peers += u64::from(ports > 0 && learned && known <= 0.0);
                if ports > facts.top_peer_ports {
                    (facts.top_peer, facts.top_peer_ports) = (peer, ports);
                }
            }
            if let Some(host) = hosts.get_mut(of_initiator[0].first()) {
                host.facts = facts;
                host.regularity = best.map_or(f32::NAN, |best: Rhythm| best.regularity);
            }
        }
    }

    fn by_service(&mut self, flows: &[Flow], hosts: &mut Hosts, now: u32, learned: bool) {
        self.edges.clear();
        self.edges.extend(
            known_edges(flows, &hosts.ends).map(|(index, flow, [initiator, responder])| {
                Edge::new(initiator, service(flow), responder, index)
            }),
        );
        self.edges.sort_unstable();
        for of_initiator in self.edges.chunk_by(|a, b| a.first() == b.first()) {
            let Some(flow) = flows.get(of_initiator[0].flow()) else {
                continue;
            };
            let initiator_hash = self.keyed.address(&flow.initiator_endpoint().0);
            let mut facts = hosts
                .get(of_initiator[0].first())
                .map(|host| host.facts)
                .unwrap_or_default();
            let mut entropy = Entropy::default();
            for of_service in of_initiator.chunk_by(|a, b| a.second() == b.second()) {
                let service = of_service[0].second();
                let known = self
                    .services
                    .touch(self.keyed.pair(initiator_hash, service.into()), now);
                if learned {
                    for edge in of_service {
                        if let Some(context) = self.context.get_mut(edge.flow()) {
                            context.service_familiarity = familiarity(known);
                        }
                    }
                }
                for of_responder in of_service.chunk_by(|a, b| a.third() == b.third()) {
                    let of_responder = || of_responder.iter().map(|edge| (edge.third(), edge.flow()));
                    let known = self.offers.familiarity(of_responder(), flows, hosts, now);
                    for (_, flow) in of_responder().filter(|_| learned) {
                        if let Some(context) = self.context.get_mut(flow) {
                            context.offer_familiarity = known;
                        }
                    }
                }
                let opened = count_opened(of_service, flows);
                if opened == 0 {
                    continue;
                }
                entropy.add(opened);
                facts.ports += 1;
                facts.new_services += u64::from(learned && known <= 0.0);
                let peers = of_service
                    .chunk_by(|a, b| a.third() == b.third())
                    .filter(|of_peer| count_opened(of_peer, flows) > 0)
                    .count() as u64;
                if peers > facts.top_port_peers {
                    facts.top_port_peers = peers;
                    facts.top_port = service as u16;
                    facts.top_port_proto = (service >> 16) as u8;
                }
            }
            if let Some(host) = hosts.get_mut(of_initiator[0].first()) {
                host.facts = facts;
                host.service_entropy = entropy.bits();
            }
        }
    }

    fn by_responder(&mut self, flows: &[Flow], hosts: &mut Hosts) {
        let pack = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        self.pairs.clear();
        self.pairs
            .extend(opened(flows, &hosts.ends).map(|(_, [from, to])| pack(to, from)));
        distinct(&mut self.pairs, hosts, |host, sources| {
            host.facts.sources = sources;
        });
        self.pairs.clear();
        self.pairs
            .extend(opened(flows, &hosts.ends).map(|(flow, [_, to])| pack(to, service(flow))));
        distinct(&mut self.pairs, hosts, |host, services| {
            host.services_in = services;
        });
    }

    fn arp_targets(&mut self, flows: &[Flow], hosts: &mut Hosts) {
        self.pairs.clear();
        for (flow, ends) in flows.iter().zip(&hosts.ends) {
            if flow.key.network() != NET_ARP {
                continue;
            }
            for side in 0..2 {
                if flow.half[side].flag_counts[ARP_REQUEST] > 0 {
                    self.pairs
                        .push(u64::from(ends[side]) << 32 | u64::from(ends[1 - side]));
                }
            }
        }
        distinct(&mut self.pairs, hosts, |host, targets| {
            host.facts.arp_targets = targets;
        });
    }
}

fn note_beacon(facts: &mut HostFacts, rhythm: Rhythm, peer: [u8; 16], service: u32) {
    facts.beacon_peer = peer;
    facts.beacon_port = service as u16;
    facts.beacon_proto = (service >> 16) as u8;
    facts.beacon_regularity_permille = (rhythm.regularity * 1e3).round() as u16;
    facts.beacon_period_ms = (f64::from(rhythm.period_s) * 1e3).round() as u64;
}

/// Flows other than housekeeping with their index and the numbers of initiator and responder.
fn edges<'a>(
    flows: &'a [Flow],
    ends: &'a [[u32; 2]],
) -> impl Iterator<Item = (usize, &'a Flow, [u32; 2])> + 'a {
    let numbered = flows.iter().zip(ends).enumerate();
    numbered
        .filter(|(_, (flow, _))| !is_housekeeping(flow))
        .map(|(index, (flow, ends))| {
            let from = usize::from(flow.initiator & 1);
            (index, flow, [ends[from], ends[1 - from]])
        })
}

/// The flows whose initiator has an entry: strangers beyond the bound must not crowd the learned history.
fn known_edges<'a>(
    flows: &'a [Flow],
    ends: &'a [[u32; 2]],
) -> impl Iterator<Item = (usize, &'a Flow, [u32; 2])> + 'a {
    edges(flows, ends).filter(|(_, _, [initiator, _])| *initiator < NO_ENTRY)
}

/// Opened flows with the numbers of initiator and responder.
fn opened<'a>(flows: &'a [Flow], ends: &'a [[u32; 2]]) -> impl Iterator<Item = (&'a Flow, [u32; 2])> + 'a {
    edges(flows, ends)
        .filter(|(_, flow, _)| flow.opened())
        .map(|(_, flow, ends)| (flow, ends))
}

fn count_opened(edges: &[Edge], flows: &[Flow]) -> u64 {
    edges
        .iter()
        .filter(|edge| flows.get(edge.flow()).is_some_and(Flow::opened))
        .count() as u64
}

fn sum_bytes_out(edges: &[Edge], flows: &[Flow]) -> u64 {
    let flows = edges.iter().filter_map(|edge| flows.get(edge.flow()));
    flows.map(|flow| flow.out().bytes).sum()
}

/// The earliest time at which contact was made anew: a flow was opened, or one spoke after at least a window of silence.
fn contact_ns(edges: &[Edge], flows: &[Flow], window_ns: u64) -> Option<u64> {
    let flows = edges.iter().filter_map(|edge| flows.get(edge.flow()));
    flows
        .filter(|flow| flow.opened() || flow.first_ns.saturating_sub(flow.prior_last_ns) >= window_ns)
        .map(|flow| flow.first_ns)
        .min()
}

/// Sorts (host, thing) pairs and tells each host how many distinct things it has.
fn distinct(pairs: &mut Vec<u64>, hosts: &mut Hosts, tell: impl Fn(&mut super::hosts::HostWindow, u64)) {
    pairs.sort_unstable();
    pairs.dedup();
    for of_host in pairs.chunk_by(|a, b| a >> 32 == b >> 32) {
        let number = (of_host[0] >> 32) as u32;
        if number < NO_ENTRY
            && let Some(host) = hosts.get_mut(number)
        {
            tell(host, of_host.len() as u64);
        }
    }
}

/// Shannon entropy from counts: log2 N - (Σ c log2 c) / N.
#[derive(Clone, Copy, Debug, Default)]
struct Entropy {
    total: f64,
    weighted: f64,
}

impl Entropy {
    fn add(&mut self, count: u64) {
        let count = count as f64;
        self.total += count;
        self.weighted += count * count.log2();
    }

    /// NaN without counts.
    fn bits(self) -> f32 {
        if self.total > 0.0 {
            (self.total.log2() - self.weighted / self.total).max(0.0) as f32
        } else {
            f32::NAN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_by_hand() {
        let bits = |counts: &[u64]| {
            let mut entropy = Entropy::default();
            for &count in counts {
                entropy.add(count);
            }
            entropy.bits()
        };
        assert!(bits(&[]).is_nan());
        assert!(bits(&[9]).abs() < 1e-6);
        assert!((bits(&[1, 1, 1, 1]) - 2.0).abs() < 1e-6);
        assert!((bits(&[2, 1, 1]) - 1.5).abs() < 1e-6);
    }
}
