//! Damaged files: set aside by the writer, reported by everybody else, and never a reason to panic or to stop.

use rand::{RngExt, SeedableRng};

use super::{
    trouble::{aside, metrics, nth, sent, start},
    *,
};
use crate::incidents::{query::Filter, scope::ScopeText};

#[test]
fn a_damaged_file_is_set_aside_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    fs::write(&path, vec![0x5a; 8192]).unwrap();
    let metrics = metrics();
    let writer = start(&path, 10, &metrics);
    writer.sender().send(nth(0));
    writer.close(Duration::from_mins(1));
    assert_eq!(sent(&metrics), 1);
    let names = aside(dir.path());
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(fs::read(dir.path().join(&names[0])).unwrap(), vec![0x5a; 8192]);
}

#[test]
fn damage_inside_of_a_file_is_found_and_nothing_that_waits_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let mut database = Database::create(&path).unwrap();
    database.record(&(0..500).map(nth).collect::<Vec<_>>()).unwrap();
    drop(database);
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    for page in 4..pages {
        bytes[page * 4096..page * 4096 + 64].fill(0xff);
    }
    fs::write(&path, bytes).unwrap();
    let metrics = metrics();
    let writer = start(&path, 10, &metrics);
    let place = writer.place();
    writer.sender().send(nth(500));
    writer.close(Duration::from_mins(1));
    assert_eq!((sent(&metrics), aside(dir.path()).len()), (1, 1));
    let found = place.reader().after(0, 10).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].alert.id, "i000500");
}

#[test]
fn a_file_without_its_tables_is_damaged() {
    let (dir, database) = database();
    database.connection.execute_batch("DROP TABLE feedback").unwrap();
    drop(database);
    assert!(refusal(&dir.path().join(FILE)).is_damage());
}

#[test]
fn only_the_latest_damaged_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    for number in 0..6 {
        fs::write(&path, format!("{number}")).unwrap();
        fs::write(dir.path().join(format!("{FILE}-wal")), "w").unwrap();
        schema::set_aside(&path, &format!("2026010{number}T000000Z")).unwrap();
    }
    let names = aside(dir.path());
    let expected = [3, 4, 5].map(|number| {
        let name = format!("{FILE}.damaged-2026010{number}T000000Z");
        [name.clone(), name + "-wal"]
    });
    assert_eq!(names, expected.as_flattened());
}

/// Files that are damaged at random places.
const FILES: u64 = 80;

#[test]
fn whatever_bytes_change_readers_report_it_and_the_writer_goes_on() {
    let whole = tempfile::tempdir().unwrap();
    let path = whole.path().join(FILE);
    let mut database = Database::create(&path).unwrap();
    database.record(&(0..60).map(nth).collect::<Vec<_>>()).unwrap();
    drop(database);
    let whole = fs::read(&path).unwrap();
    let mut set_aside = 0;
    for seed in 0..FILES {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..40) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        if rng.random_range(0..4) == 0 {
            bytes.truncate(rng.random_range(1..bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, bytes).unwrap();
        if let Ok(mut database) = Database::open(&path) {
            // Whether these fail depends on the place; they must not panic, nor run without end.
            let all = Filter {
                limit: 1000,
                ..Filter::default()
            };
            let _ = database.list(&all);
            let _ = database.incident_of("i00003");
            let _ = database.timeline("i000030", 100);
            let _ = database.after(0, 1000);
            let _ = database.not_closed();
            let _ = database.would_hide(
                &ScopeText {
                    actor: "192.0.2.0/24".into(),
                    ..ScopeText::default()
                },
                0,
            );
            let _ = database.suppressions();
        }
        // A changed number can make it look like another program's or a later version's file: then the start is refused.
        if matches!(
            Database::create(&path),
            Err(StoreError::Foreign { .. } | StoreError::Newer { .. })
        ) {
            continue;
        }
        let metrics = metrics();
        let writer = start(&path, 10, &metrics);
        writer.sender().send(nth(100));
        writer.close(Duration::from_mins(1));
        assert_eq!(sent(&metrics), 1, "seed {seed}");
        let stored = Database::open(&path).unwrap().incident("i000100").unwrap();
        assert!(stored.is_some(), "seed {seed}");
        set_aside += usize::from(!aside(dir.path()).is_empty());
    }
    assert!(
        set_aside > FILES as usize / 4,
        "{set_aside} of {FILES} were damaged"
    );
}
