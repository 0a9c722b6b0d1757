//! The thread that reads the kernel tables: every drain interval, earlier when they fill, and at the end of a window.
//! It must never wait for scoring: a window that scoring has no room for is given up and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use sensor_common::counter::Skip;

use crate::{
    config::Settings,
    metrics::{
        Metrics,
        label::{FlipCause, Lost, Stage},
    },
    probe::{DrainReport, Drainer, ProbeError},
    service::clock,
    source::FlowSink,
    window::{Window, WindowBuilder},
};

/// How often the occupancy is looked at. A flood that fills the tables faster than this goes on in the overflow
/// sketch, counted; looking more often would cost more wake-ups on every quiet host.
const POLL: Duration = Duration::from_millis(20);
/// A half that is this full is drained at once.
const HIGH_OCCUPANCY: f32 = 0.5;

/// The kernel tables, or what stands in for them in tests.
pub(super) trait Tables {
    fn occupancy(&self) -> f32;
    fn entries(&self) -> u64;
    fn drain(&mut self, sink: &mut dyn FlowSink) -> Result<DrainReport, ProbeError>;
}

impl Tables for Drainer {
    fn occupancy(&self) -> f32 {
        Self::occupancy(self)
    }
    fn entries(&self) -> u64 {
        Self::entries(self)
    }
    fn drain(&mut self, sink: &mut dyn FlowSink) -> Result<DrainReport, ProbeError> {
        Self::drain(self, sink)
    }
}

/// A window on its way to scoring.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) window: Window,
    /// Wall time of the window's end, Unix nanoseconds.
    pub(super) wall_end_ns: i64,
    /// Whether it is long enough to be compared with others (the last one, cut short by the end, may not be).
    pub(super) complete: bool,
}

/// What the thread works with.
pub(super) struct DrainStage<T> {
    pub(super) tables: T,
    pub(super) builder: WindowBuilder,
    pub(super) out: SyncSender<Closed>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) stop: Arc<AtomicBool>,
    /// Set while draining fails, for the health check.
    pub(super) failing: Arc<AtomicBool>,
}

impl<T: Tables> DrainStage<T> {
    /// Runs until `stop` is set; then drains once more and closes the window.
    pub(super) fn run(mut self) {
        let window_ns = self.settings.load().window.as_nanos() as u64;
        let mut start_ns = clock::monotonic_ns();
        let mut end_ns = start_ns + window_ns;
        let mut drained_ns = start_ns;
        // The first drain at once: it shows that the tables can be read, which readiness waits for.
        self.drain(FlipCause::Interval);
        loop {
            std::thread::park_timeout(POLL);
            let now_ns = clock::monotonic_ns();
            self.metrics.flow_table_entries.set(self.tables.entries() as f64);
            let interval_ns = self.settings.load().drain_interval.as_nanos() as u64;
            let cause = if self.stop.load(Ordering::Acquire) {
                FlipCause::Shutdown
            } else if now_ns >= end_ns {
                FlipCause::Window
            } else if now_ns >= drained_ns + interval_ns {
                FlipCause::Interval
            } else if self.tables.occupancy() >= HIGH_OCCUPANCY {
                FlipCause::Occupancy
            } else {
                continue;
            };
            self.drain(cause);
            drained_ns = now_ns;
            if matches!(cause, FlipCause::Window | FlipCause::Shutdown) {
                // The end is read after the drain, so that every packet of the window lies before it.
                let closed_ns = clock::monotonic_ns();
                self.close(start_ns, closed_ns, closed_ns - start_ns >= window_ns / 2);
                start_ns = closed_ns;
                // The beat stays even; after a pause of the whole machine it begins anew.
                end_ns = if end_ns + window_ns > closed_ns {
                    end_ns + window_ns
                } else {
                    closed_ns + window_ns
                };
            }
            if cause == FlipCause::Shutdown {
                return;
            }
        }
    }

    fn drain(&mut self, cause: FlipCause) {
        match self.tables.drain(&mut self.builder) {
            Ok(report) => {
                self.metrics
                    .flow_table_flips
                    .with_label_values(&[cause.as_str()])
                    .inc();
                self.metrics
                    .drain_duration_seconds
                    .observe(report.duration_ns as f64 / 1e9);
                let beat = self
                    .metrics
                    .heartbeat_timestamp_seconds
                    .with_label_values(&[Stage::Drain.as_str()]);
                beat.set(clock::unix_seconds());
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the kernel tables can be read again");
                }
            }
            Err(cause) => {
                self.metrics.drain_failures.inc();
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!("the kernel tables cannot be read, nothing is lost yet: {cause}");
                }
            }
        }
    }

    fn close(&mut self, start_ns: u64, end_ns: u64, complete: bool) {
        let window = self.builder.close(start_ns, end_ns);
        self.count(&window);
        let rows = window.flows.len() as u64;
        let closed = Closed {
            window,
            wall_end_ns: clock::wall_of_monotonic_ns(end_ns),
            complete,
        };
        let lost = match self.out.try_send(closed) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => Lost::Backlog,
            // Scoring has ended, which only a panic there can do before this thread ends.
            Err(TrySendError::Disconnected(_)) => Lost::Shutdown,
        };
        tracing::warn!(
            rows,
            reason = lost.as_str(),
            "a window could not be handed to scoring"
        );
        self.metrics
            .rows_unscored
            .with_label_values(&[lost.as_str()])
            .inc_by(rows);
    }

    fn count(&self, window: &Window) {
        let metrics = &self.metrics;
        let books = &window.books;
        let in_flows: u64 = window
            .flows
            .iter()
            .flat_map(|flow| &flow.half)
            .map(|half| half.packets)
            .sum();
        metrics.windows.inc();
        metrics.packets_seen.inc_by(books.seen_packets);
        metrics.packets_in_flows.inc_by(in_flows);
        metrics.packets_overflow.inc_by(window.overflow_packets());
        metrics.packets_unaccounted.inc_by(window.unaccounted_packets);
        metrics.flow_table_evictions.inc_by(books.evicted_flows);
        for (skip, packets) in Skip::ALL.iter().zip(books.skipped) {
            metrics
                .packets_skipped
                .with_label_values(&[skip.label()])
                .inc_by(packets);
        }
        metrics.flows_started.inc_by(window.flows_started);
        for (reason, flows) in window.flows_ended.by_reason() {
            metrics.flows_ended.with_label_values(&[reason]).inc_by(flows);
        }
        metrics.flows_live.set(window.live_flows as f64);
        if window.unaccounted_packets > 0 {
            tracing::error!(
                packets = window.unaccounted_packets,
                "packets are missing from the books of this window; please report this"
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
