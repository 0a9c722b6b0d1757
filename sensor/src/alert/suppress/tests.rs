//! What a scope fits, and the life of an incident under rules that come, go and expire.

use super::*;
use crate::alert::rfc3339;

fn network(text: &str) -> Option<Prefix> {
    let (address, len) = text.split_once('/')?;
    let len: u8 = len.parse().ok()?;
    let bytes = mapped(address)?.to_be_bytes();
    Some((bytes, if address.contains(':') { len } else { len + 96 }))
}

fn alert(state: State, severity: Severity) -> Alert {
    Alert {
        ts: rfc3339(0),
        event: "incident".to_owned(),
        id: "i".to_owned(),
        state,
        severity,
        behaviour: Behaviour::BruteForce,
        score: 1.0,
        p_value: 0.1,
        actor: "192.0.2.7".to_owned(),
        targets: vec!["198.51.100.1".to_owned(), "198.51.100.2".to_owned()],
        target_count: 2,
        services: vec!["tcp/22".to_owned()],
        first_seen: rfc3339(0),
        last_seen: rfc3339(0),
        rows: 1,
        packets: 1,
        bytes: 1,
        reasons: Vec::new(),
        summary: String::new(),
        technique: None,
        community_ids: Vec::new(),
        model: String::new(),
        detectors: BTreeMap::new(),
        sensor: String::new(),
        interface: String::new(),
    }
}

fn rule(id: i64, expires_ns: i64) -> Rule {
    let scope = Scope {
        behaviour: Some(Behaviour::BruteForce),
        ..Scope::default()
    };
    Rule {
        id,
        scope,
        expires_ns,
    }
}

const TOLD: Verdict = Verdict::Tell { first: false };
const FIRST: Verdict = Verdict::Tell { first: true };

#[test]
fn every_part_that_is_given_must_fit() {
    let seen = alert(State::Open, Severity::Medium);
    let all = Scope {
        actor: network("192.0.2.0/24"),
        target: network("198.51.100.0/30"),
        behaviour: Some(Behaviour::BruteForce),
        service: Some("tcp/22".to_owned()),
    };
    assert!(all.holds(&seen));
    for other in [
        Scope {
            actor: network("192.0.2.8/32"),
            ..all.clone()
        },
        Scope {
            target: network("198.51.100.1/32"),
            ..all.clone()
        },
        Scope {
            behaviour: Some(Behaviour::SynFlood),
            ..all.clone()
        },
        Scope {
            service: Some("tcp/23".to_owned()),
            ..all.clone()
        },
        // The IPv6 address with the same last bits is another one.
        Scope {
            actor: network("::192.0.2.7/128"),
            ..all.clone()
        },
    ] {
        assert!(!other.holds(&seen), "{other:?}");
    }
    assert!(
        Scope {
            actor: network("0.0.0.0/0"),
            ..Scope::default()
        }
        .holds(&seen)
    );
    assert!(
        Scope {
            actor: network("::/0"),
            ..Scope::default()
        }
        .holds(&seen)
    );
}

#[test]
fn an_empty_scope_fits_nothing() {
    assert!(Scope::default().is_empty());
    assert!(!Scope::default().holds(&alert(State::Open, Severity::Info)));
}

#[test]
fn what_is_not_known_whole_is_not_hidden() {
    let target = Scope {
        target: network("198.51.100.0/24"),
        ..Scope::default()
    };
    let actor = Scope {
        actor: network("0.0.0.0/0"),
        ..Scope::default()
    };
    let service = Scope {
        service: Some("tcp/22".to_owned()),
        ..Scope::default()
    };
    let mut seen = alert(State::Open, Severity::Medium);
    assert!(target.holds(&seen) && actor.holds(&seen) && service.holds(&seen));
    seen.target_count = 3;
    seen.actor.clear();
    seen.services.push("tcp/80".to_owned());
    assert!(!target.holds(&seen) && !actor.holds(&seen) && !service.holds(&seen));
    seen.targets.clear();
    seen.target_count = 0;
    seen.services.clear();
    assert!(!target.holds(&seen) && !service.holds(&seen));
}

#[test]
fn a_hidden_incident_stays_hidden_until_it_escalates_and_then_its_end_is_told() {
    let mut suppressor = Suppressor::default();
    let rules = [rule(3, 100)];
    let mut judge = |state, severity| suppressor.judge(&rules, &alert(state, severity), 1);
    assert_eq!(judge(State::Open, Severity::Medium), Verdict::Hide(3));
    assert_eq!(judge(State::Update, Severity::Medium), Verdict::Hide(3));
    assert_eq!(judge(State::Update, Severity::High), FIRST);
    assert_eq!(judge(State::Update, Severity::High), TOLD);
    assert_eq!(judge(State::Closed, Severity::High), TOLD);
    assert_eq!(judge(State::Open, Severity::Medium), Verdict::Hide(3));
    assert_eq!(judge(State::Closed, Severity::Medium), Verdict::Hide(3));
}

#[test]
fn a_rule_written_while_an_incident_goes_on_hides_updates_but_not_the_end() {
    let mut suppressor = Suppressor::default();
    let mut judge = |rules: &[Rule], state, severity| suppressor.judge(rules, &alert(state, severity), 1);
    assert_eq!(judge(&[], State::Open, Severity::Low), FIRST);
    assert_eq!(
        judge(&[rule(1, 9)], State::Update, Severity::Low),
        Verdict::Hide(1)
    );
    assert_eq!(judge(&[rule(1, 9)], State::Closed, Severity::Low), TOLD);
    // The rise in severity and the rule come together: the rise is told.
    assert_eq!(judge(&[], State::Open, Severity::Low), FIRST);
    assert_eq!(judge(&[rule(1, 9)], State::Update, Severity::Medium), TOLD);
}

#[test]
fn an_expired_rule_hides_nothing_and_what_it_hid_is_then_told() {
    let mut suppressor = Suppressor::default();
    let rules = [rule(1, 100)];
    let mut judge = |state, now_ns| suppressor.judge(&rules, &alert(state, Severity::Low), now_ns);
    assert_eq!(judge(State::Open, 99), Verdict::Hide(1));
    assert_eq!(judge(State::Update, 100), FIRST);
    assert_eq!(judge(State::Closed, 101), TOLD);
    assert_eq!(judge(State::Open, 99), Verdict::Hide(1));
    assert_eq!(
        judge(State::Closed, 101),
        Verdict::Hide(1),
        "nobody was told of it"
    );
}

#[test]
fn incidents_whose_end_never_came_do_not_fill_memory() {
    let mut suppressor = Suppressor::default();
    for number in 0..3 * MAX_KNOWN {
        let mut seen = alert(State::Open, Severity::Low);
        seen.id = number.to_string();
        suppressor.judge(&[], &seen, 1);
    }
    assert_eq!(suppressor.known.len(), MAX_KNOWN);
    assert_eq!(
        suppressor.judge(&[], &alert(State::Closed, Severity::Low), 1),
        TOLD
    );
}
