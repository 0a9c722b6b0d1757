//! The loop of every output that reads from the incident database: read a few updates, deliver them, remember how far it
//! came. It must never hold more than one batch in memory, never forget an update that the receiver may not have, and
//! never hold up anybody: what cannot be sent waits in the database.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use super::control::{Backoff, Control, Pace};
use crate::{
    incidents::{Outbox, Place, StoreError, Stored},
    metrics::{
        Metrics,
        label::{DropReason, SinkName},
    },
};

/// Updates read at once.
const BATCH: usize = 64;

/// Why an update was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may work later.
    Later(String),
    /// The receiver will never take this update.
    Never(String),
}

/// Where updates go.
pub(super) trait Deliver: Send {
    /// Delivers one update.
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure>;

    /// Up to which update the receiver surely has everything, if everything up to `delivered` was delivered. What lies
    /// between is delivered again after a failure. Called after every batch and while nothing happens.
    fn confirmed(&mut self, delivered: u64) -> Result<u64, Failure> {
        Ok(delivered)
    }

    /// Called about once a second while nothing is to be delivered.
    fn idle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Files were moved away: open them anew.
    fn reopen(&mut self) {}
}

/// One output and its place in the stream of updates.
pub(super) struct Worker {
    name: SinkName,
    outbox: Box<dyn Outbox>,
    place: Place,
    target: Box<dyn Deliver>,
    metrics: Arc<Metrics>,
    control: Arc<Control>,
    backoff: Backoff,
    /// Last update that was delivered, or will never be; `None` until the database was read.
    at: Option<u64>,
    /// Last update that is known to have arrived, as the database remembers it.
    kept: u64,
    failing: bool,
    refusing: bool,
}

/// What a round came to.
enum Round {
    Busy,
    Idle,
}

impl Worker {
    pub(super) fn new(
        name: SinkName,
        place: &Place,
        target: Box<dyn Deliver>,
        metrics: Arc<Metrics>,
        pace: Pace,
        seed: u64,
    ) -> Self {
        for reason in [DropReason::Refused, DropReason::Expired] {
            metrics
                .sink_events_dropped
                .with_label_values(&[name.as_str(), reason.as_str()]);
        }
        metrics.sink_events_sent.with_label_values(&[name.as_str()]);
        metrics.sink_events_failed.with_label_values(&[name.as_str()]);
        Self {
            name,
            outbox: Box::new(place.reader()),
            place: place.clone(),
            target,
            metrics,
            control: Arc::default(),
            backoff: Backoff::new(pace, seed),
            at: None,
            kept: 0,
            failing: false,
            refusing: false,
        }
    }

    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Runs until it is told to end and everything is sent, or the time for that is over. Dropping `done` says so.
    pub(super) fn run(mut self, done: Sender<()>) {
        let mut seen = 0;
        loop {
            if self.control.take_reopen() {
                self.target.reopen();
            }
            match self.round() {
                Ok(Round::Busy) => {
                    self.recovered();
                    if !self.control.pause(Duration::ZERO) {
                        break;
                    }
                }
                Ok(Round::Idle) if self.control.ending() => break,
                Ok(Round::Idle) => {
                    self.recovered();
                    seen = self.place.wake().wait(seen, self.backoff.pace.idle);
                    if self.place.wake().ended()
                        && !self
                            .control
                            .pause(self.backoff.pace.first.min(self.backoff.pace.idle))
                    {
                        break;
                    }
                }
                Err(cause) => {
                    self.failed(&cause);
                    let pause = self.backoff.pause();
                    if !self.control.pause(pause) {
                        break;
                    }
                }
            }
        }
        drop(done);
    }

    fn round(&mut self) -> Result<Round, String> {
        let read = |cause: StoreError| cause.to_string();
        // Before the updates: what is written between the two calls must not be skipped.
        let newest = self.outbox.newest().map_err(read)?;
        let at = match self.at {
            // A database that was replaced counts from the beginning again.
            Some(at) if at <= newest => at,
            _ => self.begin(newest)?,
        };
        let updates = self.outbox.after(at, BATCH).map_err(read)?;
        self.expired(at, newest, &updates)?;
        let outcome = self.deliver_all(&updates);
        let at = self.at.unwrap_or(at);
        if outcome.is_ok() && updates.is_empty() {
            // What lies up to there is suppressed, expired or unreadable.
            self.at = Some(newest);
        }
        let outcome = outcome.and_then(|()| match self.target.confirmed(self.at.unwrap_or(at)) {
            Ok(confirmed) => self.keep(confirmed.min(self.at.unwrap_or(at))),
            Err(cause) => Err(self.rewind(cause)),
        });
        self.metrics
            .sink_queue_length
            .with_label_values(&[self.name.as_str()])
            .set(newest.saturating_sub(self.at.unwrap_or(at)) as f64);
        outcome?;
        if !updates.is_empty() {
            return Ok(Round::Busy);
        }
        match self.target.idle() {
            Ok(()) => Ok(Round::Idle),
            Err(cause) => Err(self.rewind(cause)),
        }
    }

