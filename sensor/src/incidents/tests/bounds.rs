//! Retention by age and by size, and pages of many incidents.

use super::*;
use crate::incidents::query::Filter;

const FOREVER: Retention = Retention {
    age_ns: i64::MAX,
    max_bytes: u64::MAX,
};

/// Sweeps until there is nothing more to do; returns how many updates went for age and for size.
fn sweep(database: &mut Database, retention: &Retention, now_ns: i64) -> (u64, u64) {
    let (mut old, mut surplus) = (0, 0);
    loop {
        let swept = database.sweep(retention, now_ns).unwrap();
        old += swept.old;
        surplus += swept.surplus;
        if !swept.more {
            return (old, surplus);
        }
    }
}

fn fill(database: &mut Database, count: i64) {
    let updates: Vec<_> = (0..count)
        .map(|number| update(&alert(&format!("i{number:06}"), State::Closed, number), None))
        .collect();
    database.record(&updates).unwrap();
}

#[test]
fn what_is_too_old_goes_with_all_that_was_said_about_it() {
    let (_dir, mut database) = database();
    fill(&mut database, 1200);
    let opinion = feedback::Opinion {
        verdict: feedback::Judgement::Confirmed,
        author: "kim".into(),
        text: String::new(),
    };
    for id in ["i000000", "i001199"] {
        database.judge(id, &opinion, None, 0).unwrap();
    }
    // One incident began long ago and goes on: it stays, its first update does not.
    database
        .record(&[update(&alert("i000001", State::Update, 1200), None)])
        .unwrap();
    let retention = Retention {
        age_ns: 100 * SECOND,
        ..FOREVER
    };
    assert_eq!(sweep(&mut database, &FOREVER, START_NS + 1200 * SECOND), (0, 0));
    assert_eq!(
        sweep(&mut database, &retention, START_NS + 1200 * SECOND),
        (1100, 0)
    );
    assert_eq!(
        (database.oldest().unwrap(), database.newest().unwrap()),
        (1101, 1201)
    );
    assert!(database.incident("i000000").unwrap().is_none());
    assert!(database.feedback_on("i000000").unwrap().is_empty());
    assert_eq!(database.feedback_on("i001199").unwrap().len(), 1);
    assert_eq!(database.timeline("i000001", 10).unwrap().len(), 1);
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_updates_and_shrinks() {
    let (dir, mut database) = database();
    fill(&mut database, 5000);
    let full_bytes = database.used_bytes().unwrap();
    let retention = Retention {
        max_bytes: full_bytes / 2,
        ..FOREVER
    };
    let (old, surplus) = sweep(&mut database, &retention, START_NS);
    assert_eq!(old, 0);
    assert!((2000..5000).contains(&surplus), "{surplus}");
    assert!(database.used_bytes().unwrap() <= full_bytes / 2);
    assert_eq!(database.oldest().unwrap(), surplus + 1);
    drop(database);
    // The last connection has written everything into the file; what is free behind the first pages was given back.
    let file_bytes = fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(file_bytes < full_bytes, "{file_bytes} of {full_bytes}");
}

#[test]
fn pages_hold_no_more_than_they_may_and_follow_each_other() {
    let (_dir, mut database) = database();
    fill(&mut database, 2500);
    let mut seen = Vec::new();
    let mut filter = Filter {
        limit: 10_000,
        ..Filter::default()
    };
    loop {
        let page = database.list(&filter).unwrap();
        assert!(page.len() <= query::MAX_PAGE);
        let Some(last) = page.last() else { break };
        filter.before = Some(last.number);
        seen.extend(page.into_iter().map(|one| one.id));
    }
    assert_eq!(seen.len(), 2500);
    assert!(seen.is_sorted_by(|newer, older| newer > older));
}

#[test]
fn ids_are_found_by_a_prefix_that_fits_only_one() {
    let (_dir, mut database) = database();
    fill(&mut database, 20);
    assert_eq!(
        database
            .incident_of("i00001")
            .unwrap_err()
            .to_string()
            .matches("i0000")
            .count(),
        6
    );
    assert_eq!(database.incident_of("i000019").unwrap().id, "i000019");
    for missing in ["", "j", "I000019", "%", "i000019x"] {
        let found = database.incident_of(missing).unwrap_err();
        assert!(matches!(found, StoreError::Unknown { .. }), "{missing}: {found}");
    }
}
