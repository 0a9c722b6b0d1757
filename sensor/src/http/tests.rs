//! Tests of the listener over real sockets: pages, tokens, limits and what hostile clients get.
//! It must never depend on time or on the network beyond this machine.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

use serde_json::{Value, json};

use super::*;
use crate::incidents::Place;

mod incidents;

struct Fake {
    healthy: bool,
}

impl View for Fake {
    fn refresh(&self) {}
    fn health(&self) -> Result<(), Vec<String>> {
        if self.healthy {
            Ok(())
        } else {
            Err(vec!["drain has not moved for 60 s".into()])
        }
    }
    fn readiness(&self) -> Result<(), Vec<String>> {
        Err(vec!["attached to no interface".into()])
    }
    fn status(&self) -> Value {
        json!({"phase": "learning"})
    }
}

/// Serves without an incident database on a free port in a thread of its own and returns the port.
fn start(token: Option<&str>, healthy: bool) -> u16 {
    start_with(Place::new("/nonexistent/incidents.db".into()), token, healthy)
}

fn start_with(incidents: Place, token: Option<&str>, healthy: bool) -> u16 {
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Shared {
        view: Arc::new(Fake { healthy }),
        metrics: Arc::new(Metrics::new().unwrap()),
        token: token.map(Token::of),
        incidents: Desk::new(incidents),
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(listener, shared)).unwrap();
    });
    port
}

fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The server may answer and close before it has read an oversized request: what it said is what counts.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get_with(port: u16, path: &str, headers: &str) -> (u16, String) {
    let answer = raw(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"),
    );
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    (status, answer)
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let port = start(None, true);
    let (status, classic) = get_with(port, "/metrics", "");
    assert_eq!(status, 200);
    assert!(
        classic.contains("content-type: text/plain; version=0.0.4"),
        "{classic}"
    );
    assert!(classic.contains("sensor_windows_total 0"));
    let (_, open) = get_with(
        port,
        "/metrics",
        "Accept: application/openmetrics-text;version=1.0.0\r\n",
    );
    assert!(
        open.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{open}"
    );
    assert!(open.trim_end().ends_with("# EOF"));
}

#[test]
fn health_and_readiness_say_what_is_wrong() {
    assert_eq!(get_with(start(None, true), "/healthz", "").0, 200);
    let port = start(None, false);
    let (status, text) = get_with(port, "/healthz", "");
    assert_eq!(status, 503);
    assert!(text.contains("drain has not moved for 60 s"), "{text}");
    let (status, text) = get_with(port, "/readyz", "");
    assert_eq!(status, 503);
    assert!(text.contains("attached to no interface"), "{text}");
}

#[test]
fn unknown_paths_and_methods_are_problems_in_json() {
    let port = start(None, true);
    let (status, text) = get_with(port, "/nowhere", "");
    assert_eq!(status, 404);
    assert!(text.contains("content-type: application/problem+json"), "{text}");
    assert!(text.contains("\"status\":404"), "{text}");
    let answer = raw(
        port,
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert_eq!(get_with(port, "/api/v1/incidents?limit=many", "").0, 400);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let port = start(None, true);
    let (status, page) = get_with(port, "/", "");
    assert_eq!(status, 200);
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    for path in ["/", "/style.css", "/script.js"] {
        let (status, text) = get_with(port, path, "");
        assert_eq!(status, 200, "{path}");
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.contains("://"), "{path} names another host");
        assert!(!body.contains("innerHTML"), "{path}");
    }
    // The policy forbids inline code and styles, so the page must have none.
    let body = page.split_once("\r\n\r\n").unwrap().1;
    assert!(
        !body.contains("style=") && !body.contains("onclick") && !body.contains("<style"),
        "{body}"
    );
}

#[test]
fn a_token_guards_everything_but_metrics_and_health() {
    let port = start(Some("correct horse battery"), true);
    for path in ["/metrics", "/healthz"] {
        assert_eq!(get_with(port, path, "").0, 200, "{path}");
    }
    for path in [
        "/",
        "/script.js",
        "/api/v1/status",
        "/api/v1/incidents",
        "/nowhere",
    ] {
        assert_eq!(get_with(port, path, "").0, 401, "{path}");
        assert_eq!(
            get_with(port, path, "Authorization: Bearer wrong\r\n").0,
            401,
            "{path}"
        );
        assert_eq!(
            get_with(port, path, "Authorization: Basic correct horse battery\r\n").0,
            401,
            "{path}"
        );
    }
    let (status, text) = get_with(
        port,
        "/api/v1/status",
        "Authorization: Bearer correct horse battery\r\n",
    );
    assert_eq!(status, 200);
    assert!(text.contains("\"phase\":\"learning\""), "{text}");
}

#[test]
fn a_foreign_host_name_gets_nothing_from_loopback() {
    let port = start(None, true);
    for (host, expected) in [
        ("evil.example", "421"),
        ("evil.example:9477", "421"),
        ("localhost:9477", "200"),
        ("127.0.0.1", "200"),
        ("[::1]:9477", "200"),
    ] {
        let answer = raw(
            port,
            &format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{host}: {answer}"
        );
    }
}

#[test]
fn oversized_headers_are_refused_and_the_server_lives_on() {
    let port = start(None, true);
    let (status, _) = get_with(
        port,
        "/metrics",
        &format!("X: {}\r\n", "y".repeat(MAX_HEADER_BYTES)),
    );
    assert!(matches!(status, 0 | 400 | 431), "{status}");
    let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
    assert!(matches!(get_with(port, "/metrics", &many).0, 0 | 400 | 431));
    assert_eq!(get_with(port, "/metrics", "").0, 200);
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let port = start(None, true);
    let idle: Vec<_> = (0..MAX_CONNECTIONS - 1)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    assert_eq!(get_with(port, "/healthz", "").0, 200);
    drop(idle);
}

#[test]
fn a_taken_port_is_named_with_the_fix() {
    let taken = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let text = bind(address).unwrap_err().to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("--listen"),
        "{text}"
    );
}

#[test]
fn a_token_is_made_once_private_and_long() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    Token::load(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.trim().len(), 64);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(Token::load(&path).unwrap().accepts(text.trim()));
    assert!(!Token::load(&path).unwrap().accepts("x"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = Token::load(&path).unwrap_err().to_string();
    assert!(text.contains("mode 0644 lets others read it"), "{text}");
    let text = Token::load(&dir.path().join("no/token")).unwrap_err().to_string();
    assert!(text.contains("no/token"), "{text}");
}
