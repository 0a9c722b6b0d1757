//! Incidents over HTTP: pages, filters, single ones, and who may say what about them.

use super::*;
use crate::{
    alert::{Severity, State},
    incidents::{
        Database, FILE, Outbox,
        tests::{alert, update},
    },
};

/// A listener over a database with incidents `i0` to `i4`, of which the even ones are over and `i4` is severe.
fn start(token: Option<&str>) -> (tempfile::TempDir, u16, Database) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let mut database = Database::create(&path).unwrap();
    let mut updates = Vec::new();
    for number in 0..5 {
        let mut told = alert(&format!("i{number}"), State::Open, number);
        if number == 4 {
            told.severity = Severity::High;
        }
        updates.push(update(&told, None));
        if number % 2 == 0 {
            told.state = State::Closed;
            updates.push(update(&told, None));
        }
    }
    database.record(&updates).unwrap();
    let port = start_with(Place::new(path), token, true);
    (dir, port, database)
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn ids(answer: &str) -> Vec<String> {
    let answer = json(answer);
    let found = answer["incidents"].as_array().unwrap();
    found
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn post(port: u16, path: &str, headers: &str, body: &str) -> (u16, String) {
    let answer = raw(
        port,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        ),
    );
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), answer)
}

const JSON: &str = "Content-Type: application/json\r\n";
const FEEDBACK: &str = "/api/v1/incidents/i3/feedback";

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let (_dir, port, _database) = start(None);
    let (status, first) = get_with(port, "/api/v1/incidents?limit=2", "");
    assert_eq!((status, ids(&first)), (200, vec!["i4".into(), "i3".into()]));
    let cursor = json(&first)["next"].as_i64().unwrap();
    let (_, second) = get_with(port, &format!("/api/v1/incidents?limit=3&cursor={cursor}"), "");
    assert_eq!(ids(&second), ["i2", "i1", "i0"]);
    let cursor = json(&second)["next"].as_i64().unwrap();
    let (_, last) = get_with(port, &format!("/api/v1/incidents?limit=3&cursor={cursor}"), "");
    assert!(ids(&last).is_empty() && json(&last)["next"].is_null());
}

#[test]
fn filters_work_together_and_wrong_ones_are_named() {
    let (_dir, port, _database) = start(None);
    let of = |query: &str| get_with(port, &format!("/api/v1/incidents?{query}"), "");
    assert_eq!(ids(&of("state=open").1), ["i3", "i1"]);
    assert_eq!(ids(&of("state=closed&severity=high").1), ["i4"]);
    assert_eq!(ids(&of("behaviour=syn_flood").1), [""; 0]);
    assert_eq!(ids(&of("since=2023-11-14T22:13:22Z").1), ["i4", "i3", "i2"]);
    assert_eq!(ids(&of("since=7d").1), [""; 0]);
    for (query, part) in [
        ("state=ajar", "neither open nor closed"),
        ("severity=huge", "none of info, low"),
        ("behaviour=odd", "is no behaviour"),
        ("since=lately", "neither 7d nor"),
        ("limit=many", "known are state"),
        ("sort=up", "known are state"),
    ] {
        let (status, text) = of(query);
        assert_eq!(status, 400, "{query}");
        assert!(
            text.contains("application/problem+json") && text.contains(part),
            "{text}"
        );
    }
}

#[test]
fn an_incident_comes_with_its_life_and_what_was_said() {
    let (_dir, port, _database) = start(None);
    let (status, text) = get_with(port, "/api/v1/incidents/i4", "");
    assert_eq!(status, 200);
    let incident = json(&text);
    assert_eq!(incident["state"], "closed");
    assert_eq!(incident["actor"], "192.0.2.7");
    assert_eq!(incident["timeline"].as_array().unwrap().len(), 2);
    assert_eq!(incident["timeline"][0]["state"], "open");
    assert_eq!(incident["feedback"], json!([]));
    let (status, text) = get_with(port, "/api/v1/incidents/zz", "");
    assert_eq!(status, 404);
    assert!(text.contains("no incident has the id zz"), "{text}");
}

#[test]
fn feedback_is_stored_and_can_suppress_the_incidents_scope() {
    let (_dir, port, database) = start(None);
    let body = r#"{"verdict":"benign","note":"our scanner","author":"kim","suppress":{"expires":"30d"}}"#;
    let (status, text) = post(port, FEEDBACK, JSON, body);
    assert_eq!(status, 201, "{text}");
    let answer = json(&text);
    assert_eq!(answer["feedback"]["verdict"], "benign");
    assert_eq!(
        answer["suppression"]["scope"],
        json!({"actor": "192.0.2.7/32", "target": "198.51.100.1/32", "behaviour": "vertical_scan", "service": "tcp/22"})
    );
    assert_eq!(answer["suppression"]["reason"], "our scanner");
    assert_eq!(database.suppressions().unwrap().len(), 1);
    let shown = json(&get_with(port, "/api/v1/incidents/i3", "").1);
    assert_eq!(shown["verdict"], "benign");
    assert_eq!(shown["feedback"][0]["author"], "kim");
}

