//! Keys and facts of every kind read back equal: VLANs, tunnels, ARP, ICMP, hosts that talk to themselves.

use proptest::prelude::*;
use sensor_common::flow::FlowKey;

use super::{
    NAMES, assert_same,
    samples::{Sample, row_key},
    write,
};
use crate::{
    features::{Family, HostFacts, RowKey, RowKind, Rows, WindowRows},
    flows::{FlowFile, Selection},
    window::{Flow, FlowHalf},
};

/// Start of the windows; they last 8 ns.
const START_NS: u64 = 3;

fn address() -> impl Strategy<Value = [u8; 16]> {
    let mapped = any::<[u8; 4]>().prop_map(|tail| {
        let mut address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        address[12..].copy_from_slice(&tail);
        address
    });
    prop_oneof![any::<[u8; 16]>(), mapped, Just([0; 16]), Just([0xff; 16])]
}

fn vlan() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), 0x1000..=0x1fff_u16]
}

/// A flow's key as the parser makes them, and which of its sides is the initiator.
fn flow_row() -> impl Strategy<Value = RowKey> {
    let ends = (
        address(),
        prop_oneof![address().prop_map(Some), Just(None)],
        any::<[u16; 2]>(),
    );
    let outer = ([vlan(), vlan()], 0..6_u8, any::<u32>(), any::<u16>());
    let proto = prop_oneof![
        Just(0_u8),
        Just(1),
        Just(6),
        Just(17),
        Just(58),
        Just(132),
        any::<u8>()
    ];
    let rest = (
        proto,
        prop::sample::select(vec![1_u8, 4, 6]),
        any::<bool>(),
        0..7_usize,
        any::<[u32; 2]>(),
    );
    (ends, outer, rest).prop_map(
        |(
            (one, other, ports),
            (vlan, tunnel, tunnel_id, iface),
            (proto, network, turned, family, amounts),
        )| {
            let arp = network == 1;
            let (proto, vlan) = (if arp { 0 } else { proto }, vlan);
            let with_ports = !arp && matches!(proto, 1 | 6 | 17 | 33 | 58 | 132 | 136);
            let ports = if with_ports { ports } else { [0; 2] };
            let (low, high) = ((one, ports[0]), (other.unwrap_or(one), ports[1]));
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            let flow = FlowKey {
                addr: [low.0, high.0],
                tunnel_id: if tunnel == 0 { 0 } else { tunnel_id },
                port: [low.1, high.1],
                vlan,
                iface,
                proto,
                kind: network << 4 | tunnel,
            };
            let side = usize::from(turned);
            let shown = !matches!(proto, 1 | 58);
            RowKey {
                flow,
                initiator: flow.addr[side],
                responder: flow.addr[1 - side],
                packets: amounts[0].into(),
                bytes: amounts[1].into(),
                service_port: if shown { flow.port[1 - side] } else { 0 },
                initiator_port: if shown { flow.port[side] } else { 0 },
                iface,
                proto,
                family: Family::ALL[family],
            }
        },
    )
}

fn facts() -> impl Strategy<Value = HostFacts> {
    let counts = prop::collection::vec(0..u64::MAX / 4, 27);
    let addresses = prop::collection::vec(address(), 3);
    let small = (any::<[u16; 4]>(), any::<[u8; 4]>(), any::<u16>());
    (counts, addresses, small).prop_map(|(c, a, (ports, protos, permille))| HostFacts {
        flows_opened: c[0],
        flows_accepted: c[1],
        peers: c[2],
        ports: c[3],
        top_peer: a[0],
        top_peer_ports: c[4],
        top_port: ports[0],
        top_port_proto: protos[0],
        top_port_peers: c[5],
        top_target_flows: c[6],
        top_target: a[1],
        top_target_port: ports[1],
        top_target_proto: protos[1],
        unanswered: c[7],
        resets_received: c[8],
        resets_sent: c[9],
        syns_sent: c[10],
        syns_sent_unanswered: c[11],
        syns_received: c[12],
        syns_received_unanswered: c[13],
        sources: c[14],
        packets_out: c[15],
        packets_in: c[16],
        bytes_out: c[17],
        bytes_in: c[18],
        overflow_packets: c[19],
        overflow_sources: c[20],
        overflow_port: ports[2],
        overflow_proto: protos[2],
        beacon_peer: a[2],
        beacon_port: ports[3],
        beacon_proto: protos[3],
        beacon_regularity_permille: permille,
        beacon_period_ms: c[21],
        arp_requests: c[22],
        arp_targets: c[23],
        new_peers: c[24],
        new_services: c[25],
    })
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        Just(f32::NAN),
        any::<f32>().prop_filter("finite", |value| value.is_finite())
    ];
    prop::collection::vec(value, count)
}

