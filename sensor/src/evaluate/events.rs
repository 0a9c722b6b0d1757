//! Attacks as an operator sees them: stretches of one label's activity, found or missed by incidents. It must never
//! count an incident as right because of the time alone: it has to concern a host of the attack.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    alert::{Alert, State, address_text},
    labels::LabelId,
};

use super::labeller::WindowLabels;

/// A pause of a label's activity that ends an event (a contract).
const EVENT_GAP_NS: u64 = 600_000_000_000;
/// An incident this long after an event's end still belongs to it, beside the length of a window.
const AFTERMATH_NS: u64 = 60_000_000_000;
/// Hosts remembered per event: all that an incident could name of a flood.
const MAX_HOSTS: usize = 65_536;

/// One stretch of a label's activity.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its label.
    pub label: LabelId,
    /// First malicious frame, Unix nanoseconds.
    pub start_ns: u64,
    /// Last malicious frame.
    pub end_ns: u64,
    hosts: BTreeSet<String>,
}

/// One incident alert, as far as matching needs it.
#[derive(Clone, Debug)]
struct Told {
    incident: String,
    behaviour: &'static str,
    /// End of the window that told it.
    at_ns: u64,
    hosts: Vec<String>,
}

/// Events and incidents of one evaluation.
#[derive(Debug, Default)]
pub struct Events {
    list: Vec<Event>,
    told: Vec<Told>,
    incidents: BTreeSet<String>,
}

/// An event, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Label of the event.
    pub label: LabelId,
    /// Start, Unix nanoseconds.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// From its start to the first alert about it; `None` if it was missed.
    pub delay_ns: Option<u64>,
}

/// An incident, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// End of the window that opened it, Unix nanoseconds.
    pub at_ns: u64,
    /// What it was called last.
    pub behaviour: &'static str,
    /// Whether it is about an event.
    pub right: bool,
}

/// What became of events and incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// All events in order of time.
    pub events: Vec<Verdict>,
    /// Incidents opened.
    pub incidents: u64,
    /// Of those, about no event.
    pub false_incidents: u64,
    /// Incidents about each label's events, by behaviour.
    pub named_as: BTreeMap<LabelId, BTreeMap<&'static str, u64>>,
    /// All incidents in order of time.
    pub marks: Vec<Mark>,
}

impl Events {
    /// Adds the labels of a window.
    pub fn window(&mut self, labels: &WindowLabels) {
        for (label, (first, last)) in &labels.seen {
            let open =
                self.list.iter_mut().rev().find(|event| {
                    event.label == *label && first.saturating_sub(event.end_ns) <= EVENT_GAP_NS
                });
            let event = if let Some(event) = open {
                event.end_ns = event.end_ns.max(*last);
                event
            } else {
                self.list.push(Event {
                    label: *label,
                    start_ns: *first,
                    end_ns: *last,
                    hosts: BTreeSet::new(),
                });
                let Some(event) = self.list.last_mut() else {
                    continue;
                };
                event
            };
            for (key, of) in &labels.flows {
                if of == label {
                    for address in &key.addr {
                        if event.hosts.len() < MAX_HOSTS {
                            event.hosts.insert(address_text(address));
                        }
                    }
                }
            }
        }
    }

    /// Adds an alert that came with the window that ended at `at_ns`.
    pub fn alert(&mut self, alert: &Alert, at_ns: u64) {
        if alert.state == State::Closed {
            return;
        }
        self.incidents.insert(alert.id.clone());
        let actor = (!alert.actor.is_empty()).then(|| alert.actor.clone());
        self.told.push(Told {
            incident: alert.id.clone(),
            behaviour: alert.behaviour.label(),
            at_ns,
            hosts: alert.targets.iter().cloned().chain(actor).collect(),
        });
    }

    /// Judges everything. An alert is about an event if its window touches the event's time (a minute later still
    /// counts) and it names one of the event's hosts.
    pub fn judge(&self, window_ns: u64) -> Matched {
        let mut matched = Matched {
            incidents: self.incidents.len() as u64,
            ..Matched::default()
        };
        let mut right: BTreeSet<&str> = BTreeSet::new();
        let mut named: BTreeSet<(LabelId, &str, &str)> = BTreeSet::new();
        for event in &self.list {
            let about = |told: &&Told| {
                told.at_ns >= event.start_ns
                    && told.at_ns.saturating_sub(window_ns) <= event.end_ns.saturating_add(AFTERMATH_NS)
                    && told.hosts.iter().any(|host| event.hosts.contains(host))
            };
            let mut delay_ns = None;
            for told in self.told.iter().filter(about) {
                right.insert(&told.incident);
                named.insert((event.label, told.incident.as_str(), told.behaviour));
                let delay = told.at_ns - event.start_ns;
                delay_ns = Some(delay_ns.map_or(delay, |least: u64| least.min(delay)));
            }
            matched.events.push(Verdict {
                label: event.label,
                start_ns: event.start_ns,
                end_ns: event.end_ns,
                delay_ns,
            });
        }
        for (label, _, behaviour) in named {
            *matched
                .named_as
                .entry(label)
                .or_default()
                .entry(behaviour)
                .or_default() += 1;
        }
        matched.events.sort_by_key(|event| event.start_ns);
        matched.false_incidents = matched.incidents - right.len() as u64;
        matched.marks = self.marks(&right);
        matched
    }

    fn marks(&self, right: &BTreeSet<&str>) -> Vec<Mark> {
        let mut marks: BTreeMap<&str, Mark> = BTreeMap::new();
        for told in &self.told {
            let mark = marks.entry(&told.incident).or_insert(Mark {
                at_ns: told.at_ns,
                behaviour: told.behaviour,
                right: right.contains(told.incident.as_str()),
            });
            mark.behaviour = told.behaviour;
        }
        let mut marks: Vec<Mark> = marks.into_values().collect();
        marks.sort_by_key(|mark| mark.at_ns);
        marks
    }
}

#[cfg(test)]
mod tests;
