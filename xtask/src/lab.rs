//! `cargo xtask lab`: a small network in namespaces, ordinary traffic, three attacks, and what the sensor made of it.
//!
//! Everything it makes (namespaces, processes, a temporary directory) goes when it ends, by itself, by Ctrl-C or
//! SIGTERM, or by a panic; what a SIGKILL leaves behind, the next run removes. Must never send a packet outside the
//! namespaces it made.

mod forward;
mod scratch;
mod verdict;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sensor_tests::agent::Agent;
use sensor_tests::metrics::Metrics;
use sensor_tests::stop::{self, Stop};
use sensor_tests::topology::{
    ATTACKER, GATEWAY_INTERFACE, Topology, WAN_INTERFACE, WEB_SERVER, macs_to_gateway,
};
use sensor_tests::traffic::attack::{Flood, horizontal_scan, syn_flood, vertical_scan};
use sensor_tests::traffic::ordinary::Ordinary;
use sensor_tests::traffic::random::Random;

use forward::Forwarder;
use scratch::Scratch;
use verdict::{Check, Journal};

/// What to play; see `cargo xtask lab --help`.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) binary: PathBuf,
    pub(crate) once: bool,
    pub(crate) limit: Option<Duration>,
    pub(crate) learn: Duration,
    pub(crate) ordinary: Duration,
    pub(crate) window: Duration,
    pub(crate) seed: u64,
    pub(crate) port: u16,
}

/// Attached and answering: the design asks for far less, a loaded machine may need more.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Training and calibration after the learning time, on a loaded machine.
const TRAIN_LIMIT: Duration = Duration::from_mins(3);
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// How long a closed window may take to be scored and written.
const REPORT_LAG: Duration = Duration::from_secs(1);
/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Each attack lasts this long, and the flood sends this many frames in that time.
const ATTACK_TIME: Duration = Duration::from_secs(5);
const FLOOD_FRAMES: u32 = 20_000;

#[derive(Debug, Clone, Copy)]
enum Attack {
    VerticalScan,
    HorizontalScan,
    SynFlood,
}

impl Attack {
    const ALL: [Self; 3] = [Self::VerticalScan, Self::HorizontalScan, Self::SynFlood];

    /// The behaviour that the sensor is to name.
    fn behaviour(self) -> &'static str {
        match self {
            Self::VerticalScan => "vertical_scan",
            Self::HorizontalScan => "horizontal_scan",
            Self::SynFlood => "syn_flood",
        }
    }

    /// The address that the incident has to name, as actor or target: who scans, or who is flooded.
    fn party(self) -> String {
        match self {
            Self::VerticalScan | Self::HorizontalScan => ATTACKER.to_string(),
            Self::SynFlood => WEB_SERVER.to_string(),
        }
    }

    /// Plays it; called inside the wan namespace. Returns the packets or attempts sent.
    fn play(self, seed: u64, stop: &Stop) -> std::io::Result<u32> {
        let first = std::net::Ipv4Addr::new(10, 77, 0, 20);
        match self {
            Self::VerticalScan => {
                vertical_scan(ATTACKER.into(), WEB_SERVER.into(), 1, 1_000, ATTACK_TIME, stop)
            }
            Self::HorizontalScan => horizontal_scan(ATTACKER.into(), first, 200, 445, ATTACK_TIME, stop),
            Self::SynFlood => {
                let flood = Flood {
                    interface: WAN_INTERFACE,
                    macs: macs_to_gateway(),
                    target: WEB_SERVER,
                    port: 80,
                    count: FLOOD_FRAMES,
                    time: ATTACK_TIME,
                };
                syn_flood(flood, Random::new(seed, u64::MAX), stop)
            }
        }
    }
}

/// Plays the lab; true when everything was found in time and nothing else was reported.
pub(crate) fn run(options: &Options) -> Result<bool> {
    stop::catch_signals();
    ensure!(
        options.binary.is_file(),
        "no binary {}: run `cargo xtask build`",
        options.binary.display()
    );
    let begin = Instant::now();
    for leftover in sensor_tests::netns::sweep()?.into_iter().chain(scratch::sweep()?) {
        say(
            begin,
            &format!("removed {leftover}, left by a run that was killed"),
        );
    }
    let scratch = Scratch::create()?;
    let topology = Topology::create().context("cannot make the lab's network")?;
    say(begin, &format!("three namespaces: {}", names(&topology)));
    let ordinary = Ordinary::start(&topology, options.seed)?;
    let mut checks = Vec::new();
    let outcome = watch(options, begin, &topology, &scratch, &mut checks);
    let played = ordinary.finish()?;
    let interrupted = stop::signalled();
    match outcome {
        Err(error) if interrupted => say(begin, &format!("interrupted ({error:#})")),
        Err(error) => checks.push(Check::failed("lab", &format!("{error:#}"))),
        Ok(()) => {}
    }
    say(
        begin,
        &format!(
            "ordinary traffic played: {} web pages, {} lookups, {} keystrokes, {} pings",
            played.pages, played.lookups, played.keystrokes, played.pings
        ),
    );
    drop(topology);
    drop(scratch);
    say(begin, "namespaces, processes and temporary files are gone");
    let passed = verdict::print(&checks);
    // Ctrl-C is how an open-ended lab ends; a single round that was cut short proves nothing.
    Ok(passed && !(options.once && interrupted))
}

