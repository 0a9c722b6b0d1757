//! Findings of many windows become incidents: opened once, updated at most once a minute or when they become more
//! severe, closed after a silence. The table of open incidents is bounded; what does not fit is counted. It must never
//! send two notifications for one story.

mod stages;

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest, Sha1};

use super::{Alert, Behaviour, Reason, Severity, State, rfc3339, service_text};
use crate::privacy::AddressNames;

/// Targets remembered and listed per incident at most.
const MAX_TARGETS: usize = 64;
const LISTED_TARGETS: usize = 16;
/// Services and Community IDs per incident at most.
const MAX_SERVICES: usize = 16;
const MAX_COMMUNITY_IDS: usize = 8;

/// Bounds and rhythms of incidents.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentSettings {
    /// Open incidents at most.
    pub max_open: usize,
    /// Least time between two updates that are not escalations.
    pub update_interval_ns: i64,
    /// Silence after which an incident is closed.
    pub idle_ns: i64,
    /// The same for behaviours that only say that something is unusual: what is odd about a host tends to come back, and
    /// an hour later it is no news.
    pub idle_unspecific_ns: i64,
    /// For how long such a one, once closed, goes on as the same incident if its host stands out again.
    pub rest_ns: i64,
    /// How addresses are written.
    pub names: AddressNames,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self {
            max_open: 1024,
            update_interval_ns: 60_000_000_000,
            idle_ns: 300_000_000_000,
            idle_unspecific_ns: 3_600_000_000_000,
            rest_ns: 86_400_000_000_000,
            names: AddressNames::plain(),
        }
    }
}

/// One window's view of a story, ready to be told.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Address by which incidents are grouped.
    pub subject: [u8; 16],
    /// What it looks like.
    pub behaviour: Behaviour,
    /// Who does it, if it is one host.
    pub actor: Option<[u8; 16]>,
    /// Whether that is a local host.
    pub inside: bool,
    /// To whom.
    pub targets: Vec<[u8; 16]>,
    /// To how many.
    pub target_count: u64,
    /// What the behaviour counts: ports, hosts, attempts, packets.
    pub count: u64,
    /// Protocol and port mostly concerned.
    pub service: (u8, u16),
    /// Score of the strongest row.
    pub score: f64,
    /// Score of each detector for that row.
    pub detectors: BTreeMap<String, f64>,
    /// p-value of the strongest host.
    pub p_value: f64,
    /// Flagged hosts.
    pub rows: u64,
    /// Packets in the window.
    pub packets: u64,
    /// Bytes in the window.
    pub bytes: u64,
    /// Why.
    pub reasons: Vec<Reason>,
    /// One sentence.
    pub summary: String,
    /// Community IDs of some of its flows.
    pub community_ids: Vec<String>,
    /// Interface of the strongest row.
    pub interface: String,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A new incident.
    Opened,
    /// An incident became more severe.
    Escalated,
    /// A due update was sent.
    Updated,
    /// Part of an open incident whose next update is not due.
    Quiet,
    /// The aftermath or a side of another open incident.
    Grouped,
    /// The table of incidents is full.
    Refused,
}

#[derive(Clone, Debug)]
struct Incident {
    told: Sighting,
    id: String,
    severity: Severity,
    targets: BTreeSet<[u8; 16]>,
    services: BTreeSet<(u8, u16)>,
    community_ids: Vec<String>,
    first_ns: i64,
    /// When it was opened, or opened again after it had been closed.
    awake_ns: i64,
    last_ns: i64,
    /// Last sighting or side effect: what keeps it open.
    alive_ns: i64,
    sent_ns: i64,
}

/// Open incidents, by subject and behaviour (one behaviour stands for all that only say that something is unusual).
#[derive(Debug)]
pub struct Incidents {
    settings: IncidentSettings,
    sensor: String,
    open: BTreeMap<([u8; 16], Behaviour), Incident>,
    /// Closed ones without a name, by subject: as many as may be open.
    resting: BTreeMap<[u8; 16], Incident>,
    opened: u64,
}

impl Incidents {
    /// No incidents. `sensor` names the host in alerts.
    pub fn new(settings: IncidentSettings, sensor: String) -> Self {
        Self {
            settings,
            sensor,
            open: BTreeMap::new(),
            resting: BTreeMap::new(),
            opened: 0,
        }
    }

