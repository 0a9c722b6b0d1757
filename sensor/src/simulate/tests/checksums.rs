//! Checksums, by arithmetic of the tests' own and by tshark where it is installed.
//! Must never call the code that made the frames.

use std::{collections::HashMap, process::Command};

use super::{Read, SCENARIOS, bytes_of, fifth, made, options};

/// Ones' complement sum of 16-bit words.
fn ones_complement(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// What is wrong with a packet's checksums. Fragments are put together in `parts`.
fn wrong(frame: &[u8], parts: &mut HashMap<(Vec<u8>, u16), Vec<u8>>) -> Option<&'static str> {
    let (addresses, protocol, payload) = match u16::from_be_bytes([frame[12], frame[13]]) {
        0x0806 => return None,
        0x0800 => {
            let packet = &frame[14..];
            let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            if ones_complement(&packet[..20]) != 0xffff {
                return Some("IPv4 header");
            }
            let field = u16::from_be_bytes([packet[6], packet[7]]);
            let mut payload = packet[20..len].to_vec();
            if field & 0x3fff != 0 {
                let id = u16::from_be_bytes([packet[4], packet[5]]);
                let whole = parts.entry((packet[12..20].to_vec(), id)).or_default();
                assert_eq!(whole.len(), usize::from(field & 0x1fff) * 8, "fragments in order");
                whole.extend_from_slice(&payload);
                if field & 0x2000 != 0 {
                    return None;
                }
                payload = std::mem::take(whole);
            }
            (packet[12..20].to_vec(), packet[9], payload)
        }
        0x86dd => {
            let packet = &frame[14..];
            let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
            (packet[8..40].to_vec(), packet[6], packet[40..40 + len].to_vec())
        }
        _ => return Some("EtherType"),
    };
    let mut covered = Vec::new();
    if protocol != 1 {
        covered.extend_from_slice(&addresses);
        covered.extend_from_slice(&[0, protocol]);
        covered.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    covered.extend_from_slice(&payload);
    if protocol == 17 && usize::from(u16::from_be_bytes([payload[4], payload[5]])) != payload.len() {
        return Some("UDP length");
    }
    (ones_complement(&covered) != 0xffff).then_some("transport")
}

#[test]
fn every_checksum_of_every_scenario_is_right() {
    for scenario in SCENARIOS {
        let (frames, _) = made(&fifth(scenario.name, 4));
        let mut parts = HashMap::new();
        // The background is the same everywhere; once is enough.
        let new = |frame: &&Read| scenario.benign || !frame.label.is_empty();
        for (number, frame) in (1..).zip(frames.iter().filter(new)) {
            let wrong = wrong(&frame.data, &mut parts);
            assert_eq!(wrong, None, "{}: frame {number}: {frame:?}", scenario.name);
        }
    }
}

#[test]
fn a_wrong_checksum_would_be_found() {
    let (frames, _) = made(&options("ordinary", 4));
    let mut tcp = frames
        .iter()
        .find(|frame| frame.data[23] == 6)
        .unwrap()
        .data
        .clone();
    *tcp.get_mut(40).unwrap() ^= 1;
    assert_eq!(wrong(&tcp, &mut HashMap::new()), Some("transport"));
}

/// tshark's view of some scenarios: bad checksums, and segments that do not fit together.
#[test]
fn tshark_finds_no_bad_checksum_and_no_gap() {
    if Command::new("tshark").arg("--version").output().is_err() {
        let required = std::env::var("SENSOR_TEST_REQUIRE").is_ok_and(|value| value == "1");
        assert!(!required, "tshark is not installed: run `cargo xtask setup`");
        eprintln!("left out: tshark is not installed: run `cargo xtask setup`");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mixed.pcap");
    let names =
        "syn-flood,dns-amplification,vertical-scan,ssh-brute-force,dns-tunnel,silent-device,flash-crowd";
    std::fs::write(&path, bytes_of(&fifth(names, 9)).0).unwrap();
    let filter = "ip.checksum.status == 0 or tcp.checksum.status == 0 or udp.checksum.status == 0 or \
                  icmp.checksum.status == 0 or icmpv6.checksum.status == 0 or tcp.analysis.lost_segment or \
                  tcp.analysis.ack_lost_segment or dns and _ws.malformed";
    let mut tshark = Command::new("tshark");
    for field in ["ip", "tcp", "udp"] {
        tshark.args(["-o", &format!("{field}.check_checksum:TRUE")]);
    }
    let output = tshark.arg("-r").arg(&path).args(["-Y", filter]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
