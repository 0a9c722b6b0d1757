//! Data that leaves: one large upload, or small ones over a long time, to a host never seen before.

use super::Setup;
use crate::simulate::{
    apps::{self, Exchange},
    host::HostId,
    stack::LINUX,
    stage::{MILLI, SECOND},
    tcp::{Conversation, Side},
};

const NAME: &str = "drop.storage-share.example";

/// Who sends, and where to.
fn ends(setup: &mut Setup<'_>) -> (HostId, HostId) {
    let thief = setup.cast.busiest_person();
    let drop = setup.cast.stranger(setup.stage, &LINUX, &mut setup.random);
    setup.stage.host_mut(drop).listens = None;
    setup.declare(Some(thief), Some(drop), Some(443), "tcp");
    (thief, drop)
}

pub(super) fn bulk(setup: &mut Setup<'_>) {
    let (thief, drop) = ends(setup);
    let bytes = setup.values.count("bytes");
    // Fast enough for the length that was asked for.
    let rate = (bytes as f64 * 8.0 * SECOND as f64 / setup.length_ns.max(1) as f64) as u64;
    let host = setup.stage.host_mut(drop);
    host.line_bps = host.line_bps.max(3 * rate);
    host.delay_ns = host.delay_ns.min(15 * MILLI);
    let mut random = setup.random.fork();
    let script = apps::bulk(NAME, Side::Client, bytes, rate, &mut random);
    let talk = Conversation::new(setup.stage, setup.label, thief, (drop, 443), &mut random, script);
    setup.stage.spawn(setup.begin_ns, talk);
}

pub(super) fn low_and_slow(setup: &mut Setup<'_>) {
    let (thief, drop) = ends(setup);
    let bytes = setup.values.get("bytes");
    let (period, jitter) = (setup.values.time_ns("period"), setup.values.get("jitter"));
    let (label, end) = (setup.label, setup.end_ns());
    let mut random = setup.random.fork();
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let upload = [Exchange {
            think_ns: random.delay(10 * MILLI),
            request: random.log_normal(bytes, 0.2) as usize,
            serve_ns: random.delay(30 * MILLI),
            response: 180,
        }];
        let script = apps::https(NAME, &upload, &mut random);
        let talk = Conversation::new(stage, label, thief, (drop, 443), &mut random, script);
        stage.spawn(now, talk);
        let next = now + random.jitter(period, jitter);
        (next < end).then_some(next)
    });
}