    /// Number of open incidents by severity, in the order of [`Severity::ALL`].
    pub fn open_by_severity(&self) -> [u64; 5] {
        let mut counts = [0; 5];
        for incident in self.open.values() {
            if let Some(count) = counts.get_mut(incident.severity as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Adds what was seen in the window that ended at `now_ns`, and writes an alert if one is due. Returns what became
    /// of it, with the id and severity of its incident.
    pub fn observe(
        &mut self,
        seen: Sighting,
        now_ns: i64,
        model: &str,
        alerts: &mut Vec<Alert>,
    ) -> (Disposition, Option<(String, Severity)>) {
        let key = key(seen.subject, seen.behaviour);
        if let Some(incident) = self.open.get_mut(&key) {
            let disposition = incident.add(seen, now_ns, &self.settings);
            if disposition != Disposition::Quiet {
                incident.sent_ns = now_ns;
                alerts.push(incident.alert(State::Update, now_ns, model, &self.sensor, &self.settings.names));
            }
            return (disposition, Some((incident.id.clone(), incident.severity)));
        }
        if let Some(earlier) = self.earlier_stage(&seen) {
            return self.next_stage(earlier, seen, now_ns, model, alerts);
        }
        if !seen.behaviour.is_specific()
            && let Some(incident) = self.related(&seen)
        {
            incident.alive_ns = now_ns;
            incident.told.rows += seen.rows;
            incident.remember(&[seen.subject], &seen.community_ids, seen.service);
            return (
                Disposition::Grouped,
                Some((incident.id.clone(), incident.severity)),
            );
        }
        if self.open.len() >= self.settings.max_open {
            return (Disposition::Refused, None);
        }
        if !seen.behaviour.is_specific()
            && let Some(incident) = self.resting.remove(&seen.subject)
        {
            return self.reopen(incident, seen, now_ns, model, alerts);
        }
        self.opened += 1;
        let incident = Incident::new(seen, self.name(&key, now_ns), now_ns);
        alerts.push(incident.alert(State::Open, now_ns, model, &self.sensor, &self.settings.names));
        let about = (incident.id.clone(), incident.severity);
        self.open.insert(key, incident);
        (Disposition::Opened, Some(about))
    }

    /// Closes what has been silent, at the end of a window.
    pub fn close_idle(&mut self, now_ns: i64, model: &str, alerts: &mut Vec<Alert>) {
        let (settings, sensor, resting) = (&self.settings, &self.sensor, &mut self.resting);
        self.open.retain(|_, incident| {
            let idle_ns = if incident.told.behaviour.is_specific() {
                settings.idle_ns
            } else {
                settings.idle_unspecific_ns
            };
            let keep = now_ns.saturating_sub(incident.alive_ns) < idle_ns;
            if !keep {
                alerts.push(incident.alert(State::Closed, now_ns, model, sensor, &settings.names));
                if !incident.told.behaviour.is_specific() {
                    resting.insert(incident.told.subject, incident.clone());
                }
            }
            keep
        });
        self.tidy_resting(now_ns);
    }

    /// An id that is the same in every replay and differs between incidents. It is made of the name of the subject: of its
    /// address itself it could be found by trying all of them.
    fn name(&self, key: &([u8; 16], Behaviour), now_ns: i64) -> String {
        let mut hash = Sha1::new();
        hash.update(self.sensor.as_bytes());
        hash.update(now_ns.to_le_bytes());
        hash.update(self.opened.to_le_bytes());
        hash.update(self.settings.names.text(&key.0));
        hash.update(key.1.label().as_bytes());
        crate::detect::hex(&hash.finalize())
            .get(..16)
            .unwrap_or_default()
            .to_owned()
    }
}

/// By what open incidents are told apart.
fn key(subject: [u8; 16], behaviour: Behaviour) -> ([u8; 16], Behaviour) {
    if behaviour.is_specific() {
        (subject, behaviour)
    } else {
        (subject, Behaviour::Unclassified)
    }
}

impl Incident {
    fn new(seen: Sighting, id: String, now_ns: i64) -> Self {
        let severity = Severity::judge(
            seen.behaviour,
            seen.target_count.max(seen.count),
            0,
            seen.p_value,
            seen.inside,
        );
        let mut incident = Self {
            id,
            severity,
            targets: BTreeSet::new(),
            services: BTreeSet::new(),
            community_ids: Vec::new(),
            first_ns: now_ns,
            awake_ns: now_ns,
            last_ns: now_ns,
            alive_ns: now_ns,
            sent_ns: now_ns,
            told: seen,
        };
        let (targets, ids, service) = (
            incident.told.targets.clone(),
            incident.told.community_ids.clone(),
            incident.told.service,
        );
        incident.remember(&targets, &ids, service);
        incident
    }

    /// Remembers bounded samples; says whether a target or a service is new.
    fn remember(&mut self, targets: &[[u8; 16]], ids: &[String], service: (u8, u16)) -> bool {
        let mut news = false;
        for target in targets {
            if self.targets.len() < MAX_TARGETS {
                news |= self.targets.insert(*target);
            }
        }
        if service != (0, 0) && self.services.len() < MAX_SERVICES {
            news |= self.services.insert(service);
        }
        for id in ids {
            if self.community_ids.len() < MAX_COMMUNITY_IDS && !self.community_ids.contains(id) {
                self.community_ids.push(id.clone());
            }
        }
        news
    }

    fn add(&mut self, seen: Sighting, now_ns: i64, settings: &IncidentSettings) -> Disposition {
        (self.last_ns, self.alive_ns) = (now_ns, now_ns);
        // What only is unusual may be about something else now; a scan has new targets all the time.
        let news = self.remember(&seen.targets, &seen.community_ids, seen.service)
            && !self.told.behaviour.is_specific();
        let told = &mut self.told;
        told.rows += seen.rows;
        told.packets += seen.packets;
        told.bytes += seen.bytes;
        told.p_value = told.p_value.min(seen.p_value);
        told.target_count = told.target_count.max(seen.target_count);
        told.count = told.count.max(seen.count);
        // The strongest window tells the story.
        if seen.score > told.score {
            told.score = seen.score;
            if !told.behaviour.is_specific() {
                told.behaviour = seen.behaviour;
            }
            (told.reasons, told.summary, told.interface) = (seen.reasons, seen.summary, seen.interface);
        }
        let lasted = now_ns.saturating_sub(self.awake_ns);
        let severity = Severity::judge(
            told.behaviour,
            told.target_count.max(told.count),
            lasted,
            told.p_value,
            told.inside,
        );
        if severity > self.severity {
            self.severity = severity;
            Disposition::Escalated
        } else if news || now_ns.saturating_sub(self.sent_ns) >= settings.update_interval_ns {
            Disposition::Updated
        } else {
            Disposition::Quiet
        }
    }

    fn alert(&self, state: State, now_ns: i64, model: &str, sensor: &str, names: &AddressNames) -> Alert {
        let told = &self.told;
        Alert {
            ts: rfc3339(now_ns),
            event: "incident".to_owned(),
            id: self.id.clone(),
            state,
            severity: self.severity,
            behaviour: told.behaviour,
            score: told.score,
            p_value: told.p_value,
            actor: told
                .actor
                .as_ref()
                .map(|actor| names.text(actor))
                .unwrap_or_default(),
            targets: names.texts(self.targets.iter().copied(), LISTED_TARGETS),
            target_count: told.target_count.max(self.targets.len() as u64),
            services: self
                .services
                .iter()
                .map(|(proto, port)| service_text(*proto, *port))
                .collect(),
            first_seen: rfc3339(self.first_ns),
            last_seen: rfc3339(self.last_ns),
            rows: told.rows,
            packets: told.packets,
            bytes: told.bytes,
            reasons: told.reasons.clone(),
            summary: told.summary.clone(),
            technique: told.behaviour.technique().map(str::to_owned),
            // They could be turned back into addresses by trying all pairs.
            community_ids: if names.is_plain() {
                self.community_ids.clone()
            } else {
                Vec::new()
            },
            model: model.to_owned(),
            detectors: told.detectors.clone(),
            sensor: sensor.to_owned(),
            interface: told.interface.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
