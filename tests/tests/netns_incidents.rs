//! The incident database of a running sensor: what an earlier run left open is closed, the command line works beside the
//! daemon, feedback comes in over HTTP, and a killed sensor leaves a whole file. It must never wait for an incident of
//! real traffic: what finds those is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use sensor::{
    alert::{Alert, State, rfc3339},
    incidents::{Database, FILE, Update, scope::ScopeText, suppression::NewSuppression},
};
use sensor_tests::{
    agent::{self, Agent, LISTEN},
    require,
    topology::{GATEWAY_INTERFACE, Topology},
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_mins(1);
const SENT: &str = "sensor_sink_events_sent_total";

fn open_alert(id: &str) -> Alert {
    let at = rfc3339(1_700_000_000_000_000_000);
    serde_json::from_value(json!({
        "ts": at, "event": "incident", "id": id, "state": State::Open, "severity": "medium",
        "behaviour": "vertical_scan", "score": 7.5, "p_value": 1e-4, "actor": "192.0.2.7",
        "targets": ["198.51.100.1"], "target_count": 1, "services": [], "first_seen": at, "last_seen": at,
        "rows": 3, "packets": 1000, "bytes": 60000, "reasons": [], "summary": "a scan", "technique": "T1046",
        "community_ids": [], "model": "m", "detectors": {}, "sensor": "box", "interface": "eth0"
    }))
    .unwrap()
}

/// A state directory as a sensor leaves it that is killed with two incidents open, one of them hidden.
fn left_open(state: &Path) {
    std::fs::create_dir_all(state).unwrap();
    let mut database = Database::create(&state.join(FILE)).unwrap();
    let rule = NewSuppression {
        scope: ScopeText {
            actor: "203.0.113.9".into(),
            ..ScopeText::default()
        },
        author: "kim".into(),
        reason: "known".into(),
        expires: "365d".into(),
    };
    let rule = database.suppress(&rule, 1_700_000_000_000_000_000).unwrap();
    let update = |id: &str, hidden_by| {
        let alert = open_alert(id);
        Update::of(&alert, serde_json::to_string(&alert).unwrap(), hidden_by)
    };
    database
        .record(&[update("told", None), update("hidden", Some(rule.id))])
        .unwrap();
}

fn incidents(state: &Path, arguments: &[&str]) -> String {
    let output = Command::new(agent::binary().unwrap())
        .arg("incidents")
        .args(arguments)
        .arg("--state-dir")
        .arg(state)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn states(agent: &Agent<'_>) -> Vec<(String, String)> {
    let (status, body) = agent.get("/api/v1/incidents").unwrap();
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = body["incidents"].as_array().unwrap();
    found
        .iter()
        .map(|one| (text(&one["id"]), text(&one["state"])))
        .collect()
}

#[test]
fn incidents_outlive_the_sensor_and_people_can_speak_to_it_while_it_runs() {
    if !require::netns() {
        return;
    }
    let topology = Topology::create().unwrap();
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    left_open(&state);
    let binary = agent::binary().unwrap();
    let start = || Agent::start(&binary, &topology.gateway, &[GATEWAY_INTERFACE], &state, &[]).unwrap();

    let mut agent = start();
    agent
        .wait_for("closed incidents", LIMIT, |metrics| {
            metrics.value(SENT, &[("sink", "store")]) == Some(2.0)
                && metrics.value(SENT, &[("sink", "journal")]) == Some(1.0)
        })
        .unwrap();
    let closed = |id: &str| (id.to_owned(), "closed".to_owned());
    assert_eq!(states(&agent), [closed("hidden"), closed("told")]);
    let journal = agent.journal().unwrap();
    assert_eq!(journal.len(), 1, "nobody was told of the hidden one: {journal:?}");
    assert_eq!(journal[0]["id"], "told");
    assert!(
        journal[0]["summary"]
            .as_str()
            .unwrap()
            .ends_with("the sensor was restarted)")
    );
    let mode = std::fs::metadata(state.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let body = r#"{"verdict":"benign","note":"ours","author":"kim"}"#;
    let address = LISTEN.parse().unwrap();
    let mut stream = topology
        .gateway
        .run(|| TcpStream::connect_timeout(&address, LIMIT))
        .unwrap()
        .unwrap();
    write!(
        stream,
        "POST /api/v1/incidents/told/feedback HTTP/1.1\r\nHost: {LISTEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(incidents(&state, &["list"]).contains("[benign] a scan"));
    incidents(&state, &["ack", "hid", "--verdict", "note", "--note", "seen"]);
    let (_, shown) = agent.get("/api/v1/incidents/hidden").unwrap();
    assert!(shown.contains("\"note\":\"seen\""), "{shown}");

    agent.kill().unwrap();
    assert!(incidents(&state, &["list"]).contains("told"));
    let mut again = start();
    again.wait_for("an answer", LIMIT, |_| true).unwrap();
    assert_eq!(states(&again), [closed("hidden"), closed("told")]);
    assert_eq!(
        again.journal().unwrap().len(),
        1,
        "nothing was left open this time"
    );
    assert!(again.terminate(LIMIT).unwrap().success());
}
