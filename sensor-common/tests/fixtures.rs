//! Every crafted frame through the host build of the parser: what it is counted as, and that no cut of it panics or
//! becomes another flow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "../../tests/tests/common/fixtures.rs"]
mod fixtures;

use fixtures::{Fixture, named};
use sensor_common::{
    counter::Skip,
    parse::{Frame, Parsed, Start, parse},
};

fn frame(fixture: &Fixture) -> Frame {
    Frame {
        start: fixture.start,
        len: fixture.bytes.len() as u32,
        tag: fixture.tag,
        iface: 0,
    }
}

fn parsed(fixture: &Fixture) -> Parsed {
    parse(fixture.bytes.as_slice(), &frame(fixture))
        .unwrap_or_else(|skip| panic!("{}: {skip:?}", fixture.name))
}

#[test]
fn every_frame_is_counted_as_what_it_is() {
    for fixture in fixtures::all() {
        let name = fixture.name;
        match (
            parse(fixture.bytes.as_slice(), &frame(&fixture)),
            &fixture.expected,
        ) {
            (Ok(parsed), Ok(expected)) => {
                let found = fixtures::Expected {
                    key: parsed.key,
                    half: parsed.half,
                    payload_len: parsed.payload_len,
                    flags: parsed.tcp_flags,
                    ttl: parsed.ttl,
                    fragment: parsed.fragment,
                };
                assert_eq!(&found, expected, "{name}");
                if fixture.start == Start::Ethernet {
                    assert_eq!(parsed.mac, fixture.bytes[6..12], "{name}: source MAC");
                }
            }
            (Err(found), Err(expected)) => assert_eq!(found, *expected, "{name}"),
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = fixtures::all().iter().map(|fixture| fixture.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 80, "{count} fixtures");
}

/// As the kernel sees a short frame and as a capture with a snap length does.
#[test]
fn a_frame_cut_anywhere_is_truncated_or_the_same_flow() {
    for fixture in fixtures::all() {
        for cut in 0..fixture.bytes.len() {
            for len in [cut, fixture.bytes.len()] {
                let frame = Frame {
                    len: len as u32,
                    ..frame(&fixture)
                };
                match (parse(&fixture.bytes[..cut], &frame), &fixture.expected) {
                    (Err(Skip::Truncated), _) => {}
                    (Ok(found), Ok(expected)) => {
                        let outer = fixture.outer == Some(found.key);
                        assert!(
                            outer || found.key == expected.key,
                            "{} cut at {cut}: {found:?}",
                            fixture.name
                        );
                        assert!(
                            outer || found.half == expected.half,
                            "{} cut at {cut}",
                            fixture.name
                        );
                        assert!(found.payload_len as usize <= len, "{} cut at {cut}", fixture.name);
                    }
                    (Err(found), Err(expected)) => {
                        assert_eq!(found, *expected, "{} cut at {cut}", fixture.name);
                    }
                    (found, expected) => panic!("{} cut at {cut}: {found:?}, not {expected:?}", fixture.name),
                }
            }
        }
    }
}

#[test]
fn a_snap_length_changes_neither_flow_nor_payload_length() {
    // 54 bytes hold all headers of an untunnelled IPv4 TCP frame.
    let fixture = named("plain");
    let whole = parsed(&fixture);
    assert_eq!(parse(&fixture.bytes[..54], &frame(&fixture)), Ok(whole));
}

#[test]
fn both_directions_of_a_conversation_share_a_key() {
    for (there, back) in [
        ("SYN", "SYN ACK"),
        ("ICMP echo request", "ICMP echo reply"),
        ("ICMPv6 echo request", "ICMPv6 echo reply"),
        ("neighbour solicitation", "neighbour advertisement"),
        ("ARP request", "ARP reply"),
    ] {
        let (there, back) = (parsed(&named(there)), parsed(&named(back)));
        assert_eq!(there.key, back.key);
        assert_ne!(there.half, back.half);
    }
}

#[test]
fn a_vlan_or_a_tunnel_makes_another_flow() {
    let names = [
        "plain",
        "offloaded tag",
        "pre-standard QinQ",
        "cooked capture with a tag",
    ];
    let mut keys: Vec<_> = names.iter().map(|name| parsed(&named(name)).key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), names.len());
    assert_ne!(parsed(&named("VXLAN")).key, parsed(&named("GENEVE")).key);
    assert_ne!(parsed(&named("GRE")).key, parsed(&named("GRE with a key")).key);
}

#[test]
fn the_header_length_is_all_that_segmentation_repeats() {
    for (name, expected) in [
        ("plain", 54),
        ("TCP options", 66),
        ("IPv4 with ten option words", 94),
        // The tag beside the frame is on the wire.
        ("offloaded tag", 58),
        ("QinQ", 50),
        ("IPv6 TCP", 74),
        // Outer Ethernet, IPv4, UDP and VXLAN, then inner Ethernet, IPv4 and TCP.
        ("VXLAN", 14 + 20 + 8 + 8 + 54),
        ("raw IP", 40),
    ] {
        assert_eq!(parsed(&named(name)).header_len, expected, "{name}");
    }
}
