//! Flow rows by hand.

use super::*;
use crate::features::{FlowColumn as C, extract::LEARNING_WINDOWS, familiar::familiarity};

const A: ([u8; 16], u16) = ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9], 40_000);
const B: ([u8; 16], u16) = ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2], 443);

/// Ticks of 1,024 ns in a millisecond, back in milliseconds.
const MS: f64 = 976.0 * 1024.0 / 1e6;

#[test]
fn volume_of_three_packets_out_and_one_back() {
    let rows = one_window(&[record(17, A, B, 100, [3, 1])]);
    for (column, expected) in [
        (C::PacketsOut, 3.0),
        (C::PacketsIn, 1.0),
        (C::BytesOut, 300.0),
        (C::BytesIn, 200.0),
        (C::PayloadShare, 300.0 / 500.0),
        (C::PacketAsymmetry, 0.5),
        (C::ByteAsymmetry, 0.2),
        (C::LenMeanOut, 100.0),
        (C::LenMeanIn, 200.0),
        (C::LenStdOut, 0.0),
        (C::LenMax, 200.0),
        (C::IsUdp, 1.0),
        (C::IsTcp, 0.0),
        (C::IsSystemService, 1.0),
        (C::Answered, 1.0),
    ] {
        near(flow_value(&rows, 0, column), expected);
    }
    for absent in [
        C::SynPackets,
        C::Handshake,
        C::SilenceBefore,
        C::ContactRegularity,
        C::PeerFamiliarity,
    ] {
        assert!(flow_value(&rows, 0, absent).is_nan(), "{absent:?}");
    }
    let key = rows.flow.keys[0];
    assert_eq!((key.initiator, key.initiator_port), A);
    assert_eq!((key.responder, key.service_port), B);
    assert_eq!((key.packets, key.bytes, key.family.label()), (4, 500, "udp"));
}

#[test]
fn lengths_spread_by_their_population_deviation_and_are_absent_without_packets() {
    let mut record = record(17, A, B, 100, [2, 0]);
    let half = &mut record.half[usize::from(record.first_half)];
    // 60 and 140 bytes.
    (half.bytes, half.len_sumsq, half.len_min, half.len_max) = (200, 3600 + 19_600, 60, 140);
    let rows = one_window(&[record]);
    near(flow_value(&rows, 0, C::LenStdOut), 40.0);
    near(flow_value(&rows, 0, C::LenMax), 140.0);
    assert!(flow_value(&rows, 0, C::LenMeanIn).is_nan() && flow_value(&rows, 0, C::LenStdIn).is_nan());
}

#[test]
fn timing_of_evenly_spaced_packets() {
    let rows = one_window(&[record(17, A, B, 0, [3, 1])]);
    near(flow_value(&rows, 0, C::Duration), 3.0 * MS / 1e3);
    near(flow_value(&rows, 0, C::PacketRate), 3.0 / (3.0 * MS / 1e3));
    for column in [C::IatMean, C::IatMin, C::IatMax] {
        near(flow_value(&rows, 0, column), MS);
    }
    near(flow_value(&rows, 0, C::IatCv), 0.0);
    let single = one_window(&[record(17, A, B, 0, [1, 0])]);
    assert!(flow_value(&single, 0, C::PacketRate).is_nan() && flow_value(&single, 0, C::IatMean).is_nan());
}

#[test]
fn an_older_flow_knows_its_silence() {
    let mut bench = Bench::new(100);
    bench.window(&[record(17, A, B, 0, [1, 1])]);
    let rows = bench.window(&[record(17, A, B, 2 * SECOND, [1, 0])]);
    near(flow_value(&rows, 0, C::SilenceBefore), 12.0 - MS / 1e3);
    near(flow_value(&rows, 0, C::Answered), 1.0);
    near(flow_value(&rows, 0, C::InitiatorFlowsOpened), 0.0);
    near(flow_value(&rows, 0, C::IatMax), 12e3 - MS);
}

#[test]
fn tcp_flags_and_handshake() {
    let rows = one_window(&[attempt(A, B, 0, Answer::SynAck)]);
    for (column, expected) in [
        (C::SynPackets, 2.0),
        (C::FinPackets, 0.0),
        (C::AckShare, 0.5),
        (C::Handshake, 1953.0 * 1024.0 / 1e6),
        (C::HandshakeMissing, 0.0),
    ] {
        near(flow_value(&rows, 0, column), expected);
    }
    assert_eq!(rows.flow.keys[0].family.label(), "tcp_service");
    let refused = one_window(&[attempt(A, B, 0, Answer::Reset)]);
    near(flow_value(&refused, 0, C::RstPackets), 1.0);
    near(flow_value(&refused, 0, C::HandshakeMissing), 1.0);
    near(flow_value(&refused, 0, C::InitiatorResets), 1.0);
    near(flow_value(&refused, 0, C::InitiatorUnansweredShare), 0.0);
}

