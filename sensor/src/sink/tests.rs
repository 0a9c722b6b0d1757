//! Tests of the journal: full disks, unwritable paths, reopening, and that no line is lost or broken.
//! It must never depend on time or on the network beyond this machine.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn sent(metrics: &Metrics) -> u64 {
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

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}

fn start(path: &Path, capacity: usize, metrics: &Arc<Metrics>) -> Journal {
    Journal::start(
        Target::File(path.to_owned()),
        Rotation::default(),
        capacity,
        Arc::clone(metrics),
    )
    .unwrap()
}

#[test]
fn events_are_appended_in_order_to_a_private_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let metrics = metrics();
    for round in 0..2 {
        let journal = start(&path, 100, &metrics);
        for n in 0..10 {
            assert!(journal.sender().send(format!("{round}-{n}")));
        }
        journal.close(Duration::from_secs(5));
    }
    let lines: Vec<_> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), 20);
    assert_eq!((lines[0].as_str(), lines[19].as_str()), ("0-0", "1-9"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(sent(&metrics), 20);
}

#[test]
fn a_line_cut_off_by_a_crash_does_not_spoil_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    fs::write(&path, "{\"whole\":1}\n{\"cut").unwrap();
    let journal = start(&path, 10, &metrics());
    journal.sender().send("{\"next\":1}".into());
    journal.close(Duration::from_secs(5));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"whole\":1}\n{\"cut\n{\"next\":1}\n"
    );
}

#[test]
fn reopening_follows_a_rotated_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let metrics = metrics();
    let journal = start(&path, 10, &metrics);
    journal.sender().send("before".into());
    wait_until("first event written", || sent(&metrics) == 1);
    fs::rename(&path, dir.path().join("alerts.jsonl.1")).unwrap();
    journal.sender().reopen();
    journal.sender().send("after".into());
    journal.close(Duration::from_secs(5));
    assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
}

#[test]
fn a_journal_that_cannot_be_opened_names_file_and_fix() {
    let found = Journal::start(
        Target::File("/nonexistent/alerts.jsonl".into()),
        Rotation::default(),
        1,
        metrics(),
    )
    .unwrap_err();
    assert!(found.to_string().contains("/nonexistent/alerts.jsonl"), "{found}");
    assert!(found.to_string().contains("`alerts`"), "{found}");
}

#[test]
fn a_full_device_keeps_events_up_to_the_bound_and_counts_the_rest() {
    let metrics = metrics();
    let journal = start(Path::new("/dev/full"), 3, &metrics);
    let accepted = (0..5).filter(|n| journal.sender().send(n.to_string())).count();
    assert_eq!(accepted, 3);
    assert_eq!(dropped(&metrics, DropReason::QueueFull), 2);
    wait_until("a failed attempt", || failed(&metrics) >= 1);
    journal.close(Duration::ZERO);
    assert_eq!(sent(&metrics), 0);
    assert_eq!(dropped(&metrics, DropReason::Shutdown), 3);
}

/// A file system of one mebibyte; unmounted when dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `None` without the privilege to mount.
    pub(crate) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn after_a_full_disk_every_queued_event_is_written_whole() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: mounting a tmpfs needs root");
        return;
    };
    let path = disk.path().join("alerts.jsonl");
    let ballast = disk.path().join("ballast");
    let metrics = metrics();
    let journal = start(&path, 100, &metrics);
    // What remains holds the first event and a part of the second: that one must be continued, not repeated.
    fs::write(&ballast, vec![0u8; (1 << 20) - 8192]).unwrap();
    let event = |n: usize| format!("{n:02}{}", "x".repeat(5000));
    for n in 0..20 {
        assert!(journal.sender().send(event(n)));
    }
    wait_until("the disk is full", || failed(&metrics) >= 1);
    assert!(sent(&metrics) < 20);
    fs::remove_file(&ballast).unwrap();
    wait_until("the journal recovers", || sent(&metrics) == 20);
    journal.close(Duration::from_secs(5));
    let found: Vec<_> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(found, (0..20).map(event).collect::<Vec<_>>());
    assert_eq!(dropped(&metrics, DropReason::QueueFull), 0);
}

#[test]
fn a_file_that_has_grown_large_is_set_aside_and_no_line_is_lost_or_broken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let rotation = Rotation {
        max_bytes: 100,
        keep: 3,
    };
    let journal = Journal::start(Target::File(path.clone()), rotation, 100, metrics()).unwrap();
    for n in 10..45 {
        assert!(journal.sender().send(format!("line {n}")));
    }
    journal.close(Duration::from_secs(5));
    let read = |suffix: &str| fs::read_to_string(format!("{}{suffix}", path.display()));
    // Twelve lines of eight bytes fit: 35 lines are two full files and the rest.
    let lines = [".2", ".1", ""].map(|suffix| read(suffix).unwrap()).concat();
    let expected: Vec<_> = (10..45).map(|n| format!("line {n}")).collect();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    assert!(read(".3").is_err());
    assert!(read("").unwrap().len() <= 100 && read(".1").unwrap().len() <= 100);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn only_as_many_files_are_kept_as_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let rotation = Rotation {
        max_bytes: 8,
        keep: 2,
    };
    let journal = Journal::start(Target::File(path.clone()), rotation, 100, metrics()).unwrap();
    for n in 10..20 {
        assert!(journal.sender().send(format!("line {n}")));
    }
    journal.close(Duration::from_secs(5));
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["alerts.jsonl", "alerts.jsonl.1", "alerts.jsonl.2"]);
    assert_eq!(fs::read_to_string(path).unwrap(), "line 19\n");
}
