//! Community ID v1: the flow identifier that other network tools compute too, so that an alert can be looked up there.
//! `"1:" + base64(SHA-1(seed ‖ lower endpoint ‖ higher endpoint))` as specified in the community-id-spec repository.
//! It must never depend on the direction of a two-way flow.

use sensor_common::flow::{FlowKey, NET_ARP};
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
    bytes.extend(address_bytes(&first.0));
    bytes.extend(address_bytes(&second.0));
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
        matches!(kind, 128..=136 | 139 | 140 | 144 | 145)
    }
}

fn address_bytes(address: &[u8; 16]) -> &[u8] {
    if address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
        address.get(12..).unwrap_or_default()
    } else {
        address
    }
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

    #[test]
    fn published_vectors_come_out() {
        let tcp = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        assert_eq!(id(6, ("128.232.110.120", 34855), ("66.35.250.204", 80)), tcp);
        assert_eq!(id(6, ("66.35.250.204", 80), ("128.232.110.120", 34855)), tcp);
        let udp = "1:d/FP5EW3wiY1vCndhwleRRKHowQ=";
        assert_eq!(id(17, ("192.168.1.52", 54585), ("8.8.8.8", 53)), udp);
        let icmp = "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=";
        assert_eq!(id(1, ("192.168.0.89", 8), ("192.168.0.1", 0)), icmp);
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }
}
