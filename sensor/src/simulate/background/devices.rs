//! Devices without people: connections kept alive with regular periods, reports, and datagrams to their clouds.

use std::rc::Rc;

use crate::simulate::{
    apps::{self, Exchange},
    cast::Cast,
    host::{Host, HostId, Label},
    random::Random,
    stage::{MILLI, SECOND, Stage},
    tcp::Conversation,
};

/// How often a device is heard, and how much it says.
#[derive(Clone, Copy)]
struct Habit {
    period_ns: u64,
    size: usize,
    port: u16,
    /// How long it keeps a connection.
    life_ns: u64,
}

pub(super) fn start(stage: &mut Stage, cast: &Rc<Cast>, random: &mut Random) {
    let habits = [
        Habit {
            period_ns: 15 * SECOND,
            size: 180,
            port: 443,
            life_ns: 240 * SECOND,
        },
        Habit {
            period_ns: 30 * SECOND,
            size: 60,
            port: 8883,
            life_ns: 600 * SECOND,
        },
        Habit {
            period_ns: 20 * SECOND,
            size: 48,
            port: 8883,
            life_ns: 300 * SECOND,
        },
        Habit {
            period_ns: 45 * SECOND,
            size: 90,
            port: 5228,
            life_ns: 900 * SECOND,
        },
    ];
    for (device, habit) in cast.devices.iter().copied().zip(habits) {
        let cloud = cloud(stage, cast, random);
        keep_in_touch(stage, device, cloud, habit, random);
    }
    if let [camera, _, plug, ..] = cast.devices[..] {
        let cloud_of_camera = cloud(stage, cast, random);
        report(stage, camera, cloud_of_camera, random);
        let cloud_of_plug = cloud(stage, cast, random);
        beacons(stage, plug, cloud_of_plug, random);
    }
}

fn cloud(stage: &mut Stage, cast: &Cast, random: &mut Random) -> HostId {
    let host = Host::remote_server(cast.way_out(stage), random);
    stage.add(host)
}

/// One connection after the other, each kept alive.
fn keep_in_touch(stage: &mut Stage, device: HostId, cloud: HostId, habit: Habit, random: &mut Random) {
    let mut random = random.fork();
    let first = stage.begin_ns() + random.below(10 * SECOND);
    stage.act(first, move |stage, now| {
        let script = apps::keepalive(
            "device.cloud.example",
            habit.period_ns,
            habit.life_ns,
            habit.size,
            &mut random,
        );
        let to = (cloud, habit.port);
        let talk = Conversation::new(stage, Label::BENIGN, device, to, &mut random, script);
        stage.spawn(now, talk);
        Some(now + habit.life_ns + random.between(1, 8) * SECOND)
    });
}

/// A camera sends pictures when something moves.
fn report(stage: &mut Stage, camera: HostId, cloud: HostId, random: &mut Random) {
    let mut random = random.fork();
    let first = stage.begin_ns() + random.below(60 * SECOND);
    stage.act(first, move |stage, now| {
        let pictures: Vec<Exchange> = (0..random.between(1, 4))
            .map(|_| Exchange {
                think_ns: random.delay(300 * MILLI),
                request: random.log_normal(60_000.0, 0.5) as usize,
                serve_ns: random.delay(20 * MILLI),
                response: 120,
            })
            .collect();
        let script = apps::https("pictures.cloud.example", &pictures, &mut random);
        let talk = Conversation::new(stage, Label::BENIGN, camera, (cloud, 443), &mut random, script);
        stage.spawn(now, talk);
        Some(now + 10 * SECOND + random.exponential(80.0 * SECOND as f64) as u64)
    });
}

/// A plug says over UDP that it is there.
fn beacons(stage: &mut Stage, plug: HostId, cloud: HostId, random: &mut Random) {
    let mut random = random.fork();
    let port = stage.host_mut(plug).ephemeral_port(&mut random);
    stage.act(stage.begin_ns() + random.below(10 * SECOND), move |stage, now| {
        let message: Vec<u8> = (0..44).map(|_| random.next() as u8).collect();
        stage.udp(now, Label::BENIGN, (plug, cloud), (port, 32_100), &message);
        let delay = crate::simulate::datagrams::answer_delay(stage, cloud, &mut random);
        stage.udp(
            now + delay,
            Label::BENIGN,
            (cloud, plug),
            (32_100, port),
            &message[..20],
        );
        Some(now + random.jitter(10 * SECOND, 0.02))
    });
}
