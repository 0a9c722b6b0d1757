//! Feedback, suppressions and labels: what is stored, what is refused, and what comes of it.

use super::*;
use crate::{
    alert::suppress::{Suppressor, Verdict},
    incidents::{
        feedback::{Judgement, Opinion},
        scope::ScopeText,
        suppression::NewSuppression,
    },
    labels::Labels,
};

const DAY: i64 = 86_400 * SECOND;

fn opinion(verdict: Judgement) -> Opinion {
    Opinion {
        verdict,
        author: "kim".into(),
        text: "known".into(),
    }
}

fn wanted(scope: ScopeText) -> NewSuppression {
    NewSuppression {
        scope,
        author: "kim".into(),
        reason: "our scanner".into(),
        expires: "30d".into(),
    }
}

fn actor(network: &str) -> ScopeText {
    ScopeText {
        actor: network.into(),
        ..ScopeText::default()
    }
}

#[test]
fn the_latest_verdict_counts_and_notes_do_not_change_it() {
    let (_dir, mut database) = database();
    database
        .record(&[update(&alert("a", State::Open, 0), None)])
        .unwrap();
    for verdict in [Judgement::Benign, Judgement::Confirmed, Judgement::Note] {
        database.judge("a", &opinion(verdict), None, START_NS).unwrap();
    }
    assert_eq!(database.incident("a").unwrap().unwrap().verdict, "confirmed");
    assert_eq!(database.feedback_on("a").unwrap().len(), 3);
    let found = database
        .judge("b", &opinion(Judgement::Benign), None, 0)
        .unwrap_err();
    assert!(found.to_string().contains("no incident has the id b"), "{found}");
}

#[test]
fn feedback_is_bounded_and_free_of_what_steers_terminals() {
    let (_dir, mut database) = database();
    database
        .record(&[update(&alert("a", State::Open, 0), None)])
        .unwrap();
    for (author, text) in [
        ("", "x".to_owned()),
        ("k\u{1b}[2J", "x".to_owned()),
        ("kim", "x".repeat(4001)),
        ("kim", "\u{7}".to_owned()),
    ] {
        let bad = Opinion {
            verdict: Judgement::Benign,
            author: author.into(),
            text,
        };
        assert!(matches!(
            database.judge("a", &bad, None, 0).unwrap_err(),
            StoreError::Refused { .. }
        ));
    }
    for _ in 0..200 {
        database.judge("a", &opinion(Judgement::Note), None, 0).unwrap();
    }
    let found = database
        .judge("a", &opinion(Judgement::Note), None, 0)
        .unwrap_err();
    assert!(found.to_string().contains("200 entries"), "{found}");
}

#[test]
fn a_suppression_is_written_whole_or_not_at_all_with_its_feedback() {
    let (_dir, mut database) = database();
    database
        .record(&[update(&alert("a", State::Open, 0), None)])
        .unwrap();
    let bad = wanted(actor("192.0.2.7/24"));
    let found = database
        .judge("a", &opinion(Judgement::Benign), Some(&bad), 0)
        .unwrap_err();
    assert!(found.to_string().contains("behind its prefix"), "{found}");
    assert!(database.feedback_on("a").unwrap().is_empty());
    assert_eq!(database.incident("a").unwrap().unwrap().verdict, "");
}

#[test]
fn scopes_are_read_strictly_and_written_in_one_form() {
    let odd = ScopeText {
        actor: "::ffff:0:0/96".into(),
        target: " 2001:db8::/32 ".into(),
        behaviour: "syn_flood".into(),
        service: "TCP/443".into(),
    };
    let (_, text) = odd.parse().unwrap();
    assert_eq!(
        (text.target.as_str(), text.service.as_str()),
        ("2001:db8::/32", "tcp/443")
    );
    for (scope, part) in [
        (ScopeText::default(), "needs a scope"),
        (actor("home"), "is no network"),
        (
            ScopeText {
                behaviour: "odd".into(),
                ..ScopeText::default()
            },
            "vertical_scan",
        ),
        (
            ScopeText {
                service: "tcp/99999".into(),
                ..ScopeText::default()
            },
            "write tcp/22",
        ),
    ] {
        let cause = scope.parse().unwrap_err();
        assert!(cause.contains(part), "{cause}");
    }
}

