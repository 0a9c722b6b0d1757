//! The traffic generators on their own: what they claim to send is what arrives.
//!
//! The lab's verdict on the sensor is worth as much as these. Counted at the receiving interface or by the peer's
//! answers. Must never involve the sensor.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sensor_tests::require;
use sensor_tests::stop::Stop;
use sensor_tests::topology::{
    ATTACKER, GATEWAY_INTERFACE, Topology, WAN_INTERFACE, WEB_SERVER, lan_v4, lan_v6, macs_to_gateway,
    wan_v4, wan_v6,
};
use sensor_tests::traffic::attack::{Flood, horizontal_scan, syn_flood, vertical_scan};
use sensor_tests::traffic::ordinary::Ordinary;
use sensor_tests::traffic::ping::echo;
use sensor_tests::traffic::random::Random;

#[test]
fn every_kind_of_ordinary_traffic_flows_and_stops_when_asked() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let ordinary = Ordinary::start(&topology, 1).unwrap();
    Stop::default().sleep(Duration::from_secs(5));
    let summary = ordinary.finish().unwrap();
    assert!(summary.pages >= 10, "{summary:?}");
    assert!(summary.lookups >= 10, "{summary:?}");
    assert!(summary.keystrokes >= 10, "{summary:?}");
    assert!(summary.pings >= 6, "{summary:?}");
}

#[test]
fn pings_are_answered_across_the_gateway_over_both_versions_of_ip() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    for (source, target) in [(wan_v4(10), lan_v4(20)), (wan_v6(10), lan_v6(20))] {
        // The first may wait for address resolution on both links; the others may not get lost.
        topology.wan.run(|| echo(source, target, 1, 0)).unwrap().unwrap();
        for sequence in 1..20 {
            let answered = topology
                .wan
                .run(|| echo(source, target, 7, sequence))
                .unwrap()
                .unwrap();
            assert!(answered, "{target}, {sequence}");
        }
    }
}

#[test]
fn a_vertical_scan_sends_one_syn_to_every_port_and_each_is_refused() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let stop = Stop::default();
    let before = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    let attempts = topology
        .wan
        .run(|| {
            vertical_scan(
                ATTACKER.into(),
                WEB_SERVER.into(),
                1,
                1_000,
                Duration::from_secs(1),
                &stop,
            )
        })
        .unwrap()
        .unwrap();
    Stop::default().sleep(Duration::from_millis(200));
    let after = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    assert_eq!(attempts, 1_000);
    // Beside the scan only address resolution and the multicast reports of a new IPv6 address.
    let (received, sent) = (
        after.receive_packets - before.receive_packets,
        after.transmit_packets - before.transmit_packets,
    );
    assert!((1_000..=1_010).contains(&received), "{received}");
    assert!((1_000..=1_010).contains(&sent), "{sent}");
}

#[test]
fn a_horizontal_scan_reaches_every_address_of_the_range() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let stop = Stop::default();
    let before = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    let attempts = topology
        .wan
        .run(|| {
            let first = "10.77.0.20".parse().unwrap();
            horizontal_scan(
                ATTACKER.into(),
                first,
                200,
                445,
                Duration::from_millis(800),
                &stop,
            )
        })
        .unwrap()
        .unwrap();
    let after = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    assert_eq!(attempts, 200);
    // At least one SYN each; addresses that stay silent for a second are asked again by TCP.
    let received = after.receive_packets - before.receive_packets;
    assert!((200..=420).contains(&received), "{received}");
}

#[test]
fn a_syn_flood_is_bounded_spoofed_and_arrives_whole() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let (count, stop) = (5_000, Stop::default());
    let flood = Flood {
        interface: WAN_INTERFACE,
        macs: macs_to_gateway(),
        target: WEB_SERVER,
        port: 80,
        count,
        time: Duration::from_secs(1),
    };
    let before = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    let sent = topology
        .wan
        .run(|| syn_flood(flood, Random::new(1, 0), &stop))
        .unwrap()
        .unwrap();
    let after = topology.gateway.counters(GATEWAY_INTERFACE).unwrap();
    assert_eq!(sent, count);
    let received = after.receive_packets - before.receive_packets;
    assert!(
        (u64::from(count)..=u64::from(count) + 10).contains(&received),
        "{received}"
    );
    // The gateway forwards them: the sources are believed, as those of a real flood are.
    let forwarded = topology.gateway.counters("lan0").unwrap().transmit_packets;
    assert!(forwarded >= u64::from(count), "{forwarded}");
}

#[test]
fn a_generator_that_is_asked_to_stop_sends_no_more() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let stop = Stop::default();
    stop.request();
    let attempts = topology
        .wan
        .run(|| {
            vertical_scan(
                ATTACKER.into(),
                WEB_SERVER.into(),
                1,
                1_000,
                Duration::from_mins(1),
                &stop,
            )
        })
        .unwrap()
        .unwrap();
    assert_eq!(attempts, 1);
}
