//! What people do not want to hear of again: which incidents a suppression hides, and when one is told all the same.
//! Pure: rules and times are handed in. It must never hide an incident of which it knows only a part, nor the end of one
//! that was told.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Alert, Behaviour, Severity, State};

/// Incidents that are followed at most. More than can be open, so that only ends that never came could fill it.
const MAX_KNOWN: usize = 4096;

/// A network: an address in the form of flow keys (IPv4 mapped into IPv6) and the length of the prefix in those 128 bits.
pub type Prefix = ([u8; 16], u8);

/// What a suppression is about: every part that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The incident's actor is in this network.
    pub actor: Option<Prefix>,
    /// All targets are in this network.
    pub target: Option<Prefix>,
    /// It has this behaviour.
    pub behaviour: Option<Behaviour>,
    /// It concerns this service and no other, such as `tcp/22`.
    pub service: Option<String>,
}

impl Scope {
    /// Whether nothing is given, so that everything would fit.
    pub const fn is_empty(&self) -> bool {
        self.actor.is_none() && self.target.is_none() && self.behaviour.is_none() && self.service.is_none()
    }

    /// Whether an incident as it stands now is what the scope is about. An alert lists a sample of its targets; if there
    /// are more than it lists, a scope with a target does not fit: the others may lie outside. An empty scope never
    /// fits.
    pub fn holds(&self, alert: &Alert) -> bool {
        !self.is_empty()
            && self
                .actor
                .is_none_or(|network| mapped(&alert.actor).is_some_and(|address| within(network, address)))
            && self.target.is_none_or(|network| {
                !alert.targets.is_empty()
                    && alert.target_count <= alert.targets.len() as u64
                    && alert
                        .targets
                        .iter()
                        .all(|target| mapped(target).is_some_and(|address| within(network, address)))
            })
            && self
                .behaviour
                .is_none_or(|behaviour| behaviour == alert.behaviour)
            && self.service.as_ref().is_none_or(|service| {
                !alert.services.is_empty() && alert.services.iter().all(|found| found == service)
            })
    }
}

fn mapped(text: &str) -> Option<u128> {
    let address = match text.parse().ok()? {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    Some(u128::from_be_bytes(address.octets()))
}

fn within((network, len): Prefix, address: u128) -> bool {
    let differing = u128::from_be_bytes(network) ^ address;
    differing.checked_shr(128 - u32::from(len.min(128))).unwrap_or(0) == 0
}

/// A suppression in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub scope: Scope,
    /// When it ends, Unix nanoseconds.
    pub expires_ns: i64,
}

/// What is to become of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Tell it; `first` if nothing of this incident was told before.
    Tell {
        /// Whether it is the first that is told.
        first: bool,
    },
    /// The rule of this number hides it.
    Hide(i64),
}

#[derive(Clone, Copy, Debug)]
struct Known {
    told: bool,
    hidden_by: Option<i64>,
    /// Severity at the latest update.
    severity: Severity,
    /// Severity when it was first hidden: above it, it is told.
    hidden_at: Option<Severity>,
}

/// Decides about the updates of open incidents, one after the other.
#[derive(Debug, Default)]
pub struct Suppressor {
    known: BTreeMap<String, Known>,
}

impl Suppressor {
    /// Decides about one update at `now_ns`.
    ///
    /// - The first rule that fits hides it.
    /// - An incident that has become more severe than when it was first hidden is told.
    /// - The end of an incident is told if anything of it was told, and only then.
    pub fn judge(&mut self, rules: &[Rule], alert: &Alert, now_ns: i64) -> Verdict {
        let rule = rules
            .iter()
            .find(|rule| rule.expires_ns > now_ns && rule.scope.holds(alert))
            .map(|rule| rule.id);
        if alert.state == State::Closed {
            return match (self.known.remove(&alert.id), rule) {
                (Some(Known { told: true, .. }), _) | (None, None) => Verdict::Tell { first: false },
                (
                    Some(Known {
                        hidden_by: Some(rule),
                        ..
                    }),
                    _,
                )
                | (_, Some(rule)) => Verdict::Hide(rule),
                (Some(_), None) => Verdict::Tell { first: true },
            };
        }
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&alert.id) {
            self.known.pop_first();
        }
        let known = self.known.entry(alert.id.clone()).or_insert(Known {
            told: false,
            hidden_by: None,
            severity: alert.severity,
            hidden_at: None,
        });
        let before = std::mem::replace(&mut known.severity, alert.severity);
        if let Some(rule) = rule {
            let bar = *known.hidden_at.get_or_insert(before);
            if alert.severity <= bar {
                known.hidden_by = Some(rule);
                return Verdict::Hide(rule);
            }
        } else {
            known.hidden_at = None;
        }
        Verdict::Tell {
            first: !std::mem::replace(&mut known.told, true),
        }
    }
}

#[cfg(test)]
mod tests;