#[test]
fn a_dry_run_says_what_would_have_been_hidden_and_writes_nothing() {
    let (_dir, port, mut database) = start(None);
    let mut recent = alert("r", State::Open, 0);
    recent.ts = crate::alert::rfc3339(crate::service::clock::unix_ns());
    database.record(&[update(&recent, None)]).unwrap();
    let body = r#"{"suppress":{"scope":{"actor":"192.0.2.0/24"},"expires":"1d","dry_run":true}}"#;
    let (status, text) = post(port, FEEDBACK, JSON, body);
    assert_eq!(status, 200, "{text}");
    assert_eq!(json(&text)["dry_run"]["hidden"], 1);
    assert_eq!(json(&text)["dry_run"]["examples"][0]["id"], "r");
    assert!(database.suppressions().unwrap().is_empty());
    assert!(database.feedback_on("i3").unwrap().is_empty());
}

#[test]
fn wrong_feedback_is_a_problem_and_changes_nothing() {
    let (_dir, port, database) = start(None);
    let long = format!(r#"{{"verdict":"note","note":"{}"}}"#, "x".repeat(16 * 1024));
    let scopeless = r#"{"verdict":"benign","note":"n","suppress":{"scope":{},"expires":"1d"}}"#;
    let endless = r#"{"verdict":"benign","note":"n","suppress":{"expires":"never"}}"#;
    let reasonless = r#"{"verdict":"benign","suppress":{"expires":"1d"}}"#;
    for (path, headers, body, expected, part) in [
        (FEEDBACK, "", r#"{"verdict":"benign"}"#, 415, "application/json"),
        (
            FEEDBACK,
            "Content-Type: text/plain\r\n",
            r#"{"verdict":"benign"}"#,
            415,
            "JSON",
        ),
        (FEEDBACK, JSON, "{", 400, "body"),
        (FEEDBACK, JSON, r#"{"verdict":"fine"}"#, 400, "fine"),
        (
            FEEDBACK,
            JSON,
            r#"{"verdict":"benign","x":1}"#,
            400,
            "unknown field",
        ),
        (FEEDBACK, JSON, "{}", 422, "verdict"),
        (FEEDBACK, JSON, r#"{"verdict":"note"}"#, 422, "note"),
        (FEEDBACK, JSON, &long, 413, "16384"),
        (FEEDBACK, JSON, scopeless, 422, "scope"),
        (FEEDBACK, JSON, endless, 422, "expires"),
        (FEEDBACK, JSON, reasonless, 422, "reason"),
        (
            "/api/v1/incidents/zz/feedback",
            JSON,
            r#"{"verdict":"benign"}"#,
            404,
            "zz",
        ),
    ] {
        let (status, text) = post(port, path, headers, body);
        assert_eq!(status, expected, "{body}: {text}");
        assert!(
            text.contains("application/problem+json") && text.contains(part),
            "{text}"
        );
    }
    assert!(database.feedback_on("i3").unwrap().is_empty());
    assert!(database.suppressions().unwrap().is_empty());
    assert_eq!(get_with(port, FEEDBACK, "").0, 405);
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let (_dir, port, _database) = start(None);
    let own = format!("{JSON}Origin: http://localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n");
    let body = r#"{"verdict":"benign"}"#;
    for headers in [
        "Origin: http://example.invalid\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        format!("Origin: http://localhost:{}\r\n", port ^ 1),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\n".to_owned(),
    ] {
        assert_eq!(
            post(port, FEEDBACK, &format!("{JSON}{headers}"), body).0,
            403,
            "{headers}"
        );
    }
    assert_eq!(post(port, FEEDBACK, &own, body).0, 201);
}

#[test]
fn feedback_needs_the_token_where_there_is_one() {
    let (_dir, port, mut database) = start(Some("correct horse battery"));
    let body = r#"{"verdict":"confirmed"}"#;
    assert_eq!(post(port, FEEDBACK, JSON, body).0, 401);
    assert_eq!(get_with(port, "/api/v1/incidents/i3", "").0, 401);
    let with = format!("{JSON}Authorization: Bearer correct horse battery\r\n");
    assert_eq!(post(port, FEEDBACK, &with, body).0, 201);
    assert_eq!(database.newest().unwrap(), 8, "feedback is no update");
}

#[test]
fn without_a_database_the_answer_is_a_problem_and_the_rest_works() {
    let port = super::start(None, true);
    let (status, text) = get_with(port, "/api/v1/incidents", "");
    assert_eq!(status, 503);
    assert!(text.contains("application/problem+json"), "{text}");
    assert_eq!(get_with(port, "/metrics", "").0, 200);
}
