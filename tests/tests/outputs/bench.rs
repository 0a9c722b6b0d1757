//! An incident database with outputs that read it, and programs that are ended with the test. It must never leave a process
//! behind.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use sensor::{
    alert::Alert,
    config::Settings,
    incidents::{Database, Outbox, Place, Update},
    metrics::Metrics,
    sink::{self, Sinks},
};
use sensor_tests::require;
use serde_json::json;
use tempfile::TempDir;

/// See the module's description.
pub(crate) struct Bench {
    directory: TempDir,
    database: Database,
    pub(crate) metrics: Arc<Metrics>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(&directory.path().join("incidents.db")).unwrap();
        Self {
            directory,
            database,
            metrics: Arc::new(Metrics::new().unwrap()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&mut self, alert: &Alert) {
        let json = serde_json::to_string(alert).unwrap();
        self.database.record(&[Update::of(alert, json, None)]).unwrap();
    }

    /// Starts outputs as the configuration would, with variables without their prefix, and waits until they have begun.
    pub(crate) fn start(&self, variables: &[(&str, &str)], names: &[&str]) -> Sinks {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| (format!("SENSOR_SINKS_{name}"), (*value).to_owned()))
            .collect();
        let mut settings: Settings =
            sensor::config::load(None, &|name| variables.get(name).cloned(), &[]).unwrap();
        self.directory.path().clone_into(&mut settings.state_dir);
        let place = Place::new(self.path("incidents.db"));
        let sinks = sink::start(&settings, &place, &self.metrics, 1).unwrap();
        let mut reader = place.reader();
        for name in names {
            until("the output has begun", || reader.cursor(name).unwrap().is_some());
        }
        sinks
    }

    pub(crate) fn failed(&self, sink: &str) -> u64 {
        self.metrics.sink_events_failed.with_label_values(&[sink]).get()
    }
}

/// An alert; its incident has this number.
pub(crate) fn alert(number: u64, state: &str) -> Alert {
    let time = |offset: u64| {
        format!(
            "2026-01-02T{:02}:{:02}:{:02}.000Z",
            3,
            4 + offset / 60,
            offset % 60
        )
    };
    serde_json::from_value(json!({
        "ts": time(number % 1200), "event": "incident", "id": format!("{number:016x}"), "state": state,
        "severity": "medium", "behaviour": "vertical_scan", "score": 12.5, "p_value": 1e-7,
        "actor": "192.0.2.66", "targets": ["198.51.100.7", "2001:db8::7"], "target_count": 2, "services": ["tcp/22"],
        "first_seen": time(0), "last_seen": time(number % 1200), "rows": 3, "packets": 1004, "bytes": 60240,
        "reasons": [{"feature": "host_ports", "observed": 1004.0, "expected": 2.0, "low": 0.0, "high": 6.0,
                     "contribution": 0.8, "text": "opened \"connections\" to 1,004 ports; usual: 0–6"}],
        "summary": "192.0.2.66 tried 1,004 ports of 198.51.100.7 [tcp] in 10 s", "technique": "T1046",
        "community_ids": ["1:wCb3OG7yAFWelaUydu0D+125CLM="], "model": "model-1",
        "detectors": {"autoencoder": 12.5, "kmeans": 3.0}, "sensor": "box", "interface": "eth0",
    }))
    .unwrap()
}

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never happened: {what}");
}

/// A port of this machine that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Whether a program is there; says which package brings it if not.
pub(crate) fn program(name: &str, package: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin")];
    let found = std::env::split_paths(&paths)
        .chain(sbin)
        .any(|path| path.join(name).is_file());
    found || require::skip(&format!("needs {name} (Debian package {package})"))
}

/// A program that is killed with its guard.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(program: &str, log: &Path, arguments: &[&str]) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Kills it at once and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
