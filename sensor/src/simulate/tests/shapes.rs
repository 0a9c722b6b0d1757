//! Each scenario does what its line in the table says: counts, addresses, ports, flags, times.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{Read, made, options};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 20, 10));
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A labelled frame, with what matters of it.
struct Seen {
    time_ns: u64,
    src: IpAddr,
    dst: IpAddr,
    sport: u16,
    dport: u16,
    proto: u8,
    flags: u8,
    arp: bool,
    len: u64,
    mac: [u8; 6],
}

fn seen(frame: &Read) -> Seen {
    let parsed = frame.parsed();
    let (key, half) = (&parsed.key, usize::from(parsed.half));
    let address = |index: usize| Ipv6Addr::from(key.addr[index]).to_canonical();
    Seen {
        time_ns: frame.time_ns,
        src: address(half),
        dst: address(1 - half),
        sport: key.port[half],
        dport: key.port[1 - half],
        proto: key.proto,
        flags: parsed.tcp_flags,
        arp: key.proto == 0,
        len: u64::from(frame.wire_len),
        mac: parsed.mac,
    }
}

fn labelled(scenario: &str) -> Vec<Seen> {
    let (frames, _) = made(&options(scenario, 11));
    let labelled = frames.iter().filter(|frame| !frame.label.is_empty());
    labelled.map(seen).collect()
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<BTreeSet<T>>().len()
}

fn syns(frames: &[Seen]) -> impl Iterator<Item = &Seen> {
    frames
        .iter()
        .filter(|frame| frame.proto == TCP && frame.flags == 2)
}

#[test]
fn syn_floods_have_forged_or_real_sources_and_the_victim_answers() {
    for (name, low, high) in [("syn-flood", 14_900, 15_000), ("syn-flood-botnet", 250, 300)] {
        let frames = labelled(name);
        assert_eq!(syns(&frames).count(), 15_000, "{name}");
        assert!(syns(&frames).all(|frame| (frame.dst, frame.dport) == (SERVER, 443)));
        let sources = distinct(syns(&frames).map(|frame| frame.src));
        assert!((low..=high).contains(&sources), "{name}: {sources}");
        let answers = frames
            .iter()
            .filter(|frame| frame.flags == 18 && frame.src == SERVER);
        assert!(answers.count() >= 15_000, "{name}");
    }
}

#[test]
fn datagram_floods_hit_one_host_from_many() {
    for (name, low, high) in [("udp-flood", 14_900, 15_000), ("udp-flood-botnet", 250, 300)] {
        let frames = labelled(name);
        let sent = || frames.iter().filter(|frame| frame.proto == UDP);
        assert_eq!(sent().count(), 15_000);
        assert!(sent().all(|frame| frame.dst == SERVER));
        let sources = distinct(sent().map(|frame| frame.src));
        assert!((low..=high).contains(&sources), "{name}: {sources}");
        assert!(frames.iter().any(|frame| frame.proto == 1 && frame.src == SERVER));
    }
    let frames = labelled("icmp-flood");
    let echoes = |to: bool| {
        frames
            .iter()
            .filter(move |frame| (frame.dst == SERVER) == to)
            .count()
    };
    assert_eq!((echoes(true), echoes(false)), (15_000, 15_000));
}

#[test]
fn amplifiers_answer_what_the_victim_never_asked() {
    for (name, port, least) in [
        ("dns", 53, 6000),
        ("ntp", 123, 12_000),
        ("snmp", 161, 8000),
        ("memcached", 11_211, 12_000),
    ] {
        let frames = labelled(&format!("{name}-amplification"));
        let answers: Vec<_> = frames
            .iter()
            .filter(|frame| frame.sport == port && frame.dst == SERVER)
            .collect();
        assert!(answers.len() >= least, "{name}: {}", answers.len());
        assert!(
            frames
                .iter()
                .all(|frame| frame.dport != port || frame.src != SERVER),
            "{name}"
        );
        assert!(distinct(answers.iter().map(|frame| frame.src)) > 50, "{name}");
        let bytes: u64 = answers.iter().map(|frame| frame.len).sum();
        assert!(bytes / answers.len() as u64 > 450, "{name}");
    }
}

