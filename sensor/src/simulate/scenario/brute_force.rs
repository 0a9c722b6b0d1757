//! Password guessing over SSH, FTP and RDP: whole connections, several at once, each with a few attempts.

use super::Setup;
use crate::simulate::{
    apps,
    host::HostId,
    random::Random,
    ssh,
    stack::LINUX,
    tcp::{Conversation, Script},
};

/// Writes the script of one connection with this many attempts.
type Guess = fn(u64, &mut Random) -> Script;

fn guess(setup: &mut Setup<'_>, victim: HostId, port: u16, per_connection: u64, script: Guess) {
    let attacker = setup.attacker(&LINUX, victim);
    setup.declare_both(Some(attacker), Some(victim), Some(port), "tcp");
    // A capture does not show all that listens: the victim has this service, or there would be nothing to guess.
    if let Some(ports) = &mut setup.stage.host_mut(victim).listens
        && !ports.contains(&port)
    {
        ports.push(port);
    }
    let attempts = setup.values.count("attempts");
    let connections = attempts.div_ceil(per_connection);
    let step = setup.step_ns(connections);
    let lanes = setup.values.count("parallel").clamp(1, connections);
    let label = setup.label;
    for lane in 0..lanes {
        let mut left = connections / lanes + u64::from(lane < connections % lanes);
        let mut random = setup.random.fork();
        let begin = setup.begin_ns + lane * step;
        setup.stage.act(begin, move |stage, now| {
            let script = script(per_connection, &mut random);
            let talk = Conversation::new(stage, label, attacker, (victim, port), &mut random, script);
            stage.spawn(now, talk);
            left -= 1;
            (left > 0).then(|| now + random.jitter(step * lanes, 0.1))
        });
    }
}

pub(super) fn ssh(setup: &mut Setup<'_>) {
    guess(setup, setup.cast.server, 22, 3, ssh::guesses);
}

pub(super) fn ftp(setup: &mut Setup<'_>) {
    guess(setup, setup.cast.server, 21, 3, apps::ftp_guesses);
}

pub(super) fn rdp(setup: &mut Setup<'_>) {
    // The second of the people's machines, a desktop, where there is one.
    let desktop = setup.cast.people.get(1).copied();
    let victim = desktop.unwrap_or(setup.cast.server);
    guess(setup, victim, 3389, 1, |_, random| apps::rdp_guess(random));
}
