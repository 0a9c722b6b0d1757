//! What an open incident takes in beside its own behaviour: side effects, another name, its host standing out again.
//! It must never join what was done to a host with what the host did.

use super::{Alert, Behaviour, Disposition, Incident, Incidents, Severity, Sighting, State, key};

/// From this stage on, what came before was preparation.
const BREAK_IN: u8 = 3;

impl Incidents {
    /// An open specific incident of which this host is the actor, the victim or a remembered target, or whose actor or
    /// victim is the one host that this is about: an answer to a scan is part of it.
    pub(super) fn related(&mut self, seen: &Sighting) -> Option<&mut Incident> {
        let host = &seen.subject;
        let about = match seen.targets.as_slice() {
            [only] if seen.target_count <= 1 => Some(*only),
            _ => None,
        };
        self.open.values_mut().find(|incident| {
            let told = &incident.told;
            let central = |address: &[u8; 16]| told.subject == *address || told.actor == Some(*address);
            // Without a name of its own it may be the other end of what was told before.
            about.is_some_and(|about| central(&about))
                || told.behaviour.is_specific() && (central(host) || incident.targets.contains(host))
        })
    }

    /// The open incident that this one carries on: one about the same host that had no name yet, or an earlier stage of the
    /// same actor: somebody who scans and then guesses passwords is one story. Two sorts of scan are two, and so is what is
    /// done *to* a host by nobody in particular.
    pub(super) fn earlier_stage(&self, seen: &Sighting) -> Option<([u8; 16], Behaviour)> {
        if !seen.behaviour.is_specific() {
            return None;
        }
        let of_subject = self
            .open
            .range((seen.subject, Behaviour::VerticalScan)..=(seen.subject, Behaviour::Unclassified));
        let stage = seen.behaviour.stage();
        let mut stages = of_subject.filter(|((_, behaviour), incident)| {
            !behaviour.is_specific()
                || stage >= BREAK_IN
                    && (1..stage).contains(&behaviour.stage())
                    && seen.actor == Some(seen.subject)
                    && incident.told.actor == seen.actor
        });
        stages.next().map(|(key, _)| *key)
    }

    /// Carries on the incident `earlier`. It takes the name of the graver stage, and is told again when its name changes.
    pub(super) fn next_stage(
        &mut self,
        earlier: ([u8; 16], Behaviour),
        seen: Sighting,
        now_ns: i64,
        model: &str,
        alerts: &mut Vec<Alert>,
    ) -> (Disposition, Option<(String, Severity)>) {
        let Some(mut incident) = self.open.remove(&earlier) else {
            return (Disposition::Refused, None);
        };
        let (behaviour, actor) = (seen.behaviour, seen.actor);
        let renamed =
            !incident.told.behaviour.is_specific() || behaviour.stage() > incident.told.behaviour.stage();
        let before = incident.told.behaviour;
        let (summary, reasons) = (seen.summary.clone(), seen.reasons.clone());
        if renamed {
            // Before it is added: severity is judged by the new name.
            (incident.told.behaviour, incident.told.actor) = (behaviour, actor);
        }
        let mut disposition = incident.add(seen, now_ns, &self.settings);
        if renamed {
            incident.told.summary = if before.is_specific() {
                format!("{summary} (after a {})", before.label().replace('_', " "))
            } else {
                summary
            };
            incident.told.reasons = reasons;
            disposition = Disposition::Escalated;
        }
        if disposition != Disposition::Quiet {
            incident.sent_ns = now_ns;
            alerts.push(incident.alert(State::Update, now_ns, model, &self.sensor, &self.settings.names));
        }
        let about = (incident.id.clone(), incident.severity);
        self.open
            .insert(key(incident.told.subject, incident.told.behaviour), incident);
        (disposition, Some(about))
    }

    /// Goes on with an incident that had no name and was closed: a host that stands out again the same day is no news.
    pub(super) fn reopen(
        &mut self,
        mut incident: Incident,
        seen: Sighting,
        now_ns: i64,
        model: &str,
        alerts: &mut Vec<Alert>,
    ) -> (Disposition, Option<(String, Severity)>) {
        let subject = seen.subject;
        incident.awake_ns = now_ns;
        let disposition = match incident.add(seen, now_ns, &self.settings) {
            Disposition::Escalated => Disposition::Escalated,
            _ => Disposition::Updated,
        };
        incident.sent_ns = now_ns;
        alerts.push(incident.alert(State::Update, now_ns, model, &self.sensor, &self.settings.names));
        let about = (incident.id.clone(), incident.severity);
        self.open.insert(key(subject, Behaviour::Unclassified), incident);
        (disposition, Some(about))
    }

    /// Forgets closed incidents after a day, the oldest first where there are too many.
    pub(super) fn tidy_resting(&mut self, now_ns: i64) {
        let (rest_ns, most) = (self.settings.rest_ns, self.settings.max_open);
        self.resting
            .retain(|_, incident| now_ns.saturating_sub(incident.last_ns) < rest_ns);
        while self.resting.len() > most {
            let oldest = self.resting.iter().min_by_key(|(_, incident)| incident.last_ns);
            let Some(subject) = oldest.map(|(subject, _)| *subject) else {
                return;
            };
            self.resting.remove(&subject);
        }
    }
}