#[test]
fn scans_of_ports_try_a_thousand_with_their_flags() {
    for (name, flags) in [
        ("vertical-scan", 2),
        ("fin-scan", 1),
        ("null-scan", 0),
        ("xmas-scan", 0x29),
    ] {
        let frames = labelled(name);
        let probes = || {
            frames
                .iter()
                .filter(|frame| frame.dst == SERVER && frame.flags == flags)
        };
        assert_eq!(distinct(probes().map(|frame| frame.dport)), 1000, "{name}");
        assert_eq!(distinct(probes().map(|frame| frame.src)), 1, "{name}");
    }
    let frames = labelled("slow-scan");
    let times: Vec<u64> = syns(&frames).map(|frame| frame.time_ns).collect();
    assert!(times.len() > 40);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 3_000_000_000));
}

#[test]
fn horizontal_scans_try_one_port_of_many_hosts() {
    let frames = labelled("horizontal-scan");
    let attacker = syns(&frames).next().unwrap().src;
    let tried = frames
        .iter()
        .filter(|frame| frame.src == attacker && (frame.arp || frame.flags == 2));
    assert!(distinct(tried.map(|frame| frame.dst)) > 240);
    assert!(syns(&frames).all(|frame| frame.dport == 445));
    let mut worm = options("horizontal-scan", 1);
    for text in ["targets=internet", "port=23", "hosts=500"] {
        worm.shape.settings.push(super::Setting::parse(text).unwrap());
    }
    let (frames, _) = made(&worm);
    let frames: Vec<Seen> = frames
        .iter()
        .filter(|frame| !frame.label.is_empty())
        .map(seen)
        .collect();
    assert!(distinct(syns(&frames).map(|frame| frame.dst)) > 490);
    assert!(syns(&frames).all(|frame| frame.dport == 23));
}

#[test]
fn brute_forces_open_many_connections_to_their_service() {
    for (name, port, least) in [("ssh", 22, 50), ("ftp", 21, 50), ("rdp", 3389, 150)] {
        let frames = labelled(&format!("{name}-brute-force"));
        assert!(syns(&frames).count() >= least, "{name}");
        assert!(
            frames
                .iter()
                .all(|frame| frame.sport == port || frame.dport == port)
        );
        let closed = frames.iter().filter(|frame| frame.flags & 5 != 0).count();
        assert!(closed >= least, "{name}: every connection ends");
    }
}

#[test]
fn beacons_keep_their_period_within_the_jitter() {
    let frames = labelled("beaconing");
    let times: Vec<u64> = syns(&frames).map(|frame| frame.time_ns).collect();
    assert!(times.len() >= 12);
    for pair in times.windows(2) {
        let gap = (pair[1] - pair[0]) as f64 / 1e9;
        assert!((11.9..=18.2).contains(&gap), "{gap}");
    }
    assert_eq!(distinct(syns(&frames).map(|frame| frame.dst)), 1);
    assert!(
        frames.iter().any(|frame| frame.dport == 53),
        "it asks for the name"
    );
}

#[test]
fn the_tunnel_asks_for_long_names_and_the_queries_parse() {
    let (frames, _) = made(&options("dns-tunnel", 11));
    let mut queries = 0;
    for frame in frames.iter().filter(|frame| !frame.label.is_empty()) {
        let message = &frame.data[42..];
        let (mut at, mut name) = (12, 0);
        while message[at] != 0 {
            assert!(message[at] < 64);
            name += usize::from(message[at]) + 1;
            at += usize::from(message[at]) + 1;
        }
        assert!((100..255).contains(&name), "{name}");
        queries += usize::from(message[2] & 0x80 == 0);
    }
    // From the client to the resolver, and on to the server of the zone.
    assert_eq!(queries, 1800);
}

