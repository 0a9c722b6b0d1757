//! Tests of the drain thread over made-up tables: windows close in time and a slow scorer loses nothing uncounted.
//! It must never depend on time or on the network beyond this machine.

use std::sync::{Mutex, mpsc};

use sensor_common::counter::Counters;

use super::*;
use crate::{config, window::WindowSettings};

/// Tables that hold a number of skipped packets, and can be full or broken.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    packets: u64,
    occupancy: f32,
    broken: bool,
}

impl Tables for Fake {
    fn occupancy(&self) -> f32 {
        self.0.lock().unwrap().occupancy
    }
    fn entries(&self) -> u64 {
        0
    }
    fn drain(&mut self, sink: &mut dyn FlowSink) -> Result<DrainReport, ProbeError> {
        let mut held = self.0.lock().unwrap();
        if held.broken {
            return Err(ProbeError::Object { what: "FLOWS" });
        }
        let mut books = Counters {
            seen_packets: held.packets,
            ..Counters::default()
        };
        books.skipped[Skip::Llc as usize] = held.packets;
        sink.books(&books);
        held.packets = 0;
        held.occupancy = 0.0;
        Ok(DrainReport::default())
    }
}

struct Running {
    tables: Fake,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    failing: Arc<AtomicBool>,
    windows: mpsc::Receiver<Closed>,
    thread: std::thread::JoinHandle<()>,
}

fn start(window: Duration, drain_interval: Duration, queue: usize) -> Running {
    let mut settings = config::load(None, &|_| None, &[]).unwrap();
    settings.window = window;
    settings.drain_interval = drain_interval;
    let (out, windows) = mpsc::sync_channel(queue);
    let tables = Fake::default();
    let metrics = Arc::new(Metrics::new().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let failing = Arc::new(AtomicBool::new(false));
    let bounds = WindowSettings {
        max_flows: 100,
        idle_timeout_ns: 1,
        active_timeout_ns: 1,
    };
    let stage = DrainStage {
        tables: tables.clone(),
        builder: WindowBuilder::new(bounds, 1),
        out,
        metrics: Arc::clone(&metrics),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        stop: Arc::clone(&stop),
        failing: Arc::clone(&failing),
    };
    let thread = std::thread::spawn(move || stage.run());
    let running = Running {
        tables,
        metrics,
        stop,
        failing,
        windows,
        thread,
    };
    // What a test counts must not end up in the first drain, which shows that there is one.
    running.wait_until("the first drain", |running| {
        running.flips(FlipCause::Interval) == 1
    });
    running
}

impl Running {
    fn end(self) -> mpsc::Receiver<Closed> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().unwrap();
        self.windows
    }

    fn flips(&self, cause: FlipCause) -> u64 {
        self.metrics
            .flow_table_flips
            .with_label_values(&[cause.as_str()])
            .get()
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if condition(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("never happened: {what}");
    }
}

const LONG: Duration = Duration::from_hours(1);

#[test]
fn the_end_drains_once_more_and_hands_over_what_was_counted() {
    let running = start(LONG, LONG, 2);
    running.tables.0.lock().unwrap().packets = 7;
    let metrics = Arc::clone(&running.metrics);
    let windows = running.end();
    let closed = windows.recv().unwrap();
    assert!(!closed.complete);
    assert_eq!(closed.window.books.seen_packets, 7);
    assert!(windows.recv().is_err());
    assert_eq!(metrics.packets_seen.get(), 7);
    assert_eq!(metrics.packets_skipped.with_label_values(&["llc"]).get(), 7);
    assert_eq!(metrics.packets_unaccounted.get(), 0);
}

#[test]
fn tables_that_fill_up_are_drained_before_the_interval_is_over() {
    let running = start(LONG, LONG, 2);
    running.tables.0.lock().unwrap().occupancy = 0.5;
    running.wait_until("an early drain", |running| {
        running.flips(FlipCause::Occupancy) == 1
    });
    running.end();
}

#[test]
fn several_drains_add_up_to_one_window() {
    let running = start(LONG, Duration::from_millis(1), 2);
    for drains in 1..=3 {
        running.tables.0.lock().unwrap().packets = 10;
        running.wait_until("a drain", |running| {
            running.flips(FlipCause::Interval) >= drains && running.tables.0.lock().unwrap().packets == 0
        });
    }
    let windows = running.end();
    assert_eq!(windows.recv().unwrap().window.books.seen_packets, 30);
}

#[test]
fn windows_that_scoring_has_no_room_for_do_not_stop_the_drain() {
    let running = start(Duration::from_millis(1), LONG, 1);
    running.wait_until("more windows than the queue holds", |running| {
        running.metrics.windows.get() >= 4
    });
    let first = running.windows.recv().unwrap();
    let windows = running.end();
    let last = windows.into_iter().last().unwrap();
    assert!(first.window.end_ns <= last.window.start_ns);
    assert!(last.wall_end_ns > first.wall_end_ns);
}

#[test]
fn a_failed_drain_is_counted_and_loses_nothing() {
    let running = start(LONG, Duration::from_millis(1), 2);
    {
        let mut held = running.tables.0.lock().unwrap();
        held.broken = true;
        held.packets = 9;
    }
    running.wait_until("a failure", |running| running.metrics.drain_failures.get() >= 1);
    assert!(running.failing.load(Ordering::Relaxed));
    running.tables.0.lock().unwrap().broken = false;
    running.wait_until("the recovery", |running| !running.failing.load(Ordering::Relaxed));
    let metrics = Arc::clone(&running.metrics);
    running.end();
    assert_eq!(metrics.packets_seen.get(), 9);
}
