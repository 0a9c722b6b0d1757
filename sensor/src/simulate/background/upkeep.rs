//! Upkeep: ARP, neighbour discovery, DHCP, time, pings, announcements.

use std::rc::Rc;

use crate::simulate::{
    cast::Cast,
    datagrams::{self, Dhcp},
    host::{HostId, Label},
    random::Random,
    stage::{SECOND, Stage},
};

const BENIGN: Label = Label::BENIGN;

/// Runs `act` every `period` seconds or so, from a random moment on.
fn every(
    stage: &mut Stage,
    random: &mut Random,
    period: u64,
    mut act: impl FnMut(&mut Stage, u64, &mut Random) + 'static,
) {
    let mut random = random.fork();
    let first = stage.begin_ns() + random.below(period * SECOND);
    stage.act(first, move |stage, now| {
        act(stage, now, &mut random);
        Some(now + random.jitter(period * SECOND, 0.15))
    });
}

pub(super) fn start(stage: &mut Stage, cast: &Rc<Cast>, random: &mut Random) {
    let (gateway, resolver, server, clock) = (cast.gateway, cast.resolver, cast.server, cast.clock);
    let locals: Vec<HostId> = [resolver, server]
        .into_iter()
        .chain(cast.people.iter().copied())
        .chain(cast.devices.iter().copied())
        .collect();
    for (index, host) in locals.iter().copied().enumerate() {
        every(stage, random, 55, move |stage, now, random| {
            // Caches run out on both sides.
            let (asker, wanted) = if random.chance(0.5) {
                (gateway, host)
            } else {
                (host, gateway)
            };
            let address = stage.host(wanted).v4;
            datagrams::arp(stage, now, BENIGN, asker, (address, Some(wanted)), random);
        });
        every(stage, random, 75, move |stage, now, random| {
            datagrams::neighbour(stage, now, BENIGN, (host, gateway), random);
        });
        let period = [64, 128, 256, 512][index % 4];
        every(stage, random, period, move |stage, now, random| {
            datagrams::ntp(stage, now, BENIGN, (host, clock), random);
        });
        every(stage, random, 900, move |stage, now, random| {
            datagrams::dhcp(stage, now, BENIGN, (host, gateway), Dhcp::Renew, random);
        });
    }
    every(stage, random, 200, move |stage, now, _| {
        datagrams::router_advertisement(stage, now, gateway);
    });
    every(stage, random, 60, move |stage, now, random| {
        datagrams::ping(stage, now, BENIGN, (server, gateway), 3, random);
    });
    for (index, host) in cast.people.iter().copied().enumerate() {
        every(stage, random, 120, move |stage, now, random| {
            if index < 2 {
                datagrams::ssdp(stage, now, BENIGN, host, true, random);
            } else {
                datagrams::mdns(stage, now, BENIGN, host, random.chance(0.4), false);
            }
        });
    }
    for (index, host) in cast.devices.iter().copied().enumerate() {
        every(stage, random, 100, move |stage, now, random| {
            if index % 2 == 0 {
                datagrams::mdns(stage, now, BENIGN, host, false, true);
            } else {
                datagrams::ssdp(stage, now, BENIGN, host, false, random);
            }
        });
    }
}
