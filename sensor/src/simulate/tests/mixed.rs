//! Mixing into a base: its frames stay as they are, its hosts play the parts, and what cannot be mixed is refused.

use sensor_common::parse::Start;

use super::{Read, Recorded, made, options, read_capture, read_labels};
use crate::{
    capture::{CapturedFrame, FrameSource},
    simulate::{Base, Options, Outcome, SimulateError, Survey, simulate},
};

fn base() -> Vec<Read> {
    made(&options("ordinary", 77)).0
}

fn mix(frames: &[Read], options: &Options) -> Result<(Vec<Read>, Outcome), SimulateError> {
    let source = |frames: &[Read]| Recorded {
        frames: frames.to_vec(),
        next: 0,
    };
    let survey = Survey::of(&mut source(frames), options.duration_ns)?;
    let (mut capture, mut labels) = (Vec::new(), Vec::new());
    let base = Base {
        survey,
        frames: &mut source(frames),
    };
    let outcome = simulate(options, Some(base), &mut capture, &mut labels, &mut |_, _| ())?;
    let mut frames = read_capture(&capture);
    read_labels(std::str::from_utf8(&labels).unwrap(), &mut frames);
    Ok((frames, outcome))
}

/// The frames of the base that are in a capture, in order; the rest.
fn apart(mixed: Vec<Read>, base: &[Read]) -> (usize, Vec<Read>) {
    let (mut found, mut rest) = (0, Vec::new());
    for frame in mixed {
        let same =
            |of: &Read| (of.time_ns, of.wire_len, &of.data) == (frame.time_ns, frame.wire_len, &frame.data);
        if base.get(found).is_some_and(same) && frame.label.is_empty() {
            found += 1;
        } else {
            rest.push(frame);
        }
    }
    (found, rest)
}

#[test]
fn frames_of_the_base_are_unchanged_and_in_order() {
    let base = base();
    for seed in 1..4 {
        let asked = options("udp-flood,ssh-brute-force,dns-tunnel,arp-storm", seed);
        let (mixed, outcome) = mix(&base, &asked).unwrap();
        assert!(mixed.is_sorted_by_key(|frame| frame.time_ns));
        let (found, rest) = apart(mixed, &base);
        assert_eq!(found, base.len());
        assert_eq!(outcome.base_frames, base.len() as u64);
        assert!(
            rest.iter().all(|frame| !frame.label.is_empty()),
            "all else is labelled"
        );
        assert_eq!(
            (outcome.withheld, outcome.frames),
            (0, (base.len() + rest.len()) as u64)
        );
    }
}

#[test]
fn hosts_of_the_base_play_the_parts() {
    let base = base();
    let (mixed, _) = mix(&base, &options("syn-flood", 1)).unwrap();
    let attack: Vec<Read> = mixed
        .into_iter()
        .filter(|frame| !frame.label.is_empty())
        .collect();
    // The server of the base, by its Ethernet and IPv4 addresses; the gateway of the base, by its Ethernet address.
    let server = base
        .iter()
        .find(|frame| frame.data[26..30] == [192, 168, 20, 10])
        .unwrap();
    let gateway = base
        .iter()
        .find(|frame| frame.data[28..32] == [192, 168, 20, 1] && frame.data[12..14] == [8, 6]);
    let (server, gateway) = (server.data[6..12].to_vec(), gateway.unwrap().data[6..12].to_vec());
    for frame in &attack {
        assert_eq!(frame.data[12..14], [8, 0]);
        let to_server = frame.data[30..34] == [192, 168, 20, 10];
        let (from, to) = if to_server {
            (&gateway, &server)
        } else {
            (&server, &gateway)
        };
        assert_eq!((&frame.data[6..12], &frame.data[..6]), (&from[..], &to[..]));
    }
}

#[test]
fn a_silent_host_of_the_base_says_nothing() {
    let base = base();
    let (mixed, outcome) = mix(&base, &options("silent-device", 1)).unwrap();
    let (begin, length) = outcome.runs[0].planned_ns;
    let begin = base[0].time_ns + begin;
    let kept: std::collections::HashSet<(u64, &[u8])> = mixed
        .iter()
        .map(|frame| (frame.time_ns, &frame.data[..]))
        .collect();
    let withheld: Vec<&Read> = base
        .iter()
        .filter(|frame| !kept.contains(&(frame.time_ns, &frame.data[..])))
        .collect();
    assert_eq!(withheld.len() as u64, outcome.withheld);
    assert!(!withheld.is_empty());
    let source = |frame: &Read| frame.data[6..12].to_vec();
    let silent = source(withheld[0]);
    assert!(withheld.iter().all(|frame| source(frame) == silent));
    let window = begin..begin + length;
    assert!(
        mixed
            .iter()
            .all(|frame| !window.contains(&frame.time_ns) || source(frame) != silent)
    );
}

#[test]
fn only_the_first_part_of_a_base_is_taken_when_asked_for() {
    let base = base();
    let asked = Options {
        duration_ns: Some(120_000_000_000),
        ..options("vertical-scan", 1)
    };
    let (mixed, outcome) = mix(&base, &asked).unwrap();
    let first = base[0].time_ns;
    assert!(mixed.iter().all(|frame| frame.time_ns <= first + 120_000_000_000));
    assert!(outcome.runs[0].frames > 1500);
}

#[test]
fn in_a_tagged_network_the_attack_is_tagged() {
    let mut base = base();
    for frame in &mut base {
        frame.data.splice(12..12, [0x81, 0, 0, 42]);
        frame.wire_len += 4;
    }
    let (mixed, _) = mix(&base, &options("icmp-flood", 1)).unwrap();
    let attack: Vec<&Read> = mixed.iter().filter(|frame| !frame.label.is_empty()).collect();
    assert!(attack.len() > 20_000);
    assert!(attack.iter().all(|frame| frame.data[12..16] == [0x81, 0, 0, 42]));
    assert!(attack.iter().all(|frame| frame.parsed().key.vlan[0] == 0x102a));
}

#[test]
fn every_scenario_finds_its_cast_in_a_small_base() {
    // Two hosts that ping each other, and no way out.
    let base: Vec<Read> = base()
        .into_iter()
        .filter(|frame| frame.data[12..14] == [8, 0] && frame.data[23] == 1)
        .collect();
    assert!(base.len() > 10);
    for scenario in crate::simulate::SCENARIOS {
        let (mixed, outcome) = mix(&base, &options(scenario.name, 3)).unwrap();
        assert_eq!(outcome.runs[0].frames == 0, scenario.benign, "{}", scenario.name);
        assert!(mixed.len() as u64 == outcome.frames);
    }
}

/// A capture of raw IP.
struct Raw;
impl FrameSource for Raw {
    fn next_frame(&mut self) -> Option<CapturedFrame<'_>> {
        Some(CapturedFrame {
            time_ns: 1,
            start: Start::Ip,
            data: &[],
            wire_len: 20,
            iface: 0,
            input: 0,
            number: 1,
        })
    }
}

#[test]
fn a_base_that_holds_nothing_or_is_not_ethernet_is_refused() {
    assert!(matches!(
        mix(&[], &options("syn-flood", 1)),
        Err(SimulateError::EmptyBase)
    ));
    let refused = Survey::of(&mut Raw, None);
    assert!(matches!(refused, Err(SimulateError::NotEthernet { frame: 1 })));
    // Frames of a switch only.
    let mut frames = base();
    frames.truncate(1);
    frames[0].data[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert!(matches!(
        mix(&frames, &options("syn-flood", 1)),
        Err(SimulateError::NoLocalHosts)
    ));
}
