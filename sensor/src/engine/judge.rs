//! One window with a model: rows → scores → strongest row per host → findings → incidents. It must keep going whatever
//! a row holds, and must not let a flood of sources cost more than one pass over the rows.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::alert::Reason;
use crate::alert::behaviour::Behaviour;
use crate::alert::classify::{Finding, Flagged, classify, is_local, name};
use crate::alert::community_id::community_id;
use crate::alert::explain::{Subject, number, reasons, summary};
use crate::alert::incident::{Disposition, Incidents, Sighting};
use crate::detect::calibrate::Threshold;
use crate::features::{Family, HostColumn, RowKind, Rows, WindowRows};
use crate::model::{Model, pool_index};
use crate::privacy::AddressNames;

use super::evidence::Evidence;
use super::outcome::{Exemplar, Outcome, ScoreRow, Suppressed, Unscored};
use super::presence::Silence;

/// Moving average of the share of unusual rows: weight of one row, and of one window at most.
const DRIFT_ROW_WEIGHT: f64 = 1e-4;
const DRIFT_WINDOW_WEIGHT: f64 = 0.1;
/// Share of rows above the 90 % quantile by definition.
const EXPECTED_UNUSUAL: f64 = 0.1;
/// Community IDs per finding at most.
const COMMUNITY_IDS: usize = 4;

/// What judging needs beside the rows.
pub(super) struct Bench<'a> {
    pub(super) model: &'a Model,
    /// By pool.
    pub(super) thresholds: &'a [Threshold],
    /// Factor on all of them, see [`Recalibration`](super::recalibrate::Recalibration).
    pub(super) raised: f32,
    pub(super) seed: u64,
    pub(super) keep_scores: bool,
    pub(super) now_ns: i64,
    pub(super) iface_name: &'a dyn Fn(u16) -> String,
    pub(super) names: &'a AddressNames,
}