#[test]
fn exfiltration_moves_its_bytes_out() {
    let up = |frames: &[Seen]| -> u64 {
        let out = frames.iter().filter(|frame| frame.dport == 443);
        out.map(|frame| frame.len).sum()
    };
    let bulk = labelled("bulk-exfiltration");
    assert!((31_457_280..36_000_000).contains(&up(&bulk)), "{}", up(&bulk));
    assert_eq!(syns(&bulk).count(), 1);
    let slow = labelled("low-and-slow-exfiltration");
    let uploads = syns(&slow).count() as u64;
    assert!(
        uploads >= 7 && up(&slow) / uploads < 90_000,
        "{uploads} {}",
        up(&slow)
    );
}

#[test]
fn a_storm_asks_for_every_address() {
    let frames = labelled("arp-storm");
    let first = frames.first().unwrap().mac;
    let asked = || {
        frames
            .iter()
            .filter(|frame| frame.mac == first && frame.flags == 1)
    };
    assert_eq!(asked().count(), 6000);
    assert!(distinct(asked().map(|frame| frame.dst)) > 250);
}

#[test]
fn a_new_device_is_new_and_a_silent_one_silent() {
    let (frames, _) = made(&options("new-device", 11));
    let parsed: Vec<(bool, Seen)> = frames
        .iter()
        .map(|frame| (frame.label.is_empty(), seen(frame)))
        .collect();
    let device = parsed.iter().find(|(benign, _)| !benign).unwrap().1.mac;
    assert!(
        parsed
            .iter()
            .all(|(benign, frame)| !benign || frame.mac != device)
    );
    assert!(parsed.iter().filter(|(_, frame)| frame.mac == device).count() > 80);

    let (frames, outcome) = made(&options("silent-device", 11));
    let (begin, length) = outcome.runs[0].planned_ns;
    let camera: IpAddr = Ipv4Addr::new(192, 168, 20, 41).into();
    let mut sent = [0; 3];
    for frame in frames.iter().map(seen).filter(|frame| frame.src == camera) {
        let at = frame.time_ns - crate::simulate::EPOCH_NS;
        sent[usize::from(at > begin + 1_000_000_000) + usize::from(at > begin + length)] += 1;
    }
    assert!(sent[0] > 100 && sent[1] == 0 && sent[2] > 0, "{sent:?}");
}

#[test]
fn during_an_outage_nobody_is_served() {
    let (frames, outcome) = made(&options("service-outage", 11));
    let (begin, length) = outcome.runs[0].planned_ns;
    let window = begin + 1_000_000_000..begin + length;
    let mut refused = 0;
    for frame in frames
        .iter()
        .filter(|frame| window.contains(&(frame.time_ns - crate::simulate::EPOCH_NS)))
    {
        let seen = seen(frame);
        if seen.proto == TCP && seen.sport == 443 && seen.mac[5] == 10 {
            assert_ne!(seen.flags, 18, "no SYN-ACK");
            if seen.flags & 4 != 0 {
                refused += 1;
                assert_eq!(frame.label, "service-outage");
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn benign_surprises_are_as_large_as_attacks() {
    let ordinary = made(&options("ordinary", 11)).0;
    let bytes = |frames: &[Read]| -> u64 { frames.iter().map(|frame| u64::from(frame.wire_len)).sum() };
    let grown = |name: &str| bytes(&made(&options(name, 11)).0) - bytes(&ordinary);
    assert!(grown("backup-job") > 41_000_000);
    assert!(grown("software-update") > 40_000_000);
    let clients = |frames: &[Read]| {
        let mut visits = BTreeMap::<IpAddr, u32>::new();
        for frame in syns(&frames.iter().map(seen).collect::<Vec<_>>()).filter(|frame| frame.dst == SERVER) {
            *visits.entry(frame.src).or_default() += 1;
        }
        visits.len()
    };
    assert!(clients(&made(&options("flash-crowd", 11)).0) > clients(&ordinary) + 380);
    assert_eq!(
        clients(&made(&options("new-client", 11)).0),
        clients(&ordinary) + 1
    );
}
