//! The store's thread among full disks, vanished files, rules from outside, and a process that is killed.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::Arc,
};

use rand::{RngExt, SeedableRng};

use super::*;
use crate::{
    incidents::{scope::ScopeText, suppression::NewSuppression, writer::NAME},
    metrics::{Metrics, label::DropReason},
};

const KEEP: Retention = Retention {
    age_ns: i64::MAX,
    max_bytes: u64::MAX,
};

pub(super) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

pub(super) fn start(path: &Path, capacity: usize, metrics: &Arc<Metrics>) -> Writer {
    let settings = WriterSettings {
        capacity,
        retention: KEEP,
    };
    Writer::start(open(path).unwrap(), settings, Arc::clone(metrics)).unwrap()
}

pub(super) fn sent(metrics: &Metrics) -> u64 {
    metrics.sink_events_sent.with_label_values(&[NAME]).get()
}

fn failed(metrics: &Metrics) -> u64 {
    metrics.sink_events_failed.with_label_values(&[NAME]).get()
}

fn dropped(metrics: &Metrics, reason: DropReason) -> u64 {
    metrics
        .sink_events_dropped
        .with_label_values(&[NAME, reason.as_str()])
        .get()
}

pub(super) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}

pub(super) fn nth(number: usize) -> Update {
    update(&alert(&format!("i{number:06}"), State::Open, number as i64), None)
}

pub(super) fn aside(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".damaged-"))
        .collect();
    names.sort();
    names
}

#[test]
fn everything_that_was_queued_is_written_before_the_end_and_seen_by_sinks() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = metrics();
    let writer = start(&dir.path().join(FILE), 4096, &metrics);
    let place = writer.place();
    for number in 0..1000 {
        assert!(writer.sender().send(nth(number)));
    }
    place.wake().wait(0, Duration::from_mins(1));
    writer.close(Duration::from_mins(1));
    assert_eq!(sent(&metrics), 1000);
    let found = place.reader().after(0, 2000).unwrap();
    assert_eq!(found.len(), 1000);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(at, stored)| stored.seq == at as u64 + 1)
    );
}

#[test]
fn rules_written_by_another_connection_come_into_force_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let writer = start(&dir.path().join(FILE), 10, &metrics());
    let rules = writer.rules();
    let mut beside = Database::open(&dir.path().join(FILE)).unwrap();
    let new = NewSuppression {
        scope: ScopeText {
            actor: "192.0.2.7".into(),
            ..ScopeText::default()
        },
        author: "kim".into(),
        reason: "known".into(),
        expires: "1d".into(),
    };
    let written = beside.suppress(&new, crate::service::clock::unix_ns()).unwrap();
    wait_until("the rule is in force", || rules.load().len() == 1);
    assert_eq!(rules.load()[0].id, written.id);
    beside
        .unsuppress(written.id, crate::service::clock::unix_ns())
        .unwrap();
    wait_until("the rule is gone", || rules.load().is_empty());
    writer.close(Duration::from_mins(1));
}

#[test]
fn a_file_that_vanishes_is_made_anew_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let metrics = metrics();
    let writer = start(&path, 10, &metrics);
    let mut reader = writer.place().reader();
    writer.sender().send(nth(0));
    wait_until("the first update", || sent(&metrics) == 1);
    assert_eq!(reader.newest().unwrap(), 1);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(dir.path().join(format!("{FILE}{suffix}"))).unwrap();
    }
    writer.sender().send(nth(1));
    wait_until("the second update", || sent(&metrics) == 2);
    writer.close(Duration::from_mins(1));
    let found = reader.after(1, 10).unwrap();
    assert_eq!((found.len(), found[0].seq), (1, 2));
}

#[test]
fn a_file_that_cannot_be_written_keeps_updates_up_to_the_bound_and_counts_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let metrics = metrics();
    let writer = start(&path, 3, &metrics);
    // Somebody else writes and does not end: the store waits for longer than this test takes.
    let blocker = rusqlite::Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let accepted = (0..5).filter(|number| writer.sender().send(nth(*number))).count();
    assert_eq!(accepted, 3);
    assert_eq!(dropped(&metrics, DropReason::QueueFull), 2);
    wait_until("a failed attempt", || failed(&metrics) >= 1);
    assert!(
        writer
            .place()
            .problem()
            .unwrap()
            .contains("incidents cannot be stored")
    );
    writer.close(Duration::ZERO);
    assert_eq!(sent(&metrics), 0);
    assert_eq!(dropped(&metrics, DropReason::Shutdown), 3);
}

