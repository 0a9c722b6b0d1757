//! The namespace helpers themselves: isolation, veth pairs, counters, and that nothing stays behind.
//!
//! Every other kernel test and the lab stand on these. Must never look at the machine's own interfaces.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use sensor_tests::netns::{self, Netns};
use sensor_tests::require;

#[test]
fn a_namespace_is_gone_after_its_guard_even_when_the_test_panics() {
    if !require::netns() {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let outcome = std::thread::spawn(move || {
        let namespace = Netns::create("panic").unwrap();
        sender.send(namespace.name().to_owned()).unwrap();
        assert!(
            !Path::new("/run/netns").join(namespace.name()).exists(),
            "panics: the namespace exists"
        );
    })
    .join();
    assert!(outcome.is_err(), "the namespace was never made");
    assert!(!Path::new("/run/netns").join(receiver.recv().unwrap()).exists());
}

#[test]
fn work_in_a_namespace_sees_only_its_own_interfaces() {
    if !require::netns() {
        return;
    }
    let (left, right) = (Netns::create("left").unwrap(), Netns::create("right").unwrap());
    netns::connect((&left, "v0"), (&right, "v1")).unwrap();
    let names = left
        .run(|| {
            let mut names: Vec<String> = std::fs::read_dir("/sys/class/net")
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        })
        .unwrap();
    assert_eq!(names, ["lo", "v0"]);
    assert!(
        !Path::new("/sys/class/net/v0").exists(),
        "the caller has left its own namespace"
    );
}

#[test]
fn packets_cross_a_veth_pair_and_are_counted_once_at_each_end() {
    if !require::netns() {
        return;
    }
    let (left, right) = (Netns::create("left").unwrap(), Netns::create("right").unwrap());
    for namespace in [&left, &right] {
        namespace.disable_ipv6().unwrap();
    }
    netns::connect((&left, "v0"), (&right, "v1")).unwrap();
    left.ip("addr add 192.0.2.1/24 dev v0").unwrap();
    right.ip("addr add 192.0.2.2/24 dev v1").unwrap();
    let server = right.run(|| UdpSocket::bind("192.0.2.2:9000")).unwrap().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let client = left.run(|| UdpSocket::bind("192.0.2.1:0")).unwrap().unwrap();
    for number in 0..100_u8 {
        client.send_to(&[number; 10], "192.0.2.2:9000").unwrap();
        let mut buffer = [0; 64];
        assert_eq!(server.recv(&mut buffer).unwrap(), 10);
        assert_eq!(buffer[0], number);
    }
    let (sent, received) = (left.counters("v0").unwrap(), right.counters("v1").unwrap());
    assert_eq!(sent.transmit_packets, received.receive_packets);
    assert_eq!(sent.transmit_bytes, received.receive_bytes);
    // One ARP exchange at most beside the datagrams: an interface without IPv6 says nothing by itself.
    assert!((100..=102).contains(&received.receive_packets), "{received:?}");
}

#[test]
fn namespaces_of_a_dead_process_are_swept_and_those_of_a_live_one_are_kept() {
    if !require::netns() {
        return;
    }
    let mine = Netns::create("mine").unwrap();
    // Process ids end at 2^22: this one cannot be running.
    let stale = "sensor-4194999-0-stale";
    let add = std::process::Command::new("ip")
        .args(["netns", "add", stale])
        .status()
        .unwrap();
    assert!(add.success());
    assert!(netns::sweep().unwrap().contains(&stale.to_owned()));
    assert!(!Path::new("/run/netns").join(stale).exists());
    assert!(Path::new("/run/netns").join(mine.name()).exists());
}
