//! Loading: only what interfaces need, because the verifier's work is most of the time to start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::hooks::{attach, count_through, foreign_xdp, quiet_pair};
use sensor::probe::{AttachMode, Drainer, Mode, Probe, ProbeSettings};
use sensor_tests::{netns, require};

fn load(mode: AttachMode, egress: bool) -> (Probe, Drainer) {
    let settings = ProbeSettings {
        table_bytes: 4 << 20,
        mode,
        egress,
        kernel_log: false,
        ..ProbeSettings::default()
    };
    Probe::load(&settings).unwrap()
}

fn loaded(probe: &Probe) -> Vec<String> {
    probe
        .program_stats()
        .into_iter()
        .map(|stats| stats.name)
        .collect()
}

#[test]
fn at_start_only_the_programs_of_the_first_choice_are_loaded() {
    if !require::bpf() {
        return;
    }
    for (mode, egress, expected) in [
        (AttachMode::Auto, true, &["sensor_xdp", "sensor_egress"][..]),
        (AttachMode::Native, false, &["sensor_xdp"]),
        (AttachMode::Generic, false, &["sensor_xdp"]),
        (AttachMode::Tcx, true, &["sensor_egress", "sensor_ingress"]),
    ] {
        let (probe, _drainer) = load(mode, egress);
        assert_eq!(loaded(&probe), expected, "{mode:?}");
    }
}

#[test]
fn a_program_that_an_interface_needs_later_is_loaded_then_and_counts() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (left, right) = quiet_pair();
    let (_foreigner, _id) = foreign_xdp(&right, "v1");
    let (mut probe, mut drainer) = load(AttachMode::Auto, true);
    let attachment = attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(attachment.ingress, Mode::Tcx);
    assert_eq!(loaded(&probe), ["sensor_xdp", "sensor_egress", "sensor_ingress"]);
    assert_eq!(count_through(&left, "v0", &mut drainer, 50), 50);
    // A second interface uses what is there.
    netns::connect((&left, "w0"), (&right, "w1")).unwrap();
    let free = attach(&right, &mut probe, "w1").unwrap();
    assert_eq!(free.ingress, Mode::Native);
    assert_eq!(loaded(&probe).len(), 3);
}
