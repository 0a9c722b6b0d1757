//! One flow's values in the order of the declared table. Plain arithmetic, no allocation.

use sensor_common::flow::{ACK, FIN, NET_ARP, PSH, RST, SYN, TICK_NS};

use super::{
    FLOW_FEATURES, Family, Feature, FlowColumn, FlowColumn as C, RowKey,
    graph::FlowContext,
    hosts::{HostWindow, ICMP, ICMP_V6, TCP, UDP, is_housekeeping},
    locality::LocalNetworks,
};
use crate::window::{Flow, FlowHalf};

/// Columns of a flow row.
pub(super) const WIDTH: usize = FlowColumn::COUNT;

const TICK_MS: f64 = TICK_NS as f64 / 1e6;
const DNS: u16 = 53;
/// Below are system ports (RFC 6335).
const SYSTEM_PORTS: u16 = 1024;
/// Rates over shorter times say nothing.
const MIN_DURATION_S: f64 = 1e-3;

/// The two ends of a flow as hosts, where they have an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    pub(super) initiator: Option<&'a HostWindow>,
    pub(super) responder: Option<&'a HostWindow>,
}

/// Where and when a flow was seen.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four independent answers, each a column's condition"
)]
pub(super) struct Place {
    /// An answer had time to come before the window ended.
    pub(super) judged: bool,
    /// Whether initiator and responder are local.
    pub(super) sides: [bool; 2],
    /// The responder is a group.
    pub(super) group: bool,
    /// The history is old enough to call something new.
    pub(super) learned: bool,
}

/// Values of one flow.
pub(super) fn values(flow: &Flow, context: &FlowContext, ends: Ends<'_>, place: Place) -> [f32; WIDTH] {
    let mut row = Row([f32::NAN; WIDTH]);
    volume(&mut row, flow);
    timing(&mut row, flow);
    protocol(&mut row, flow, place.judged);
    surroundings(&mut row, ends, place.learned);
    let [local_initiator, local_responder] = place.sides;
    let yes = |yes: bool| f64::from(u8::from(yes));
    row.set(
        C::FromOutside,
        yes(!local_initiator && local_responder && !place.group),
    );
    row.set(
        C::ToOutside,
        yes(local_initiator && !local_responder && !place.group),
    );
    row.set(C::OfferFamiliarity, context.offer_familiarity.into());
    row.set(C::TargetBytesOut10m, context.target_bytes_out_10m.into());
    row.set(C::TargetAttempts, context.target_attempts.into());
    row.set(C::TargetAttempts10m, context.target_attempts_10m.into());
    row.set(C::PeerFamiliarity, context.peer_familiarity.into());
    row.set(C::ServiceFamiliarity, context.service_familiarity.into());
    row.set(C::ContactRegularity, context.regularity.into());
    clamp(&mut row.0, FLOW_FEATURES);
    row.0
}

/// Whose row it is.
pub(super) fn key(flow: &Flow, local: &LocalNetworks) -> RowKey {
    let (initiator, initiator_port) = flow.initiator_endpoint();
    let (responder, service_port) = flow.responder_endpoint();
    let has_ports = !matches!(flow.key.proto, ICMP | ICMP_V6);
    let family = if is_housekeeping(flow) {
        Family::Arp
    } else if local.is_group(&responder) {
        Family::Multicast
    } else {
        match (flow.key.proto, service_port) {
            (TCP | UDP, DNS) => Family::Dns,
            (TCP, _) => Family::TcpService,
            (UDP, _) => Family::Udp,
            (ICMP | ICMP_V6, _) => Family::Icmp,
            _ => Family::Other,
        }
    };
    RowKey {
        flow: flow.key,
        initiator,
        responder,
        packets: flow.packets(),
        bytes: flow.bytes(),
        service_port: if has_ports { service_port } else { 0 },
        initiator_port: if has_ports { initiator_port } else { 0 },
        iface: flow.key.iface,
        proto: flow.key.proto,
        family,
    }
}

/// Brings values into their declared range; NaN stays.
pub(super) fn clamp(values: &mut [f32], features: &[Feature]) {
    for (value, feature) in values.iter_mut().zip(features) {
        *value = value.clamp(feature.low, feature.high);
    }
}

/// `part / whole`, absent when the whole is 0.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { f64::NAN }
}

struct Row([f32; WIDTH]);

impl Row {
    fn set(&mut self, column: FlowColumn, value: f64) {
        self.0[column as usize] = value as f32;
    }
}

fn volume(row: &mut Row, flow: &Flow) {
    let (out, back) = (flow.out(), flow.back());
    let (packets, bytes) = (flow.packets() as f64, flow.bytes() as f64);
    row.set(C::PacketsOut, out.packets as f64);
    row.set(C::PacketsIn, back.packets as f64);
    row.set(C::BytesOut, out.bytes as f64);
    row.set(C::BytesIn, back.bytes as f64);
    row.set(
        C::PayloadShare,
        share((out.payload_bytes + back.payload_bytes) as f64, bytes),
    );
    row.set(
        C::PacketAsymmetry,
        share(out.packets as f64 - back.packets as f64, packets),
    );
    row.set(
        C::ByteAsymmetry,
        share(out.bytes as f64 - back.bytes as f64, bytes),
    );
    let (mean_out, std_out) = lengths(out);
    let (mean_in, std_in) = lengths(back);
    row.set(C::LenMeanOut, mean_out);
    row.set(C::LenStdOut, std_out);
    row.set(C::LenMeanIn, mean_in);
    row.set(C::LenStdIn, std_in);
    row.set(C::LenMax, out.len_max.max(back.len_max).into());
}

