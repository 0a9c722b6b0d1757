//! Outputs in particular situations. They must never need a collector of somebody else.

use super::*;

#[test]
fn an_incident_that_changes_its_severity_and_ends_leaves_nothing_firing() {
    let mut at = Bench::new();
    let log = Log::default();
    let status = Arc::new(AtomicU16::new(200));
    let collector = Collector::http(anywhere(), &log, &status);
    let sinks = at.start(SinkName::Alertmanager, alertmanager(collector.address));
    let mut update = numbered(1);
    at.write_one(&update);
    update.alert.severity = crate::alert::Severity::Critical;
    update.alert.state = State::Update;
    at.write_one(&update);
    update.alert.state = State::Closed;
    at.write_one(&update);
    until("three requests", || log.all().len() == 3);
    let posted: Vec<serde_json::Value> = log
        .all()
        .iter()
        .map(|request| serde_json::from_str(&request.body).unwrap())
        .collect();
    let now = jiff::Timestamp::now().to_string();
    let ends = |value: &serde_json::Value| value["endsAt"].as_str().unwrap().to_owned();
    assert_eq!(posted[0].as_array().unwrap().len(), 1);
    assert!(ends(&posted[0][0]) > now);
    // The old labels end, the new ones fire.
    assert_eq!(posted[1][0]["labels"]["severity"], "medium");
    assert!(ends(&posted[1][0]) < now);
    assert_eq!(posted[1][1]["labels"]["severity"], "critical");
    assert!(ends(&posted[1][1]) > now);
    assert_eq!(posted[2].as_array().unwrap().len(), 1);
    assert_eq!(ends(&posted[2][0]), update.alert.ts);
    sinks.close(Duration::from_secs(5));
}

#[test]
fn mistakes_in_files_are_found_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let load = |change: &dyn Fn(&mut Settings)| {
        let mut settings = crate::config::load(None, &|_| None, &[]).unwrap();
        dir.path().clone_into(&mut settings.state_dir);
        change(&mut settings);
        targets(&settings).map(|targets| targets.len())
    };
    assert_eq!(load(&|_| ()).unwrap(), 0, "nothing is on by default");
    let no_key = file("empty.pem", "");
    let https = |settings: &mut Settings| {
        settings.sinks.webhook.url = Some("https://hooks/".to_owned());
        settings.sinks.webhook.http.ca_file.clone_from(&no_key);
    };
    assert!(matches!(load(&https), Err(SinksError::Authorities { .. })));
    let secret = file("secret", "whsec_not base64!");
    let signed = |settings: &mut Settings| {
        settings.sinks.webhook.url = Some("http://hooks/".to_owned());
        settings.sinks.webhook.secret_file = Some(secret.clone());
    };
    assert!(matches!(load(&signed), Err(SinksError::Secret { .. })));
    let lost = |settings: &mut Settings| settings.sinks.eve.file = Some("no/such/eve.json".into());
    assert!(matches!(load(&lost), Err(SinksError::Open { .. })));
    let both = |settings: &mut Settings| {
        settings.sinks.eve.file = Some("eve.json".into());
        settings.sinks.syslog.address = Some("unix:///dev/log".parse().unwrap());
    };
    assert_eq!(load(&both).unwrap(), 2, "that nobody listens yet is no mistake");
}
