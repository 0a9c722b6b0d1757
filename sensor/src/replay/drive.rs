//! Captures through the whole pipeline: windows, rows, learning where there is no model, detection. Training is done
//! when its turn comes, between two windows, so that the same input gives the same result on any machine. It must
//! never write anything: outcomes go to the caller.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Feed, FeedSettings, ReplayError, Watch, feed::ClosedWindow, stream::stream};
use crate::{
    alert::incident::IncidentSettings,
    capture::{Captures, ReadReport},
    config::{Network, Settings},
    engine::{Engine, EngineSettings, Outcome, TrainError},
    features::ExtractorSettings,
    model::Model,
    window::{Flow, WindowSettings},
};

/// What the books of a replay say at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    /// Frames that were counted.
    pub packets: u64,
    /// Of those, in flow rows.
    pub in_flows: u64,
    /// Of those, in flows beyond what is followed.
    pub overflow: u64,
    /// Of those, skipped, with the reason.
    pub skipped: Vec<(&'static str, u64)>,
    /// Windows.
    pub windows: u64,
    /// Flow rows.
    pub flow_rows: u64,
    /// First frame, Unix nanoseconds.
    pub first_ns: u64,
    /// End of the last window, Unix nanoseconds.
    pub last_ns: u64,
    /// Frames out of order, times the clock was set back, pauses cut short.
    pub odd_times: [u64; 3],
}

/// How a replay ended.
#[derive(Debug)]
pub struct Driven {
    /// The books.
    pub books: Books,
    /// What the reader says about the inputs.
    pub report: ReadReport,
    /// Why no model came out of learning, if none did.
    pub unlearned: Option<TrainError>,
    /// The model in use at the end.
    pub model: Option<Arc<Model>>,
}

/// Gets every window with what was said and found about it.
pub type Each<'a, N> = &'a mut dyn FnMut(&ClosedWindow, N, Outcome) -> Result<(), ReplayError>;

/// Settings of the window stage.
pub fn feed_settings(settings: &Settings, seed: u64) -> FeedSettings {
    FeedSettings {
        window_ns: settings.window.as_nanos() as u64,
        window: WindowSettings {
            max_flows: settings.max_flows,
            idle_timeout_ns: settings.idle_timeout.as_nanos() as u64,
            active_timeout_ns: settings.active_timeout.as_nanos() as u64,
        },
        seed,
    }
}

/// Settings of the feature stage.
pub fn extractor_settings(settings: &Settings) -> ExtractorSettings {
    ExtractorSettings {
        max_hosts: settings.max_hosts,
        window_ns: settings.window.as_nanos() as u64,
        local_networks: settings.local_networks.iter().map(Network::mapped).collect(),
    }
}

/// Settings of an engine over recorded traffic. Alerts carry no host name: where a recording is replayed says nothing
/// about it.
pub fn engine_settings(settings: &Settings, seed: u64, learn_ns: u64, keep_scores: bool) -> EngineSettings {
    EngineSettings {
        window_ns: settings.window.as_nanos() as u64,
        learn_ns,
        alarm_budget_per_day: settings.alarm_budget_per_day,
        seed,
        sensor: String::new(),
        keep_scores,
        detector: settings.detector,
        incidents: IncidentSettings::default(),
        extractor: extractor_settings(settings),
    }
}

/// Sends all frames through the pipeline; `each` gets every window with what was found in it.
///
/// # Errors
/// The first error of `each`, a training that failed in the tensor library, or a thread that cannot be started.
pub fn drive<W: Watch>(
    mut captures: Captures,
    feed: &FeedSettings,
    engine: &mut Engine,
    watch: W,
    progress: &mut (dyn FnMut(&Captures) + Send),
    each: Each<'_, W::Note>,
) -> Result<Driven, ReplayError> {
    let mut feed = Feed::new(feed);
    let mut books = Books::default();
    let mut outcome = Ok(());
    let names = captures.names();
    stream(&mut captures, &mut feed, watch, progress, &mut |closed, note| {
        outcome = step(engine, &closed, note, &names, &mut books, each);
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
    .map_err(|source| ReplayError::Thread { source })?;
    outcome?;
    let clock = feed.clock();
    books.odd_times = [clock.disordered, clock.set_back, clock.skipped];
    books.packets = feed.packets();
    let model = engine.model().cloned();
    Ok(Driven {
        books,
        report: captures.report(),
        unlearned: if model.is_some() {
            None
        } else {
            Some(engine.why_not_learned())
        },
        model,
    })
}

fn step<N>(
    engine: &mut Engine,
    closed: &ClosedWindow,
    note: N,
    names: &crate::capture::Names,
    books: &mut Books,
    each: Each<'_, N>,
) -> Result<(), ReplayError> {
    count(books, closed);
    let outcome = engine.window(&closed.window, closed.wall_end_ns, &|slot| names.get(slot));
    each(closed, note, outcome)?;
    if let Some(job) = engine.take_training_job() {
        match job.run(&mut |_| ()) {
            Ok(model) => engine.install(Arc::new(model)),
            Err(error @ TrainError::Tensor { .. }) => return Err(error.into()),
            Err(error) => engine.training_failed(error),
        }
    }
    Ok(())
}

/// Adds a window to the books.
pub fn count(books: &mut Books, closed: &ClosedWindow) {
    let window = &closed.window;
    if books.windows == 0 {
        books.first_ns = u64::try_from(closed.wall_start_ns).unwrap_or(0);
    }
    books.windows += 1;
    books.last_ns = u64::try_from(closed.wall_end_ns).unwrap_or(0);
    books.in_flows += window.flows.iter().map(Flow::packets).sum::<u64>();
    books.flow_rows += window.flows.len() as u64;
    books.overflow += window.overflow_packets();
    for (skip, packets) in sensor_common::counter::Skip::ALL.iter().zip(window.books.skipped) {
        if packets == 0 {
            continue;
        }
        match books.skipped.iter_mut().find(|(label, _)| *label == skip.label()) {
            Some((_, sum)) => *sum += packets,
            None => books.skipped.push((skip.label(), packets)),
        }
    }
}
