//! Where incidents go: a JSON-lines journal behind a bounded queue and a thread of its own, and outputs that read from the
//! incident database, each with a thread and a cursor of its own ([`start`]).
//!
//! - `worker`: the loop of the latter; `output`: files of lines.
//! - `eve`, `ocsf`, `syslog`, `webhook`, `alertmanager`: what is sent; `wire`, `tls`, `post`: how.
//!
//! It must never block whoever sends, never write half a line into the middle of a file, and never lose an event
//! that is still in the queue while the output is broken.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    metrics::{
        Metrics,
        label::{DropReason, SinkName, Stage},
    },
    service::clock,
};

mod alertmanager;
mod control;
mod eve;
mod files;
mod ocsf;
mod output;
mod post;
mod set;
mod syslog;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
pub(crate) mod tests;
mod tls;
mod trial;
mod unacknowledged;
mod webhook;
mod wire;
mod worker;

use output::Output;
pub use output::Rotation;
pub use set::{Sinks, SinksError, start};
use trial::trial;

/// First pause after a failed write; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between attempts: how long after a repair the journal may stay silent.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often an idle journal shows that it is alive.
const IDLE_BEAT: Duration = Duration::from_secs(1);
const NAME: &str = SinkName::Journal.as_str();

/// Where a journal writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to, made with mode 0600.
    File(PathBuf),
}

/// Why the journal cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened for appending.
    #[error(
        "journal {path}: {source}; make it writable, or name another file with `alerts` (or - for stdout)"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Standard output cannot be duplicated.
    #[error("standard output: {source}; name a file with `alerts` instead")]
    Stdout {
        /// Why.
        source: std::io::Error,
    },
    /// No thread.
    #[error("cannot start the journal's thread: {source}; raise the limit of tasks")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
}

/// Identity of an update in every format: the same when it is sent again.
fn update_id(update: &crate::incidents::Stored) -> String {
    format!("{}-{}", update.alert.id, update.seq)
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<String>,
    reopen: bool,
    /// Set once by `close`: when to give up, on the monotonic clock.
    deadline_ns: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    capacity: usize,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running journal.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Sends to a journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender(Arc<Shared>);

impl Sender {
    /// Queues one event (a line without its newline). Says whether there was room; if not, the event is counted as
    /// dropped.
    pub fn send(&self, line: String) -> bool {
        let mut state = self.0.lock();
        if state.queue.len() >= self.0.capacity {
            drop(state);
            self.0
                .metrics
                .sink_events_dropped
                .with_label_values(&[NAME, DropReason::QueueFull.as_str()])
                .inc();
            return false;
        }
        state.queue.push_back(line);
        self.0
            .metrics
            .sink_queue_length
            .with_label_values(&[NAME])
            .set(state.queue.len() as f64);
        drop(state);
        self.0.wake.notify_one();
        true
    }

    /// Opens the file anew before the next event (after logrotate moved it).
    pub fn reopen(&self) {
        self.0.lock().reopen = true;
        self.0.wake.notify_one();
    }
}

impl Journal {
    /// Opens the output and starts the thread.
    ///
    /// # Errors
    /// If the output cannot be opened now: at start this is a mistake of configuration. Later failures are retried.
    pub fn start(
        target: Target,
        rotation: Rotation,
        capacity: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SinkError> {
        let mut output = Output::new(target, rotation);
        output.open().map_err(|source| match output.target() {
            Target::Stdout => SinkError::Stdout { source },
            Target::File(path) => SinkError::Open {
                path: path.clone(),
                source,
            },
        })?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            capacity,
            metrics,
        });
        for reason in [DropReason::QueueFull, DropReason::Shutdown] {
            shared
                .metrics
                .sink_events_dropped
                .with_label_values(&[NAME, reason.as_str()]);
        }
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sink".into())
            .spawn(move || work(&worker, &mut output))
            .map_err(|source| SinkError::Thread { source })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A handle to send with.
    pub fn sender(&self) -> Sender {
        Sender(Arc::clone(&self.shared))
    }

    /// Writes what is queued and ends. Events that cannot be written within `grace` are counted as dropped.
    pub fn close(mut self, grace: Duration) {
        self.shared.lock().deadline_ns = Some(clock::monotonic_ns() + grace.as_nanos() as u64);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked; events may be missing from the journal");
        }
    }
}

fn work(shared: &Shared, output: &mut Output) {
    let mut pause = FIRST_PAUSE;
    let mut failing = false;
    loop {
        let Some(line) = next(shared, output) else { return };
        match output.write_line(&line) {
            Ok(()) => {
                shared.metrics.sink_events_sent.with_label_values(&[NAME]).inc();
                if std::mem::take(&mut failing) {
                    tracing::info!(output = %output, "the journal can be written again");
                }
                pause = FIRST_PAUSE;
                let mut state = shared.lock();
                state.queue.pop_front();
                shared
                    .metrics
                    .sink_queue_length
                    .with_label_values(&[NAME])
                    .set(state.queue.len() as f64);
                drop(state);
                beat(shared);
            }
            Err(cause) => {
                shared.metrics.sink_events_failed.with_label_values(&[NAME]).inc();
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(output = %output, %cause, "the journal cannot be written; events wait in the queue");
                }
                if !wait_to_retry(shared, pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn beat(shared: &Shared) {
    shared
        .metrics
        .heartbeat_timestamp_seconds
        .with_label_values(&[Stage::Sink.as_str()])
        .set(clock::unix_seconds());
}

/// Waits for an event and returns a copy of it; it leaves the queue only when it is written. `None` to end.
fn next(shared: &Shared, output: &mut Output) -> Option<String> {
    let mut state = shared.lock();
    loop {
        if std::mem::take(&mut state.reopen) {
            output.close();
        }
        if let Some(line) = state.queue.front() {
            return Some(line.clone());
        }
        if state.deadline_ns.is_some() {
            return None;
        }
        beat(shared);
        state = shared
            .wake
            .wait_timeout(state, IDLE_BEAT)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// Pauses after a failure; a reopen or the end cuts the pause short. Says whether to try again.
fn wait_to_retry(shared: &Shared, pause: Duration) -> bool {
    let resume_ns = clock::monotonic_ns() + pause.as_nanos() as u64;
    let mut state = shared.lock();
    loop {
        let now_ns = clock::monotonic_ns();
        if state.deadline_ns.is_some_and(|deadline_ns| now_ns >= deadline_ns) {
            let lost = state.queue.len() as u64;
            tracing::error!(
                events = lost,
                "the journal could not be written before the end; events are lost"
            );
            let reason = DropReason::Shutdown.as_str();
            shared
                .metrics
                .sink_events_dropped
                .with_label_values(&[NAME, reason])
                .inc_by(lost);
            return false;
        }
        if now_ns >= resume_ns || state.reopen {
            return true;
        }
        let until_ns = state
            .deadline_ns
            .map_or(resume_ns, |deadline_ns| deadline_ns.min(resume_ns));
        let wait = Duration::from_nanos(until_ns.saturating_sub(now_ns));
        state = shared
            .wake
            .wait_timeout(state, wait)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
