//! Host rows and facts by hand.

use sensor_common::overflow::{Addition, OverflowCell};

use super::*;
use crate::features::{HostColumn as C, keyed::Keyed};

const HOST: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9];

#[test]
fn a_vertical_scan_is_many_ports_on_one_peer() {
    let records: Vec<_> = (1..=100)
        .map(|port| {
            attempt(
                (HOST, 50_000),
                (local(0, 2), port),
                u64::from(port),
                Answer::Reset,
            )
        })
        .collect();
    let rows = one_window(&records);
    let (_, facts) = host(&rows, HOST);
    assert_eq!((facts.flows_opened, facts.peers, facts.ports), (100, 1, 100));
    assert_eq!(
        (facts.top_peer, facts.top_peer_ports, facts.top_port_peers),
        (local(0, 2), 100, 1)
    );
    assert_eq!(
        (facts.unanswered, facts.resets_received, facts.syns_sent),
        (0, 100, 100)
    );
    near(host_value(&rows, HOST, C::ServiceEntropy), 100_f64.log2());
    near(host_value(&rows, HOST, C::PortsOnTopPeer), 100.0);
    near(host_value(&rows, HOST, C::FlowsOpened1h), 100.0);
    let (_, victim) = host(&rows, local(0, 2));
    assert_eq!(
        (victim.resets_sent, victim.sources, victim.flows_accepted),
        (100, 1, 100)
    );
    assert_eq!((victim.syns_received, victim.syns_received_unanswered), (100, 0));
}

#[test]
fn a_horizontal_scan_is_one_port_on_many_peers_and_dead_addresses_get_no_row() {
    let records: Vec<_> = (1..=100)
        .map(|last| {
            attempt(
                (HOST, 50_000),
                (local(1, last), 22),
                u64::from(last),
                Answer::Nothing,
            )
        })
        .collect();
    let rows = one_window(&records);
    assert_eq!(rows.host.len(), 1);
    let (_, facts) = host(&rows, HOST);
    assert_eq!((facts.peers, facts.ports, facts.unanswered), (100, 1, 100));
    assert_eq!(
        (facts.top_port, facts.top_port_proto, facts.top_port_peers),
        (22, 6, 100)
    );
    assert_eq!(facts.syns_sent_unanswered, 100);
    near(host_value(&rows, HOST, C::UnansweredShare), 1.0);
    near(host_value(&rows, HOST, C::ServiceEntropy), 0.0);
    near(host_value(&rows, HOST, C::PeersOnTopService), 100.0);
}

#[test]
fn repeated_attempts_on_one_service_are_seen_as_such() {
    let mut records: Vec<_> = (0..30)
        .map(|port| attempt((HOST, 50_000 + port), (local(0, 2), 22), 0, Answer::SynAck))
        .collect();
    records.push(attempt((HOST, 40_000), (local(0, 3), 443), 0, Answer::SynAck));
    let rows = one_window(&records);
    let (_, facts) = host(&rows, HOST);
    assert_eq!(
        (facts.top_target, facts.top_target_port, facts.top_target_flows),
        (local(0, 2), 22, 30)
    );
    near(host_value(&rows, HOST, C::AttemptsOnTopTarget), 30.0);
}

#[test]
fn arp_requests_are_counted_with_their_targets_and_are_not_contacts() {
    let records: Vec<_> = (1..=20)
        .map(|last| arp_request(HOST, local(0, 100 + last), 0, 2))
        .collect();
    let rows = one_window(&records);
    let (_, facts) = host(&rows, HOST);
    assert_eq!((facts.arp_requests, facts.arp_targets), (40, 20));
    assert_eq!((facts.flows_opened, facts.peers, facts.unanswered), (0, 0, 0));
    assert!(host_value(&rows, HOST, C::UnansweredShare).is_nan());
}

#[test]
fn volumes_and_protocol_shares() {
    let rows = one_window(&[
        record(17, (HOST, 50_000), (remote(0, 1), 53), 0, [1, 1]),
        record(1, (HOST, 8), (remote(0, 1), 0), 0, [2, 2]),
    ]);
    for (column, expected) in [
        (C::PacketsOut, 3.0),
        (C::PacketsIn, 3.0),
        (C::BytesOut, 300.0),
        (C::BytesIn, 600.0),
        (C::ByteAsymmetry, -1.0 / 3.0),
        (C::UdpShare, 1.0 / 3.0),
        (C::IcmpPackets, 4.0),
        (C::FlowsActive, 2.0),
        (C::Services, 2.0),
        (C::ServiceEntropy, 1.0),
    ] {
        near(host_value(&rows, HOST, column), expected);
    }
    // A remote host with two flows is not busy.
    assert_eq!(rows.host.len(), 1);
    assert_eq!(rows.host.keys[0].family.label(), "local");
}

#[test]
fn a_busy_remote_host_gets_a_row() {
    let records: Vec<_> = (1..=20)
        .map(|port| attempt((remote(0, 1), 50_000), (HOST, port), 0, Answer::Reset))
        .collect();
    let rows = one_window(&records);
    let labels: Vec<_> = rows.host.keys.iter().map(|key| key.family.label()).collect();
    assert_eq!(labels, ["local", "remote"]);
    assert_eq!(host(&rows, remote(0, 1)).1.ports, 20);
}