/// What one side of a flow sent; the extremes of no packets are 0.
fn half() -> impl Strategy<Value = FlowHalf> {
    let sums = prop::collection::vec(0..i64::MAX as u64, 4);
    let rest = (
        any::<[u32; 8]>(),
        any::<u32>(),
        any::<[u16; 2]>(),
        any::<[u8; 2]>(),
    );
    let some = (sums, rest).prop_map(|(sums, (flag_counts, fragments, lengths, ttls))| FlowHalf {
        packets: sums[0] + 1,
        bytes: sums[1],
        payload_bytes: sums[2],
        len_sumsq: sums[3],
        flag_counts,
        fragments,
        len_min: lengths[0],
        len_max: lengths[1],
        ttl_min: ttls[0],
        ttl_max: ttls[1],
    });
    prop_oneof![some, Just(FlowHalf::default())]
}

/// Counters of the flow of a row: any times, none of some.
fn counted(row: RowKey) -> impl Strategy<Value = Flow> {
    let time = || prop_oneof![Just(0), 1..u64::MAX / 2, START_NS..START_NS + 8];
    let times = (time(), 0..1000_u64, [time(), time(), time(), time()]);
    let gaps = (
        any::<bool>(),
        1..u64::MAX / 4096,
        0..i64::MAX as u64,
        any::<[u32; 2]>(),
    );
    let life = (
        prop::option::of(0..i64::MAX as u64),
        [0..u64::MAX / 4, 0..u64::MAX / 4],
    );
    ([half(), half()], times, gaps, life).prop_map(
        move |(
            half,
            (first_ns, duration_ns, at),
            (gaps, sum, sumsq, ends),
            (handshake_ns, prior_packets),
        )| {
            // A flow of a host with itself is told by its ports, and has no sides if they are equal.
            let [low, high] = row.flow.addr;
            let initiator = if low == high {
                row.flow.port[0] != row.flow.port[1] && row.initiator_port != row.flow.port[0]
            } else {
                row.initiator != low
            };
            Flow {
                key: row.flow,
                half,
                first_ns,
                last_ns: first_ns + duration_ns,
                iat_count: u64::from(gaps),
                iat_sum_ticks: sum,
                iat_sumsq_ticks: sumsq,
                iat_min_ticks: if gaps { ends[0] } else { u32::MAX },
                iat_max_ticks: if gaps { ends[1] } else { 0 },
                syn_ns: at[0],
                synack_ns: at[1],
                handshake_ns,
                born_ns: at[2],
                prior_last_ns: at[3],
                prior_packets,
                initiator: initiator.into(),
            }
        },
    )
}

fn flow() -> impl Strategy<Value = (RowKey, Vec<f32>, Flow)> {
    let row = (flow_row(), values(RowKind::Flow.width()));
    row.prop_flat_map(|(key, values)| (Just(key), Just(values), counted(key)))
}

fn window() -> impl Strategy<Value = (WindowRows, Vec<Flow>)> {
    let flows = prop::collection::vec(flow(), 0..4);
    let hosts = prop::collection::vec((address(), facts(), values(RowKind::Host.width())), 1..3);
    (flows, hosts, 0.0..=1.0_f32, any::<u32>()).prop_map(|(mut flows, mut hosts, coverage, over)| {
        flows.sort_by_key(|row| row.0.flow);
        hosts.sort_by_key(|host| host.0);
        let (mut flow, mut host) = (Rows::empty(RowKind::Flow), Rows::empty(RowKind::Host));
        let mut counters = Vec::new();
        for (key, values, counted) in flows {
            flow.keys.push(key);
            flow.values.extend(values);
            counters.push(counted);
        }
        let mut host_facts = Vec::new();
        for (initiator, facts, values) in hosts {
            host.keys.push(RowKey {
                packets: facts.packets_in + facts.packets_out,
                bytes: facts.bytes_in + facts.bytes_out,
                ..row_key(initiator, [0; 16])
            });
            host.values.extend(values);
            host_facts.push(facts);
        }
        let rows = WindowRows {
            start_ns: START_NS,
            end_ns: START_NS + 8,
            coverage,
            flow,
            host,
            host_facts,
            hosts_over_limit: over.into(),
        };
        (rows, counters)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_row_reads_back_equal_in_every_format(
        (rows, flows) in window(),
        counted in any::<bool>(),
        wall_start_ns in any::<i64>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let written = Sample {
            rows,
            flows: if counted { flows } else { Vec::new() },
            wall_start_ns,
            wall_end_ns: wall_start_ns.saturating_add(8),
        };
        for name in NAMES {
            let path = dir.path().join(name);
            write(&path, std::slice::from_ref(&written), Selection::All);
            let mut file = FlowFile::open(&path).unwrap();
            let stored = file.next().unwrap().unwrap();
            assert_same(&stored.rows, &written.rows, name);
            prop_assert_eq!(&stored.flows, &written.flows, "{}", name);
            prop_assert_eq!(stored.wall_start_ns, wall_start_ns);
            prop_assert!(file.next().is_none());
        }
    }
}
