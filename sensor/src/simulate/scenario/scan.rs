//! Scans with the fingerprints of their tools: nmap's SYN, FIN, NULL and XMAS scans of many ports, masscan's of many
//! hosts. Answers of the scanned belong to the scan.

use std::net::Ipv4Addr;

use super::{
    Setup,
    victim::{Arriving, Victim, bare_reset, nothing_agreed},
};
use crate::simulate::{
    cast::Cast,
    datagrams,
    frame::{self, Path, Tcp, flags},
    host::{Answer, HostId, Label, public_address},
    random::Random,
    stack::{LINUX, Options},
    stage::{SECOND, Stage},
};

/// Ports that scanners try first.
const COMMON: [u16; 24] = [
    80, 443, 22, 21, 23, 25, 3389, 110, 445, 139, 143, 53, 135, 3306, 8080, 1723, 111, 995, 993, 5900, 1025,
    587, 8888, 199,
];

/// `count` different ports, the common ones among the first.
fn ports(count: u64, random: &mut Random) -> Vec<u16> {
    let mut first = COMMON.to_vec();
    random.shuffle(&mut first);
    let mut rest: Vec<u16> = (1..=u16::MAX).filter(|port| !COMMON.contains(port)).collect();
    random.shuffle(&mut rest);
    first.append(&mut rest);
    first.truncate(count.min(65_535) as usize);
    let mut spread = first.split_off(first.len().min(COMMON.len()));
    // Common ports come early, but not in a block.
    for port in first {
        let at = random.below((spread.len() as u64).min(100) + 1) as usize;
        spread.insert(at.min(spread.len()), port);
    }
    spread
}

/// One scanner with its way of asking.
struct Prober {
    attacker: HostId,
    victim: Victim,
    label: Label,
    flags: u8,
    sport: u16,
    seq: u32,
}

impl Prober {
    fn new(setup: &mut Setup<'_>, flags: u8) -> Self {
        let server = setup.cast.server;
        let attacker = setup.attacker(&LINUX, server);
        setup.declare(Some(attacker), Some(server), None, "tcp");
        Self {
            attacker,
            victim: Victim::new(server, setup.label),
            label: setup.label,
            flags,
            // nmap keeps port and sequence number over a scan.
            sport: setup.random.between(33_000, 64_000) as u16,
            seq: setup.random.next() as u32,
        }
    }

    /// Tries one port. Returns whether there was no answer, so that it is tried again.
    fn probe(&mut self, stage: &mut Stage, now: u64, port: u16, random: &mut Random) -> bool {
        let target = self.victim.id;
        let hops = stage.host(self.attacker).hops;
        let path = Path {
            // nmap draws the TTL of each raw packet from 37 to 59.
            ttl: (random.between(37, 59) as u8).saturating_sub(hops).max(1),
            id: random.next() as u16,
            ..stage.path(self.attacker, target, false)
        };
        let syn = self.flags == flags::SYN;
        let options = Options::mss_only(1460);
        let head = Tcp {
            sport: self.sport,
            dport: port,
            seq: self.seq,
            ack: 0,
            flags: self.flags,
            window: 1024,
            options: if syn { options.bytes() } else { &[] },
        };
        stage.send_raw(now, self.label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
        let arriving = Arriving {
            path: &path,
            sport: self.sport,
            dport: port,
            seq: self.seq,
            agreed: nothing_agreed(),
            stamp: 0,
            unfinished: false,
        };
        let (answer, _) = stage.host(target).answers(port);
        if syn {
            if let Some((answered, _)) = self.victim.syn(stage, now, &arriving, random) {
                // The scanner's kernel knows nothing of the connection.
                let back = answered + datagrams::answer_delay(stage, self.attacker, random);
                let own = stage.path(self.attacker, target, false);
                bare_reset(
                    stage,
                    back,
                    self.label,
                    &own,
                    (self.sport, port),
                    self.seq.wrapping_add(1),
                );
            }
            answer == Answer::Silence
        } else if answer == Answer::Refuse {
            let at = now + datagrams::answer_delay(stage, target, random);
            self.victim
                .reset(stage, at, &arriving, self.flags & flags::FIN != 0);
            false
        } else {
            // An open port drops what belongs to no connection.
            true
        }
    }
}

fn many_ports(setup: &mut Setup<'_>, flags: u8) {
    let mut prober = Prober::new(setup, flags);
    let mut random = setup.random.fork();
    let ports = ports(setup.values.count("ports"), &mut random);
    let step = setup.step_ns(ports.len() as u64);
    let mut ports = ports.into_iter();
    let mut again: Vec<u16> = Vec::new();
    setup.stage.act(setup.begin_ns, move |stage, now| {
        if let Some(port) = ports.next() {
            if prober.probe(stage, now, port, &mut random) {
                again.push(port);
            }
            return Some(now + random.exponential(step as f64) as u64);
        }
        // What did not answer is tried once more, from the next source port.
        if prober.sport & 1 == 0 {
            prober.sport |= 1;
        }
        let port = again.pop()?;
        prober.probe(stage, now, port, &mut random);
        Some(now + random.exponential(step as f64) as u64)
    });
}

pub(super) fn vertical(setup: &mut Setup<'_>) {
    many_ports(setup, flags::SYN);
}

pub(super) fn fin(setup: &mut Setup<'_>) {
    many_ports(setup, flags::FIN);
}

pub(super) fn null(setup: &mut Setup<'_>) {
    many_ports(setup, 0);
}

pub(super) fn xmas(setup: &mut Setup<'_>) {
    many_ports(setup, flags::FIN | flags::PSH | flags::URG);
}

pub(super) fn slow(setup: &mut Setup<'_>) {
    let mut prober = Prober::new(setup, flags::SYN);
    let mut random = setup.random.fork();
    let mut ports = ports(65_535, &mut random).into_iter();
    let (period, jitter) = (setup.values.time_ns("period"), setup.values.get("jitter"));
    let end = setup.end_ns();
    setup.stage.act(setup.begin_ns, move |stage, now| {
        prober.probe(stage, now, ports.next()?, &mut random);
        let next = now + random.jitter(period, jitter);
        (next < end).then_some(next)
    });
}

pub(super) fn horizontal(setup: &mut Setup<'_>) {
    let count = setup.values.count("hosts");
    let port = setup.values.count("port") as u16;
    let internet = setup.values.is_second("targets") && setup.cast.routed;
    // A worm that goes to the Internet sits inside.
    let attacker = if internet {
        setup.cast.person_but(setup.cast.server)
    } else {
        let server = setup.cast.server;
        setup.attacker(&LINUX, server)
    };
    setup.declare(Some(attacker), None, Some(port), "tcp");
    let (label, step) = (setup.label, setup.step_ns(count));
    let inside = setup.stage.host(attacker).local;
    let mut targets: Vec<Ipv4Addr> = setup.cast.local_addresses().collect();
    let own = setup.stage.host(attacker).v4;
    targets.retain(|address| *address != own);
    let mut random = setup.random.fork();
    random.shuffle(&mut targets);
    let gateway = setup.cast.gateway;
    let way_out = setup.cast.way_out(setup.stage);
    let sport = random.between(40_000, 60_000) as u16;
    let mut sent = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        if internet {
            strange_target(stage, now, label, (attacker, way_out), (sport, port), &mut random);
        } else {
            let address = targets.get(sent as usize % targets.len().max(1)).copied()?;
            // Whoever forwards the packet to the local network has to find the address first.
            let asker = if inside { attacker } else { gateway };
            local_target(
                stage,
                now,
                label,
                (attacker, asker),
                (address, sport, port),
                &mut random,
            );
        }
        sent += 1;
        (sent < count).then(|| now + random.exponential(step as f64) as u64)
    });
}

