//! Formats: every variant of pcap and pcapng gives the same frames, lengths and times.

use super::write::{self, BEGIN_S, Order};
use super::{Seen, read};
use crate::capture::{NotACapture, What};

const S: u64 = 1_000_000_000;

#[test]
fn pcap_of_both_byte_orders_and_resolutions_gives_the_same_frames() {
    let times = [(10, 500), (11, 0)];
    for order in Order::BOTH {
        for (magic, unit_ns) in [(write::MICRO, 1_000), (write::NANO, 1)] {
            let mut file = write::pcap_header(order, magic, 1);
            for (number, (seconds, fraction)) in times.into_iter().enumerate() {
                let data = write::frame(number as u64);
                file.extend(write::record(order, seconds, fraction, &data, data.len() as u32));
            }
            let (seen, report) = read(&file).unwrap();
            let expected: Vec<Seen> = (0..2)
                .map(|number| {
                    let (seconds, fraction) = times[number as usize];
                    let time_ns = u64::from(seconds) * S + u64::from(fraction) * unit_ns;
                    Seen::new(time_ns, &write::frame(number), number + 1)
                })
                .collect();
            assert_eq!(seen, expected, "{order:?} {magic:x}");
            assert_eq!(report.damage, []);
            assert_eq!(report.bytes, file.len() as u64);
        }
    }
}

#[test]
fn a_modified_pcap_has_longer_record_headers_in_both_byte_orders() {
    for order in Order::BOTH {
        let mut file = write::pcap_header(order, write::MODIFIED, 1);
        for number in 0..3 {
            let data = write::frame(number);
            let mut record = write::record(order, BEGIN_S, number as u32, &data, 100);
            // Index of the interface, protocol, kind of packet, padding.
            let more = [&order.u32(1)[..], &order.u16(8), &[0, 0]].concat();
            record.splice(16..16, more);
            file.extend(record);
        }
        let (seen, report) = read(&file).unwrap();
        assert_eq!(seen.len(), 3, "{order:?}");
        assert_eq!(seen[2].data, write::frame(2));
        assert_eq!(seen[2].time_ns, u64::from(BEGIN_S) * 1_000_000_000 + 2_000);
        assert_eq!(seen[2].wire_len, 100);
        assert_eq!(report.damage, []);
        assert_eq!(read(&file[..20]).unwrap_err(), NotACapture::HeaderCut);
    }
}

#[test]
fn a_snap_length_shortens_the_data_and_not_the_length() {
    let mut pcap = write::pcap_header(Order::Little, write::MICRO, 1);
    pcap.extend(write::record(Order::Little, BEGIN_S, 0, &[7; 96], 1_514));
    // A length on the wire below the captured one is held to the captured one.
    pcap.extend(write::record(Order::Little, BEGIN_S, 1, &[8; 60], 20));
    let mut pcapng = write::section(Order::Big);
    pcapng.extend(write::interface(Order::Big, 1, 96, None, None, None));
    pcapng.extend(write::enhanced(Order::Big, 0, 5, &[7; 96], 1_514));
    pcapng.extend(write::enhanced(Order::Big, 0, 6, &[8; 60], 20));
    for file in [pcap, pcapng] {
        let (seen, report) = read(&file).unwrap();
        let lengths: Vec<_> = seen.iter().map(|seen| (seen.data.len(), seen.wire_len)).collect();
        assert_eq!(lengths, [(96, 1_514), (60, 60)]);
        assert_eq!(report.damage, []);
    }
}

#[test]
fn pcapng_interfaces_have_resolutions_and_offsets_of_their_own() {
    for order in Order::BOTH {
        let mut file = write::section(order);
        for (resolution, offset_s) in [
            (None, None),
            (Some(9), None),
            (Some(0x80 | 0x14), None),
            (Some(3), Some(1_000)),
            (Some(6), Some(-3)),
        ] {
            file.extend(write::interface(order, 1, 0, None, resolution, offset_s));
        }
        let ticks = [
            5_000_000,
            6 * S + 1,
            (7 << 20) + (1 << 19),
            8_250,
            10_000_000 + (1 << 32),
        ];
        for (interface, ticks) in ticks.into_iter().enumerate() {
            file.extend(write::enhanced(order, interface as u32, ticks, &[1; 60], 60));
        }
        let (seen, report) = read(&file).unwrap();
        let times: Vec<u64> = seen.iter().map(|seen| seen.time_ns).collect();
        let last_us = (10_000_000 + (1 << 32)) - 3_000_000;
        assert_eq!(
            times,
            [
                5 * S,
                6 * S + 1,
                7 * S + S / 2,
                1_008 * S + S / 4,
                last_us * 1_000
            ]
        );
        assert_eq!(report.interfaces.len(), 5);
        assert_eq!(report.damage, []);
    }
}

