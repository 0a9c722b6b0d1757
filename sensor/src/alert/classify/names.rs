//! Names for what the rules of one window's counts left unnamed, from the row that stands out and the features that carry
//! its score. It must never give a name for which the row itself holds no evidence.

use crate::features::{FlowColumn, HostColumn, RowKind, WindowRows};

use super::rules::LOGIN_PORTS;
use super::together::attempts_on_offers;
use super::{Behaviour, Finding};
use crate::alert::Reason;

/// Reasons that are looked at: beyond these, a feature is not what the score is about.
const REASONS: usize = 3;
/// Guessing passwords slowly takes at least this many connections to one login service in ten minutes.
const SLOW_ATTEMPTS: f32 = 10.0;
/// Contacts this regular come from a timer: the deviation is under a sixth of the interval.
const CLOCKWORK: f32 = 0.7;
/// A service is gone if at least this many attempts on it came to nothing in a window, and more than half of them.
const FAILED_ATTEMPTS: usize = 5;
/// A peer is known to this degree after two windows.
const HARDLY_KNOWN: f32 = 0.25;
/// An upload leaves at least this many bytes in a window, with so little coming back.
const UPLOAD_BYTES: f32 = 50_000.0;
const UPLOAD_ASYMMETRY: f32 = 0.6;

/// Names an unclassified finding.
pub fn name(rows: &WindowRows, finding: &Finding, reasons: &[Reason]) -> Behaviour {
    let Some(first) = reasons.first() else {
        return Behaviour::Unclassified;
    };
    // Several hosts around one: the row speaks of one of them only.
    if finding.actor.is_none() {
        return Behaviour::Unclassified;
    }
    let evident = match finding.strongest.kind {
        RowKind::Flow => by_flow(rows, finding, reasons),
        RowKind::Host => by_host(rows, finding, first),
    };
    evident.unwrap_or_else(|| by_reason(first))
}

/// What the flow that stands out shows by its own values.
fn by_flow(rows: &WindowRows, finding: &Finding, reasons: &[Reason]) -> Option<Behaviour> {
    let key = rows.flow.keys.get(finding.strongest.row)?;
    let row = rows.flow.row(finding.strongest.row);
    // NaN fails every comparison below.
    let at = |column: FlowColumn| row.get(column as usize).copied().unwrap_or(f32::NAN);
    let carried_by = |names: &[&str]| {
        let strongest = reasons.iter().take(REASONS);
        strongest
            .filter(|reason| reason.observed > reason.high)
            .any(|reason| names.contains(&reason.feature.as_str()))
    };
    let window_s = rows.end_ns.saturating_sub(rows.start_ns).max(1) as f32 / 1e9;
    let attempts = (at(FlowColumn::TargetAttempts10m) * 600.0 / window_s).max(at(FlowColumn::TargetAttempts));
    if key.proto == 6 && LOGIN_PORTS.contains(&key.service_port) && attempts >= SLOW_ATTEMPTS {
        return Some(Behaviour::BruteForce);
    }
    let leaves = at(FlowColumn::ToOutside) > 0.5;
    let uploads = [
        "bytes_out",
        "packets_out",
        "initiator_bytes_out",
        "target_bytes_out_10m",
        "upload_surge",
    ];
    if leaves
        && at(FlowColumn::BytesOut) >= UPLOAD_BYTES
        && at(FlowColumn::ByteAsymmetry) >= UPLOAD_ASYMMETRY
        && carried_by(&uploads)
    {
        return Some(Behaviour::Exfiltration);
    }
    let timed = ["contact_regularity", "target_attempts_10m"];
    let told = reasons
        .iter()
        .take(REASONS)
        .any(|reason| timed.contains(&reason.feature.as_str()));
    (leaves
        && told
        && at(FlowColumn::ContactRegularity) >= CLOCKWORK
        && at(FlowColumn::TargetAttempts) <= 2.0)
        .then_some(Behaviour::Beacon)
}

/// What a host's row shows: that it refuses what it used to serve, or its most regular contact, where that carries the
/// score.
fn by_host(rows: &WindowRows, finding: &Finding, first: &Reason) -> Option<Behaviour> {
    if ["resets_sent", "unanswered_in"].contains(&first.feature.as_str()) {
        let (attempts, failed) = attempts_on_offers(rows, &finding.subject);
        return (failed >= FAILED_ATTEMPTS && 2 * failed > attempts).then_some(Behaviour::SilentHost);
    }
    if first.feature != "beacon_regularity" {
        return None;
    }
    let facts = rows.host_facts.get(finding.strongest.row)?;
    let regularity = rows.host.row(finding.strongest.row);
    let regularity = regularity.get(HostColumn::BeaconRegularity as usize).copied()?;
    let to_beacon = rows.flow.keys.iter().enumerate().find(|(_, key)| {
        key.initiator == finding.subject
            && key.responder == facts.beacon_peer
            && key.service_port == facts.beacon_port
    });
    let row = rows.flow.row(to_beacon?.0);
    let at = |column: FlowColumn| row.get(column as usize).copied().unwrap_or(f32::NAN);
    let strange = at(FlowColumn::PeerFamiliarity) <= HARDLY_KNOWN || first.observed > first.high;
    (regularity >= CLOCKWORK && at(FlowColumn::ToOutside) > 0.5 && strange).then_some(Behaviour::Beacon)
}

/// Names an unclassified finding by the feature that carries most of its score, and by the direction in which it left
/// the usual: less traffic than usual is no surge, and a peer better known than usual is not new.
pub(super) fn by_reason(reason: &Reason) -> Behaviour {
    let (above, below) = (reason.observed > reason.high, reason.observed < reason.low);
    match reason.feature.as_str() {
        "new_peers" | "new_peers_10m" | "new_peers_1h" if above => Behaviour::NewPeer,
        "peer_familiarity" if below => Behaviour::NewPeer,
        "new_services" | "new_services_10m" | "new_services_1h" if above => Behaviour::NewService,
        "service_familiarity" if below => Behaviour::NewService,
        "bytes_out"
        | "bytes_in"
        | "bytes_out_1h"
        | "packets_out"
        | "packets_in"
        | "packet_rate"
        | "initiator_bytes_out"
            if above =>
        {
            Behaviour::VolumeSurge
        }
        _ => Behaviour::Unclassified,
    }
}