impl Bench<'_> {
    /// Scores all rows and returns the hosts over the threshold, in this window or by what added up over many, sorted by
    /// address. `drift` is the moving average of the drift ratio.
    pub(super) fn flagged(
        &self,
        rows: &WindowRows,
        drift: &mut f64,
        evidence: &mut Evidence,
        outcome: &mut Outcome,
    ) -> Vec<Flagged> {
        // Seeded, so that addresses cannot be chosen to collide; the order of the map never reaches an output.
        let mut strongest: HashMap<[u8; 16], Flagged, _> =
            HashMap::with_hasher(foldhash::quality::FixedState::with_seed(self.seed));
        let (mut unusual, mut scored) = (0u64, 0u64);
        let mut scores = Vec::new();
        for rows in [&rows.flow, &rows.host] {
            if self.model.score_batch(rows, &mut scores).is_err() {
                outcome.unscored(Unscored::Error, rows.len() as u64);
                continue;
            }
            scored += scores.len() as u64;
            let pool = pool_index(rows.kind);
            let threshold = self.threshold(pool);
            if let Some(count) = outcome.rows_scored.get_mut(pool) {
                *count += scores.len() as u64;
            }
            for (index, (scored, key)) in scores.iter().zip(&rows.keys).enumerate() {
                outcome.errors.add(scored.score);
                let above = scored.strength > 1.0;
                unusual += u64::from(above);
                // One ARP or neighbour discovery exchange is no event, however rare; a scan shows in its host's row.
                if above && key.family != Family::Arp {
                    let flagged = Flagged {
                        host: key.initiator,
                        over: scored.strength / threshold,
                        score: scored.score,
                        p_value: self.model.calibration.unit_p_value(pool, scored.strength).value,
                        kind: rows.kind,
                        row: index,
                    };
                    let held = strongest.entry(key.initiator).or_insert(flagged);
                    if flagged.over > held.over {
                        *held = flagged;
                    }
                }
                if self.keep_scores && rows.kind == RowKind::Flow {
                    outcome.scores.push(ScoreRow {
                        kind: rows.kind,
                        key: *key,
                        score: scored.strength,
                        p_value: self.model.row_p_value(rows.kind, key.family, scored.score).value,
                        alarm: scored.strength > threshold && key.family != Family::Arp,
                    });
                }
            }
        }
        if scored > 0 {
            let ratio = unusual as f64 / scored as f64 / EXPECTED_UNUSUAL;
            let weight = (scored as f64 * DRIFT_ROW_WEIGHT).min(DRIFT_WINDOW_WEIGHT);
            *drift += (ratio - *drift) * weight;
        }
        let mut flagged: Vec<Flagged> = strongest
            .into_values()
            .filter_map(|host| self.remember(host, evidence))
            .collect();
        flagged.sort_unstable_by_key(|flagged| flagged.host);
        mark_parts(&flagged, &mut outcome.scores);
        for host in &flagged {
            if let Some(count) = outcome.alarms.get_mut(pool_index(host.kind)) {
                *count += 1;
            }
        }
        flagged
    }

    fn threshold(&self, index: usize) -> f32 {
        self.thresholds
            .get(index)
            .map_or(f64::INFINITY, |threshold| threshold.strength) as f32
            * self.raised
    }

    /// Adds what a host did to the evidence against it; the host if it is over the threshold now or by all of that.
    fn remember(&self, host: Flagged, evidence: &mut Evidence) -> Option<Flagged> {
        let persistence = evidence.add(&host.host, host.p_value) / self.threshold(RowKind::ALL.len());
        if host.over > 1.0 {
            return Some(host);
        }
        (persistence > 1.0).then(|| {
            evidence.clear(&host.host);
            Flagged {
                over: persistence,
                ..host
            }
        })
    }

    /// Turns flagged hosts into incidents and alerts.
    pub(super) fn report(
        &self,
        rows: &WindowRows,
        flagged: &[Flagged],
        table: &mut Incidents,
        outcome: &mut Outcome,
    ) {
        let usual_high = |column: HostColumn| {
            let columns = self.model.host.scaler().columns();
            columns
                .get(column as usize)
                .map_or(0.0, |column| column.usual_high)
        };
        let findings = classify(rows, flagged, &usual_high);
        outcome.suppress(Suppressed::Grouped, findings.absorbed);
        outcome.suppress(Suppressed::WindowLimit, findings.over_limit);
        let window_s = rows.end_ns.saturating_sub(rows.start_ns) as f64 / 1e9;
        for finding in findings.list {
            let sighting = self.sighting(rows, finding, window_s);
            self.observe(sighting, table, outcome);
        }
    }

    /// Turns a host's silence into an incident.
    pub(super) fn silent(&self, silence: &Silence, table: &mut Incidents, outcome: &mut Outcome) {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let (silent_s, longest_s) = (seconds(silence.silent_ns), seconds(silence.longest_ns));
        let text = format!(
            "silent for {} s; its longest pause was {} s",
            number(silent_s as f32),
            number(longest_s as f32)
        );
        let sighting = Sighting {
            subject: silence.host,
            behaviour: Behaviour::SilentHost,
            actor: None,
            inside: false,
            targets: vec![silence.host],
            target_count: 1,
            count: 1,
            service: (0, 0),
            score: silent_s / longest_s.max(1.0),
            detectors: BTreeMap::new(),
            // In so many windows it had not been so.
            p_value: 1.0 / (f64::from(silence.windows) + 1.0),
            rows: 0,
            packets: 0,
            bytes: 0,
            summary: format!("{} has been {text}", self.names.text(&silence.host)),
            reasons: vec![Reason {
                feature: "silence".to_owned(),
                observed: silent_s,
                expected: 0.0,
                low: 0.0,
                high: longest_s,
                contribution: 1.0,
                text,
            }],
            community_ids: Vec::new(),
            interface: String::new(),
        };
        self.observe(sighting, table, outcome);
    }

    fn observe(&self, sighting: Sighting, table: &mut Incidents, outcome: &mut Outcome) {
        let (behaviour, score) = (sighting.behaviour, sighting.score);
        // What is silent has no reconstruction error.
        let has_error = !sighting.detectors.is_empty();
        let community = sighting
            .community_ids
            .first()
            .filter(|_| self.names.is_plain())
            .cloned()
            .unwrap_or_default();
        let (disposition, about) = table.observe(sighting, self.now_ns, &self.model.id, &mut outcome.alerts);
        match disposition {
            Disposition::Opened | Disposition::Escalated | Disposition::Updated => {}
            Disposition::Quiet => outcome.suppress(Suppressed::Interval, 1),
            Disposition::Grouped => outcome.suppress(Suppressed::Grouped, 1),
            Disposition::Refused => outcome.suppress(Suppressed::TableFull, 1),
        }
        let Some((incident_id, severity)) = about else {
            return;
        };
        if disposition == Disposition::Opened {
            outcome.incidents_opened.push((severity, behaviour));
        }
        if has_error && outcome.exemplar.as_ref().is_none_or(|held| score > held.error) {
            outcome.exemplar = Some(Exemplar {
                community_id: community,
                incident_id,
                error: score,
            });
        }
    }

    fn sighting(&self, rows: &WindowRows, finding: Finding, window_s: f64) -> Sighting {
        let strongest = &finding.strongest;
        let of_kind: &Rows = match strongest.kind {
            RowKind::Flow => &rows.flow,
            RowKind::Host => &rows.host,
        };
        // An explanation that cannot be computed leaves the alarm without reasons, not without an alarm.
        let parts = self
            .model
            .scorer(strongest.kind)
            .explain(of_kind.row(strongest.row))
            .unwrap_or_default();
        let reasons = reasons(strongest.kind, &parts);
        let mut behaviour = finding.behaviour;
        if behaviour == Behaviour::Unclassified {
            behaviour = name(rows, &finding, &reasons);
        }
        let subject = Subject {
            behaviour,
            subject: &finding.subject,
            actor: finding.actor.as_ref(),
            sources: finding.sources,
            target: finding.targets.first(),
            service: finding.service,
            count: finding.count,
            bytes: finding.bytes,
            window_s,
        };
        let flow_keys = || finding.flows.iter().filter_map(|row| rows.flow.keys.get(*row));
        let strongest_flow = match strongest.kind {
            RowKind::Flow => rows.flow.keys.get(strongest.row),
            RowKind::Host => flow_keys().next(),
        };
        Sighting {
            summary: summary(&subject, &reasons, self.names),
            subject: finding.subject,
            behaviour,
            inside: finding.actor.is_some_and(|actor| is_local(rows, &actor)),
            actor: finding.actor,
            target_count: finding.target_count,
            count: finding.count,
            service: finding.service,
            score: f64::from(strongest.score),
            detectors: self
                .model
                .scorer(strongest.kind)
                .opinions(of_kind.row(strongest.row))
                .into_iter()
                .map(|(kind, score)| (kind.label().to_owned(), f64::from(score)))
                .collect(),
            p_value: strongest.p_value,
            rows: finding.hosts,
            packets: finding.packets,
            bytes: finding.bytes,
            reasons,
            community_ids: flow_keys()
                .filter_map(|key| community_id(&key.flow, &key.initiator))
                .take(COMMUNITY_IDS)
                .collect(),
            interface: strongest_flow
                .map(|key| (self.iface_name)(key.iface))
                .unwrap_or_default(),
            targets: finding.targets,
        }
    }
}

/// A flow alarms with its host: where a host is flagged, those of its flows that are unusual for their kind are part of it.
fn mark_parts(flagged: &[Flagged], scores: &mut [ScoreRow]) {
    let is_flagged = |address: &[u8; 16]| flagged.binary_search_by(|f| f.host.cmp(address)).is_ok();
    for row in scores.iter_mut().filter(|row| !row.alarm && row.score > 1.0) {
        row.alarm = row.key.family != Family::Arp
            && (is_flagged(&row.key.initiator) || is_flagged(&row.key.responder));
    }
}