#[test]
fn the_scope_of_an_incident_fits_that_incident() {
    let mut many = alert("a", State::Open, 0);
    let (scope, _) = ScopeText::of(&many).parse().unwrap();
    assert!(scope.holds(&many));
    many.targets.push("198.51.100.2".into());
    many.target_count = 2;
    many.services.push("tcp/80".into());
    let text = ScopeText::of(&many);
    assert_eq!((text.target.as_str(), text.service.as_str()), ("", ""));
    assert!(text.parse().unwrap().0.holds(&many));
}

#[test]
fn rules_in_force_are_those_neither_expired_nor_ended() {
    let (_dir, mut database) = database();
    let first = database.suppress(&wanted(actor("192.0.2.7")), START_NS).unwrap();
    let second = database.suppress(&wanted(actor("192.0.2.8")), START_NS).unwrap();
    assert_eq!(first.expires_ns, START_NS + 30 * DAY);
    database.unsuppress(second.id, START_NS + 1).unwrap();
    assert!(database.unsuppress(second.id, START_NS + 2).is_err());
    let ids = |now_ns| -> Vec<i64> {
        let rules = database.rules(now_ns).unwrap();
        rules.iter().map(|rule| rule.id).collect()
    };
    assert_eq!(ids(START_NS + 2), [first.id]);
    assert!(ids(first.expires_ns).is_empty());
    assert_eq!(database.suppressions().unwrap().len(), 2);
}

#[test]
fn a_rule_counts_each_incident_it_hides_once() {
    let (_dir, mut database) = database();
    let rule = database.suppress(&wanted(actor("192.0.2.7")), START_NS).unwrap();
    let rules = database.rules(START_NS).unwrap();
    let mut suppressor = Suppressor::default();
    for id in ["a", "b"] {
        for (second, state) in [(0, State::Open), (60, State::Update), (120, State::Closed)] {
            let told = alert(id, state, second);
            let Verdict::Hide(by) = suppressor.judge(&rules, &told, START_NS) else {
                panic!("{id} is told")
            };
            database.record(&[update(&told, Some(by))]).unwrap();
        }
    }
    assert_eq!(database.suppressions().unwrap()[0].hidden, 2);
    let listed = database.incident("a").unwrap().unwrap();
    assert_eq!((listed.suppressed_by, listed.told), (Some(rule.id), false));
}

#[test]
fn a_dry_run_counts_what_fits_and_what_would_have_been_told_anyway() {
    let (_dir, mut database) = database();
    let mut updates = Vec::new();
    for number in 0..37 {
        updates.push(update(
            &alert(&format!("i{number:02}"), State::Open, number),
            None,
        ));
    }
    let mut risen = alert("i00", State::Update, 50);
    risen.severity = Severity::High;
    updates.push(update(&risen, None));
    let mut other = alert("other", State::Open, 51);
    other.actor = "203.0.113.1".into();
    updates.push(update(&other, None));
    database.record(&updates).unwrap();
    let found = database.would_hide(&actor("192.0.2.0/24"), START_NS).unwrap();
    assert_eq!((found.incidents, found.hidden, found.escalated), (38, 37, 1));
    assert_eq!(found.examples.len(), 10);
    assert_eq!(found.examples[0].0, "i00");
    let found = database
        .would_hide(&actor("192.0.2.0/24"), START_NS + 30 * SECOND)
        .unwrap();
    assert_eq!((found.incidents, found.hidden), (9, 8));
}

