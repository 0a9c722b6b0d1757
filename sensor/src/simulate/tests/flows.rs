//! Conversations fit together, background is ordinary, and memory stays bounded however long a flood is.

use std::collections::{BTreeMap, BTreeSet};

use sensor_common::{
    flow::FlowKey,
    parse::{Frame, parse},
};

use super::{Setting, Shape, made, options};
use crate::simulate::{
    background, network,
    parameter::Values,
    random::Random,
    scenario::{self, Setup},
    stage::{SECOND, Stage},
};

/// Sequence and acknowledgement numbers of both directions of a connection.
#[derive(Default)]
struct Ends {
    /// Highest sequence number that each direction reached.
    reached: [Option<u32>; 2],
}

/// `a` comes after `b` in sequence space.
fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

#[test]
fn nothing_is_acknowledged_that_was_not_sent_and_no_byte_is_left_out() {
    let (frames, _) = made(&options("ordinary", 21));
    let mut connections = BTreeMap::<FlowKey, Ends>::new();
    let mut segments = 0;
    for frame in &frames {
        let parsed = frame.parsed();
        if parsed.key.proto != 6 {
            continue;
        }
        segments += 1;
        let tcp = 14 + if frame.data[12] == 8 { 20 } else { 40 };
        let field = |at: usize| u32::from_be_bytes(frame.data[tcp + at..tcp + at + 4].try_into().unwrap());
        let (seq, ack, flags) = (field(4), field(8), parsed.tcp_flags);
        let ends = connections.entry(parsed.key).or_default();
        let half = usize::from(parsed.half);
        if flags & 2 != 0 {
            ends.reached[half] = Some(seq.wrapping_add(1));
            continue;
        }
        if flags & 16 != 0
            && let Some(sent) = ends.reached[1 - half]
        {
            assert!(!after(ack, sent), "acknowledges what was not sent");
        }
        if let Some(reached) = ends.reached[half]
            && flags & 4 == 0
        {
            assert!(!after(seq, reached), "leaves out bytes");
            let end = seq
                .wrapping_add(parsed.payload_len)
                .wrapping_add(u32::from(flags & 1));
            if after(end, reached) {
                ends.reached[half] = Some(end);
            }
        }
    }
    assert!(segments > 10_000);
}

#[test]
fn the_background_has_what_a_small_network_has() {
    let (frames, _) = made(&options("ordinary", 22));
    let mut ports = BTreeSet::new();
    let (mut arp, mut v6, mut icmp) = (0, 0, 0);
    for frame in &frames {
        let key = frame.parsed().key;
        ports.extend(key.port);
        arp += usize::from(key.proto == 0);
        v6 += usize::from(key.network() == 6);
        icmp += usize::from(key.proto == 1);
    }
    for port in [22, 53, 80, 123, 443, 445, 1900, 5353, 8883, 32_100] {
        assert!(ports.contains(&port), "port {port}");
    }
    assert!(arp > 100 && v6 > 100 && icmp > 20, "{arp} {v6} {icmp}");
    assert!((15_000..120_000).contains(&frames.len()), "{}", frames.len());
}

#[test]
fn at_night_people_sleep_and_devices_do_not() {
    const HOUR: u64 = 3600 * SECOND;
    let mut random = Random::new(23);
    // From noon to two in the afternoon, and from midnight to two.
    let counts = [12, 24].map(|hour| {
        let mut stage = Stage::new(hour * HOUR, (hour + 2) * HOUR, &mut random);
        let cast = std::rc::Rc::new(network::build(&mut stage, &mut random));
        background::start(
            &mut stage,
            &cast,
            background::Rhythm { by_day: true },
            &mut random,
        );
        let (mut people, mut devices) = (0, 0);
        while let Some(frame) = stage.next_frame() {
            let parsed = parse(frame.data, &Frame::ethernet(frame.data.len() as u32)).unwrap();
            people += u32::from(parsed.key.port.contains(&443));
            devices += u32::from(parsed.key.port.contains(&8883));
        }
        (people, devices)
    });
    let [(day, busy), (night, quiet)] = counts;
    assert!(2 * night < day && 10 * quiet > 7 * busy, "{counts:?}");
}

#[test]
fn a_long_flood_needs_no_more_memory_than_a_short_one() {
    let mut random = Random::new(1);
    let mut stage = Stage::new(0, 60 * SECOND, &mut random);
    let cast = std::rc::Rc::new(network::build(&mut stage, &mut random));
    background::start(
        &mut stage,
        &cast,
        background::Rhythm { by_day: false },
        &mut random,
    );
    let scenario = scenario::find("syn-flood").unwrap();
    let settings = [Setting::parse("packets=400000").unwrap()];
    let factors = (Shape::default().intensity, Shape::default().stretch);
    let mut setup = Setup {
        stage: &mut stage,
        cast: &cast,
        random: Random::new(2),
        label: crate::simulate::host::Label(1),
        begin_ns: SECOND,
        length_ns: 50 * SECOND,
        values: Values::new(scenario.parameters, scenario.name, &settings, factors).unwrap(),
        patterns: &mut Vec::new(),
        withheld: &mut Vec::new(),
    };
    (scenario.start)(&mut setup);
    let (mut frames, mut most) = (0, 0);
    while stage.next_frame().is_some() {
        frames += 1;
        most = most.max(stage.waiting());
    }
    assert!(frames > 800_000, "{frames}");
    assert!(most < 5_000, "{most} frames and actors at once");
}
