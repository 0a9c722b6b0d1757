//! What the lab holds the sensor to, and the tables it prints.
//!
//! Reads the journal as the contract defines it (DESIGN: one JSON object per incident update) and judges by when a
//! line was seen, not by what it says about time. Must never pass a check that was not made.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sensor_tests::agent::Agent;
use serde_json::Value;

/// One incident, as its last journal line has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Incident {
    id: String,
    behaviour: String,
    severity: String,
    state: String,
    actor: String,
    targets: Vec<String>,
    target_count: u64,
    summary: String,
    /// When its first line was seen.
    seen: Instant,
    /// When the line was seen that first gave it its present behaviour.
    named: Instant,
    /// Whether it was found by an attack or reported by an earlier check.
    settled: bool,
}

/// The incidents of one lab run, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Journal {
    begin: Instant,
    lines_read: usize,
    incidents: Vec<Incident>,
}

impl Journal {
    /// An empty journal of a run that began at `begin`.
    pub(crate) fn new(begin: Instant) -> Self {
        Self {
            begin,
            lines_read: 0,
            incidents: Vec::new(),
        }
    }

    /// When the run began.
    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// Takes in what the sensor has written since the last call.
    pub(crate) fn read(&mut self, agent: &Agent<'_>) -> Result<()> {
        let lines = agent.journal()?;
        for line in lines.get(self.lines_read..).unwrap_or_default() {
            self.take(line, Instant::now())?;
        }
        self.lines_read = lines.len();
        Ok(())
    }

    fn take(&mut self, line: &Value, now: Instant) -> Result<()> {
        let text = |key: &str| {
            line.get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .with_context(|| format!("a journal line without `{key}`: {line}"))
        };
        let targets: Vec<String> = line
            .get("targets")
            .and_then(Value::as_array)
            .with_context(|| format!("a journal line without `targets`: {line}"))?
            .iter()
            .filter_map(|target| target.as_str().map(str::to_owned))
            .collect();
        let mut incident = Incident {
            id: text("id")?,
            behaviour: text("behaviour")?,
            severity: text("severity")?,
            state: text("state")?,
            actor: text("actor")?,
            target_count: line
                .get("target_count")
                .and_then(Value::as_u64)
                .unwrap_or(targets.len() as u64),
            targets,
            summary: text("summary")?,
            seen: now,
            named: now,
            settled: false,
        };
        if let Some(known) = self.incidents.iter_mut().find(|known| known.id == incident.id) {
            incident.seen = known.seen;
            incident.settled = known.settled;
            if known.behaviour == incident.behaviour {
                incident.named = known.named;
            }
            *known = incident;
        } else {
            self.incidents.push(incident);
        }
        Ok(())
    }

    /// When the first new incident of this behaviour that names `party` (as actor or target) was seen.
    pub(crate) fn find(&mut self, behaviour: &str, party: &str) -> Option<Instant> {
        let found = self.incidents.iter_mut().find(|incident| {
            !incident.settled
                && incident.behaviour == behaviour
                && (incident.actor == party || incident.targets.iter().any(|target| target == party))
        })?;
        found.settled = true;
        Some(found.named)
    }

    /// The incidents that nobody has asked for since the last call, as short texts.
    pub(crate) fn take_unexpected(&mut self) -> Vec<String> {
        let mut unexpected = Vec::new();
        for incident in self.incidents.iter_mut().filter(|incident| !incident.settled) {
            incident.settled = true;
            unexpected.push(format!(
                "{} by {}: {}",
                incident.behaviour, incident.actor, incident.summary
            ));
        }
        unexpected
    }

    /// Prints every incident.
    pub(crate) fn print(&self) {
        eprintln!("\nincidents");
        eprintln!(
            "{:>8}  {:<8} {:<7} {:<16} {:<24} {:>7}  summary",
            "seen", "severity", "state", "behaviour", "actor", "targets"
        );
        for incident in &self.incidents {
            eprintln!(
                "{:>6.1} s  {:<8} {:<7} {:<16} {:<24} {:>7}  {}",
                incident.seen.duration_since(self.begin).as_secs_f64(),
                incident.severity,
                incident.state,
                incident.behaviour,
                incident.actor,
                incident.target_count,
                incident.summary
            );
        }
    }
}

/// One line of the verdict.
#[derive(Debug)]
pub(crate) struct Check {
    name: String,
    passed: bool,
    detail: String,
}

impl Check {
    fn new(name: &str, passed: bool, detail: String) -> Self {
        Self {
            name: name.to_owned(),
            passed,
            detail,
        }
    }