fn masscan<'a>(stage: &Stage, attacker: HostId, path: Path, ports: (u16, u16), seq: u32) -> (Path, Tcp<'a>) {
    // masscan: TTL 255, window 1024, no options.
    let path = Path {
        ttl: 255 - stage.host(attacker).hops,
        ..path
    };
    let head = Tcp {
        sport: ports.0,
        dport: ports.1,
        seq,
        ack: 0,
        flags: flags::SYN,
        window: 1024,
        options: &[],
    };
    (path, head)
}

fn local_target(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (attacker, asker): (HostId, HostId),
    (address, sport, port): (Ipv4Addr, u16, u16),
    random: &mut Random,
) {
    let holder = Cast::holder(stage, address).filter(|host| stage.host(*host).down.is_none());
    let Some(target) = holder else {
        for second in 0..3 {
            datagrams::arp(
                stage,
                now + second * SECOND,
                label,
                asker,
                (address, None),
                random,
            );
        }
        return;
    };
    if target == asker {
        return;
    }
    datagrams::arp(stage, now, label, asker, (address, Some(target)), random);
    let at = now + datagrams::answer_delay(stage, target, random) + 50_000;
    let seq = random.next() as u32;
    let path = stage.path(attacker, target, false);
    let (path, head) = masscan(stage, attacker, path, (sport, port), seq);
    stage.send_raw(at, label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
    let arriving = Arriving {
        path: &path,
        sport,
        dport: port,
        seq,
        agreed: nothing_agreed(),
        stamp: 0,
        unfinished: false,
    };
    let mut victim = Victim::new(target, label);
    if let Some((answered, _)) = victim.syn(stage, at, &arriving, random) {
        let back = answered + datagrams::answer_delay(stage, attacker, random);
        bare_reset(stage, back, label, &path, (sport, port), seq.wrapping_add(1));
    }
}

/// A random address of the Internet: most say nothing, some refuse, few accept.
fn strange_target(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (attacker, way_out): (HostId, frame::Mac),
    (sport, port): (u16, u16),
    random: &mut Random,
) {
    let address = public_address(random);
    let seq = random.next() as u32;
    let path = Path {
        dst_mac: way_out,
        ..stage.path_to(attacker, address.into(), false)
    };
    let (path, head) = masscan(stage, attacker, path, (sport, port), seq);
    stage.send_raw(now, label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
    let fate = random.unit();
    if fate < 0.1 {
        let back = Path {
            src_mac: path.dst_mac,
            dst_mac: path.src_mac,
            src: path.dst,
            dst: path.src,
            ttl: random.between(42, 58) as u8,
            id: 0,
            dont_fragment: true,
        };
        let open = fate < 0.02;
        let answer = Tcp {
            sport: port,
            dport: sport,
            seq: if open { random.next() as u32 } else { 0 },
            ack: seq.wrapping_add(1),
            flags: flags::ACK | if open { flags::SYN } else { flags::RST },
            window: if open { 64_240 } else { 0 },
            options: &[],
        };
        let at = now + random.delay(80_000_000);
        stage.send_raw(at, label, |out, _| frame::tcp(out, &back, &answer, 0, |_| {}));
        if open {
            bare_reset(
                stage,
                at + 400_000,
                label,
                &path,
                (sport, port),
                seq.wrapping_add(1),
            );
        }
    }
}
