//! The whole road from flow records to alerts on synthetic traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod privacy;
mod reasons;
mod traffic;

use super::*;
use crate::alert::{Alert, Behaviour, State, address_text};
use traffic::{Network, WINDOW_NS, lan};

const LEARN_WINDOWS: u64 = 60;

fn settings(learn_windows: u64) -> EngineSettings {
    EngineSettings {
        window_ns: WINDOW_NS,
        learn_ns: learn_windows * WINDOW_NS,
        alarm_budget_per_day: 10.0,
        seed: 1,
        sensor: "box".to_owned(),
        keep_scores: false,
        incidents: IncidentSettings::default(),
        extractor: ExtractorSettings {
            max_hosts: 50_000,
            window_ns: WINDOW_NS,
            local_networks: Vec::new(),
        },
        detector: DetectorKind::Ensemble,
    }
}

/// A network with an engine on it, and everything it said.
struct Lab {
    network: Network,
    engine: Engine,
    wall_ns: i64,
    alerts: Vec<Alert>,
    outcomes: Vec<Outcome>,
    /// Most of the ordinary traffic stays away.
    lull: bool,
}

impl Lab {
    fn new(seed: u64, learn_windows: u64) -> Self {
        let engine = Engine::new(settings(learn_windows), None);
        let wall_ns = 1_700_000_000_000_000_000;
        Self {
            network: Network::new(seed),
            engine,
            wall_ns,
            alerts: Vec::new(),
            outcomes: Vec::new(),
            lull: false,
        }
    }

    /// Ordinary traffic, with something added.
    fn step(&mut self, add: impl FnOnce(&mut Network)) -> &Outcome {
        self.network.ordinary();
        add(&mut self.network);
        if self.lull {
            self.network.thin_out(10);
        }
        let window = self.network.close();
        assert_eq!(window.unaccounted_packets, 0);
        self.wall_ns += WINDOW_NS as i64;
        let outcome = self
            .engine
            .window(&window, self.wall_ns, &|slot| format!("eth{slot}"));
        self.alerts.extend(outcome.alerts.iter().cloned());
        self.outcomes.push(outcome);
        self.outcomes.last().unwrap()
    }

    fn train(&mut self) {
        let job = self.engine.take_training_job().expect("learning is over");
        assert_eq!(self.engine.phase(), Phase::Calibrating);
        let model = job.run(&mut |_| ()).unwrap();
        self.engine.install(Arc::new(model));
    }

    /// A lab that has learned from traffic in which every host is always busy.
    fn busy(seed: u64, learn_windows: u64) -> Self {
        let mut lab = Self::new(seed, learn_windows);
        for _ in 0..learn_windows {
            lab.step(Network::rush);
        }
        lab.train();
        lab
    }

    /// A lab that has learned from ordinary traffic.
    fn learned(seed: u64, learn_windows: u64) -> Self {
        let mut lab = Self::new(seed, learn_windows);
        for _ in 0..learn_windows {
            lab.step(|_| ());
        }
        lab.train();
        lab
    }

    fn behaviours(&self) -> Vec<(Behaviour, String)> {
        let opened = self.alerts.iter().filter(|alert| alert.state == State::Open);
        opened
            .map(|alert| (alert.behaviour, alert.actor.clone()))
            .collect()
    }
}

