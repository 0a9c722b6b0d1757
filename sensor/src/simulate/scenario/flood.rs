//! Floods: SYN, UDP and ICMP, from forged sources (as hping3 sends them) or from many real hosts.
//! One actor sends packet by packet, so that a flood of any length needs no more memory than a short one.

use std::net::IpAddr;

use super::{
    Setup,
    victim::{Arriving, Victim, agreed_with, bare_reset, nothing_agreed},
};
use crate::simulate::{
    datagrams::unreachable,
    frame::{self, Path, Tcp, flags},
    host::{HostId, public_address},
    random::Random,
    stack::{Agreed, LINUX, Options, WINDOWS},
    stage::{MILLI, Stage},
};

/// Sends `count` packets over the length of the scenario, in uneven steps.
fn repeat(
    setup: &mut Setup<'_>,
    count: u64,
    mut send: impl FnMut(&mut Stage, u64, u64, &mut Random) + 'static,
) {
    let step = setup.step_ns(count);
    let mut random = setup.random.fork();
    let mut sent = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        send(stage, now, sent, &mut random);
        sent += 1;
        (sent < count).then(|| now + random.exponential(step as f64) as u64)
    });
}

/// A way with a forged source, from where a real stranger is.
fn forged(stage: &mut Stage, attacker: HostId, victim: HostId, random: &mut Random) -> Path {
    Path {
        src: IpAddr::from(public_address(random)),
        id: random.next() as u16,
        ..stage.path(attacker, victim, false)
    }
}

