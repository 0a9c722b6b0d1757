//! Rules on hand-made windows.

use bytemuck::Zeroable;
use sensor_common::flow::FlowKey;

mod stories;

use super::names::by_reason;
use super::*;
use crate::alert::Reason;
use crate::features::{Family, FlowColumn, HostFacts, RowKey, Rows};

fn host(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn key(initiator: [u8; 16], responder: [u8; 16], proto: u8, ports: (u16, u16)) -> RowKey {
    RowKey {
        flow: FlowKey::zeroed(),
        initiator,
        responder,
        packets: 1,
        bytes: 60,
        service_port: ports.1,
        initiator_port: ports.0,
        iface: 0,
        proto,
        family: Family::Local,
    }
}

#[derive(Default)]
struct Scenery {
    flows: Vec<(RowKey, f32)>,
    hosts: Vec<([u8; 16], HostFacts)>,
}

impl Scenery {
    fn flow(&mut self, from: u8, to: u8, proto: u8, ports: (u16, u16), packets: f32) {
        self.flows
            .push((key(host(from), host(to), proto, ports), packets));
    }

    fn rows(mut self) -> WindowRows {
        let mut flow = Rows::empty(RowKind::Flow);
        for (key, packets) in self.flows {
            let mut values = vec![f32::NAN; RowKind::Flow.width()];
            values[FlowColumn::PacketsOut as usize] = packets;
            values[FlowColumn::SynPackets as usize] = 1.0;
            flow.values.extend(values);
            flow.keys.push(key);
        }
        let mut rows = Rows::empty(RowKind::Host);
        self.hosts.sort_by_key(|(address, _)| *address);
        for (address, _) in &self.hosts {
            rows.keys.push(key(*address, [0; 16], 0, (0, 0)));
            rows.values.extend(vec![0.0; RowKind::Host.width()]);
        }
        WindowRows {
            start_ns: 0,
            end_ns: 10_000_000_000,
            coverage: 1.0,
            flow,
            host: rows,
            host_facts: self.hosts.into_iter().map(|(_, facts)| facts).collect(),
            hosts_over_limit: 0,
        }
    }
}

fn flagged(last: u8, over: f32) -> Flagged {
    Flagged {
        host: host(last),
        over,
        score: over,
        p_value: 1e-4,
        kind: RowKind::Host,
        row: 0,
    }
}

fn named(rows: &WindowRows, flagged: &[Flagged]) -> Vec<(Behaviour, [u8; 16], Option<[u8; 16]>)> {
    let usual_high = |_: HostColumn| 3.0;
    let list = classify(rows, flagged, &usual_high).list;
    list.iter()
        .map(|finding| (finding.behaviour, finding.subject, finding.actor))
        .collect()
}

#[test]
fn an_arp_scan_and_the_same_counts_when_usual() {
    let facts = HostFacts {
        arp_targets: 200,
        arp_requests: 220,
        ..HostFacts::default()
    };
    let rows = Scenery {
        hosts: vec![(host(5), facts)],
        ..Scenery::default()
    }
    .rows();
    assert_eq!(
        named(&rows, &[flagged(5, 9.0)]),
        [(Behaviour::ArpScan, host(5), Some(host(5)))]
    );
    let usual = |_: HostColumn| 150.0;
    let list = classify(&rows, &[flagged(5, 9.0)], &usual).list;
    assert_eq!(list[0].behaviour, Behaviour::Unclassified);
}

#[test]
fn errors_sent_back_to_the_sources_of_a_flood_are_no_scan_and_a_ping_sweep_is() {
    let sweep = |sources| HostFacts {
        flows_opened: 400,
        peers: 400,
        unanswered: 400,
        top_port_proto: 1,
        top_port_peers: 400,
        sources,
        ..HostFacts::default()
    };
    let behaviours = |sources| {
        let mut scenery = Scenery {
            hosts: vec![(host(5), sweep(sources))],
            ..Scenery::default()
        };
        for to in 10..50 {
            scenery.flow(5, to, 1, (0, 0), 1.0);
        }
        named(&scenery.rows(), &[flagged(5, 9.0)])
            .into_iter()
            .map(|(behaviour, ..)| behaviour)
            .collect::<Vec<_>>()
    };
    assert_eq!(behaviours(3), [Behaviour::HorizontalScan]);
    assert_eq!(behaviours(395), [Behaviour::Unclassified]);
}

#[test]
fn a_busy_client_is_no_horizontal_scan() {
    let busy = HostFacts {
        flows_opened: 90,
        peers: 80,
        top_port: 443,
        top_port_proto: 6,
        top_port_peers: 80,
        ..HostFacts::default()
    };
    let scan = HostFacts {
        unanswered: 70,
        ..busy
    };
    let rows = Scenery {
        hosts: vec![(host(5), busy), (host(6), scan)],
        ..Scenery::default()
    }
    .rows();
    assert_eq!(
        named(&rows, &[flagged(5, 9.0), flagged(6, 8.0)]),
        [
            (Behaviour::HorizontalScan, host(6), Some(host(6))),
            (Behaviour::Unclassified, host(5), Some(host(5)))
        ]
    );
}

#[test]
fn udp_floods_of_many_sources_name_nobody_and_answers_of_amplifiers_are_told_apart() {
    for (ports, behaviour) in [
        ((40_000, 5000), Behaviour::UdpFlood),
        ((123, 40_000), Behaviour::Amplification),
    ] {
        let mut scenery = Scenery::default();
        for source in 20..120 {
            scenery.flow(source, 5, 17, ports, 50.0);
        }
        scenery.hosts.push((
            host(5),
            HostFacts {
                sources: 100,
                packets_in: 5000,
                ..HostFacts::default()
            },
        ));
        assert_eq!(
            named(&scenery.rows(), &[flagged(5, 9.0)]),
            [(behaviour, host(5), None)]
        );
    }
}

#[test]
fn a_flood_from_one_source_names_it_and_one_seen_only_in_the_overflow_names_nobody() {
    let mut scenery = Scenery::default();
    for port in 0..200 {
        scenery.flow(66, 5, 6, (2000 + port, 80), 1.0);
    }
    let facts = HostFacts {
        sources: 1,
        syns_received: 200,
        ..HostFacts::default()
    };
    scenery.hosts.push((host(5), facts));
    scenery.hosts.push((
        host(66),
        HostFacts {
            flows_opened: 200,
            top_peer_ports: 1,
            ..HostFacts::default()
        },
    ));
    let rows = scenery.rows();
    // Whichever end is flagged, it is the same finding.
    for flags in [
        vec![flagged(5, 9.0)],
        vec![flagged(66, 9.0)],
        vec![flagged(5, 2.0), flagged(66, 9.0)],
    ] {
        assert_eq!(
            named(&rows, &flags),
            [(Behaviour::SynFlood, host(5), Some(host(66)))]
        );
    }
    let facts = HostFacts {
        overflow_packets: 90_000,
        overflow_sources: 70_000,
        overflow_port: 443,
        overflow_proto: 6,
        ..HostFacts::default()
    };
    let rows = Scenery {
        hosts: vec![(host(5), facts)],
        ..Scenery::default()
    }
    .rows();
    assert_eq!(
        named(&rows, &[flagged(5, 9.0)]),
        [(Behaviour::SynFlood, host(5), None)]
    );
}

#[test]
fn flagged_sources_lead_to_a_victim_that_is_not_flagged_itself() {
    let mut scenery = Scenery::default();
    for source in 20..220 {
        scenery.flow(source, 5, 6, (2000, 80), 1.0);
    }
    scenery.hosts.push((
        host(5),
        HostFacts {
            sources: 200,
            syns_received: 200,
            ..HostFacts::default()
        },
    ));
    let flags: Vec<Flagged> = (20..220).map(|source| flagged(source, 2.0)).collect();
    let found = classify(&scenery.rows(), &flags, &|_| 3.0);
    assert_eq!(found.list.len(), 1);
    assert_eq!(
        (found.list[0].behaviour, found.list[0].subject),
        (Behaviour::SynFlood, host(5))
    );
    assert_eq!(
        (found.list[0].hosts, found.absorbed, found.over_limit),
        (200, 199, 0)
    );
}

#[test]
fn victims_and_bystanders_are_absorbed_and_strangers_are_not() {
    let mut scenery = Scenery::default();
    for port in 1..60 {
        scenery.flow(66, 5, 6, (4000 + port, port), 1.0);
    }
    scenery.flow(7, 5, 6, (5000, 80), 9.0);
    scenery.flow(8, 9, 6, (5000, 80), 9.0);
    let scanner = HostFacts {
        flows_opened: 59,
        top_peer: host(5),
        top_peer_ports: 59,
        top_port_peers: 1,
        ..HostFacts::default()
    };
    scenery.hosts.push((host(66), scanner));
    for quiet in [5, 7, 8, 9] {
        scenery.hosts.push((host(quiet), HostFacts::default()));
    }
    let flags = [
        flagged(66, 5.0),
        flagged(5, 9.0),
        flagged(7, 4.0),
        flagged(8, 3.0),
    ];
    let rows = scenery.rows();
    let found = classify(&rows, &flags, &|_| 3.0);
    let names: Vec<_> = found
        .list
        .iter()
        .map(|finding| (finding.behaviour, finding.subject))
        .collect();
    assert_eq!(
        names,
        [
            (Behaviour::VerticalScan, host(66)),
            (Behaviour::Unclassified, host(8))
        ]
    );
    assert_eq!((found.list[0].hosts, found.absorbed), (3, 2));
    assert_eq!(found.list[0].strongest.host, host(66));
}

#[test]
fn findings_of_one_window_are_bounded_and_the_rest_is_counted() {
    let mut scenery = Scenery::default();
    let flags: Vec<Flagged> = (0..200).map(|last| flagged(last, 2.0)).collect();
    scenery
        .hosts
        .extend((0..200).map(|last| (host(last), HostFacts::default())));
    let found = classify(&scenery.rows(), &flags, &|_| 3.0);
    assert_eq!(found.list.len(), MAX_FINDINGS);
    assert_eq!(found.over_limit, 200 - MAX_FINDINGS as u64);
}

#[test]
fn one_flow_that_sends_most_of_a_udp_flood_names_its_source_among_many_clients() {
    let mut scenery = Scenery::default();
    for client in 20..60 {
        scenery.flow(client, 5, 17, (30_000, 53), 2.0);
    }
    scenery.flow(66, 5, 17, (40_000, 5000), 9000.0);
    for client in 70..90 {
        scenery.flow(client, 5, 17, (30_000, 53), 2.0);
    }
    let facts = HostFacts {
        sources: 61,
        packets_in: 9120,
        ..HostFacts::default()
    };
    scenery.hosts.push((host(5), facts));
    let rows = scenery.rows();
    assert_eq!(
        named(&rows, &[flagged(5, 9.0)]),
        [(Behaviour::UdpFlood, host(5), Some(host(66)))]
    );
}

#[test]
fn less_traffic_than_usual_is_no_surge_and_only_novelty_is_new() {
    let reason = |feature: &str, observed: f64| Reason {
        feature: feature.to_owned(),
        observed,
        expected: 50.0,
        low: 13.2,
        high: 249.0,
        contribution: 0.9,
        text: String::new(),
    };
    let cases = [
        ("packets_in", 1.0, Behaviour::Unclassified),
        ("packets_in", 100.0, Behaviour::Unclassified),
        ("packets_in", 9000.0, Behaviour::VolumeSurge),
        ("new_peers", 1.0, Behaviour::Unclassified),
        ("new_peers", 400.0, Behaviour::NewPeer),
        ("peer_familiarity", 0.0, Behaviour::NewPeer),
        ("peer_familiarity", 300.0, Behaviour::Unclassified),
        ("service_familiarity", 0.0, Behaviour::NewService),
    ];
    for (feature, observed, expected) in cases {
        assert_eq!(
            by_reason(&reason(feature, observed)),
            expected,
            "{feature} {observed}"
        );
    }
}
