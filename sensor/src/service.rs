//! `sensor run`: starts the stages, keeps the interfaces watched, and ends everything in order.
//! It must never end without a last drain, nor leave a program attached behind.
//!
//! Threads: *drain* reads the kernel tables and closes windows; *score* turns windows into incidents; *train* learns
//! (while there is something to learn); *sink* writes the journal and *store* the incident database, from which each
//! further output reads in a thread of its own; the main thread runs the HTTP listener, signals and the watch over
//! interfaces. A slow stage never holds up the one before it: queues are bounded, what does not fit is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;

use crate::{
    cli::{Failure, Loader, exit, log::Filter},
    config::{Attach, Settings},
    http, incidents,
    metrics::{Metrics, label::SinkName},
    model,
    privacy::AddressNames,
    probe::{AttachMode, Probe, ProbeSettings, follow},
    sink::{self, Journal, Rotation, Sinks, Target},
    window::{WindowBuilder, WindowSettings},
};

mod board;
mod capture;
pub mod clock;
mod drain;
mod priority;
pub mod privacy_key;
mod reload;
mod route;
mod score;
mod store;
mod supervise;
mod tell;
mod train;

pub use route::default_interfaces;
pub use store::{SaveError, Store, StoreError};

use board::Board;
use capture::Capture;
use drain::DrainStage;
use score::ScoreStage;
use tell::Teller;

/// Windows between the drain and the score thread.
const WINDOW_QUEUE: usize = 2;
/// Events between the score thread and the journal.
const JOURNAL_QUEUE: usize = 10_000;
/// Updates between the score thread and the incident database.
const STORE_QUEUE: usize = 4096;
/// How long the end waits for the journal, then for the incident database, and then for what reads it.
const GRACE: Duration = Duration::from_millis(300);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever prevents the start, with the exit code for it. Once started, failures of a stage are logged, counted and
/// survived.
pub fn run(mut settings: Settings, loader: &Loader, filter: &Filter) -> Result<(), Failure> {
    if settings.interfaces.is_empty() {
        settings.interfaces = default_route_patterns()?;
    }
    let seed = settings.seed.map_or_else(random_seed, Ok)?;
    let metrics = Arc::new(Metrics::new()?);
    describe_build(&metrics);
    let Ground {
        store,
        listener,
        token,
        journal,
        names,
        incidents,
        leftovers,
        sinks,
        model,
    } = prepare(&settings, seed, &metrics)?;

    let (probe, drainer) = Probe::load(&probe_settings(&settings))?;
    metrics.flow_table_capacity.set(drainer.capacity() as f64);
    let capture = Arc::new(Capture::new(probe, settings.interfaces.clone()));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new(exit::FAILED, format!("cannot start the event loop: {cause}")))?;
    // The watch begins before the first look, so that no change falls between the two.
    let watcher = {
        let _in_runtime = runtime.enter();
        follow::Watcher::new()?
    };
    capture.attach_first(&follow::links()?)?;
    say_if_none_matches(&capture, &settings);

    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let stop = Arc::new(AtomicBool::new(false));
    let failing = Arc::new(AtomicBool::new(false));
    let board = Arc::new(Board::new(
        Arc::clone(&metrics),
        Arc::clone(&capture),
        Arc::clone(&settings),
        Arc::clone(&failing),
        incidents.place(),
    ));
    let (windows_in, windows_out) = mpsc::sync_channel(WINDOW_QUEUE);
    let drain = DrainStage {
        tables: drainer,
        builder: WindowBuilder::new(window_settings(&settings.load()), seed),
        out: windows_in,
        metrics: Arc::clone(&metrics),
        settings: Arc::clone(&settings),
        stop: Arc::clone(&stop),
        failing,
    };
    let teller = Teller::new(
        journal.sender(),
        incidents.sender(),
        incidents.rules(),
        Arc::clone(&metrics),
    );
    teller.close(&leftovers);
    let score = ScoreStage::new(
        seed,
        model,
        score::Surroundings {
            windows: windows_out,
            metrics: Arc::clone(&metrics),
            settings: Arc::clone(&settings),
            board: Arc::clone(&board),
            capture: Arc::clone(&capture),
            store,
            names,
            teller,
        },
    );
    let drain = spawn("drain", move || drain.run())?;
    let score = spawn("score", move || score.run())?;

    let shared = http::Shared {
        view: Arc::clone(&board) as _,
        metrics: Arc::clone(&metrics),
        token,
        incidents: http::Desk::new(incidents.place()),
    };
    let reload = reload::Reload {
        loader,
        filter,
        settings,
        capture: Arc::clone(&capture),
        metrics,
        journal: journal.sender(),
        sinks: &sinks,
    };
    reload.loaded();
    let outcome = runtime.block_on(supervise::until_stopped(
        listener, shared, watcher, &board, &capture, &reload,
    ));

    stop.store(true, Ordering::Release);
    drain.thread().unpark();
    end([drain, score], journal, incidents, sinks, &capture);
    outcome
}

fn say_if_none_matches(capture: &Capture, settings: &Settings) {
    if capture.attachments().is_empty() {
        let names: Vec<String> = settings.interfaces.iter().map(ToString::to_string).collect();
        tracing::warn!(
            patterns = names.join(", "),
            "no interface matches yet; waiting for one"
        );
    }
}

/// What stands before the kernel is touched.
struct Ground {
    store: Arc<Store>,
    listener: std::net::TcpListener,
    token: Option<http::Token>,
    journal: Journal,
    names: AddressNames,
    incidents: incidents::Writer,
    leftovers: Vec<incidents::restart::Leftover>,
    sinks: Sinks,
    model: Option<model::Model>,
}

