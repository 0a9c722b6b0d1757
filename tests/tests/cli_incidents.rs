//! `sensor incidents` as users have it, over a database as the sensor writes it: lists, verdicts, suppressions, labels that
//! train. It must never need a running sensor; that is tested in namespaces.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use sensor::{
    alert::{Alert, State, rfc3339},
    incidents::{Database, FILE, Update},
};
use sensor_tests::agent;
use serde_json::{Value, json};
use tempfile::TempDir;

const SECOND: i64 = 1_000_000_000;

fn sensor(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(agent::binary().unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SENSOR_")) {
        command.env_remove(name);
    }
    command
        .current_dir(directory)
        .env("SUDO_USER", "kim")
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs `sensor incidents ...` on the state directory `state`.
fn incidents(directory: &Path, arguments: &[&str]) -> Output {
    sensor(
        directory,
        &[&["incidents"], arguments, &["--state-dir", "state"]].concat(),
    )
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn fails(output: &Output, code: i32, part: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(stderr(output).contains(part), "{}", stderr(output));
    assert!(output.stdout.is_empty());
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_nanos() as i64
}

fn alert(id: &str, state: State, at_ns: i64, changes: &Value) -> Alert {
    let mut line = json!({
        "ts": rfc3339(at_ns), "event": "incident", "id": id, "state": state, "severity": "medium",
        "behaviour": "vertical_scan", "score": 7.5, "p_value": 1e-4, "actor": "192.0.2.7",
        "targets": ["198.51.100.1"], "target_count": 1, "services": ["tcp/22"], "first_seen": rfc3339(at_ns),
        "last_seen": rfc3339(at_ns), "rows": 3, "packets": 1000, "bytes": 60000,
        "reasons": [{"feature": "flows", "observed": 1004.0, "expected": 2.0, "low": 0.0, "high": 6.0,
                     "contribution": 0.8, "text": "opened 1,004 connections; usual: 0 to 6"}],
        "summary": "192.0.2.7 tried 998 ports of 198.51.100.1", "technique": "T1046", "community_ids": [],
        "model": "m", "detectors": {"autoencoder": 2.0}, "sensor": "box", "interface": "eth0"
    });
    for (key, value) in changes.as_object().unwrap() {
        line[key] = value.clone();
    }
    serde_json::from_value(line).unwrap()
}

fn store(directory: &Path, alerts: &[Alert]) {
    fs::create_dir_all(directory.join("state")).unwrap();
    let mut database = Database::create(&directory.join("state").join(FILE)).unwrap();
    let updates: Vec<_> = alerts
        .iter()
        .map(|alert| Update::of(alert, serde_json::to_string(alert).unwrap(), None))
        .collect();
    database.record(&updates).unwrap();
}

/// A directory whose state holds a scan that is over, a brute force that goes on, and an old flood.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let now_ns = now_ns();
    let guess = json!({"behaviour": "brute_force", "severity": "high", "actor": "203.0.113.9"});
    store(
        place.path(),
        &[
            alert(
                "0ld",
                State::Closed,
                now_ns - 30 * 86_400 * SECOND,
                &json!({"behaviour": "syn_flood"}),
            ),
            alert("aa11", State::Open, now_ns - 3600 * SECOND, &json!({})),
            alert("aa11", State::Closed, now_ns - 3000 * SECOND, &json!({})),
            alert("aa22", State::Open, now_ns - 60 * SECOND, &guess),
        ],
    );
    place
}

#[test]
fn lists_are_filtered_and_newest_first() {
    let place = place();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let text = done(&incidents(
            place.path(),
            &[&["list", "--json"], arguments].concat(),
        ));
        text.lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(ids(&[]), ["aa22", "aa11", "0ld"]);
    assert_eq!(ids(&["--limit", "2"]), ["aa22", "aa11"]);
    assert_eq!(ids(&["--open"]), ["aa22"]);
    assert_eq!(ids(&["--severity", "high"]), ["aa22"]);
    assert_eq!(ids(&["--behaviour", "syn_flood"]), ["0ld"]);
    assert_eq!(ids(&["--since", "7d"]), ["aa22", "aa11"]);
    let table = done(&incidents(place.path(), &["list"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("id                first seen"), "{table}");
    assert!(
        lines[1].starts_with("aa22") && lines[1].contains("open    high      brute_force"),
        "{table}"
    );
    let none = incidents(place.path(), &["list", "--behaviour", "beacon-like"]);
    fails(&none, 2, "is no behaviour");
}

#[test]
fn one_incident_is_shown_with_reasons_life_and_feedback() {
    let place = place();
    let said = done(&incidents(
        place.path(),
        &["ack", "aa1", "--verdict", "confirmed", "--note", "a pentest"],
    ));
    assert_eq!(said, "incident aa11: confirmed (kim)\n");
    let shown = done(&incidents(place.path(), &["show", "aa11"]));
    for part in [
        "192.0.2.7 tried 998 ports of 198.51.100.1\n",
        "behaviour       vertical_scan (T1046)\n",
        "    80 %  opened 1,004 connections; usual: 0 to 6\n",
        "life (2 updates)\n",
        "confirmed  kim             a pentest\n",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let json: Value =
        serde_json::from_str(&done(&incidents(place.path(), &["show", "aa11", "--json"]))).unwrap();
    assert_eq!(json["verdict"], "confirmed");
    assert_eq!(json["timeline"][1]["state"], "closed");
    assert_eq!(json["feedback"][0]["note"], "a pentest");
    fails(&incidents(place.path(), &["show", "aa"]), 2, "aa11, aa22");
    fails(
        &incidents(place.path(), &["ack", "zz", "--verdict", "note", "--note", "x"]),
        2,
        "no incident has the id zz",
    );
    fails(
        &incidents(place.path(), &["ack", "aa1", "--verdict", "meh"]),
        2,
        "benign, confirmed or note",
    );
}

#[test]
fn suppressions_are_tried_written_listed_and_ended() {
    let place = place();
    let at = place.path();
    let tried = done(&incidents(
        at,
        &["suppress", "--actor", "192.0.2.0/24", "--dry-run"],
    ));
    assert!(
        tried.starts_with("would have hidden 1 incident in 7 days, of 2\n"),
        "{tried}"
    );
    assert!(tried.contains("aa11"), "{tried}");
    assert!(stderr(&incidents(at, &["suppressions"])).contains("no suppressions in force"));

    let full = [
        "suppress",
        "--incident",
        "aa1",
        "--target",
        "",
        "--reason",
        "our scanner",
        "--expires",
        "30d",
    ];
    let written = done(&incidents(at, &full));
    assert!(
        written.starts_with("suppression 1 until ")
            && written.contains("actor 192.0.2.7/32, behaviour vertical_scan, service tcp/22;"),
        "{written}"
    );
    let listed = done(&incidents(at, &["suppressions"]));
    assert!(
        listed.contains("in force") && listed.contains("kim") && listed.contains(": our scanner"),
        "{listed}"
    );
    assert_eq!(
        done(&incidents(at, &["unsuppress", "1"])),
        "suppression 1 is over\n"
    );
    fails(
        &incidents(at, &["unsuppress", "1"]),
        2,
        "no suppression 1 is in force",
    );
    let all: Value =
        serde_json::from_str(&done(&incidents(at, &["suppressions", "--all", "--json"]))).unwrap();
    assert!(
        all["removed"].is_string() && all["scope"]["target"] == "",
        "{all}"
    );

    for (arguments, part) in [
        (&["--reason", "x", "--expires", "1d"][..], "needs a scope"),
        (
            &["--service", "ssh", "--reason", "x", "--expires", "1d"],
            "write tcp/22",
        ),
        (
            &["--service", "tcp/22", "--reason", "x", "--expires", "2000d"],
            "expires",
        ),
        (
            &["--service", "tcp/22", "--reason", " ", "--expires", "1d"],
            "reason",
        ),
        (&["--service", "tcp/22", "--expires", "1d"], "--reason"),
    ] {
        fails(&incidents(at, &[&["suppress"], arguments].concat()), 2, part);
    }
}

#[test]
fn what_is_no_database_of_the_sensor_is_exit_code_3() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    fails(&incidents(at, &["list"]), 3, "no incidents were stored here");
    fs::create_dir(at.join("state")).unwrap();
    fails(&incidents(at, &["suppressions"]), 3, "--state-dir");
    fs::write(
        at.join("state").join(FILE),
        "not a database at all, but long enough to be looked at",
    )
    .unwrap();
    fails(&incidents(at, &["list"]), 3, "is damaged");
    assert_eq!(
        fs::read_dir(at.join("state")).unwrap().count(),
        1,
        "nothing was made or moved"
    );
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    let place = tempfile::tempdir().unwrap();
    let nasty = json!({"summary": "a\u{1b}]0;b\u{7}\u{9b}2J\nc", "interface": "e\u{1b}[2J"});
    store(place.path(), &[alert("aa", State::Open, now_ns(), &nasty)]);
    for arguments in [
        &["list"][..],
        &["show", "aa"],
        &["suppress", "--incident", "aa", "--dry-run"],
    ] {
        let text = done(&incidents(place.path(), arguments));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn incidents_of_a_replay_that_are_confirmed_train_a_forest() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    done(&sensor(
        at,
        &[
            "simulate",
            "vertical-scan",
            "-o",
            "attack.pcap",
            "--labels",
            "l.csv",
            "--duration",
            "20m",
            "--seed",
            "4",
        ],
    ));
    done(&sensor(
        at,
        &["replay", "attack.pcap", "--alerts", "alerts.jsonl"],
    ));
    let alerts: Vec<Alert> = fs::read_to_string(at.join("alerts.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let scan = alerts
        .iter()
        .find(|alert| alert.behaviour.label() == "vertical_scan")
        .unwrap_or_else(|| panic!("the scan was not found: {alerts:?}"));
    store(at, &alerts);
    done(&incidents(at, &["ack", &scan.id, "--verdict", "confirmed"]));
    let told = incidents(at, &["labels", "-o", "labels.csv"]);
    done(&told);
    assert!(
        stderr(&told).contains("labelled incidents: 1"),
        "{}",
        stderr(&told)
    );
    let train = [
        "train",
        "attack.pcap",
        "-o",
        "model",
        "--detector",
        "forest",
        "--labels",
        "labels.csv",
    ];
    done(&sensor(at, &train));
    let figures = done(&sensor(
        at,
        &[
            "evaluate",
            "attack.pcap",
            "--model",
            "model",
            "--labels",
            "labels.csv",
            "--json",
            "-",
        ],
    ));
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["labels"][0]["label"], "vertical_scan");
    assert!(figures["rows"]["malicious"].as_u64().unwrap() > 0, "{figures}");
}