    /// Where to begin: where it ended, or with what comes next if it never ran.
    fn begin(&mut self, newest: u64) -> Result<u64, String> {
        let kept = self
            .outbox
            .cursor(self.name.as_str())
            .map_err(|cause| cause.to_string())?;
        let at = match kept {
            Some(kept) if kept <= newest => kept,
            // The cursor of a database that is no more.
            Some(_) => 0,
            None => newest,
        };
        self.at = Some(at);
        self.kept = at;
        if kept != Some(at) {
            self.outbox
                .advance(self.name.as_str(), at)
                .map_err(|cause| cause.to_string())?;
        }
        Ok(at)
    }

    /// Counts what retention took.
    fn expired(&mut self, at: u64, newest: u64, updates: &[Stored]) -> Result<(), String> {
        let oldest = self.outbox.oldest().map_err(|cause| cause.to_string())?;
        // Retention may have run since `updates` were read: what was read is not lost.
        let first = updates.first().map_or(newest + 1, |update| update.seq);
        let lost = oldest.min(first).saturating_sub(at + 1);
        if lost > 0 {
            self.at = Some(at + lost);
            self.keep(at + lost)?;
            tracing::error!(
                sink = self.name.as_str(),
                updates = lost,
                "retention took updates of incidents before they could be sent"
            );
            self.dropped(DropReason::Expired, lost);
        }
        Ok(())
    }

    fn deliver_all(&mut self, updates: &[Stored]) -> Result<(), String> {
        let name = [self.name.as_str()];
        for update in updates {
            match self.target.deliver(update) {
                Ok(()) => {
                    self.metrics.sink_events_sent.with_label_values(&name).inc();
                    self.refusing = false;
                }
                Err(Failure::Never(cause)) => {
                    if !std::mem::replace(&mut self.refusing, true) {
                        tracing::error!(
                            sink = self.name.as_str(),
                            incident = update.alert.id,
                            "an update is refused and left out: {cause}"
                        );
                    }
                    self.dropped(DropReason::Refused, 1);
                }
                Err(cause) => return Err(self.rewind(cause)),
            }
            self.at = Some(update.seq);
        }
        Ok(())
    }

    /// After a failure: back to what is known to have arrived.
    fn rewind(&mut self, cause: Failure) -> String {
        self.metrics
            .sink_events_failed
            .with_label_values(&[self.name.as_str()])
            .inc();
        let (Failure::Later(cause) | Failure::Never(cause)) = cause;
        if let Ok(confirmed) = self.target.confirmed(self.at.unwrap_or(self.kept))
            && let Err(unwritten) = self.keep(confirmed)
        {
            tracing::debug!(sink = self.name.as_str(), "{unwritten}");
        }
        self.at = Some(self.kept);
        cause
    }

    /// Remembers that everything up to there has arrived.
    fn keep(&mut self, seq: u64) -> Result<(), String> {
        if seq > self.kept {
            self.outbox
                .advance(self.name.as_str(), seq)
                .map_err(|cause| cause.to_string())?;
            self.kept = seq;
        }
        Ok(())
    }

    fn dropped(&self, reason: DropReason, count: u64) {
        self.metrics
            .sink_events_dropped
            .with_label_values(&[self.name.as_str(), reason.as_str()])
            .inc_by(count);
    }

    fn failed(&mut self, cause: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                sink = self.name.as_str(),
                "incidents cannot be sent and wait in the database: {cause}"
            );
        }
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.failing) {
            tracing::info!(sink = self.name.as_str(), "incidents can be sent again");
        }
    }
}

/// Waits until a worker has ended, but no longer. Says whether it has.
pub(super) fn ended(done: &Receiver<()>, limit: Duration) -> bool {
    matches!(done.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
}
