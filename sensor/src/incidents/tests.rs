//! Tests of the incident database: what a file must be, updates in order, and sinks that come back.
//! It must never depend on time or on the network beyond this machine.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::*;
use crate::alert::{Alert, Behaviour, Severity, State, rfc3339};

mod bounds;
mod damage;
mod opinions;
mod trouble;

const SECOND: i64 = 1_000_000_000;
/// The wall time at which the stories begin, Unix nanoseconds.
const START_NS: i64 = 1_700_000_000 * SECOND;

/// An update of the incident `id`, `second` seconds after the start.
pub(crate) fn alert(id: &str, state: State, second: i64) -> Alert {
    Alert {
        ts: rfc3339(START_NS + second * SECOND),
        event: "incident".into(),
        id: id.into(),
        state,
        severity: Severity::Medium,
        behaviour: Behaviour::VerticalScan,
        score: 7.5,
        p_value: 1e-4,
        actor: "192.0.2.7".into(),
        targets: vec!["198.51.100.1".into()],
        target_count: 1,
        services: vec!["tcp/22".into()],
        first_seen: rfc3339(START_NS),
        last_seen: rfc3339(START_NS + second * SECOND),
        rows: 3,
        packets: 1000,
        bytes: 60_000,
        reasons: Vec::new(),
        summary: "192.0.2.7 tried 998 ports of 198.51.100.1".into(),
        technique: Some("T1046".into()),
        community_ids: vec!["1:wCb3OG7yAFWelaUydu0D+125CLM=".into()],
        model: "m".into(),
        detectors: [("autoencoder".to_owned(), 2.0)].into(),
        sensor: "box".into(),
        interface: "eth0".into(),
    }
}

pub(crate) fn update(alert: &Alert, suppressed_by: Option<i64>) -> Update {
    Update::of(alert, serde_json::to_string(alert).unwrap(), suppressed_by)
}

fn database() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create(&dir.path().join(FILE)).unwrap();
    (dir, database)
}

fn ids(found: &[Stored]) -> Vec<(u64, &str)> {
    found
        .iter()
        .map(|stored| (stored.seq, stored.alert.id.as_str()))
        .collect()
}

#[test]
fn a_new_file_is_private_and_so_are_those_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let mut database = Database::create(&path).unwrap();
    database
        .record(&[update(&alert("a", State::Open, 0), None)])
        .unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["incidents.db", "incidents.db-shm", "incidents.db-wal"]);
    drop(database);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    Database::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn updates_come_back_in_order_and_whole() {
    let (dir, mut database) = database();
    let written = [
        alert("a", State::Open, 0),
        alert("b", State::Open, 1),
        alert("a", State::Closed, 9),
    ];
    let updates: Vec<_> = written.iter().map(|alert| update(alert, None)).collect();
    assert_eq!(database.record(&updates[..2]).unwrap(), 2);
    assert_eq!(database.record(&updates[2..]).unwrap(), 3);
    let mut reader = Place::new(dir.path().join(FILE)).reader();
    let found = reader.after(0, 10).unwrap();
    assert_eq!(ids(&found), [(1, "a"), (2, "b"), (3, "a")]);
    for (stored, alert) in found.iter().zip(&written) {
        assert_eq!(stored.alert, *alert);
    }
    assert_eq!(ids(&reader.after(1, 1).unwrap()), [(2, "b")]);
    assert!(reader.after(3, 10).unwrap().is_empty());
    assert_eq!((reader.oldest().unwrap(), reader.newest().unwrap()), (1, 3));
}

#[test]
fn an_empty_outbox_has_numbers_that_fit_together() {
    let (_dir, mut database) = database();
    assert_eq!((database.oldest().unwrap(), database.newest().unwrap()), (1, 0));
}

#[test]
fn a_sink_goes_on_where_it_stopped_and_a_new_one_has_no_cursor() {
    let (dir, mut database) = database();
    assert_eq!(database.cursor("webhook").unwrap(), None);
    database.advance("webhook", 7).unwrap();
    database.advance("webhook", 9).unwrap();
    database.advance("syslog", 1).unwrap();
    drop(database);
    let mut again = Database::create(&dir.path().join(FILE)).unwrap();
    assert_eq!(again.cursor("webhook").unwrap(), Some(9));
    assert_eq!(again.cursor("syslog").unwrap(), Some(1));
}

#[test]
fn hidden_updates_and_unreadable_ones_are_passed_over() {
    let (_dir, mut database) = database();
    let broken = Update {
        json: "{\"of\":\"another version\"}".into(),
        ..update(&alert("b", State::Open, 1), None)
    };
    database
        .record(&[
            update(&alert("a", State::Open, 0), Some(1)),
            broken,
            update(&alert("c", State::Open, 2), None),
        ])
        .unwrap();
    assert_eq!(ids(&database.after(0, 1).unwrap()), [(3, "c")]);
}

#[test]
fn a_reader_follows_a_file_that_was_replaced() {
    let (dir, mut database) = database();
    let path = dir.path().join(FILE);
    let place = Place::new(path.clone());
    let mut reader = place.reader();
    database
        .record(&[update(&alert("a", State::Open, 0), None)])
        .unwrap();
    assert_eq!(reader.newest().unwrap(), 1);
    schema::set_aside(&path, "now").unwrap();
    let mut fresh = Database::create(&path).unwrap();
    fresh.continue_after(1).unwrap();
    place.replaced();
    assert_eq!((reader.oldest().unwrap(), reader.newest().unwrap()), (2, 1));
    fresh
        .record(&[update(&alert("b", State::Open, 1), None)])
        .unwrap();
    assert_eq!(ids(&reader.after(1, 10).unwrap()), [(2, "b")]);
}

#[test]
fn waiting_ends_when_something_was_written_before_or_after_it_began() {
    let place = Place::new("unused".into());
    place.wake().written();
    let seen = place.wake().wait(0, Duration::from_mins(1));
    let waiting = {
        let place = place.clone();
        std::thread::spawn(move || place.wake().wait(seen, Duration::from_mins(1)))
    };
    place.wake().written();
    assert_eq!(waiting.join().unwrap(), 2);
    assert_eq!(place.wake().wait(2, Duration::ZERO), 2);
    place.wake().end();
    place.wake().wait(2, Duration::from_mins(1));
    assert!(place.wake().ended());
}

fn refusal(path: &Path) -> StoreError {
    let daemon = Database::create(path).unwrap_err();
    let beside = Database::open(path).unwrap_err();
    assert_eq!(daemon.to_string(), beside.to_string());
    assert!(daemon.to_string().contains(FILE), "{daemon}");
    daemon
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE notes(text)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(&path), StoreError::Foreign { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::remove_file(&path).unwrap();
    let database = Database::create(&path).unwrap();
    database
        .connection
        .pragma_update(None, "user_version", schema::VERSION + 1)
        .unwrap();
    drop(database);
    let found = refusal(&path);
    assert!(matches!(found, StoreError::Newer { .. }));
    assert!(found.to_string().contains("version 2"), "{found}");
}

#[test]
fn damage_is_told_apart_from_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    fs::write(&path, vec![0x5a; 8192]).unwrap();
    assert!(refusal(&path).is_damage());
    assert!(matches!(
        Database::open(&dir.path().join("absent.db")).unwrap_err(),
        StoreError::Missing { .. }
    ));
    let found = Database::create(&dir.path().join("no/incidents.db")).unwrap_err();
    assert!(matches!(found, StoreError::Io { .. }));
}