/// Runs the sensor and the attacks; what it finds out goes to `checks`.
fn watch(
    options: &Options,
    begin: Instant,
    topology: &Topology,
    scratch: &Scratch,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let (window, learn) = (seconds(options.window), seconds(options.learn));
    let arguments = ["--window", &window, "--learn", &learn];
    let state = scratch.path().join("state");
    let mut agent = Agent::start(
        &options.binary,
        &topology.gateway,
        &[GATEWAY_INTERFACE],
        &state,
        &arguments,
    )?;
    let metrics = agent.wait_for("the sensor to be attached", START_LIMIT, |metrics| {
        mode(metrics).is_some()
    })?;
    checks.push(Check::native(mode(&metrics)));
    say(
        begin,
        &format!(
            "attached to {GATEWAY_INTERFACE} ({})",
            mode(&metrics).unwrap_or_default()
        ),
    );
    let forwarder = Forwarder::start(&topology.gateway, options.port)?;
    say(
        begin,
        &format!(
            "dashboard and metrics while this runs: http://{}/",
            forwarder.address()
        ),
    );
    say(
        begin,
        &format!(
            "a shell beside the sensor: sudo ip netns exec {} bash",
            topology.gateway.name()
        ),
    );

    say(begin, &format!("learning from ordinary traffic for {learn}"));
    agent.wait_for("the sensor to detect", options.learn + TRAIN_LIMIT, |metrics| {
        metrics.value("sensor_phase", &[("phase", "detecting")]) == Some(1.0)
    })?;
    say(begin, "detecting");
    let mut journal = Journal::new(begin);
    let stop = Stop::default();
    let mut round = 0;
    loop {
        say(
            begin,
            &format!(
                "ordinary traffic for {}: no alarm may come",
                seconds(options.ordinary)
            ),
        );
        follow(&mut agent, &mut journal, options.ordinary, &stop)?;
        checks.push(Check::quiet(&journal.take_unexpected()));
        for attack in Attack::ALL {
            let check = strike(options, topology, &mut agent, &mut journal, attack, round)?;
            checks.push(check);
        }
        let over = options.limit.is_some_and(|limit| begin.elapsed() >= limit);
        journal.print();
        if options.once || over || stop.requested() {
            break;
        }
        round += 1;
    }
    print_figures(&agent.metrics()?);
    drop(forwarder);
    let status = agent.terminate(STOP_LIMIT)?;
    checks.push(Check::orderly_end(status));
    Ok(())
}

/// Plays one attack and waits for its incident; what else the journal says is noted but not held against the sensor
/// until the attack's incidents have calmed down.
fn strike(
    options: &Options,
    topology: &Topology,
    agent: &mut Agent<'_>,
    journal: &mut Journal,
    attack: Attack,
    round: u64,
) -> Result<Check> {
    let stop = Stop::default();
    let player = {
        let (stop, seed) = (stop.clone(), options.seed + round);
        topology.wan.spawn("attack", move || attack.play(seed, &stop))?
    };
    let start = Instant::now();
    say(journal.begin(), &format!("attack: {}", attack.behaviour()));
    let deadline = options.window * 2 + REPORT_LAG;
    let mut found = None;
    while found.is_none() && start.elapsed() < deadline && !stop.requested() {
        stop.sleep(POLL);
        journal.read(agent)?;
        found = journal
            .find(attack.behaviour(), &attack.party())
            .map(|seen| seen.duration_since(start));
    }
    let sent = player
        .join()
        .map_err(|_| anyhow::anyhow!("the attack panicked"))???;
    // Three windows without the attack: the next one is not to be mistaken for its continuation.
    follow(agent, journal, options.window * 3, &stop)?;
    let others = journal.take_unexpected();
    Ok(Check::attack(attack.behaviour(), found, deadline, sent, &others))
}

/// Reads the journal for `time`.
fn follow(agent: &mut Agent<'_>, journal: &mut Journal, time: Duration, stop: &Stop) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end && stop.sleep(POLL) {
        if let Some(status) = agent.ended()? {
            anyhow::bail!("the sensor ended by itself ({status})\n{}", agent.log());
        }
        journal.read(agent)?;
    }
    ensure!(!stop.requested(), "stopped by a signal");
    Ok(())
}

/// How the sensor is attached to the gateway's interface.
fn mode(metrics: &Metrics) -> Option<String> {
    metrics
        .samples()
        .iter()
        .filter(|sample| sample.name == "sensor_interface_attached" && sample.value > 0.0)
        .filter(|sample| {
            sample
                .labels
                .get("interface")
                .is_some_and(|name| name == GATEWAY_INTERFACE)
        })
        .filter_map(|sample| sample.labels.get("mode").cloned())
        // One line for ingress, one for egress (tcx, clsact): ingress is what the lab asks about.
        .min_by_key(|mode| {
            ["native", "generic"]
                .iter()
                .position(|known| known == mode)
                .unwrap_or(2)
        })
}

fn print_figures(metrics: &Metrics) {
    let of = |name: &str| metrics.sum(name, &[]);
    eprintln!(
        "\nreceived {} packets, sent {}, skipped {}, overflow {}; {} windows, {} rows scored; \
         resident {:.0} MiB, {:.1} CPU seconds",
        of("sensor_interface_receive_packets_total"),
        of("sensor_interface_transmit_packets_total"),
        of("sensor_packets_skipped_total"),
        of("sensor_packets_overflow_total"),
        of("sensor_windows_total"),
        of("sensor_rows_scored_total"),
        of("process_resident_memory_bytes") / f64::from(1 << 20),
        of("process_cpu_seconds_total"),
    );
}

fn names(topology: &Topology) -> String {
    [&topology.wan, &topology.gateway, &topology.lan]
        .map(sensor_tests::netns::Netns::name)
        .join(", ")
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

fn say(begin: Instant, text: &str) {
    eprintln!("[{:6.1} s] {text}", begin.elapsed().as_secs_f64());
}
