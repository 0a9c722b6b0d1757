//! Things that happen within the local network: an ARP storm, a device that appears or falls silent, a service that
//! fails.

use std::net::{IpAddr, Ipv4Addr};

use super::{Setup, Withheld};
use crate::simulate::{
    apps,
    cast::Cast,
    datagrams::{self, Dhcp, Question, lookup},
    frame,
    host::{Answer, HostId, Outage},
    payload::{Answers, kind},
    stack::LINUX,
    stage::{MILLI, SECOND},
    tcp::Conversation,
};

pub(super) fn arp_storm(setup: &mut Setup<'_>) {
    let device = setup.cast.devices.first().copied().unwrap_or(setup.cast.server);
    setup.declare(Some(device), None, None, "arp");
    let count = setup.values.count("packets");
    let (label, step) = (setup.label, setup.step_ns(count));
    let addresses: Vec<Ipv4Addr> = setup.cast.local_addresses().collect();
    let mut random = setup.random.fork();
    let mut sent = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        // Address by address, round and round.
        let address = addresses.get(sent as usize % addresses.len().max(1)).copied()?;
        let holder = Cast::holder(stage, address).filter(|holder| *holder != device);
        datagrams::arp(stage, now, label, device, (address, holder), &mut random);
        sent += 1;
        (sent < count).then(|| now + random.exponential(step as f64) as u64)
    });
}

pub(super) fn new_device(setup: &mut Setup<'_>) {
    let (label, cast) = (setup.label, std::rc::Rc::clone(setup.cast));
    let mut random = setup.random.fork();
    let device = cast.newcomer(setup.stage, &LINUX, &mut random);
    setup.declare(Some(device), None, None, "");
    let (begin, end, length) = (setup.begin_ns, setup.end_ns(), setup.length_ns);
    let stage = &mut *setup.stage;
    let joined = datagrams::dhcp(
        stage,
        begin,
        label,
        (device, cast.gateway),
        Dhcp::Join,
        &mut random,
    );
    let (mac, address) = (stage.host(device).mac, stage.host(device).v4);
    // It probes for its address, then announces it (RFC 5227).
    for index in 0..5 {
        let sender = if index < 3 { Ipv4Addr::UNSPECIFIED } else { address };
        stage.send_raw(joined + index * SECOND, label, |out, _| {
            frame::arp(out, 1, [0xff; 6], (mac, sender), ([0; 6], address));
        });
    }
    let ready = joined + 6 * SECOND;
    datagrams::arp(
        stage,
        ready,
        label,
        device,
        (stage.host(cast.gateway).v4, Some(cast.gateway)),
        &mut random,
    );
    let cloud = cast.stranger(stage, &LINUX, &mut random);
    stage.host_mut(cloud).listens = None;
    if cast.routed {
        let known = [IpAddr::from(stage.host(cloud).v4)];
        let question = Question {
            name: "setup.unknown-vendor.example",
            kind: kind::A,
            upstream: cast.upstream,
        };
        let ends = (device, cast.resolver);
        lookup(
            stage,
            ready + SECOND,
            label,
            ends,
            &question,
            &Answers::Addresses(&known),
            &mut random,
        );
        datagrams::ntp(
            stage,
            ready + 2 * SECOND,
            label,
            (device, cast.clock),
            &mut random,
        );
    }
    let script = apps::keepalive(
        "setup.unknown-vendor.example",
        10 * SECOND,
        length,
        300,
        &mut random,
    );
    let talk = Conversation::new(stage, label, device, (cloud, 443), &mut random, script);
    stage.spawn(ready + 2 * SECOND, talk);
    let neighbours: Vec<HostId> = cast.devices.iter().chain(&cast.people).copied().collect();
    let mut asked = 0;
    stage.act(ready + 3 * SECOND, move |stage, now| {
        // It looks for others of its kind, by announcement and one by one.
        datagrams::mdns(stage, now, label, device, false, true);
        datagrams::ssdp(stage, now + 100 * MILLI, label, device, true, &mut random);
        let neighbour = neighbours.get(asked % neighbours.len().max(1)).copied()?;
        asked += 1;
        let wanted = stage.host(neighbour).v4;
        datagrams::arp(stage, now, label, device, (wanted, Some(neighbour)), &mut random);
        let script = apps::http("device", &apps::page(&mut random), &mut random);
        let talk = Conversation::new(stage, label, device, (neighbour, 80), &mut random, script);
        stage.spawn(now + 200 * MILLI, talk);
        let next = now + random.jitter(9 * SECOND, 0.3);
        (next < end).then_some(next)
    });
}

pub(super) fn silent_device(setup: &mut Setup<'_>) {
    let device = setup.cast.devices.first().copied().unwrap_or(setup.cast.server);
    let gateway = setup.cast.gateway;
    setup.declare_both(None, Some(device), None, "");
    let (label, begin, end) = (setup.label, setup.begin_ns, setup.end_ns());
    setup.withheld.push(Withheld {
        begin_ns: begin,
        end_ns: end,
        host: setup.stage.host(device).mac,
        port: None,
    });
    let mut random = setup.random.fork();
    setup.stage.act(begin, move |stage, now| {
        let over = now >= end;
        stage.host_mut(device).down = (!over).then_some(label);
        if over {
            return None;
        }
        // The router still has something for it, and looks for it.
        let address = stage.host(device).v4;
        for second in 0..3 {
            let at = now + 200 * MILLI + second * SECOND;
            datagrams::arp(stage, at, label, gateway, (address, None), &mut random);
        }
        Some(end.min(now + random.jitter(12 * SECOND, 0.5)))
    });
}

pub(super) fn service_outage(setup: &mut Setup<'_>) {
    let (server, port, label) = (setup.cast.server, setup.cast.service, setup.label);
    setup.declare_both(None, Some(server), Some(port), "tcp");
    let answer = if setup.values.is_second("answer") {
        Answer::Silence
    } else {
        Answer::Refuse
    };
    let (begin, end) = (setup.begin_ns, setup.end_ns());
    setup.withheld.push(Withheld {
        begin_ns: begin,
        end_ns: end,
        host: setup.stage.host(server).mac,
        port: Some(port),
    });
    setup.stage.act(begin, move |stage, now| {
        let over = now >= end;
        stage.host_mut(server).outage = (!over).then_some(Outage { port, answer, label });
        (!over).then_some(end)
    });
    let clients: Vec<HostId> = setup
        .cast
        .people
        .iter()
        .chain(&setup.cast.devices)
        .copied()
        .collect();
    for client in clients.into_iter().filter(|client| *client != server).take(4) {
        let mut random = setup.random.fork();
        setup
            .stage
            .act(begin + random.below(5 * SECOND), move |stage, now| {
                let script = apps::https("files", &[], &mut random);
                let talk = Conversation::new(stage, label, client, (server, port), &mut random, script);
                stage.spawn(now, talk);
                // Programs try again at once, people after a while.
                let pause = if random.chance(0.6) { SECOND } else { 8 * SECOND };
                let next = now + random.jitter(pause, 0.4);
                (next < end).then_some(next)
            });
    }
}