fn told(lab: &Lab) -> String {
    let line = |alert: &Alert| format!("{:?} {} p={}", alert.state, alert.summary, alert.p_value);
    lab.alerts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn ordinary_traffic_after_learning_raises_nothing_for_many_seeds() {
    for (seed, learn_windows) in [
        (1, 60),
        (2, 60),
        (3, 60),
        (4, 60),
        (5, 30),
        (6, 30),
        (7, 30),
        (8, 120),
    ] {
        let mut lab = Lab::learned(seed, learn_windows);
        for _ in 0..60 {
            lab.step(|_| ());
        }
        assert!(
            lab.alerts.is_empty(),
            "seed {seed}, {learn_windows} windows:\n{}",
            told(&lab)
        );
        assert!(
            lab.outcomes
                .last()
                .unwrap()
                .rows_scored
                .iter()
                .all(|rows| *rows > 0)
        );
    }
}

#[test]
fn a_router_that_keeps_the_network_going_raises_nothing() {
    for seed in [31, 32, 33] {
        let mut lab = Lab::busy(seed, 20);
        for window in 0..30 {
            lab.step(|network| {
                network.rush();
                network.housekeeping(window);
            });
        }
        assert!(lab.alerts.is_empty(), "seed {seed}:\n{}", told(&lab));
    }
}

#[test]
fn a_lull_raises_nothing() {
    for seed in [41, 42, 43] {
        let mut lab = Lab::busy(seed, 30);
        for window in 0..40 {
            // Now and then hardly anybody speaks, as when the machine is held up.
            lab.lull = window % 4 == 3;
            lab.step(Network::rush);
        }
        assert!(lab.alerts.is_empty(), "seed {seed}:\n{}", told(&lab));
    }
}

#[test]
fn scans_floods_and_guessing_are_named_within_two_windows() {
    type Attack = fn(&mut Network);
    let attacks: [(Attack, Behaviour, Option<[u8; 16]>); 5] = [
        (
            |n| n.vertical_scan(66, 10, 400),
            Behaviour::VerticalScan,
            Some(lan(66)),
        ),
        (
            |n| n.horizontal_scan(66, 120, 23),
            Behaviour::HorizontalScan,
            Some(lan(66)),
        ),
        (|n| n.syn_flood(10, 3000, false), Behaviour::SynFlood, None),
        (|n| n.syn_flood(10, 3000, true), Behaviour::SynFlood, None),
        (
            |n| n.brute_force(66, 11, 60),
            Behaviour::BruteForce,
            Some(lan(66)),
        ),
    ];
    let base = Lab::learned(11, LEARN_WINDOWS);
    let model = base.engine.model().unwrap().clone();
    for (attack, behaviour, actor) in attacks {
        let mut lab = Lab::new(11, LEARN_WINDOWS);
        for _ in 0..LEARN_WINDOWS {
            lab.step(|_| ());
        }
        lab.engine.install(model.clone());
        lab.step(|_| ());
        assert!(lab.alerts.is_empty(), "{}", told(&lab));
        for _ in 0..2 {
            lab.step(attack);
        }
        assert_eq!(
            lab.behaviours(),
            [(behaviour, actor.as_ref().map(address_text).unwrap_or_default())],
            "{}",
            told(&lab)
        );
        let alert = &lab.alerts[0];
        assert!(
            !alert.reasons.is_empty() && alert.packets > 100 && !alert.community_ids.is_empty(),
            "{alert:?}"
        );
        assert_eq!(alert.interface, "eth0");
        // Ordinary traffic afterwards opens nothing new.
        for _ in 0..30 {
            lab.step(|_| ());
        }
        assert_eq!(lab.behaviours().len(), 1, "{}", told(&lab));
    }
}

#[test]
fn a_spoofed_flood_is_one_incident_with_a_victim_and_no_actor() {
    let mut lab = Lab::learned(12, LEARN_WINDOWS);
    for _ in 0..3 {
        lab.step(|network| network.syn_flood(10, 20_000, false));
    }
    assert_eq!(
        lab.behaviours(),
        [(Behaviour::SynFlood, String::new())],
        "{}",
        told(&lab)
    );
    assert_eq!(lab.alerts[0].targets, ["10.0.0.10"]);
    let summary = &lab.alerts[0].summary;
    assert!(
        summary.starts_with("10.0.0.10 was sent") && summary.contains("sources (spoofed or distributed)"),
        "{summary}"
    );
    let outcome = lab.outcomes.last().unwrap();
    let (alarms, suppressed) = (
        outcome.alarms.iter().sum::<u64>(),
        outcome.suppressed.iter().sum::<u64>(),
    );
    assert_eq!(alarms, suppressed, "every alarm is part of the open incident");
    assert_eq!(outcome.incidents_open.iter().sum::<u64>(), 1);
}

#[test]
fn five_per_cent_of_learning_windows_with_a_scan_do_no_harm() {
    for seed in [21, 22] {
        let mut lab = Lab::new(seed, LEARN_WINDOWS);
        for window in 0..LEARN_WINDOWS {
            lab.step(|network| {
                if window % 20 == 7 {
                    network.vertical_scan(66, 10, 300);
                }
            });
        }
        lab.train();
        for _ in 0..30 {
            lab.step(|_| ());
        }
        assert!(lab.alerts.is_empty(), "seed {seed}:\n{}", told(&lab));
        for _ in 0..2 {
            lab.step(|network| network.vertical_scan(66, 10, 300));
        }
        assert_eq!(
            lab.behaviours(),
            [(Behaviour::VerticalScan, address_text(&lan(66)))],
            "{}",
            told(&lab)
        );
    }
}

#[test]
fn an_upload_far_beyond_the_usual_is_explained_by_its_bytes() {
    let mut lab = Lab::learned(13, LEARN_WINDOWS);
    for _ in 0..2 {
        lab.step(|network| network.upload(3, 4_000_000_000));
    }
    let alert = lab.alerts.first().expect("an alarm");
    assert_eq!(alert.actor, "10.0.0.3");
    let top: Vec<&str> = alert
        .reasons
        .iter()
        .take(3)
        .map(|reason| reason.feature.as_str())
        .collect();
    assert!(top.iter().any(|feature| feature.contains("bytes_out")), "{top:?}");
    let reason = alert
        .reasons
        .iter()
        .find(|reason| reason.feature.contains("bytes_out"))
        .unwrap();
    assert!(
        reason.observed > 1e9 && reason.expected <= reason.high && reason.high < 1e7,
        "{reason:?}"
    );
}

#[test]
fn a_replay_gives_identical_outcomes() {
    let run = || {
        let mut lab = Lab::learned(14, 40);
        lab.step(|network| network.vertical_scan(66, 10, 300));
        lab.step(|network| network.syn_flood(10, 2000, false));
        lab.step(|_| ());
        let json: Vec<String> = lab
            .alerts
            .iter()
            .map(|alert| serde_json::to_string(alert).unwrap())
            .collect();
        (json, lab.outcomes)
    };
    let (first, second) = (run(), run());
    assert!(!first.0.is_empty());
    assert_eq!(first.0, second.0);
    assert_eq!(first.1, second.1);
}

#[test]
fn phases_follow_each_other_and_rows_are_counted_in_each() {
    let mut lab = Lab::new(15, 30);
    assert_eq!(lab.engine.phase(), Phase::Learning);
    for window in 0..30 {
        assert!(lab.engine.take_training_job().is_none());
        assert!((lab.engine.learning_progress() - f64::from(window) / 30.0).abs() < 1e-9);
        let outcome = lab.step(|_| ());
        assert!(outcome.rows_unscored[Unscored::Learning as usize] > 0);
    }
    let job = lab.engine.take_training_job().unwrap();
    assert!(lab.engine.take_training_job().is_none());
    let outcome = lab.step(|network| network.vertical_scan(66, 10, 400));
    assert!(outcome.rows_unscored[Unscored::Calibrating as usize] > 400);
    let mut shares = Vec::new();
    let model = job.run(&mut |share| shares.push(share)).unwrap();
    assert!(shares.is_sorted() && (shares.last().unwrap() - 1.0).abs() < 1e-9);
    lab.engine.install(Arc::new(model));
    assert_eq!(lab.engine.phase(), Phase::Detecting);
    let outcome = lab.step(|_| ());
    assert_eq!(outcome.rows_unscored, [0; 4]);
    let scored: u64 = outcome.rows_scored.iter().sum();
    assert_eq!(outcome.errors.counts.iter().sum::<u64>(), scored);
    assert!(outcome.drift_ratio > 0.5 && outcome.drift_ratio < 1.5);
}

#[test]
fn too_little_traffic_is_said_and_learning_goes_on() {
    let mut engine = Engine::new(settings(30), None);
    let mut network = Network::new(1);
    for index in 0..30 {
        engine.window(&network.close(), index, &|_| String::new());
    }
    assert!(engine.take_training_job().is_none());
    assert_eq!(engine.phase(), Phase::Learning);
    let problem = engine.learning_problem().unwrap().to_string();
    assert!(
        problem.contains("flow rows") && problem.contains("--learn"),
        "{problem}"
    );
    assert!(engine.learning_progress() < 1.0);
    for index in 30..120 {
        network.ordinary();
        engine.window(&network.close(), index, &|_| String::new());
    }
    assert!(engine.take_training_job().is_some());
    assert!(engine.learning_problem().is_none());
}

#[test]
fn scores_are_kept_only_when_asked_for() {
    let mut lab = Lab::learned(16, 30);
    assert!(lab.step(|_| ()).scores.is_empty());
    lab.engine.settings.keep_scores = true;
    let outcome = lab.step(|network| network.vertical_scan(66, 10, 200));
    assert_eq!(outcome.scores.len() as u64, outcome.rows_scored[0]);
    assert!(outcome.scores.iter().filter(|row| row.alarm).count() > 150);
    assert!(
        outcome
            .scores
            .iter()
            .all(|row| row.p_value > 0.0 && row.p_value <= 1.0)
    );
}
