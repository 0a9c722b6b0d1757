//! Community ID v1: the flow identifier that other network tools compute too, so that an alert can be looked up there.
//! `"1:" + base64(SHA-1(seed ‖ lower endpoint ‖ higher endpoint))` as specified in the community-id-spec repository.
//! It must never depend on the direction of a two-way flow.

use sensor_common::flow::{FlowKey, NET_ARP, NET_IPV4};
use sha1::{Digest, Sha1};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Community ID of a flow with seed 0. `initiator` tells the direction, which matters only for ICMP messages without
/// a reply. `None` for ARP, which the specification does not cover.
pub fn community_id(key: &FlowKey, initiator: &[u8; 16]) -> Option<String> {
    if key.network() == NET_ARP {
        return None;
    }
    let side = usize::from(key.addr[0] != *initiator);
    let (source, target) = (
        (key.addr[side], key.port[side]),
        (key.addr[1 - side], key.port[1 - side]),
    );
    // A one-way ICMP message keeps its direction: its "ports" are type and code, not two ends.
    let one_way = matches!(key.proto, ICMP | ICMPV6) && !is_two_way(key.proto, source.1);
    let (first, second) = if one_way || source <= target {
        (source, target)
    } else {
        (target, source)
    };
    let mut bytes = vec![0, 0];
    for end in [&first, &second] {
        bytes.extend(address_bytes(key, &end.0));
    }
    bytes.extend([key.proto, 0]);
    if matches!(key.proto, 1 | 6 | 17 | 58 | 132) {
        bytes.extend(first.1.to_be_bytes());
        bytes.extend(second.1.to_be_bytes());
    }
    Some(format!("1:{}", base64(&Sha1::digest(&bytes))))
}

/// ICMP types that have a counterpart in the specification's table.
fn is_two_way(proto: u8, kind: u16) -> bool {
    if proto == ICMP {
        matches!(kind, 0 | 8 | 9 | 10 | 13..=18)
    } else {
        matches!(kind, 128..=131 | 133..=136 | 139 | 140 | 144 | 145)
    }
}

/// Four bytes for IPv4; a mapped address in an IPv6 packet keeps its sixteen.
fn address_bytes<'a>(key: &FlowKey, address: &'a [u8; 16]) -> &'a [u8] {
    let from = if key.network() == NET_IPV4 { 12 } else { 0 };
    address.get(from..).unwrap_or_default()
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() {
                char::from(ALPHABET[value as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bytemuck::Zeroable;
    use std::net::IpAddr;

    use super::*;

    fn mapped(text: &str) -> [u8; 16] {
        match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }

    fn id(proto: u8, source: (&str, u16), target: (&str, u16)) -> String {
        let (a, b) = ((mapped(source.0), source.1), (mapped(target.0), target.1));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let mut key = FlowKey::zeroed();
        key.addr = [low.0, high.0];
        key.port = [low.1, high.1];
        key.proto = proto;
        key.kind = if source.0.contains(':') { 0x60 } else { 0x40 };
        community_id(&key, &a.0).unwrap()
    }

    /// Protocol, source, target, identifier: all of the baseline data that the specification's repository publishes
    /// (`baseline/baseline_deflt.json`), one direction each. ICMP has type, and code or the type of the answer, as ports.
    const PUBLISHED: [(u8, &str, u16, &str, u16, &str); 15] = [
        (
            6,
            "128.232.110.120",
            34855,
            "66.35.250.204",
            80,
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        (
            6,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            63943,
            "2607:f8b0:400c:c03::1a",
            25,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            17,
            "192.168.1.52",
            54585,
            "8.8.8.8",
            53,
            "1:d/FP5EW3wiY1vCndhwleRRKHowQ=",
        ),
        (
            132,
            "192.168.170.8",
            7,
            "192.168.170.56",
            7,
            "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=",
        ),
        (
            46,
            "10.1.12.1",
            0,
            "10.1.12.2",
            0,
            "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=",
        ),
        (
            1,
            "192.168.0.89",
            8,
            "192.168.0.1",
            0,
            "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        ),
        (1, "10.0.0.1", 11, "10.0.0.2", 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            135,
            "fe80::260:97ff:fe07:69ea",
            136,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            135,
            "fe80::200:86ff:fe05:80da",
            136,
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        ),
        (
            58,
            "3ffe:501:1800:2345::2",
            3,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            0,
            "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            1,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            4,
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (
            58,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            128,
            "3ffe:501:0:1001::2",
            129,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            133,
            "ff02::2",
            134,
            "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            134,
            "ff02::1",
            133,
            "1:pkvHqCL88/tg1k4cPigmZXUtL00=",
        ),
        // The answer to the echo request above.
        (
            58,
            "3ffe:501:0:1001::2",
            129,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            128,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
    ];

    #[test]
    fn published_vectors_come_out() {
        for (proto, source, source_port, target, target_port, expected) in PUBLISHED {
            assert_eq!(
                id(proto, (source, source_port), (target, target_port)),
                expected,
                "{source}"
            );
        }
    }

    #[test]
    fn both_directions_of_a_flow_have_one_identifier() {
        for (proto, source, source_port, target, target_port, expected) in PUBLISHED {
            // Messages without an answer are one-way: turned round they are another flow.
            if matches!((proto, source_port), (1, 11) | (58, 1 | 3)) {
                assert_ne!(id(proto, (target, source_port), (source, target_port)), expected);
            } else {
                assert_eq!(id(proto, (target, target_port), (source, source_port)), expected);
            }
        }
    }

    #[test]
    fn a_listener_s_farewell_has_no_answer() {
        // MLD Done (132): one-way in the specification's table, though its neighbours are not.
        let (one, other) = (("fe80::2", 132), ("fe80::1", 0));
        assert_ne!(id(58, one, other), id(58, (other.0, 132), (one.0, 0)));
        assert!(!is_two_way(ICMPV6, 132));
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }
}