#[test]
fn a_section_restarts_with_its_own_byte_order_and_interfaces() {
    let mut file = Vec::new();
    for (order, resolution, ticks) in [
        (Order::Little, 6, 1_000_000),
        (Order::Big, 9, 2 * S),
        (Order::Little, 3, 3_000),
    ] {
        file.extend(write::section(order));
        file.extend(write::interface(
            order,
            1,
            0,
            Some("eth0"),
            Some(resolution),
            None,
        ));
        file.extend(write::enhanced(order, 0, ticks, &[3; 60], 60));
    }
    let (seen, report) = read(&file).unwrap();
    let times: Vec<u64> = seen.iter().map(|seen| seen.time_ns).collect();
    assert_eq!(times, [S, 2 * S, 3 * S]);
    assert_eq!(report.interfaces.len(), 1, "the same interface in each section");
    assert_eq!(report.interfaces[0].name.as_deref(), Some("eth0"));
}

#[test]
fn every_kind_of_packet_block_is_read_and_other_blocks_are_passed_over() {
    for order in Order::BOTH {
        let mut file = write::section(order);
        file.extend(write::interface(order, 1, 40, None, None, None));
        // Name resolution, statistics, secrets, custom, one that nobody knows, one that is longer than any packet.
        for (kind, length) in [
            (4, 8),
            (5, 12),
            (10, 20),
            (0xbad, 8),
            (0x8000_0001, 0),
            (0xabc, 2 << 20),
        ] {
            file.extend(write::block(order, kind, &vec![0x5a; length]));
        }
        file.extend(write::enhanced_with_options(order, 1_000_000, &[1; 33]));
        // Simple: the snap length of the first interface cuts it.
        let mut simple = order.u32(1_000).to_vec();
        simple.extend([2; 40]);
        file.extend(write::block(order, 3, &simple));
        // Obsolete: 16 bits of interface, 16 of drops.
        let mut obsolete = order.u16(0).to_vec();
        obsolete.extend(order.u16(9));
        for field in [0, 3_000_000, 21, 50] {
            obsolete.extend(order.u32(field));
        }
        obsolete.extend([3; 21]);
        file.extend(write::block(order, 2, &obsolete));
        let (seen, report) = read(&file).unwrap();
        assert_eq!(report.damage, [], "{order:?}");
        let seen: Vec<_> = seen
            .iter()
            .map(|seen| (seen.time_ns, seen.data.clone(), seen.wire_len))
            .collect();
        let expected = [
            (S, vec![1; 33], 33),
            // Without a time: that of the frame before.
            (S, vec![2; 40], 1_000),
            (3 * S, vec![3; 21], 50),
        ];
        assert_eq!(seen, expected, "{order:?}");
        assert_eq!(report.without_time, 1);
        assert_eq!(report.bytes, file.len() as u64);
    }
}

#[test]
fn a_packet_of_an_undescribed_interface_is_damage_and_the_rest_is_read() {
    let mut file = write::pcapng(1);
    let at = file.len() as u64;
    let stray = write::enhanced(Order::Little, 7, 1, &[1; 60], 60);
    file.extend(&stray);
    file.extend(write::enhanced(Order::Little, 0, 2, &[2; 60], 60));
    let (seen, report) = read(&file).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(report.damage.len(), 1);
    assert_eq!(report.damage[0].offset_bytes, at);
    assert_eq!(report.damage[0].what, What::UnknownInterface { interface: 7 });
    assert_eq!(report.damage[0].lost_bytes, stray.len() as u64);
}

#[test]
fn more_interfaces_than_are_told_apart_share_the_last() {
    let mut file = write::section(Order::Little);
    for number in 0..2_000 {
        let name = format!("eth{number}");
        file.extend(write::interface(Order::Little, 1, 0, Some(&name), None, None));
    }
    file.extend(write::enhanced(Order::Little, 1_999, 0, &[1; 60], 60));
    let (seen, report) = read(&file).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(report.interfaces.len(), crate::capture::MAX_INTERFACES);
}

#[test]
fn a_header_alone_is_a_capture_without_frames() {
    for file in [write::pcap(0), write::section(Order::Big), write::pcapng(0)] {
        let (seen, report) = read(&file).unwrap();
        assert_eq!(seen, []);
        assert_eq!(report.damage, []);
    }
}

#[test]
fn what_is_no_capture_is_refused_and_named() {
    assert_eq!(read(b"").unwrap_err(), NotACapture::Empty);
    assert_eq!(read(b"\xd4\xc3\xb2\xa1\x02").unwrap_err(), NotACapture::HeaderCut);
    assert_eq!(read(&write::pcapng(0)[..11]).unwrap_err(), NotACapture::HeaderCut);
    assert_eq!(
        read(b"time,src,dst\n1,2,3\nand so on").unwrap_err(),
        NotACapture::Unknown
    );
    for rows in ["PAR1....", "kind,window_start,window_end", "{\"kind\":\"flow\"}"] {
        assert_eq!(read(rows.as_bytes()).unwrap_err(), NotACapture::FlowFile);
    }
    let xz = read(b"\xfd7zXZ\0....................").unwrap_err();
    assert!(xz.to_string().contains("xz -dc"), "{xz}");
}
