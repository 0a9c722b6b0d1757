//! Incidents in a real Alertmanager.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::bench::{Bench, Running, alert, free_port, program, until};

const PROGRAM: &str = "prometheus-alertmanager";

fn start(bench: &Bench, port: u16) -> Running {
    let config = bench.path("alertmanager.yml");
    std::fs::write(
        &config,
        "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n",
    )
    .unwrap();
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", bench.path("alertmanager").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Running::start(PROGRAM, &bench.path("alertmanager.log"), &arguments)
}

/// The alerts that fire there; `None` while it does not answer.
fn firing(port: u16) -> Option<Vec<Value>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(
        stream,
        "GET /api/v2/alerts?active=true HTTP/1.0\r\nHost: localhost\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|status| *status == "200")?;
    serde_json::from_str(body).ok()
}

fn incidents(alerts: &[Value]) -> BTreeSet<String> {
    alerts
        .iter()
        .map(|alert| alert["labels"]["incident"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn open_incidents_fire_and_closed_ones_are_resolved() {
    if !program(PROGRAM, "prometheus-alertmanager") {
        return;
    }
    let mut bench = Bench::new();
    let port = free_port();
    let _alertmanager = start(&bench, port);
    until("it answers", || firing(port).is_some());
    let url = format!("http://127.0.0.1:{port}");
    let sinks = bench.start(&[("ALERTMANAGER_URL", &url)], &["alertmanager"]);
    bench.write(&alert(1, "open"));
    bench.write(&alert(2, "open"));
    until("both fire", || {
        firing(port).is_some_and(|alerts| alerts.len() == 2)
    });
    let alerts = firing(port).unwrap();
    let one = alerts
        .iter()
        .find(|one| one["labels"]["incident"] == "0000000000000001")
        .unwrap();
    assert_eq!(one["labels"]["alertname"], "SensorIncident");
    assert_eq!(
        (&one["labels"]["severity"], &one["labels"]["sensor"]),
        (&"medium".into(), &"box".into())
    );
    assert_eq!(one["annotations"]["update"], "0000000000000001-1");
    assert!(
        one["annotations"]["reasons"]
            .as_str()
            .unwrap()
            .contains("1,004 ports")
    );
    // A worse one is the same incident, and fires once.
    let mut worse = alert(1, "update");
    worse.severity = sensor::alert::Severity::Critical;
    bench.write(&worse);
    until("only the worse one fires", || {
        let severities = |alerts: Vec<Value>| -> Vec<String> {
            let mut all: Vec<String> = alerts
                .iter()
                .map(|alert| alert["labels"]["severity"].as_str().unwrap().to_owned())
                .collect();
            all.sort();
            all
        };
        firing(port).is_some_and(|alerts| severities(alerts) == ["critical", "medium"])
    });
    worse.state = sensor::alert::State::Closed;
    bench.write(&worse);
    until("one is resolved", || {
        firing(port)
            .is_some_and(|alerts| incidents(&alerts) == BTreeSet::from(["0000000000000002".to_owned()]))
    });
    sinks.close(Duration::from_secs(5));
}

#[test]
fn an_alertmanager_that_was_killed_learns_of_every_incident_it_missed() {
    if !program(PROGRAM, "prometheus-alertmanager") {
        return;
    }
    let mut bench = Bench::new();
    let port = free_port();
    let alertmanager = start(&bench, port);
    until("it answers", || firing(port).is_some());
    let url = format!("http://127.0.0.1:{port}");
    let sinks = bench.start(&[("ALERTMANAGER_URL", &url)], &["alertmanager"]);
    bench.write(&alert(1, "open"));
    until("the first fires", || {
        firing(port).is_some_and(|alerts| alerts.len() == 1)
    });
    alertmanager.kill();
    for number in 2..=200 {
        bench.write(&alert(number, "open"));
    }
    until("sending failed", || bench.failed("alertmanager") > 0);
    let _alertmanager = start(&bench, port);
    let missed: BTreeSet<String> = (2..=200).map(|number| format!("{number:016x}")).collect();
    until("all fire that it missed", || {
        firing(port).is_some_and(|alerts| incidents(&alerts).is_superset(&missed))
    });
    sinks.close(Duration::from_secs(5));
}
