//! Which behaviour the evidence of one window shows, and which flagged hosts are one story. Names rest on counts that
//! an operator can check, not on the model; the model only says that something is unusual. It must never turn the many
//! sources of a spoofed flood into many findings.

mod around;
mod floods;
mod names;
mod rules;
mod together;

use crate::features::{HostColumn, RowKind, WindowRows};

use self::around::{Around, Surroundings};
pub use self::names::name;
use self::rules::Scene;
pub use self::rules::is_local;

use super::Behaviour;

/// Targets named in a finding at most.
pub const MAX_TARGETS: usize = 64;
/// Findings with a behaviour, and findings without, in one window at most.
pub const MAX_FINDINGS: usize = 64;

/// A host whose strongest row in this window is over the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flagged {
    /// The host: initiator of the flow, or host of the host row.
    pub host: [u8; 16],
    /// How many times the threshold of its kind its strongest row is.
    pub over: f32,
    /// Score of that row.
    pub score: f32,
    /// p-value of the host in this window.
    pub p_value: f64,
    /// Kind of that row.
    pub kind: RowKind,
    /// Index of that row.
    pub row: usize,
}

/// One story in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it looks like; [`Behaviour::Unclassified`] until the reasons are known.
    pub behaviour: Behaviour,
    /// The address by which incidents are grouped: the actor, or the victim of a flood.
    pub subject: [u8; 16],
    /// Who does it; nobody where no source sent most of it.
    pub actor: Option<[u8; 16]>,
    /// Sources of a flood, about; 0 for other behaviours.
    pub sources: u64,
    /// To whom, at most [`MAX_TARGETS`], ascending.
    pub targets: Vec<[u8; 16]>,
    /// To how many.
    pub target_count: u64,
    /// Protocol and port mostly concerned.
    pub service: (u8, u16),
    /// Ports, hosts, attempts or packets, as the behaviour counts them.
    pub count: u64,
    /// Packets of the subject in this window.
    pub packets: u64,
    /// Bytes of the subject in this window.
    pub bytes: u64,
    /// The flagged host whose row explains the finding best.
    pub strongest: Flagged,
    /// Flagged hosts that are part of it.
    pub hosts: u64,
    /// Flow rows of the subject, a bounded sample.
    pub flows: Vec<usize>,
}

/// Upper end of the usual range of a host feature.
pub type UsualHigh<'a> = &'a dyn Fn(HostColumn) -> f32;

/// The findings of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Behaviours with evidence, then hosts that are only unusual; strongest first in both.
    pub list: Vec<Finding>,
    /// Flagged hosts that are part of another host's finding.
    pub absorbed: u64,
    /// Flagged hosts left out because there were [`MAX_FINDINGS`] of their sort.
    pub over_limit: u64,
}

/// Turns the flagged hosts of a window into findings.
pub fn classify(rows: &WindowRows, flagged: &[Flagged], usual_high: UsualHigh<'_>) -> Findings {
    let mut found = Findings::default();
    if flagged.is_empty() {
        return found;
    }
    let mut order: Vec<&Flagged> = flagged.iter().collect();
    order.sort_by(|a, b| b.over.total_cmp(&a.over).then(a.host.cmp(&b.host)));
    let scene = Scene {
        rows,
        surroundings: Surroundings::of(&rows.flow, flagged),
        usual_high,
    };
    let mut weak = Vec::new();
    for host in order {
        match scene.specific(host) {
            Some(finding) => merge(&mut found, finding),
            None => weak.push(host),
        }
    }
    let named = found.list.len();
    weak.sort_by_key(|host| !scene.is_local(&host.host));
    weak.retain(|host| {
        let around = scene.surroundings.get(&host.host);
        let part_of = found
            .list
            .iter_mut()
            .find(|finding| involves(finding, host, around, rows));
        let absorbed = part_of.is_some();
        if let Some(finding) = part_of {
            finding.hosts += 1;
            found.absorbed += 1;
        }
        !absorbed
    });
    for host in together::around_one(&scene, weak, &mut found) {
        // Two ends of the same unusual exchange are one story, told by the local one.
        let part_of = found.list.iter_mut().skip(named);
        let mut part_of = part_of.filter(|finding| finding.targets.binary_search(&host.host).is_ok());
        if let Some(finding) = part_of.next() {
            finding.hosts += 1;
            found.absorbed += 1;
        } else if found.list.len() < named + MAX_FINDINGS {
            found.list.push(scene.unnamed(host));
        } else {
            found.over_limit += 1;
        }
    }
    found
}

/// Adds a finding to the one of the same subject and behaviour, if there is one.
fn merge(found: &mut Findings, new: Finding) {
    let same = |held: &&mut Finding| held.subject == new.subject && held.behaviour == new.behaviour;
    let Some(held) = found.list.iter_mut().find(same) else {
        if found.list.len() < MAX_FINDINGS {
            found.list.push(new);
        } else {
            found.over_limit += 1;
        }
        return;
    };
    held.hosts += 1;
    found.absorbed += 1;
    // The subject's own row explains best; victims and sources follow.
    if new.strongest.host == held.subject && held.strongest.host != held.subject {
        held.strongest = new.strongest;
    }
}

/// Whether a flagged host without a behaviour of its own is a side effect of a finding.
fn involves(finding: &Finding, host: &Flagged, around: Option<&Around>, rows: &WindowRows) -> bool {
    let part = |address: &[u8; 16]| {
        finding.actor == Some(*address) || finding.targets.binary_search(address).is_ok()
    };
    // A flow row carries what its other end went through: an ordinary client of a scanned server stands out by that.
    let key = if host.kind == RowKind::Flow {
        rows.flow.keys.get(host.row)
    } else {
        None
    };
    part(&host.host)
        || key.is_some_and(|key| part(&key.responder))
        || around.is_some_and(|around| {
            [&around.outbound, &around.inbound]
                .into_iter()
                .any(|side| side.flows > 0 && part(&side.peer.value))
        })
}

#[cfg(test)]
mod tests;
