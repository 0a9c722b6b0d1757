//! The thread that writes incidents: takes updates from a bounded queue, keeps the rules in force current, and removes
//! what retention lets go. It must never make whoever sends wait, nor take an update from the queue before it is
//! committed.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{Database, Place, StoreError, Update, keeper::Keeper, retention::Retention};
use crate::{
    alert::suppress::Rule,
    metrics::{
        Metrics,
        label::{DropReason, SinkName, Stage},
    },
    service::clock,
};

/// First pause after a failed write; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between attempts: how long after a repair nothing may be written.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often an idle thread looks for rules that somebody else wrote.
const POLL: Duration = Duration::from_millis(500);
/// Updates in one transaction at most.
const BATCH: usize = 256;
pub(super) const NAME: &str = SinkName::Store.as_str();

/// The suppressions in force, shared with whoever judges updates.
pub type Rules = Arc<ArcSwap<Vec<Rule>>>;

/// Bounds of the store.
#[derive(Clone, Copy, Debug)]
pub struct WriterSettings {
    /// Updates that may wait.
    pub capacity: usize,
    /// What is kept how long.
    pub retention: Retention,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Update>,
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

    fn dropped(&self, reason: DropReason, count: u64) {
        self.metrics
            .sink_events_dropped
            .with_label_values(&[NAME, reason.as_str()])
            .inc_by(count);
    }

    fn show_length(&self, state: &State) {
        self.metrics
            .sink_queue_length
            .with_label_values(&[NAME])
            .set(state.queue.len() as f64);
    }
}

/// A running store.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    place: Place,
    rules: Rules,
    thread: Option<JoinHandle<()>>,
}

/// Sends to the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender(Arc<Shared>);

impl Sender {
    /// Queues one update. Says whether there was room; if not, the update is counted as dropped.
    pub fn send(&self, update: Update) -> bool {
        let mut state = self.0.lock();
        if state.queue.len() >= self.0.capacity {
            drop(state);
            self.0.dropped(DropReason::QueueFull, 1);
            return false;
        }
        state.queue.push_back(update);
        self.0.show_length(&state);
        drop(state);
        self.0.wake.notify_one();
        true
    }
}

impl Writer {
    /// Starts the thread with a database that was opened before, so that a file that must not be used ends the start.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start(
        database: Database,
        settings: WriterSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let place = Place::new(database.path.clone());
        let rules = Rules::default();
        match database.rules(clock::unix_ns()) {
            Ok(found) => rules.store(Arc::new(found)),
            // The thread reads them again, and deals with a file that is damaged.
            Err(cause) => tracing::error!("{cause}"),
        }
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            capacity: settings.capacity,
            metrics,
        });
        for reason in DropReason::VALUES {
            shared
                .metrics
                .sink_events_dropped
                .with_label_values(&[NAME, reason]);
        }
        let worker = Arc::clone(&shared);
        let keeper = Keeper::new(database, place.clone(), Arc::clone(&rules), settings.retention);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || work(&worker, keeper))
            .map_err(|source| StoreError::Io {
                op: "start its thread",
                path: place.path().to_owned(),
                source,
            })?;
        Ok(Self {
            shared,
            place,
            rules,
            thread: Some(thread),
        })
    }

    /// A handle to send with.
    pub fn sender(&self) -> Sender {
        Sender(Arc::clone(&self.shared))
    }

    /// Where readers find the database.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The suppressions in force, kept current.
    pub fn rules(&self) -> Rules {
        Arc::clone(&self.rules)
    }

    /// Writes what is queued and ends. Updates that cannot be written within `grace` are counted as dropped.
    pub fn close(mut self, grace: Duration) {
        self.shared.lock().deadline_ns = Some(clock::monotonic_ns() + grace.as_nanos() as u64);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked; incidents may be missing from the database");
        }
    }
}

fn work(shared: &Shared, mut keeper: Keeper) {
    let mut pause = FIRST_PAUSE;
    let mut failing = false;
    loop {
        let Some(batch) = next(shared, keeper.is_busy()) else {
            return;
        };
        match keeper.round(&batch, &shared.metrics) {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("the incident database can be written again");
                    keeper.place().set_problem(None);
                }
                pause = FIRST_PAUSE;
                written(shared, batch.len());
            }
            Err(cause) => {
                let failed = &shared.metrics.sink_events_failed;
                failed.with_label_values(&[NAME]).inc();
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!("{cause}; incidents wait in the queue");
                }
                keeper
                    .place()
                    .set_problem(Some(format!("incidents cannot be stored: {cause}")));
                if !wait_to_retry(shared, pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn written(shared: &Shared, count: usize) {
    shared
        .metrics
        .heartbeat_timestamp_seconds
        .with_label_values(&[Stage::Store.as_str()])
        .set(clock::unix_seconds());
    if count == 0 {
        return;
    }
    shared
        .metrics
        .sink_events_sent
        .with_label_values(&[NAME])
        .inc_by(count as u64);
    let mut state = shared.lock();
    state.queue.drain(..count);
    shared.show_length(&state);
}

/// Waits for updates and returns copies of the oldest; they leave the queue only when they are written. An empty batch
/// is time for housekeeping, at once if there is more of it to do. `None` to end.
fn next(shared: &Shared, busy: bool) -> Option<Vec<Update>> {
    let mut state = shared.lock();
    if state.queue.is_empty() && state.deadline_ns.is_none() && !busy {
        state = shared
            .wake
            .wait_timeout(state, POLL)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    if state.queue.is_empty() && state.deadline_ns.is_some() {
        return None;
    }
    Some(state.queue.iter().take(BATCH).cloned().collect())
}

/// Pauses after a failure. Says whether to try again.
fn wait_to_retry(shared: &Shared, pause: Duration) -> bool {
    let resume_ns = clock::monotonic_ns() + pause.as_nanos() as u64;
    let mut state = shared.lock();
    loop {
        let now_ns = clock::monotonic_ns();
        if state.deadline_ns.is_some_and(|deadline_ns| now_ns >= deadline_ns) {
            let lost = state.queue.len() as u64;
            if lost > 0 {
                tracing::error!(
                    updates = lost,
                    "incidents could not be stored before the end; these updates are in the journal only"
                );
            }
            shared.dropped(DropReason::Shutdown, lost);
            return false;
        }
        if now_ns >= resume_ns {
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