/// Mean and population standard deviation of frame lengths.
fn lengths(half: &FlowHalf) -> (f64, f64) {
    let packets = half.packets as f64;
    let mean = share(half.bytes as f64, packets);
    let variance = share(half.len_sumsq as f64, packets) - mean * mean;
    // `max` would turn the NaN of an empty half into 0.
    (mean, if variance < 0.0 { 0.0 } else { variance.sqrt() })
}

fn timing(row: &mut Row, flow: &Flow) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let duration_s = seconds(flow.last_ns.saturating_sub(flow.first_ns));
    row.set(C::Duration, duration_s);
    if flow.packets() > 1 {
        row.set(
            C::PacketRate,
            (flow.packets() - 1) as f64 / duration_s.max(MIN_DURATION_S),
        );
    }
    if flow.iat_count > 0 {
        let count = flow.iat_count as f64;
        let mean = flow.iat_sum_ticks as f64 / count;
        row.set(C::IatMean, mean * TICK_MS);
        row.set(C::IatMin, f64::from(flow.iat_min_ticks) * TICK_MS);
        row.set(C::IatMax, f64::from(flow.iat_max_ticks) * TICK_MS);
        if flow.iat_count > 2 && mean > 0.0 {
            let variance = flow.iat_sumsq_ticks as f64 / count - mean * mean;
            row.set(C::IatCv, variance.max(0.0).sqrt() / mean);
        }
    }
    if !flow.opened() {
        row.set(
            C::SilenceBefore,
            seconds(flow.first_ns.saturating_sub(flow.prior_last_ns)),
        );
    }
}

fn protocol(row: &mut Row, flow: &Flow, judged: bool) {
    let (out, back) = (flow.out(), flow.back());
    let packets = flow.packets() as f64;
    let is_ip = flow.key.network() != NET_ARP;
    let proto = flow.key.proto;
    let yes = |yes: bool| f64::from(u8::from(yes));
    if is_ip && proto == TCP {
        let flags = |flag: usize| f64::from(out.flag_counts[flag]) + f64::from(back.flag_counts[flag]);
        row.set(C::SynPackets, flags(SYN));
        row.set(C::FinPackets, flags(FIN));
        row.set(C::RstPackets, flags(RST));
        row.set(C::PshShare, share(flags(PSH), packets));
        row.set(C::AckShare, share(flags(ACK), packets));
        if let Some(handshake_ns) = flow.handshake_ns {
            row.set(C::Handshake, handshake_ns as f64 / 1e6);
        }
        let missing = flow.syn_ns != 0 && flow.synack_ns == 0;
        if judged || !missing {
            row.set(C::HandshakeMissing, yes(missing));
        }
    }
    if judged || flow.answered() {
        row.set(C::Answered, yes(flow.answered()));
    }
    row.set(
        C::FragmentShare,
        share(f64::from(out.fragments) + f64::from(back.fragments), packets),
    );
    row.set(C::IsTcp, yes(is_ip && proto == TCP));
    row.set(C::IsUdp, yes(is_ip && proto == UDP));
    row.set(C::IsIcmp, yes(is_ip && matches!(proto, ICMP | ICMP_V6)));
    let (_, port) = flow.responder_endpoint();
    row.set(
        C::IsSystemService,
        yes(matches!(proto, TCP | UDP) && port != 0 && port < SYSTEM_PORTS),
    );
}

fn surroundings(row: &mut Row, ends: Ends<'_>, learned: bool) {
    if let Some(host) = ends.initiator {
        row.set(C::InitiatorFlowsOpened, host.facts.flows_opened as f64);
        if let Some(usual) = host.usual {
            let surge = |now: u64, usual: f32| (1.0 + now as f64) / (1.0 + f64::from(usual));
            row.set(C::InitiatorSurge, surge(host.facts.flows_opened, usual.opened_1h));
            row.set(C::UploadSurge, surge(host.facts.bytes_out, usual.bytes_out_1h));
            row.set(C::InitiatorUnanswered10m, usual.unanswered_10m.into());
        }
        if learned {
            row.set(C::InitiatorNewPeers, host.facts.new_peers as f64);
            row.set(C::InitiatorNewServices, host.facts.new_services as f64);
        }
        row.set(C::InitiatorPeers, host.facts.peers as f64);
        row.set(C::InitiatorServices, host.facts.ports as f64);
        row.set(
            C::InitiatorUnansweredShare,
            share(host.facts.unanswered as f64, host.judged as f64),
        );
        row.set(C::InitiatorResets, host.facts.resets_received as f64);
        row.set(C::InitiatorBytesOut, host.facts.bytes_out as f64);
    }
    if let Some(host) = ends.responder {
        row.set(C::ResponderSources, host.facts.sources as f64);
        row.set(C::ResponderFlowsAccepted, host.facts.flows_accepted as f64);
        row.set(C::ResponderServices, host.services_in as f64);
        row.set(
            C::ResponderUnansweredShare,
            share(host.unanswered_in as f64, host.judged_in as f64),
        );
    }
}