    /// Something that could not be done at all.
    pub(crate) fn failed(name: &str, detail: &str) -> Self {
        Self::new(name, false, detail.to_owned())
    }

    /// Attached in native mode.
    pub(crate) fn native(mode: Option<String>) -> Self {
        let mode = mode.unwrap_or_else(|| "nothing".to_owned());
        Self::new("native XDP", mode == "native", format!("attached as {mode}"))
    }

    /// No incident in ordinary traffic.
    pub(crate) fn quiet(unexpected: &[String]) -> Self {
        let detail = if unexpected.is_empty() {
            "no incident".to_owned()
        } else {
            unexpected.join("; ")
        };
        Self::new("ordinary traffic", unexpected.is_empty(), detail)
    }

    /// An attack found in time.
    pub(crate) fn attack(
        behaviour: &str,
        found: Option<Duration>,
        deadline: Duration,
        sent: u32,
        others: &[String],
    ) -> Self {
        let mut detail = match found {
            Some(after) => format!(
                "found after {:.1} s, {sent} packets or attempts",
                after.as_secs_f64()
            ),
            None => format!(
                "not found within {:.1} s, {sent} packets or attempts",
                deadline.as_secs_f64()
            ),
        };
        let others: BTreeSet<&str> = others.iter().map(String::as_str).collect();
        if !others.is_empty() {
            detail.push_str("; also reported: ");
            detail.push_str(&others.into_iter().collect::<Vec<_>>().join("; "));
        }
        Self::new(behaviour, found.is_some_and(|after| after <= deadline), detail)
    }

    /// The sensor ended in order when asked.
    pub(crate) fn orderly_end(status: ExitStatus) -> Self {
        Self::new("orderly end", status.success(), status.to_string())
    }
}

/// Prints the verdict; true when every check passed and there was at least one.
pub(crate) fn print(checks: &[Check]) -> bool {
    eprintln!("\nverdict");
    for check in checks {
        eprintln!(
            "{:>6}  {:<17} {}",
            if check.passed { "ok" } else { "FAILED" },
            check.name,
            check.detail
        );
    }
    !checks.is_empty() && checks.iter().all(|check| check.passed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(id: &str, behaviour: &str, actor: &str) -> Value {
        json!({"event": "incident", "id": id, "behaviour": behaviour, "severity": "high", "state": "open",
               "actor": actor, "targets": ["192.0.2.10"], "target_count": 1, "summary": "text"})
    }

    #[test]
    fn an_incident_counts_once_and_only_with_the_right_name_and_party() {
        let begin = Instant::now();
        let mut journal = Journal::new(begin);
        journal
            .take(&line("1", "unclassified", "203.0.113.66"), begin)
            .unwrap();
        assert_eq!(journal.find("vertical_scan", "203.0.113.66"), None);
        // Named right only later: the time of that update counts.
        let later = begin + Duration::from_secs(2);
        journal
            .take(&line("1", "vertical_scan", "203.0.113.66"), later)
            .unwrap();
        assert_eq!(journal.find("vertical_scan", "198.51.100.1"), None);
        assert_eq!(journal.find("vertical_scan", "203.0.113.66"), Some(later));
        journal
            .take(
                &line("1", "vertical_scan", "203.0.113.66"),
                later + Duration::from_secs(1),
            )
            .unwrap();
        assert_eq!(journal.find("vertical_scan", "203.0.113.66"), None, "found twice");
        assert!(journal.take_unexpected().is_empty());
    }

    #[test]
    fn an_incident_nobody_asked_for_fails_the_ordinary_minute() {
        let mut journal = Journal::new(Instant::now());
        journal
            .take(&line("7", "unclassified", "192.0.2.20"), Instant::now())
            .unwrap();
        let unexpected = journal.take_unexpected();
        assert_eq!(unexpected.len(), 1);
        assert!(!Check::quiet(&unexpected).passed);
        assert!(Check::quiet(&journal.take_unexpected()).passed, "reported twice");
    }

    #[test]
    fn an_attack_found_late_or_never_fails() {
        let deadline = Duration::from_secs(5);
        assert!(Check::attack("syn_flood", Some(Duration::from_secs(3)), deadline, 1, &[]).passed);
        assert!(!Check::attack("syn_flood", Some(Duration::from_secs(6)), deadline, 1, &[]).passed);
        assert!(!Check::attack("syn_flood", None, deadline, 1, &[]).passed);
        assert!(!print(&[]), "no check made is no success");
    }

    #[test]
    fn a_line_outside_the_contract_is_an_error() {
        assert!(
            Journal::new(Instant::now())
                .take(&json!({"id": "1"}), Instant::now())
                .is_err()
        );
    }
}
