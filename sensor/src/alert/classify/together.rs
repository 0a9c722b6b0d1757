//! Hosts that are all unusual towards the same other host: one story about that host, not one for each of them. It must
//! never hide a host that was found to do something by itself: those are named before.

use std::collections::{BTreeMap, BTreeSet};

use crate::features::{FlowColumn, RowKind, WindowRows};

use super::rules::Scene;
use super::{Behaviour, Finding, Findings, Flagged, MAX_FINDINGS};

/// From this many hosts on it is about whom they talk to.
const AROUND_ONE: usize = 3;
/// A service is known to be offered from here on (familiarity after six windows).
const OFFERED: f32 = 0.5;

/// Adds a finding for each host that several of `weak` are unusual towards; returns the others.
pub(super) fn around_one<'a>(
    scene: &Scene<'_>,
    weak: Vec<&'a Flagged>,
    found: &mut Findings,
) -> Vec<&'a Flagged> {
    let mut circles: BTreeMap<[u8; 16], Vec<&Flagged>> = BTreeMap::new();
    for host in &weak {
        if let Some(other) = counterpart(scene, host) {
            circles.entry(other).or_default().push(*host);
        }
    }
    circles.retain(|_, circle| circle.len() >= AROUND_ONE);
    let mut told = BTreeSet::new();
    for (middle, circle) in circles {
        let Some(strongest) = circle.iter().max_by(|a, b| a.over.total_cmp(&b.over)) else {
            continue;
        };
        told.extend(circle.iter().map(|host| host.host));
        told.insert(middle);
        if found.list.len() >= MAX_FINDINGS {
            found.over_limit += circle.len() as u64;
            continue;
        }
        found.absorbed += circle.len() as u64 - 1;
        found.list.push(finding(scene, middle, &circle, strongest));
    }
    weak.into_iter()
        .filter(|host| !told.contains(&host.host))
        .collect()
}

/// Whom a host's unusual row is about.
fn counterpart(scene: &Scene<'_>, flagged: &Flagged) -> Option<[u8; 16]> {
    match flagged.kind {
        RowKind::Flow => scene.rows.flow.keys.get(flagged.row).map(|key| key.responder),
        RowKind::Host => {
            let side = &scene.surroundings.get(&flagged.host)?.outbound;
            (2 * side.peer.count > side.flows).then_some(side.peer.value)
        }
    }
}

fn finding(scene: &Scene<'_>, middle: [u8; 16], circle: &[&Flagged], strongest: &Flagged) -> Finding {
    let inbound = scene
        .surroundings
        .get(&middle)
        .map(|around| around.inbound.clone())
        .unwrap_or_default();
    let key = match strongest.kind {
        RowKind::Flow => scene.rows.flow.keys.get(strongest.row),
        RowKind::Host => None,
    };
    Finding {
        behaviour: if is_silent(scene, &middle) {
            Behaviour::SilentHost
        } else {
            Behaviour::Unclassified
        },
        subject: middle,
        actor: None,
        sources: circle.len() as u64,
        targets: vec![middle],
        target_count: 1,
        service: key.map_or(inbound.service.value, |key| (key.proto, key.service_port)),
        count: circle.len() as u64,
        packets: inbound.packets,
        bytes: inbound.bytes,
        strongest: *strongest,
        hosts: circle.len() as u64,
        flows: inbound.sample,
    }
}

/// Whether a host that is known to answer leaves most attempts on such services without an answer, or refuses them.
fn is_silent(scene: &Scene<'_>, middle: &[u8; 16]) -> bool {
    let (attempts, failed) = attempts_on_offers(scene.rows, middle);
    attempts >= AROUND_ONE && 2 * failed > attempts
}

/// Attempts on services that a host is known to answer on, and how many of them came to nothing.
pub(super) fn attempts_on_offers(rows: &WindowRows, host: &[u8; 16]) -> (usize, usize) {
    let (mut attempts, mut failed) = (0, 0);
    for (index, key) in rows.flow.keys.iter().enumerate() {
        if key.responder != *host {
            continue;
        }
        let row = rows.flow.row(index);
        let at = |column: FlowColumn| row.get(column as usize).copied().unwrap_or(f32::NAN);
        let answered = at(FlowColumn::Answered);
        if at(FlowColumn::OfferFamiliarity) >= OFFERED && answered.is_finite() {
            attempts += 1;
            failed += usize::from(answered < 0.5 || at(FlowColumn::HandshakeMissing) > 0.5);
        }
    }
    (attempts, failed)
}
