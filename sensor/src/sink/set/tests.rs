//! Outputs against collectors that are killed, refuse or lie. It must never assert how long something took.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use super::*;
use crate::{
    alert::State,
    config::sinks::{AlertmanagerSink, HttpSettings, WebhookSink},
    incidents::{Database, Outbox, Update},
    metrics::label::DropReason,
    sink::{trial::numbered, worker::Failure},
};

mod cases;
mod collector;
use collector::{Collector, Log, Received, header};

const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(200),
    idle: Duration::from_millis(20),
};

/// A database with room for updates, and the metrics of the outputs that read it.
struct Bench {
    _dir: TempDir,
    database: Database,
    place: Place,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("incidents.db");
        Self {
            database: Database::create(&path).unwrap(),
            place: Place::new(path),
            metrics: Arc::new(Metrics::new().unwrap()),
            _dir: dir,
        }
    }

    /// Writes updates `numbers`, which are their sequence numbers too if they begin with 1.
    fn write(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.write_one(&numbered(number));
        }
    }

    fn write_one(&mut self, update: &Stored) {
        let json = serde_json::to_string(&update.alert).unwrap();
        self.database
            .record(&[Update::of(&update.alert, json, None)])
            .unwrap();
    }

    fn start(&self, name: SinkName, target: impl Deliver + 'static) -> Sinks {
        let sinks = start_all(
            vec![(name, Box::new(target))],
            &self.place,
            &self.metrics,
            PACE,
            1,
        )
        .unwrap();
        // It begins with what comes after it has looked for the first time.
        let mut reader = self.place.reader();
        until("the output has begun", || {
            reader.cursor(name.as_str()).unwrap().is_some()
        });
        sinks
    }

    fn dropped(&self, name: SinkName, reason: DropReason) -> u64 {
        self.metrics
            .sink_events_dropped
            .with_label_values(&[name.as_str(), reason.as_str()])
            .get()
    }

    fn failed(&self, name: SinkName) -> u64 {
        self.metrics
            .sink_events_failed
            .with_label_values(&[name.as_str()])
            .get()
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn http() -> HttpSettings {
    HttpSettings {
        timeout: Duration::from_secs(5),
        ..HttpSettings::default()
    }
}

fn webhook(address: SocketAddr) -> Webhook {
    let settings = WebhookSink {
        content_type: "application/json".to_owned(),
        http: http(),
        ..WebhookSink::default()
    };
    Webhook::new(&format!("http://{address}/hook"), &settings).unwrap()
}

fn alertmanager(address: SocketAddr) -> Alertmanager {
    let settings = AlertmanagerSink {
        url: None,
        resolve_timeout: Duration::from_mins(5),
        http: http(),
    };
    Alertmanager::new(&format!("http://{address}/"), &settings).unwrap()
}

fn syslog(address: SocketAddr) -> Syslog {
    let wire = Wire::new(SyslogAddress::Tcp(address.to_string()), None);
    Syslog::new(crate::config::sinks::Facility(16), wire)
}

fn webhook_id(received: &Received) -> String {
    header(&received.headers, "webhook-id").unwrap().to_owned()
}

fn between<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once('"').unwrap().0
}

/// A collector is killed under load, is away for a while, and comes back: every update arrives, and what arrives twice has
/// the same id.
fn killed_under_load(
    name: SinkName,
    collect: impl Fn(SocketAddr, &Log) -> Collector,
    target: impl FnOnce(SocketAddr) -> Box<dyn Deliver>,
    id: impl Fn(&Received) -> String,
) {
    const UPDATES: u64 = 900;
    let mut at = Bench::new();
    let log = Log::default();
    let mut first = collect(anywhere(), &log);
    let address = first.address;
    let sinks = start_all(vec![(name, target(address))], &at.place, &at.metrics, PACE, 1).unwrap();
    let mut reader = at.place.reader();
    until("the output has begun", || {
        reader.cursor(name.as_str()).unwrap().is_some()
    });
    // Whoever writes never waits for the output: all of this goes on while the collector is dead.
    at.write(1..=300);
    until("something arrived", || !log.all().is_empty());
    first.kill();
    let before = log.all().len() as u64;
    at.write(301..=600);
    until("the output noticed", || at.failed(name) > 0);
    assert!(before < 600);
    let _second = collect(address, &log);
    at.write(601..=UPDATES);
    let expected: BTreeSet<String> = (1..=UPDATES)
        .map(|number| format!("{}-{number}", numbered(number).alert.id))
        .collect();
    let missing = || {
        let arrived: BTreeSet<_> = log.all().iter().map(&id).collect();
        let missing: Vec<_> = expected.difference(&arrived).cloned().collect();
        (
            missing.len(),
            missing.first().cloned(),
            arrived.difference(&expected).next().cloned(),
        )
    };
    until("everything arrived", || missing() == (0, None, None));
    let length = at.metrics.sink_queue_length.with_label_values(&[name.as_str()]);
    until("nothing is waiting", || length.get() == 0.0);
    for reason in [DropReason::Refused, DropReason::Expired] {
        assert_eq!(at.dropped(name, reason), 0);
    }
    sinks.close(Duration::from_secs(5));
}

#[test]
fn a_webhook_s_receiver_killed_under_load_misses_nothing() {
    let status = Arc::new(AtomicU16::new(200));
    killed_under_load(
        SinkName::Webhook,
        |at, log| Collector::http(at, log, &status),
        |at| Box::new(webhook(at)),
        webhook_id,
    );
}

#[test]
fn an_alertmanager_killed_under_load_misses_nothing() {
    let status = Arc::new(AtomicU16::new(200));
    killed_under_load(
        SinkName::Alertmanager,
        |at, log| Collector::http(at, log, &status),
        |at| Box::new(alertmanager(at)),
        |received| between(&received.body, "\"update\":\"").to_owned(),
    );
}

