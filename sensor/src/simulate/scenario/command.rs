//! Command and control: beacons to a controller, and a tunnel through DNS.

use std::net::IpAddr;

use super::Setup;
use crate::simulate::{
    apps::{self, Exchange},
    datagrams::{Question, lookup},
    host::Host,
    payload::{Answers, base32, kind, txt},
    stack::LINUX,
    stage::{MILLI, SECOND},
    tcp::Conversation,
};

/// How long the name of the controller is remembered.
const NAME_LIFE: u64 = 300 * SECOND;

pub(super) fn beaconing(setup: &mut Setup<'_>) {
    const NAME: &str = "updates.cdn-status.example";
    let (label, resolver, upstream) = (setup.label, setup.cast.resolver, setup.cast.upstream);
    let bot = setup.cast.busiest_person();
    let controller = setup.cast.stranger(setup.stage, &LINUX, &mut setup.random);
    // Where no way leads out, the controller is a new machine of the network: it listens all the same.
    setup.stage.host_mut(controller).listens = None;
    let tls = setup.values.is_second("tls");
    let port = if tls { 443 } else { 80 };
    setup.declare(Some(bot), Some(controller), Some(port), "tcp");
    let address = [IpAddr::from(setup.stage.host(controller).v4)];
    let (period, jitter) = (setup.values.time_ns("period"), setup.values.get("jitter"));
    let (end, routed) = (setup.end_ns(), setup.cast.routed);
    let mut random = setup.random.fork();
    let mut forgotten = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let mut time = now;
        if routed && now >= forgotten {
            let question = Question {
                name: NAME,
                kind: kind::A,
                upstream,
            };
            let answers = Answers::Addresses(&address);
            time = lookup(
                stage,
                now,
                label,
                (bot, resolver),
                &question,
                &answers,
                &mut random,
            );
            forgotten = now + NAME_LIFE;
        }
        let command = random.chance(0.05);
        let exchange = [Exchange {
            think_ns: random.between(1, 20) * MILLI,
            request: random.between(280, 330) as usize,
            serve_ns: random.delay(15 * MILLI),
            response: if command {
                9000
            } else {
                random.between(180, 220) as usize
            },
        }];
        let script = if tls {
            apps::https(NAME, &exchange, &mut random)
        } else {
            apps::http(NAME, &exchange, &mut random)
        };
        let talk = Conversation::new(stage, label, bot, (controller, port), &mut random, script);
        stage.spawn(time, talk);
        let next = now + random.jitter(period, jitter);
        (next < end).then_some(next)
    });
}

pub(super) fn dns_tunnel(setup: &mut Setup<'_>) {
    let label = setup.label;
    let bot = setup.cast.busiest_person();
    let resolver = setup.cast.resolver;
    // A local resolver asks the server of the tunnel's zone itself; another one does so out of sight.
    let upstream = setup.cast.upstream.map(|_| {
        let host = Host::remote_server(setup.cast.way_out(setup.stage), &mut setup.random);
        setup.stage.add(host)
    });
    setup.declare(Some(bot), Some(resolver), Some(53), "udp");
    if let Some(upstream) = upstream {
        setup.declare(Some(resolver), Some(upstream), Some(53), "udp");
    }
    let count = setup.values.count("queries");
    let step = setup.step_ns(count);
    let mut random = setup.random.fork();
    let mut sent = 0u64;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let data: Vec<String> = (0..random.between(2, 3))
            .map(|_| base32(&mut random, 56))
            .collect();
        let name = format!("{}.{sent:04x}.t.sync-cache.example", data.join("."));
        let kind = if random.chance(0.8) { kind::TXT } else { kind::NULL };
        let size = if random.chance(0.3) {
            random.between(90, 220)
        } else {
            8
        };
        let data = [txt(&mut random, size as usize)];
        let question = Question {
            name: &name,
            kind,
            upstream,
        };
        let answers = Answers::Data(kind, &data);
        lookup(
            stage,
            now,
            label,
            (bot, resolver),
            &question,
            &answers,
            &mut random,
        );
        sent += 1;
        (sent < count).then(|| now + random.exponential(step as f64) as u64)
    });
}
