//! Link types: each leads the parser to the same flow.

use sensor_common::counter::Skip;
use sensor_common::flow::FlowKey;
use sensor_common::parse::{self, Frame, Start};

use super::read;
use super::write::{self, Order};
use crate::capture::CaptureReader;

/// An IPv4 UDP packet of 40 bytes, and an IPv6 one of 60.
fn packets() -> (Vec<u8>, Vec<u8>) {
    let mut v4 = vec![
        0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ];
    let udp = [
        0x12, 0x34, 0, 53, 0, 20, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    v4.extend(udp);
    let mut v6 = vec![0x60, 0, 0, 0, 0, 20, 17, 64];
    for last in [1, 2] {
        v6.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    v6.extend(udp);
    (v4, v6)
}

/// The key of a frame captured with a link type, or why it has none.
fn key(link_type: u32, data: &[u8]) -> Result<FlowKey, Skip> {
    let mut file = write::pcap_header(Order::Little, write::MICRO, link_type);
    file.extend(write::record(Order::Little, 1, 1, data, data.len() as u32));
    let mut reader = CaptureReader::new(Box::new(std::io::Cursor::new(file)), "test").unwrap();
    let head = reader.advance().unwrap();
    let frame = Frame {
        start: head.start,
        len: head.wire_len,
        tag: 0,
        iface: 0,
    };
    parse::parse(reader.data(&head), &frame).map(|parsed| parsed.key)
}

fn expected(packet: &[u8]) -> FlowKey {
    let frame = Frame {
        start: Start::Ip,
        ..Frame::ethernet(packet.len() as u32)
    };
    parse::parse(packet, &frame).unwrap().key
}

fn with(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

#[test]
fn every_link_type_gives_the_same_flow() {
    let (v4, v6) = packets();
    for (packet, ethertype) in [(&v4, [0x08, 0x00]), (&v6, [0x86, 0xdd])] {
        let expected = Ok(expected(packet));
        let cooked = with(&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], &ethertype);
        let mut cooked_v2 = ethertype.to_vec();
        cooked_v2.extend([0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
        assert_eq!(
            key(1, &with(&with(&[2; 12], &ethertype), packet)),
            expected,
            "Ethernet"
        );
        assert_eq!(
            key(1 | 0x2400_0000, &with(&with(&[2; 12], &ethertype), packet)),
            expected,
            "Ethernet with a frame check sequence"
        );
        assert_eq!(key(113, &with(&cooked, packet)), expected, "cooked 1");
        assert_eq!(key(276, &with(&cooked_v2, packet)), expected, "cooked 2");
        for raw in [101, 12, 14] {
            assert_eq!(key(raw, packet), expected, "raw {raw}");
        }
    }
    assert_eq!(key(228, &v4), Ok(expected(&v4)));
    assert_eq!(key(229, &v6), Ok(expected(&v6)));
    assert_eq!(key(229, &v4), Err(Skip::BadIpHeader), "the link type says IPv6");
}

#[test]
fn loopback_frames_of_every_system_and_byte_order_are_understood() {
    let (v4, v6) = packets();
    for link_type in [0, 108] {
        for order in Order::BOTH {
            assert_eq!(key(link_type, &with(&order.u32(2), &v4)), Ok(expected(&v4)));
            for family in [10, 23, 24, 28, 30] {
                assert_eq!(
                    key(link_type, &with(&order.u32(family), &v6)),
                    Ok(expected(&v6)),
                    "family {family}"
                );
            }
            assert_eq!(key(link_type, &with(&order.u32(99), &v4)), Err(Skip::EtherType));
        }
    }
}

#[test]
fn a_frame_that_ends_within_its_link_header_is_truncated() {
    for link_type in [1, 113, 276, 0, 108, 101, 228, 229] {
        for length in 0..4 {
            assert_eq!(
                key(link_type, &vec![0x45; length]).unwrap_err(),
                Skip::Truncated,
                "link type {link_type}, {length} bytes"
            );
        }
    }
}

#[test]
fn frames_of_other_link_types_are_counted_and_not_handed_on() {
    let mut pcap = write::pcap_header(Order::Little, write::MICRO, 127);
    for second in 0..5 {
        pcap.extend(write::record(Order::Little, second, 1, &[1; 60], 60));
    }
    // Longer than any network frame, as USB captures have them.
    pcap.extend(write::record(Order::Little, 6, 1, &vec![0; 1 << 20], 1 << 20));
    let (seen, report) = read(&pcap).unwrap();
    assert_eq!(seen, []);
    assert_eq!(report.frames, 6);
    assert_eq!(report.unsupported[&127], 6);
    assert_eq!(report.damage, []);

    let mut pcapng = write::section(Order::Little);
    pcapng.extend(write::interface(Order::Little, 1, 0, None, None, None));
    pcapng.extend(write::interface(Order::Little, 105, 0, None, None, None));
    for number in 0..6 {
        pcapng.extend(write::enhanced(Order::Little, number % 2, 1, &[1; 60], 60));
    }
    let (seen, report) = read(&pcapng).unwrap();
    let numbers: Vec<u64> = seen.iter().map(|seen| seen.number).collect();
    assert_eq!(numbers, [1, 3, 5], "numbers count every frame of the file");
    assert_eq!((report.frames, report.unsupported[&105]), (6, 3));
}