/// Everything that can be wrong with files and addresses.
fn prepare(settings: &Settings, seed: u64, metrics: &Arc<Metrics>) -> Result<Ground, Failure> {
    let store = Arc::new(Store::open(&settings.state_dir)?);
    let names = privacy_key::live(settings)?;
    let listener = http::bind(settings.listen)?;
    let token = if settings.listen.ip().is_loopback() {
        None
    } else {
        Some(http::Token::load(&store.token_path())?)
    };
    let target = settings.alerts_path().map_or(Target::Stdout, Target::File);
    let rotation = Rotation {
        max_bytes: settings.alerts_max_bytes,
        keep: settings.alerts_keep,
    };
    let journal = Journal::start(target, rotation, JOURNAL_QUEUE, Arc::clone(metrics))?;
    let database = incidents::open(&settings.state_dir.join(incidents::FILE))?;
    let leftovers = incidents::restart::leftovers(&database, clock::unix_ns()).unwrap_or_else(|cause| {
        tracing::error!("{cause}");
        Vec::new()
    });
    let bounds = incidents::WriterSettings {
        capacity: STORE_QUEUE,
        retention: incidents::Retention {
            age_ns: i64::try_from(settings.incidents_retention.as_nanos()).unwrap_or(i64::MAX),
            max_bytes: settings.incidents_size,
        },
    };
    let incidents = incidents::Writer::start(database, bounds, Arc::clone(metrics))?;
    let sinks = sink::start(settings, &incidents.place(), metrics, seed)?;
    let model = match &settings.model {
        Some(directory) => Some(model::files::load(directory)?),
        None => store
            .current()?
            .map(|directory| model::files::load(&directory))
            .transpose()?,
    };
    if let Some(model) = &model {
        check_window(model, settings)?;
    }
    Ok(Ground {
        store,
        listener,
        token,
        journal,
        names,
        incidents,
        leftovers,
        sinks,
        model,
    })
}

/// Ends in the order of the data: last drain and window, its scores, the journal and the store, what reads the store; then
/// the links.
fn end(
    stages: [JoinHandle<()>; 2],
    journal: Journal,
    incidents: incidents::Writer,
    sinks: Sinks,
    capture: &Capture,
) {
    for stage in stages {
        let name = stage.thread().name().unwrap_or_default().to_owned();
        if stage.join().is_err() {
            tracing::error!(stage = name, "this stage panicked; please report the lines above");
        }
    }
    journal.close(GRACE);
    incidents.close(GRACE);
    sinks.close(GRACE);
    capture.detach_all();
    tracing::info!("ended");
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|cause| {
            Failure::new(
                exit::FAILED,
                format!("cannot start thread {name}: {cause}; raise the limit of tasks"),
            )
        })
}

fn default_route_patterns() -> Result<Vec<crate::config::Pattern>, Failure> {
    let names = default_interfaces();
    if names.is_empty() {
        let message =
            "no interface is named and none holds a default route; name the interfaces to watch with -i";
        return Err(Failure::new(exit::USAGE, message));
    }
    tracing::info!(
        interfaces = names.join(", "),
        "no interface is named: watching those with a default route"
    );
    names
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|cause: String| Failure::new(exit::USAGE, cause))
        })
        .collect()
}

/// Rates and counts of windows of another length would all look wrong to the model.
fn check_window(model: &model::Model, settings: &Settings) -> Result<(), Failure> {
    let learned = Duration::from_nanos(model.calibration.window_ns);
    if learned == settings.window {
        return Ok(());
    }
    let message = format!(
        "model {} was learned with windows of {learned:?}, `window` is {:?}: run with --window {}, or remove {} to learn anew",
        model.id,
        settings.window,
        crate::config::value::format_duration(learned),
        settings.state_dir.join("models/current").display(),
    );
    Err(Failure::new(exit::USAGE, message))
}

fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|cause| {
            Failure::new(
                exit::FAILED,
                format!("/dev/urandom: {cause}; set `seed` to a number instead"),
            )
        })?;
    // TOML integers have 63 bits: a seed that is shown can be written into the file.
    Ok(u64::from_le_bytes(bytes) >> 1)
}

fn probe_settings(settings: &Settings) -> ProbeSettings {
    ProbeSettings {
        table_bytes: settings.table_bytes,
        mode: match settings.attach {
            Attach::Auto => AttachMode::Auto,
            Attach::Native => AttachMode::Native,
            Attach::Generic => AttachMode::Generic,
            Attach::Tcx => AttachMode::Tcx,
        },
        egress: settings.egress,
        kernel_log: settings.kernel_log,
        ..ProbeSettings::default()
    }
}

fn window_settings(settings: &Settings) -> WindowSettings {
    WindowSettings {
        max_flows: settings.max_flows,
        idle_timeout_ns: settings.idle_timeout.as_nanos() as u64,
        active_timeout_ns: settings.active_timeout.as_nanos() as u64,
    }
}

fn describe_build(metrics: &Metrics) {
    metrics
        .build_info
        .with_label_values(&[env!("CARGO_PKG_VERSION"), std::env::consts::ARCH])
        .set(1.0);
    let release = crate::probe::kernel::release();
    let btf = if crate::probe::kernel::btf_available() {
        "true"
    } else {
        "false"
    };
    metrics
        .kernel_info
        .with_label_values(&[release.as_str(), btf])
        .set(1.0);
    for name in SinkName::VALUES {
        metrics.sink_queue_length.with_label_values(&[name]).set(0.0);
    }
}
