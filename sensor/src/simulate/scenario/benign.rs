//! Surprises that are nobody's attack: their frames have no label, and a detector that alarms on them is wrong.

use super::Setup;
use crate::simulate::{
    apps, datagrams,
    host::{HostId, Label},
    stack::LINUX,
    stage::SECOND,
    tcp::{Conversation, Side},
};

const BENIGN: Label = Label::BENIGN;

/// What carries `bytes` over the length of the scenario, bits per second.
fn rate(setup: &Setup<'_>, bytes: u64) -> u64 {
    (bytes as f64 * 8.0 * SECOND as f64 / setup.length_ns.max(1) as f64) as u64
}

pub(super) fn backup_job(setup: &mut Setup<'_>) {
    let client = setup.cast.person_but(setup.cast.server);
    let to = (setup.cast.server, setup.cast.service);
    let bytes = setup.values.count("bytes");
    let rate = rate(setup, bytes);
    let mut random = setup.random.fork();
    let script = apps::bulk("backup", Side::Client, bytes, rate, &mut random);
    let talk = Conversation::new(setup.stage, BENIGN, client, to, &mut random, script);
    setup.stage.spawn(setup.begin_ns, talk);
}

pub(super) fn software_update(setup: &mut Setup<'_>) {
    let site = setup.cast.sites.first().map(|site| site.host);
    let mirror = match site {
        Some(site) => site,
        None => setup.cast.stranger(setup.stage, &LINUX, &mut setup.random),
    };
    setup.stage.host_mut(mirror).listens = None;
    let bytes = setup.values.count("bytes");
    let machines: Vec<HostId> = setup
        .cast
        .people
        .iter()
        .copied()
        .filter(|host| *host != mirror)
        .collect();
    for machine in machines {
        let mut random = setup.random.fork();
        let begin = setup.begin_ns + random.below(setup.length_ns / 3 + 1);
        let rate = 2 * rate(setup, bytes);
        let script = apps::bulk("update.system.example", Side::Server, bytes, rate, &mut random);
        let talk = Conversation::new(setup.stage, BENIGN, machine, (mirror, 443), &mut random, script);
        setup.stage.spawn(begin, talk);
    }
}

pub(super) fn flash_crowd(setup: &mut Setup<'_>) {
    /// Machines behind the visits in a network without a way out.
    const FEW: u64 = 30;
    let (cast, count) = (std::rc::Rc::clone(setup.cast), setup.values.count("visitors"));
    let step = setup.step_ns(count);
    let mut random = setup.random.fork();
    let mut known: Vec<HostId> = Vec::new();
    let mut come = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let visitor = if cast.routed || (known.len() as u64) < FEW {
            cast.visitor(stage, &mut random)
        } else {
            random.pick(&known)?
        };
        if !cast.routed {
            known.push(visitor);
        }
        for _ in 0..random.between(1, 2) {
            let script = apps::https("news.home.example", &apps::page(&mut random), &mut random);
            let to = (cast.server, cast.service);
            let talk = Conversation::new(stage, BENIGN, visitor, to, &mut random, script);
            stage.spawn(now + random.below(SECOND / 5), talk);
        }
        come += 1;
        (come < count).then(|| now + random.exponential(step as f64) as u64)
    });
}

pub(super) fn new_client(setup: &mut Setup<'_>) {
    let cast = std::rc::Rc::clone(setup.cast);
    let client = cast.newcomer(setup.stage, &LINUX, &mut setup.random);
    let count = setup.values.count("sessions");
    let step = setup.step_ns(count);
    let mut random = setup.random.fork();
    let mut held = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let address = stage.host(cast.server).v4;
        datagrams::arp(
            stage,
            now,
            BENIGN,
            client,
            (address, Some(cast.server)),
            &mut random,
        );
        let script = apps::https("files.home.example", &apps::page(&mut random), &mut random);
        let to = (cast.server, cast.service);
        let talk = Conversation::new(stage, BENIGN, client, to, &mut random, script);
        stage.spawn(now + SECOND / 20, talk);
        held += 1;
        (held < count).then(|| now + random.jitter(step, 0.4))
    });
}