pub(super) fn syn_spoofed(setup: &mut Setup<'_>) {
    let (server, port, label) = (setup.cast.server, setup.cast.service, setup.label);
    setup.declare(None, Some(server), Some(port), "tcp");
    let attacker = setup.cast.stranger(setup.stage, &LINUX, &mut setup.random);
    let mut victim = Victim::new(server, label);
    let first_port = setup.random.between(1024, 50_000) as u16;
    let count = setup.values.count("packets");
    repeat(setup, count, move |stage, now, index, random| {
        let path = forged(stage, attacker, server, random);
        let sport = first_port.wrapping_add(index as u16).max(1);
        let seq = random.next() as u32;
        // hping3 --flood -S: no options, window 512.
        let head = Tcp {
            sport,
            dport: port,
            seq,
            ack: 0,
            flags: flags::SYN,
            window: 512,
            options: &[],
        };
        stage.send_raw(now, label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
        let fate = random.unit();
        let syn = Arriving {
            path: &path,
            sport,
            dport: port,
            seq,
            agreed: nothing_agreed(),
            stamp: 0,
            unfinished: fate >= 0.15,
        };
        let Some((answered, _)) = victim.syn(stage, now, &syn, random) else {
            return;
        };
        // Some forged addresses belong to somebody, who knows nothing of it.
        let late = answered + random.delay(60 * MILLI);
        let owner = Path {
            ttl: random.between(40, 60) as u8,
            ..path
        };
        if fate < 0.12 {
            bare_reset(stage, late, label, &owner, (sport, port), seq.wrapping_add(1));
        } else if fate < 0.15 {
            let mut about = Vec::new();
            let back = victim.back(stage, &path);
            let answer = Tcp {
                sport: port,
                dport: sport,
                seq,
                ack: seq.wrapping_add(1),
                flags: flags::SYN | flags::ACK,
                ..head
            };
            frame::tcp(&mut about, &back, &answer, 0, |_| {});
            unreachable(stage, late, label, &owner, 1, &about);
        }
    });
}

/// The hosts of a botnet; a small network without a way out holds only a few.
fn bots(setup: &mut Setup<'_>, count: u64) -> Vec<HostId> {
    let count = if setup.cast.routed { count } else { count.min(40) };
    (0..count)
        .map(|_| setup.cast.visitor(setup.stage, &mut setup.random))
        .collect()
}

pub(super) fn syn_botnet(setup: &mut Setup<'_>) {
    let (server, port, label) = (setup.cast.server, setup.cast.service, setup.label);
    setup.declare(None, Some(server), Some(port), "tcp");
    let count = setup.values.count("bots");
    let bots = bots(setup, count);
    let mut victim = Victim::new(server, label);
    let count = setup.values.count("packets");
    repeat(setup, count, move |stage, now, _, random| {
        let Some(bot) = random.pick(&bots) else {
            return;
        };
        let host = stage.host(bot);
        let (stack, quiet, delay) = (host.stack, host.filtered, host.delay_ns);
        let stamp = host.stamp(now - stage.begin_ns());
        let path = Path {
            dont_fragment: true,
            ..stage.path(bot, server, false)
        };
        let (sport, seq) = (random.between(1024, 65_535) as u16, random.next() as u32);
        let options = Options::syn(stack, stack.mss, Agreed::offered(stack), (stamp, 0));
        let head = Tcp {
            sport,
            dport: port,
            seq,
            ack: 0,
            flags: flags::SYN,
            window: stack.syn_window,
            options: options.bytes(),
        };
        stage.send_raw(now, label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
        let syn = Arriving {
            path: &path,
            sport,
            dport: port,
            seq,
            agreed: agreed_with(stack),
            stamp,
            unfinished: quiet,
        };
        if let Some((answered, _)) = victim.syn(stage, now, &syn, random)
            && !quiet
        {
            // The SYN came from a raw socket: the bot's kernel knows no such connection.
            let at = answered + random.delay(2 * delay);
            bare_reset(stage, at, label, &path, (sport, port), seq.wrapping_add(1));
        }
    });
}

pub(super) fn udp_spoofed(setup: &mut Setup<'_>) {
    let (server, label) = (setup.cast.server, setup.label);
    setup.declare(None, Some(server), None, "udp");
    setup.declare(None, Some(server), None, "icmp");
    let attacker = setup.cast.stranger(setup.stage, &LINUX, &mut setup.random);
    let mut victim = Victim::new(server, label);
    let size = setup.random.between(400, 1200) as usize;
    let count = setup.values.count("packets");
    repeat(setup, count, move |stage, now, _, random| {
        let path = forged(stage, attacker, server, random);
        let ports = (
            random.between(1, 65_535) as u16,
            random.between(1024, 65_535) as u16,
        );
        let mut about = Vec::new();
        let from = random.below(1024) as usize;
        stage.send_raw(now, label, |out, noise| {
            frame::udp(
                out,
                &path,
                ports.0,
                ports.1,
                noise.get(from..from + size).unwrap_or_default(),
            );
            about.extend_from_slice(out);
        });
        victim.port_unreachable(stage, now, &path, &about, &mut 0);
    });
}

pub(super) fn udp_botnet(setup: &mut Setup<'_>) {
    let (server, label) = (setup.cast.server, setup.label);
    let port = setup.random.between(10_000, 60_000) as u16;
    setup.declare(None, Some(server), Some(port), "udp");
    setup.declare(None, Some(server), None, "icmp");
    let count = setup.values.count("bots");
    let bots = bots(setup, count);
    let mut sources: Vec<(u16, u64)> = bots
        .iter()
        .map(|_| (setup.random.between(1024, 65_535) as u16, 0))
        .collect();
    let mut victim = Victim::new(server, label);
    let count = setup.values.count("packets");
    repeat(setup, count, move |stage, now, _, random| {
        let index = random.below(bots.len() as u64) as usize;
        let (Some(bot), Some((sport, last))) = (bots.get(index), sources.get_mut(index)) else {
            return;
        };
        let path = stage.path(*bot, server, false);
        let (from, size) = (random.below(1024) as usize, random.between(900, 1400) as usize);
        let mut about = Vec::new();
        stage.send_raw(now, label, |out, noise| {
            frame::udp(
                out,
                &path,
                *sport,
                port,
                noise.get(from..from + size).unwrap_or_default(),
            );
            about.extend_from_slice(out);
        });
        victim.port_unreachable(stage, now, &path, &about, last);
    });
}

pub(super) fn icmp(setup: &mut Setup<'_>) {
    let (server, label) = (setup.cast.server, setup.label);
    setup.declare(None, Some(server), None, "icmp");
    let count = setup.values.count("bots");
    let bots = bots(setup, count);
    let victim = Victim::new(server, label);
    let count = setup.values.count("packets");
    repeat(setup, count, move |stage, now, index, random| {
        let Some(bot) = random.pick(&bots) else {
            return;
        };
        let path = stage.path(bot, server, false);
        // Windows sends 32 bytes of letters, others 56 that count.
        let windows = stage.host(bot).stack.ttl == WINDOWS.ttl;
        let body: Vec<u8> = if windows {
            (0..32).map(|byte| b'a' + byte % 23).collect()
        } else {
            (0..56).collect()
        };
        let word = bot.0 << 16 | index as u32 & 0xffff;
        stage.send_raw(now, label, |out, _| frame::icmp(out, &path, 8, 0, word, &body));
        let at = now + 2 * stage.host(server).delay_ns + random.between(5, 60) * 1000;
        victim.echo_reply(stage, at, &path, word, &body);
    });
}