#[test]
fn confirmed_and_benign_incidents_become_labels_that_the_reader_takes() {
    let (_dir, mut database) = database();
    let mut spoofed = alert("spoofed", State::Open, 10);
    spoofed.actor.clear();
    spoofed.behaviour = Behaviour::SynFlood;
    spoofed.targets = vec!["198.51.100.1".into(), "198.51.100.2".into()];
    spoofed.target_count = 2;
    spoofed.services = vec!["tcp/80".into(), "tcp/443".into()];
    let mut nobody = spoofed.clone();
    nobody.id = "nobody".into();
    nobody.targets.clear();
    nobody.target_count = 0;
    let told = [
        alert("scan", State::Open, 60),
        alert("calm", State::Open, 300),
        alert("unjudged", State::Open, 5),
        spoofed,
        nobody,
    ];
    let updates: Vec<_> = told.iter().map(|alert| update(alert, None)).collect();
    database.record(&updates).unwrap();
    for (id, verdict) in [
        ("scan", Judgement::Confirmed),
        ("spoofed", Judgement::Confirmed),
        ("nobody", Judgement::Confirmed),
        ("calm", Judgement::Benign),
    ] {
        database.judge(id, &opinion(verdict), None, 0).unwrap();
    }
    let export = database.export_labels(10 * SECOND).unwrap();
    assert_eq!((export.incidents, export.skipped), (3, 1));
    let text = String::from_utf8(export.csv.clone()).unwrap();
    let expected = "start,end,src,dst,src_port,dst_port,proto,label\n\
        2023-11-14T22:13:10.000Z,2023-11-14T22:14:20.000Z,192.0.2.7,198.51.100.1,,22,tcp,vertical_scan\n\
        2023-11-14T22:13:10.000Z,2023-11-14T22:13:30.000Z,,198.51.100.1,,,tcp,syn_flood\n\
        2023-11-14T22:13:10.000Z,2023-11-14T22:13:30.000Z,,198.51.100.2,,,tcp,syn_flood\n\
        2023-11-14T22:13:10.000Z,2023-11-14T22:18:20.000Z,192.0.2.7,198.51.100.1,,22,tcp,benign\n";
    assert_eq!(text, expected);
    let labels = Labels::read(export.csv.as_slice(), Path::new("labels.csv")).unwrap();
    assert_eq!(labels.names(), ["vertical_scan", "syn_flood"]);
    assert!(!labels.by_frame());
}

#[test]
fn what_a_crash_left_open_is_closed_for_those_who_were_told() {
    let (_dir, mut database) = database();
    let rule = database.suppress(&wanted(actor("192.0.2.7")), START_NS).unwrap();
    let broken = Update {
        json: "{}".into(),
        ..update(&alert("broken", State::Open, 0), None)
    };
    database
        .record(&[
            update(&alert("told", State::Open, 0), None),
            update(&alert("hidden", State::Open, 0), Some(rule.id)),
            update(&alert("over", State::Closed, 0), None),
            update(&alert("both", State::Open, 0), None),
            update(&alert("both", State::Update, 1), Some(rule.id)),
            broken,
        ])
        .unwrap();
    let found = restart::leftovers(&database, START_NS + 100 * SECOND).unwrap();
    let about: Vec<_> = found
        .iter()
        .map(|left| (left.alert.id.as_str(), left.suppressed_by))
        .collect();
    assert_eq!(about, [("told", None), ("hidden", Some(rule.id)), ("both", None)]);
    for left in &found {
        assert_eq!(left.alert.state, State::Closed);
        assert_eq!(left.alert.ts, rfc3339(START_NS + 100 * SECOND));
        assert!(left.alert.summary.ends_with("(closed: the sensor was restarted)"));
    }
    let updates: Vec<_> = found
        .iter()
        .map(|left| update(&left.alert, left.suppressed_by))
        .collect();
    database.record(&updates).unwrap();
    assert!(restart::leftovers(&database, START_NS).unwrap().is_empty());
}
