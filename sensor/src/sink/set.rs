//! The outputs that the configuration asks for, started and ended together. It must never start half of them: what is
//! wrong with one is said before any begins.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{
    alertmanager::Alertmanager,
    control::{Control, Pace},
    eve,
    files::LineFile,
    ocsf,
    syslog::Syslog,
    tls,
    webhook::Webhook,
    wire::Wire,
    worker::{self, Deliver, Worker},
};
use crate::{
    config::{
        Settings,
        sinks::{FileSink, SyslogAddress},
    },
    incidents::{Place, Stored},
    metrics::{Metrics, label::SinkName},
    service::clock,
};

/// Why an output cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SinksError {
    /// Its file cannot be opened.
    #[error("`{key}`: {path}: {source}; make it writable, or name another file")]
    Open {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that it needs cannot be read.
    #[error("{path}: {source}; make it readable for this user")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret is none.
    #[error("{path}: {cause}; write one line with the secret")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: &'static str,
    },
    /// The template does not work.
    #[error("template {path}: {cause}; the fields are those of the journal, see docs/outputs.md")]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        cause: String,
    },
    /// Nobody could be trusted.
    #[error("certificates {path}: {cause}; name a PEM file with `ca_file` (Debian: package ca-certificates)")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// No thread.
    #[error("cannot start the thread of an output: {source}; raise the limit of tasks")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

struct Running {
    name: SinkName,
    control: Arc<Control>,
    done: mpsc::Receiver<()>,
}

/// The outputs that run.
pub struct Sinks {
    running: Vec<Running>,
    place: Place,
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.running.iter().map(|running| running.name).collect();
        f.debug_tuple("Sinks").field(&names).finish()
    }
}

/// Starts every output that has somewhere to send to, each in a thread of its own that reads from the incident database
/// at `place`. `seed` is that of the pauses between attempts.
///
/// # Errors
/// If one of them cannot work as it is configured. That a collector does not answer is no such error.
pub fn start(
    settings: &Settings,
    place: &Place,
    metrics: &Arc<Metrics>,
    seed: u64,
) -> Result<Sinks, SinksError> {
    start_all(targets(settings)?, place, metrics, Pace::default(), seed)
}

pub(super) fn start_all(
    targets: Vec<Target>,
    place: &Place,
    metrics: &Arc<Metrics>,
    pace: Pace,
    seed: u64,
) -> Result<Sinks, SinksError> {
    let mut sinks = Sinks {
        running: Vec::new(),
        place: place.clone(),
    };
    for (name, target) in targets {
        let seed = seed.wrapping_add(name as u64);
        let worker = Worker::new(name, place, target, Arc::clone(metrics), pace, seed);
        let control = worker.control();
        let (ended, done) = mpsc::channel();
        std::thread::Builder::new()
            .name(format!("sink-{}", name.as_str()))
            .spawn(move || worker.run(ended))
            .map_err(|source| SinksError::Thread { source })?;
        sinks.running.push(Running { name, control, done });
    }
    Ok(sinks)
}

/// An output by its name.
pub(super) type Target = (SinkName, Box<dyn Deliver>);

fn targets(settings: &Settings) -> Result<Vec<Target>, SinksError> {
    let sinks = &settings.sinks;
    let mut targets: Vec<Target> = Vec::new();
    if let Some(file) = file(settings, &sinks.eve, "sinks.eve.file", eve::record)? {
        targets.push((SinkName::Eve, Box::new(file)));
    }
    if let Some(file) = file(settings, &sinks.ocsf, "sinks.ocsf.file", ocsf::record)? {
        targets.push((SinkName::Ocsf, Box::new(file)));
    }
    if let Some(address) = &sinks.syslog.address {
        let tls = match address {
            SyslogAddress::Tls(_) => Some(tls::client(&sinks.syslog.ca_file)?),
            _ => None,
        };
        let wire = Wire::new(address.clone(), tls);
        targets.push((
            SinkName::Syslog,
            Box::new(Syslog::new(sinks.syslog.facility, wire)),
        ));
    }
    if let Some(url) = &sinks.webhook.url {
        targets.push((SinkName::Webhook, Box::new(Webhook::new(url, &sinks.webhook)?)));
    }
    if let Some(url) = &sinks.alertmanager.url {
        targets.push((
            SinkName::Alertmanager,
            Box::new(Alertmanager::new(url, &sinks.alertmanager)?),
        ));
    }
    Ok(targets)
}

fn file(
    settings: &Settings,
    sink: &FileSink,
    key: &'static str,
    line: fn(&Stored) -> Option<String>,
) -> Result<Option<LineFile>, SinksError> {
    let Some(file) = &sink.file else {
        return Ok(None);
    };
    // `join` keeps an absolute path as it is.
    let path = settings.state_dir.join(file);
    match LineFile::open(path.clone(), sink, line) {
        Ok(file) => Ok(Some(file)),
        Err(source) => Err(SinksError::Open { key, path, source }),
    }
}

impl Sinks {
    /// Opens files anew before the next record (after logrotate moved them).
    pub fn reopen(&self) {
        for running in &self.running {
            running.control.reopen();
        }
    }

    /// Sends what is there and ends. What cannot be sent within `grace` stays in the database for the next start.
    pub fn close(self, grace: Duration) {
        let deadline_ns = clock::monotonic_ns() + grace.as_nanos() as u64;
        for running in &self.running {
            running.control.end(deadline_ns);
        }
        self.place.wake().end();
        for running in self.running {
            // A little more than the rest, for whoever is about to see that the time is over.
            let rest = Duration::from_nanos(deadline_ns.saturating_sub(clock::monotonic_ns()));
            if !worker::ended(&running.done, rest + Duration::from_millis(50)) {
                tracing::warn!(
                    sink = running.name.as_str(),
                    "this output did not end in time; what it has not sent is sent after the next start"
                );
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;
