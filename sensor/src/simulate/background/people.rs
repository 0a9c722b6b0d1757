//! People: browsing with think times, file shares, shells, and visitors from outside to the server's site.

use std::{net::IpAddr, rc::Rc};

use super::Rhythm;
use crate::simulate::{
    apps,
    cast::Cast,
    datagrams::{Question, lookup},
    host::{HostId, Label},
    payload::{Answers, kind},
    random::Random,
    ssh,
    stage::{MILLI, SECOND, Stage},
    tcp::Conversation,
};

pub(super) fn start(stage: &mut Stage, cast: &Rc<Cast>, rhythm: Rhythm, random: &mut Random) {
    let begin = stage.begin_ns();
    for person in cast.people.iter().copied() {
        let first = begin + random.below(15 * SECOND);
        let (cast, mut random) = (Rc::clone(cast), random.fork());
        stage.act(first, move |stage, now| {
            visit(stage, &cast, person, now, &mut random);
            // Mostly the next page of the same site; sometimes a long read.
            let pause = random.pareto(3.0, 0.95, 180.0) * rhythm.pause_factor(now);
            Some(now + (pause * SECOND as f64) as u64)
        });
    }
    for person in cast.people.iter().copied().take(3) {
        let (server, mut random) = (cast.server, random.fork());
        stage.act(begin + random.below(60 * SECOND), move |stage, now| {
            let upload = random.chance(0.3);
            let transfers = random.between(1, 6);
            let script = apps::share(transfers, upload, &mut random);
            let talk = Conversation::new(stage, Label::BENIGN, person, (server, 445), &mut random, script);
            stage.spawn(now, talk);
            let pause = random.exponential(70.0) * rhythm.pause_factor(now);
            Some(now + 5 * SECOND + (pause * SECOND as f64) as u64)
        });
    }
    if let Some(admin) = cast.people.get(3).copied() {
        let (server, mut random) = (cast.server, random.fork());
        stage.act(begin + random.below(80 * SECOND), move |stage, now| {
            let length = random.pareto(30.0, 1.1, 900.0) * SECOND as f64;
            let script = ssh::session(length as u64, &mut random);
            let talk = Conversation::new(stage, Label::BENIGN, admin, (server, 22), &mut random, script);
            stage.spawn(now, talk);
            let pause = (60.0 + random.exponential(150.0)) * rhythm.pause_factor(now);
            Some(now + (pause * SECOND as f64) as u64)
        });
    }
    visitors(stage, cast, rhythm, random);
}

/// Strangers visit the server's site now and then; some come back.
fn visitors(stage: &mut Stage, cast: &Rc<Cast>, rhythm: Rhythm, random: &mut Random) {
    /// Machines that visitors come from; each new visitor takes the place of one.
    const REGULARS: usize = 24;
    let (cast, mut random) = (Rc::clone(cast), random.fork());
    let mut regulars: Vec<HostId> = (0..REGULARS).map(|_| cast.visitor(stage, &mut random)).collect();
    stage.act(stage.begin_ns() + random.below(20 * SECOND), move |stage, now| {
        if random.chance(0.2) {
            let place = random.below(regulars.len() as u64) as usize;
            *regulars.get_mut(place)? = cast.visitor(stage, &mut random);
        }
        let visitor = random.pick(&regulars)?;
        let exchanges = apps::page(&mut random);
        let script = apps::https("files.home.example", &exchanges, &mut random);
        let talk = Conversation::new(
            stage,
            Label::BENIGN,
            visitor,
            (cast.server, 443),
            &mut random,
            script,
        );
        stage.spawn(now, talk);
        let pause = random.exponential(14.0) * rhythm.pause_factor(now);
        Some(now + (pause * SECOND as f64) as u64)
    });
}

/// A visit to a site: names first, then some connections.
fn visit(stage: &mut Stage, cast: &Cast, person: HostId, now: u64, random: &mut Random) {
    // Few sites get most visits (Zipf, by its continuous form).
    let rank = (cast.sites.len() as f64).powf(random.unit()) as usize;
    let mut time = now;
    let parts = random.pareto(1.0, 1.2, 6.0) as usize;
    for part in 0..parts {
        let index = if part == 0 {
            rank.saturating_sub(1)
        } else {
            random.below(cast.sites.len() as u64) as usize
        };
        let Some(site) = cast.sites.get(index) else {
            return;
        };
        let known = random.chance(0.4);
        if !known {
            let upstream = cast.upstream.filter(|_| random.chance(0.35));
            let host = stage.host(site.host);
            let v4 = [IpAddr::from(host.v4)];
            let v6: Vec<IpAddr> = host.v6.into_iter().map(IpAddr::from).collect();
            let none = v6.is_empty();
            let mut ask = |stage: &mut Stage, kind, answers: &Answers<'_>, at| {
                let question = Question {
                    name: &site.name,
                    kind,
                    upstream,
                };
                lookup(
                    stage,
                    at,
                    Label::BENIGN,
                    (person, cast.resolver),
                    &question,
                    answers,
                    random,
                )
            };
            let second = if none {
                Answers::Nothing
            } else {
                Answers::Addresses(&v6)
            };
            let known_at = ask(stage, kind::A, &Answers::Addresses(&v4), time);
            time = known_at.max(ask(stage, kind::AAAA, &second, time + 400_000));
        }
        let connections = if part == 0 { random.between(1, 3) } else { 1 };
        for _ in 0..connections {
            let exchanges = apps::page(random);
            let plain = random.chance(0.12);
            let (port, script) = if plain {
                (80, apps::http(&site.name, &exchanges, random))
            } else {
                (443, apps::https(&site.name, &exchanges, random))
            };
            let talk = Conversation::new(stage, Label::BENIGN, person, (site.host, port), random, script);
            stage.spawn(time + random.between(0, 30) * MILLI, talk);
        }
        time += random.exponential(120.0 * MILLI as f64) as u64;
    }
}