#[test]
fn a_syslog_collector_killed_under_load_misses_nothing_even_of_what_it_had_not_read() {
    killed_under_load(
        SinkName::Syslog,
        Collector::syslog,
        |at| Box::new(syslog(at)),
        |received| between(&received.body, " id=\"").to_owned(),
    );
}

#[test]
fn what_is_refused_for_good_is_counted_and_what_comes_later_is_sent() {
    let mut at = Bench::new();
    let log = Log::default();
    let status = Arc::new(AtomicU16::new(413));
    let collector = Collector::http(anywhere(), &log, &status);
    let sinks = at.start(SinkName::Webhook, webhook(collector.address));
    at.write(1..=3);
    until("three were refused", || {
        at.dropped(SinkName::Webhook, DropReason::Refused) == 3
    });
    status.store(200, Ordering::Release);
    at.write(4..=4);
    until("the fourth arrived", || {
        log.all().iter().any(|one| webhook_id(one).ends_with("-4"))
    });
    assert_eq!((log.all().len(), at.failed(SinkName::Webhook)), (1, 0));
    sinks.close(Duration::from_secs(5));
}

#[test]
fn redirects_and_wrong_tokens_are_tried_again_until_somebody_mends_them() {
    for wrong in [302, 401, 404, 429, 503] {
        let mut at = Bench::new();
        let log = Log::default();
        let status = Arc::new(AtomicU16::new(wrong));
        let collector = Collector::http(anywhere(), &log, &status);
        let sinks = at.start(SinkName::Webhook, webhook(collector.address));
        at.write(1..=2);
        until("it failed twice", || at.failed(SinkName::Webhook) >= 2);
        status.store(200, Ordering::Release);
        until("both arrived", || log.all().len() == 2);
        assert_eq!(at.dropped(SinkName::Webhook, DropReason::Refused), 0, "{wrong}");
        sinks.close(Duration::from_secs(5));
    }
}

#[test]
fn an_output_goes_on_where_it_ended() {
    let mut at = Bench::new();
    let log = Log::default();
    let status = Arc::new(AtomicU16::new(200));
    let collector = Collector::http(anywhere(), &log, &status);
    at.write(1..=2);
    let sinks = at.start(SinkName::Webhook, webhook(collector.address));
    at.write(3..=4);
    until("two arrived", || log.all().len() == 2);
    sinks.close(Duration::from_secs(5));
    at.write(5..=6);
    let place = Place::new(at.place.path().to_owned());
    let sinks = start_all(
        vec![(SinkName::Webhook, Box::new(webhook(collector.address)))],
        &place,
        &at.metrics,
        PACE,
        1,
    )
    .unwrap();
    until("four arrived", || log.all().len() == 4);
    let ids: Vec<String> = log.all().iter().map(webhook_id).collect();
    for (id, number) in ids.iter().zip(3..) {
        assert!(id.ends_with(&format!("-{number}")), "{ids:?}");
    }
    sinks.close(Duration::from_secs(5));
}

#[test]
fn closing_does_not_wait_for_a_dead_collector() {
    let mut at = Bench::new();
    let sinks = at.start(SinkName::Webhook, webhook(([127, 0, 0, 1], 9).into()));
    at.write(1..=1);
    until("it failed", || at.failed(SinkName::Webhook) > 0);
    sinks.close(Duration::from_millis(100));
    let mut reader = at.place.reader();
    assert_eq!(
        reader.cursor("webhook").unwrap(),
        Some(0),
        "it is still to be sent"
    );
}

/// Takes everything, and is asked what arrived.
struct Slow(Arc<std::sync::Mutex<(u64, Vec<u64>)>>);

impl Deliver for Slow {
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure> {
        self.0.lock().unwrap().1.push(update.seq);
        Ok(())
    }

    fn confirmed(&mut self, delivered: u64) -> Result<u64, Failure> {
        Ok(self.0.lock().unwrap().0.min(delivered))
    }
}

#[test]
fn only_what_has_arrived_is_remembered() {
    let mut at = Bench::new();
    let shared = Arc::default();
    let sinks = at.start(SinkName::Syslog, Slow(Arc::clone(&shared)));
    at.write(1..=10);
    until("all were delivered", || shared.lock().unwrap().1.len() == 10);
    let mut reader = at.place.reader();
    let mut cursor = || reader.cursor("syslog").unwrap();
    assert_eq!(cursor(), Some(0));
    shared.lock().unwrap().0 = 7;
    until("seven are remembered", || cursor() == Some(7));
    sinks.close(Duration::from_secs(5));
    assert_eq!(shared.lock().unwrap().1, (1..=10).collect::<Vec<_>>());
}

#[test]
fn what_retention_took_is_counted() {
    let mut at = Bench::new();
    let shared = Arc::default();
    let sinks = at.start(SinkName::Syslog, Slow(Arc::clone(&shared)));
    sinks.close(Duration::from_secs(5));
    at.write(1..=10);
    rusqlite::Connection::open(at.place.path())
        .unwrap()
        .execute("DELETE FROM updates WHERE seq <= 6", [])
        .unwrap();
    shared.lock().unwrap().0 = u64::MAX;
    let place = Place::new(at.place.path().to_owned());
    let target = vec![(
        SinkName::Syslog,
        Box::new(Slow(Arc::clone(&shared))) as Box<dyn Deliver>,
    )];
    let sinks = start_all(target, &place, &at.metrics, PACE, 1).unwrap();
    until("the rest was delivered", || shared.lock().unwrap().1.len() == 4);
    assert_eq!(at.dropped(SinkName::Syslog, DropReason::Expired), 6);
    sinks.close(Duration::from_secs(5));
}