#[test]
fn an_attempt_just_before_the_window_ends_is_not_judged() {
    let early = one_window(&[attempt(A, B, 9 * SECOND, Answer::Nothing)]);
    near(flow_value(&early, 0, C::HandshakeMissing), 1.0);
    near(flow_value(&early, 0, C::Answered), 0.0);
    near(flow_value(&early, 0, C::InitiatorUnansweredShare), 1.0);
    near(flow_value(&early, 0, C::ResponderUnansweredShare), 1.0);
    let late = one_window(&[attempt(A, B, 9 * SECOND + 1, Answer::Nothing)]);
    for absent in [
        C::HandshakeMissing,
        C::Answered,
        C::InitiatorUnansweredShare,
        C::ResponderUnansweredShare,
    ] {
        assert!(flow_value(&late, 0, absent).is_nan(), "{absent:?}");
    }
    assert_eq!(host(&late, A.0).1.unanswered, 0);
}

#[test]
fn fragments_count_as_a_share_of_the_packets() {
    let mut record = record(17, A, B, 0, [2, 2]);
    record.half[usize::from(record.first_half)].fragments = 1;
    let rows = one_window(&[record]);
    near(flow_value(&rows, 0, C::FragmentShare), 0.25);
}

#[test]
fn attempts_on_one_service_add_up_and_stand_against_the_hour_before() {
    let mut bench = Bench::new(100);
    for earlier in 0..60 {
        let rows = bench.window(&[attempt((A.0, 40_000 + earlier), B, 0, Answer::SynAck)]);
        // A mean over ten minutes says nothing in the first ones; what is usual over an hour is told after five.
        assert!(flow_value(&rows, 0, C::TargetAttempts10m).is_nan());
        let surge = flow_value(&rows, 0, C::InitiatorSurge);
        assert_eq!(surge.is_nan(), earlier < 30, "window {earlier}: {surge}");
    }
    let attempts: Vec<_> = (0..8)
        .map(|n| attempt((A.0, 41_000 + n), B, 0, Answer::SynAck))
        .collect();
    let rows = bench.window(&attempts);
    for row in 0..8 {
        near(flow_value(&rows, row, C::TargetAttempts), 8.0);
        // One flow in each window before: eight against one, each plus one.
        near(flow_value(&rows, row, C::InitiatorSurge), 4.5);
    }
    // A share of 1 - exp(-1/60) for each window.
    let gain = 1.0 - (-1.0f64 / 60.0).exp();
    let before: f64 = (1..=60).map(|age| gain * (1.0 - gain).powi(age)).sum();
    near(flow_value(&rows, 0, C::TargetAttempts10m), before + gain * 8.0);
}

#[test]
fn context_counts_what_both_ends_did() {
    // A opens 3 flows to 2 hosts on 2 ports, two unanswered; another host contacts B as well.
    let other = (local(0, 3), 80);
    let records = [
        attempt(A, B, 0, Answer::SynAck),
        attempt((A.0, 40_001), other, 0, Answer::Nothing),
        attempt((A.0, 40_002), (other.0, 443), 0, Answer::Nothing),
        record(17, (local(0, 4), 50_000), B, 0, [1, 1]),
    ];
    let rows = one_window(&records);
    let row = rows
        .flow
        .keys
        .iter()
        .position(|key| (key.initiator, key.responder) == (A.0, B.0))
        .unwrap();
    for (column, expected) in [
        (C::InitiatorFlowsOpened, 3.0),
        (C::InitiatorPeers, 2.0),
        (C::InitiatorServices, 2.0),
        (C::InitiatorUnansweredShare, 2.0 / 3.0),
        (C::InitiatorResets, 0.0),
        (C::InitiatorBytesOut, 300.0),
        (C::ResponderSources, 2.0),
        (C::ResponderFlowsAccepted, 2.0),
        // TCP 443 and UDP 443.
        (C::ResponderServices, 2.0),
        (C::ResponderUnansweredShare, 0.0),
    ] {
        near(flow_value(&rows, row, column), expected);
    }
}

#[test]
fn peers_and_services_become_familiar_after_the_learning_windows() {
    let mut bench = Bench::new(100);
    let mut from = A;
    for _ in 0..LEARNING_WINDOWS {
        from.1 += 1;
        let rows = bench.window(&[record(17, from, B, 0, [1, 1])]);
        assert!(flow_value(&rows, 0, C::PeerFamiliarity).is_nan());
    }
    let stranger = (local(0, 77), 443);
    let rows = bench.window(&[record(17, A, B, 0, [1, 1]), record(17, A, stranger, 0, [1, 1])]);
    let known = f64::from(familiarity(LEARNING_WINDOWS as f32));
    for column in [C::ServiceFamiliarity, C::PeerFamiliarity] {
        // A minute of forgetting are within the tolerance.
        assert!((f64::from(flow_value(&rows, 0, column)) - known).abs() < 1e-3);
    }
    near(flow_value(&rows, 1, C::PeerFamiliarity), 0.0);
    assert_eq!(host(&rows, A.0).1.new_peers, 1);
    assert_eq!(host(&rows, A.0).1.new_services, 0);
}