#[test]
fn after_a_full_disk_every_queued_update_is_stored() {
    let Some(disk) = crate::sink::tests::SmallDisk::mount() else {
        println!("skipped: mounting a tmpfs needs root");
        return;
    };
    let ballast = disk.path().join("ballast");
    let metrics = metrics();
    let writer = start(&disk.path().join(FILE), 2000, &metrics);
    fs::write(&ballast, vec![0u8; 600 * 1024]).unwrap();
    for number in 0..150 {
        assert!(writer.sender().send(nth(number)));
    }
    for number in 150..400 {
        assert!(writer.sender().send(nth(number)));
    }
    wait_until("the disk is full", || failed(&metrics) >= 1);
    assert!(sent(&metrics) < 400);
    fs::remove_file(&ballast).unwrap();
    wait_until("the store recovers", || sent(&metrics) == 400);
    assert_eq!(writer.place().problem(), None);
    let found = writer.place().reader().after(0, 1000).unwrap();
    let ids: Vec<_> = found.iter().map(|stored| stored.alert.id.clone()).collect();
    assert_eq!(ids, (0..400).map(|n| format!("i{n:06}")).collect::<Vec<_>>());
    assert_eq!(aside(disk.path()), [""; 0]);
    writer.close(Duration::from_mins(1));
}

/// Locks of this process on a file, as the kernel lists them.
fn locks(path: &Path) -> usize {
    let inode = format!(
        ":{} ",
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
    );
    let process = format!(" {} ", std::process::id());
    let all = fs::read_to_string("/proc/locks").unwrap();
    all.lines()
        .filter(|line| line.contains(&inode) && line.contains(&process))
        .count()
}

#[test]
fn opening_the_file_again_keeps_the_locks_of_those_who_use_it() {
    let (dir, _database) = database();
    let path = dir.path().join(FILE);
    let before = locks(&path);
    assert!(before > 0, "whoever uses the database holds a lock on its file");
    let _second = Database::create(&path).unwrap();
    assert_eq!(locks(&path), before);
}

/// How often the writer is killed.
const KILLS: usize = 25;
/// Names the directory in the environment of the process that is to be killed.
const VICTIM: &str = "SENSOR_TEST_STORE_VICTIM";

/// Not a test of its own: the process that the next test kills. It writes without end, and says after each commit up to
/// which number.
#[test]
fn victim_of_the_next_test() {
    let Some(dir) = std::env::var_os(VICTIM) else {
        return;
    };
    let mut database = open(&Path::new(&dir).join(FILE)).unwrap();
    let mut number = database.newest().unwrap() as usize;
    loop {
        let count = number % 7 + 1;
        let batch: Vec<_> = (number..number + count).map(nth).collect();
        number += count;
        assert_eq!(database.record(&batch).unwrap(), number as u64);
        eprintln!("committed {number}");
        if number % 50 < 7 {
            database
                .sweep(
                    &Retention {
                        max_bytes: 1 << 20,
                        ..KEEP
                    },
                    START_NS,
                )
                .unwrap();
        }
    }
}

#[test]
fn killing_the_process_at_any_instant_loses_nothing_that_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut promised = 0;
    for _ in 0..KILLS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "incidents::tests::trouble::victim_of_the_next_test",
                "--nocapture",
            ])
            .env(VICTIM, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(rng.random_range(20..120)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let mut said = String::new();
        victim.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let last = said
            .lines()
            .filter_map(|line| line.strip_prefix("committed "))
            .filter_map(|number| number.parse::<u64>().ok())
            .next_back();
        promised = last.unwrap_or(promised);
        let mut database = open(&dir.path().join(FILE)).unwrap();
        let check: String = database
            .connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        let newest = database.newest().unwrap();
        assert!(newest >= promised, "{newest} of {promised}");
        // Whole batches only, each update under its own number, and the incidents agree with the updates.
        let oldest = database.oldest().unwrap();
        let found = database.after(oldest - 1, usize::MAX).unwrap();
        assert_eq!(found.len() as u64, newest + 1 - oldest);
        for (stored, seq) in found.iter().zip(oldest..) {
            assert_eq!((stored.seq, &stored.alert.id), (seq, &format!("i{:06}", seq - 1)));
        }
        let incidents: u64 = database
            .connection
            .query_row("SELECT count(*) FROM incidents", [], |row| row.get(0))
            .map(|count: i64| count as u64)
            .unwrap();
        assert_eq!(incidents, newest + 1 - oldest);
    }
    assert!(promised > 0, "nothing was ever written");
    assert_eq!(aside(dir.path()), [""; 0]);
}