#[test]
fn overflow_is_charged_to_its_victim_with_an_estimate_of_the_sources() {
    let keyed = Keyed::new(5);
    let mut cell = OverflowCell::zeroed();
    for source in 0..5000 {
        cell.add(&Addition {
            target: HOST,
            source_hash: keyed.pair(source, 1),
            packets: 2,
            bytes: 120,
            syn_packets: 2,
            evicted_flows: 0,
            port: 80,
            iface: 0,
            proto: 6,
            kind: NET_IPV4 << 4,
        });
    }
    let mut bench = Bench::new(100);
    bench.builder.overflow(&cell);
    let rows = bench.window(&[]);
    let (row, facts) = host(&rows, HOST);
    assert_eq!(
        (facts.overflow_packets, facts.packets_in, facts.bytes_in),
        (10_000, 10_000, 600_000)
    );
    assert_eq!((facts.overflow_port, facts.overflow_proto), (80, 6));
    assert_eq!(
        (facts.syns_received, facts.syns_received_unanswered),
        (10_000, 10_000)
    );
    assert!(
        (3000..7000).contains(&facts.overflow_sources),
        "{}",
        facts.overflow_sources
    );
    near(row[C::Sources as usize], facts.overflow_sources as f64);
    near(row[C::UnansweredIn as usize], 10_000.0);
}

#[test]
fn a_beacon_is_regular_and_browsing_is_not() {
    let mut bench = Bench::new(100);
    let mut port = 40_000;
    let (mut last, mut facts) = (None, HostFacts::default());
    for second in (0..600_u64).step_by(10) {
        let mut records = Vec::new();
        let mut contact = |to, offset: u64| {
            port += 1;
            records.push(attempt((HOST, port), to, offset * SECOND, Answer::SynAck));
        };
        if second % 60 == 0 {
            contact((remote(0, 1), 443), 3);
        }
        let rows = bench.window(&records);
        if second % 60 == 0 {
            last = Some(host_value(&rows, HOST, C::BeaconRegularity));
            facts = host(&rows, HOST).1;
        }
    }
    near(last.unwrap(), 1.0);
    assert_eq!(
        (facts.beacon_peer, facts.beacon_port, facts.beacon_proto),
        (remote(0, 1), 443, 6)
    );
    assert_eq!(
        (facts.beacon_regularity_permille, facts.beacon_period_ms),
        (1000, 60_000)
    );
    let mut irregular = f32::NAN;
    for (index, second) in [0_u64, 11, 95, 102, 260, 290, 291, 500].into_iter().enumerate() {
        bench.start_ns = 1000 * SECOND + second * SECOND;
        let from = (local(0, 10), 30_000 + index as u16);
        let rows = bench.window(&[attempt(from, (remote(0, 2), 443), 0, Answer::SynAck)]);
        irregular = host_value(&rows, local(0, 10), C::BeaconRegularity);
    }
    assert!(irregular < 0.1, "{irregular}");
}

#[test]
fn slow_activity_adds_up_over_the_longer_scales() {
    let mut bench = Bench::new(100);
    let mut rows = None;
    for window in 0..60_u8 {
        let port = 40_000 + u16::from(window);
        let target = (local(2, window), 22);
        rows = Some(bench.window(&[attempt((HOST, port), target, 0, Answer::Nothing)]));
    }
    let rows = rows.unwrap();
    // One unanswered attempt per window on a new host: invisible at once, steady over the hour.
    for column in [
        C::FlowsOpened1h,
        C::Unanswered1h,
        C::Unanswered10m,
        C::NewPeers1h,
        C::NewPeers10m,
    ] {
        near(host_value(&rows, HOST, column), 1.0);
    }
    near(host_value(&rows, HOST, C::NewServices10m), 0.0);
}

#[test]
fn who_only_keeps_an_ipv6_network_going_is_no_contact_and_gets_no_row_before_it_is_much() {
    let router = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];
    let neighbour = [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20];
    let told = |packets: u32| {
        one_window(&[
            record(58, (router, 135), (neighbour, 136), 0, [packets, 0]),
            record(58, (router, 134), (group, 133), 1, [1, 0]),
            record(58, (neighbour, 143), (group, 0), 2, [1, 0]),
            attempt((HOST, 50_000), (local(0, 2), 443), 3, Answer::SynAck),
        ])
    };
    let quiet = told(2);
    assert!(
        quiet
            .flow
            .keys
            .iter()
            .filter(|key| key.proto == 58)
            .all(|key| key.family.label() == "arp")
    );
    let hosts: Vec<_> = quiet.host.keys.iter().map(|key| key.initiator).collect();
    assert_eq!(hosts, [local(0, 2), HOST]);
    let busy = told(500);
    let (_, facts) = host(&busy, router);
    assert_eq!((facts.packets_out, facts.flows_opened, facts.peers), (501, 0, 0));
    // A ping is a contact.
    let ping = one_window(&[record(58, (router, 128), (neighbour, 129), 0, [1, 1])]);
    assert_eq!(ping.flow.keys[0].family.label(), "icmp");
    assert_eq!(host(&ping, router).1.flows_opened, 1);
}