#[test]
fn families_follow_protocol_and_target() {
    let group = ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 224, 0, 0, 251], 5353);
    let family = |record: FlowRecord| one_window(&[record]).flow.keys[0].family.label();
    assert_eq!(family(record(17, A, (B.0, 53), 0, [1, 1])), "dns");
    assert_eq!(family(record(17, A, group, 0, [1, 0])), "multicast");
    assert_eq!(family(record(1, (A.0, 8), (B.0, 0), 0, [1, 1])), "icmp");
    assert_eq!(family(record(132, A, B, 0, [1, 1])), "other");
    assert_eq!(family(arp_request(A.0, B.0, 0, 1)), "arp");
}

#[test]
fn a_service_is_known_as_an_offer_once_a_local_host_answered_on_it() {
    let mut bench = Bench::new(100);
    let outsider = (remote(0, 9), 40_000);
    let (known, tried) = ((local(0, 2), 443), (local(0, 2), 22));
    for earlier in 0..16 {
        let rows = bench.window(&[
            attempt((A.0, 40_000 + earlier), known, 0, Answer::SynAck),
            attempt((A.0, 41_000 + earlier), tried, 0, Answer::Nothing),
        ]);
        // Nothing is new before the history has begun.
        assert_eq!(flow_value(&rows, 0, C::OfferFamiliarity).is_nan(), earlier < 6);
        near(flow_value(&rows, 0, C::FromOutside), 0.0);
        near(flow_value(&rows, 0, C::ToOutside), 0.0);
    }
    let rows = bench.window(&[
        attempt(outsider, known, 0, Answer::SynAck),
        attempt(outsider, tried, 0, Answer::SynAck),
        attempt((A.0, 42_000), (outsider.0, 443), 0, Answer::SynAck),
    ]);
    let row = |initiator: [u8; 16], port: u16| {
        let keys = &rows.flow.keys;
        let at = keys
            .iter()
            .position(|key| key.initiator == initiator && key.service_port == port);
        at.unwrap()
    };
    let (to_known, to_tried, out) = (row(outsider.0, 443), row(outsider.0, 22), row(A.0, 443));
    // Answered in 16 windows, whoever asked; never on the other port, however often it was tried.
    let known = f64::from(flow_value(&rows, to_known, C::OfferFamiliarity));
    let expected = 1.0 - (-16.0f64 / 8.0).exp();
    // A little less, because what is known fades with a half-life of a day.
    assert!(known < expected && known > expected - 1e-3, "{known}");
    near(flow_value(&rows, to_tried, C::OfferFamiliarity), 0.0);
    // Of hosts outside nobody knows what they offer.
    assert!(flow_value(&rows, out, C::OfferFamiliarity).is_nan());
    near(flow_value(&rows, to_known, C::FromOutside), 1.0);
    near(flow_value(&rows, out, C::ToOutside), 1.0);
    near(flow_value(&rows, out, C::FromOutside), 0.0);
}

#[test]
fn uploads_and_unanswered_attempts_stand_against_what_the_host_did_before() {
    let mut bench = Bench::new(100);
    for earlier in 0..90 {
        let rows = bench.window(&[
            record(17, (A.0, 40_000 + earlier), (B.0, 123), 0, [2, 2]),
            attempt((A.0, 41_000 + earlier), (B.0, 8080), 0, Answer::Nothing),
        ]);
        assert_eq!(flow_value(&rows, 0, C::UploadSurge).is_nan(), earlier < 30);
        assert_eq!(flow_value(&rows, 0, C::TargetBytesOut10m).is_nan(), earlier < 60);
    }
    let quiet = bench.window(&[record(17, (A.0, 50_000), (B.0, 123), 0, [2, 2])]);
    let bytes = f64::from(flow_value(&quiet, 0, C::BytesOut));
    let loud = bench.window(&[record(17, (A.0, 50_001), (B.0, 123), 0, [200, 2])]);
    let surge = flow_value(&loud, 0, C::UploadSurge);
    assert!(surge > 30.0 && surge < 120.0, "{surge}");
    let unanswered = flow_value(&quiet, 0, C::InitiatorUnanswered10m);
    assert!(unanswered > 0.9 && unanswered <= 1.0, "{unanswered}");
    // To this service alone: a minute weighs a tenth of ten.
    let sent = f64::from(flow_value(&loud, 0, C::TargetBytesOut10m));
    assert!(sent > bytes && sent < 5.0 * bytes, "{sent} of {bytes}");
}
