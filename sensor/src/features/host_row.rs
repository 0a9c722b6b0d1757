//! Which hosts get a row, and its values in the order of the declared table.

use bytemuck::Zeroable as _;
use sensor_common::flow::FlowKey;

use super::{
    Family, HOST_FEATURES, HostColumn, HostColumn as C, RowKey,
    flow_row::{clamp, share},
    history::{History, Means, Sample},
    hosts::{HostWindow, Hosts},
    locality::{LocalNetworks, is_unspecified},
};

/// Columns of a host row.
pub(super) const WIDTH: usize = HostColumn::COUNT;

/// Host rows of remote hosts per window: the busiest.
const MAX_REMOTE_ROWS: usize = 256;
/// Host rows per window of local addresses without history: enough for devices that are switched on, too few for a
/// flood with forged local sources to matter.
const MAX_NEW_ROWS: usize = 256;
/// A host that sent nothing gets a row when it was sent this many new flows.
const MIN_ACCEPTED: u64 = 8;
/// A host that sent nothing but IPv6 housekeeping gets a row when it sent more than this many packets of it.
const MAX_DISCOVERY: u64 = 64;
/// A remote host gets a row when it opened this many flows, ...
const MIN_REMOTE_OPENED: u64 = 8;
/// ... or exchanged this many packets.
const MIN_REMOTE_PACKETS: u64 = 10_000;

/// Numbers of the hosts that get a row, sorted by address.
pub(super) fn select(hosts: &Hosts, local: &LocalNetworks, history: &History) -> Vec<usize> {
    let mut chosen = Vec::new();
    let (mut new, mut remote) = (Vec::new(), Vec::new());
    for (number, host) in hosts.list.iter().enumerate() {
        if is_unspecified(&host.address) || local.is_group(&host.address) {
            continue;
        }
        let facts = &host.facts;
        let packets = facts.packets_in + facts.packets_out;
        let rank = (
            facts.overflow_packets,
            facts.flows_opened,
            packets,
            host.address,
            number,
        );
        let spoke = facts.packets_out > host.discovery_packets.min(MAX_DISCOVERY)
            || facts.flows_accepted >= MIN_ACCEPTED;
        let busy = facts.flows_opened >= MIN_REMOTE_OPENED || packets >= MIN_REMOTE_PACKETS;
        if host.local && history.knows(&host.address) {
            chosen.push(number);
        } else if host.local && (spoke || facts.overflow_packets > 0) {
            new.push(rank);
        } else if !host.local && (busy || facts.overflow_packets > 0) {
            remote.push(rank);
        }
    }
    for (ranked, limit) in [(&mut new, MAX_NEW_ROWS), (&mut remote, MAX_REMOTE_ROWS)] {
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        chosen.extend(ranked.iter().take(limit).map(|&(.., number)| number));
    }
    chosen.sort_unstable_by_key(|&number| hosts.list.get(number).map(|host| host.address));
    chosen
}

/// Whose row it is.
pub(super) fn key(host: &HostWindow) -> RowKey {
    RowKey {
        flow: FlowKey::zeroed(),
        initiator: host.address,
        responder: [0; 16],
        packets: host.facts.packets_in + host.facts.packets_out,
        bytes: host.facts.bytes_in + host.facts.bytes_out,
        service_port: 0,
        initiator_port: 0,
        iface: 0,
        proto: 0,
        family: if host.local { Family::Local } else { Family::Remote },
    }
}

/// What the host's history learns from this window.
pub(super) fn sample(host: &HostWindow, learned: bool) -> Sample {
    let facts = &host.facts;
    Sample {
        flows_opened: facts.flows_opened as f32,
        unanswered: facts.unanswered as f32,
        bytes_out: facts.bytes_out as f32,
        novel: learned.then_some([facts.new_peers as f32, facts.new_services as f32]),
    }
}

/// Values of one host; what is new is absent until `learned`.
pub(super) fn values(host: &HostWindow, means: &Means, learned: bool) -> [f32; WIDTH] {
    let mut row = [f32::NAN; WIDTH];
    let facts = &host.facts;
    let packets = (facts.packets_out + facts.packets_in) as f64;
    let bytes = (facts.bytes_out + facts.bytes_in) as f64;
    let counts = [
        (C::FlowsOpened, facts.flows_opened),
        (C::FlowsAccepted, facts.flows_accepted),
        (C::FlowsActive, host.flows_active),
        (C::Peers, facts.peers),
        (C::Sources, facts.sources + facts.overflow_sources),
        (C::Services, facts.ports),
        (C::PortsOnTopPeer, facts.top_peer_ports),
        (C::PeersOnTopService, facts.top_port_peers),
        (C::AttemptsOnTopTarget, facts.top_target_flows),
        (C::Unanswered, facts.unanswered),
        (C::UnansweredIn, facts.syns_received_unanswered),
        (C::ResetsReceived, facts.resets_received),
        (C::ResetsSent, facts.resets_sent),
        (C::PacketsOut, facts.packets_out),
        (C::PacketsIn, facts.packets_in),
        (C::BytesOut, facts.bytes_out),
        (C::BytesIn, facts.bytes_in),
        (C::IcmpPackets, host.icmp_packets),
        (C::ArpRequests, facts.arp_requests),
        (C::ArpTargets, facts.arp_targets),
        (C::OverflowPackets, facts.overflow_packets),
        (C::OverflowSources, facts.overflow_sources),
    ];
    let mut set = |column: HostColumn, value: f32| row[column as usize] = value;
    for (column, count) in counts {
        set(column, count as f32);
    }
    set(C::ServiceEntropy, host.service_entropy);
    set(
        C::UnansweredShare,
        share(facts.unanswered as f64, host.judged as f64) as f32,
    );
    set(
        C::ByteAsymmetry,
        share(facts.bytes_out as f64 - facts.bytes_in as f64, bytes) as f32,
    );
    set(C::UdpShare, share(host.udp_packets as f64, packets) as f32);
    set(C::FlowsOpened1m, means.flows_opened[0]);
    set(C::FlowsOpened10m, means.flows_opened[1]);
    set(C::FlowsOpened1h, means.flows_opened[2]);
    set(C::Unanswered1m, means.unanswered[0]);
    set(C::Unanswered10m, means.unanswered[1]);
    set(C::Unanswered1h, means.unanswered[2]);
    set(C::BytesOut1h, means.bytes_out[2]);
    set(C::BeaconRegularity, host.regularity);
    if learned {
        set(C::NewPeers, facts.new_peers as f32);
        set(C::NewServices, facts.new_services as f32);
        set(C::NewPeers10m, means.new_peers[1]);
        set(C::NewPeers1h, means.new_peers[2]);
        set(C::NewServices10m, means.new_services[1]);
        set(C::NewServices1h, means.new_services[2]);
    }
    clamp(&mut row, HOST_FEATURES);
    row
}
