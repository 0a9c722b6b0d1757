//! Nothing may be lost from the books: two CPUs at once, flips in the middle of traffic, full tables, real interfaces,
//! interfaces that go down and change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aya::programs::{TestRun as _, TestRunOptions};
use common::{Collected, hooks::quiet_pair, pin, traffic};
use sensor::probe::{AttachMode, Drainer, Mode, Probe, ProbeSettings};
use sensor_common::flow::FlowRecord;
use sensor_tests::{netns::Netns, packet_socket::PacketSocket, require};

/// Frames in the receive ring of a veth device (`VETH_RING_SIZE`).
const VETH_RING: u64 = 256;
/// How often an interface changes while frames arrive.
const CHANGES: u64 = 4;

fn settings(table_bytes: u64) -> ProbeSettings {
    ProbeSettings {
        table_bytes,
        kernel_log: false,
        ..ProbeSettings::default()
    }
}

/// Sums of many drains, each of which was balanced by itself.
#[derive(Debug, Default)]
struct Sum {
    drains: u64,
    seen: u64,
    flows: u64,
    overflow: u64,
    skipped: u64,
    evicted: u64,
}

impl Sum {
    #[track_caller]
    fn add(&mut self, drained: &Collected) {
        drained.assert_balanced();
        self.drains += 1;
        self.seen += drained.books.seen_packets;
        self.flows += drained.flow_packets();
        self.overflow += drained.books.overflow_packets;
        self.skipped += drained.books.skipped_packets();
        self.evicted += drained.books.evicted_flows;
    }
}

/// Sets its flag when it goes, whatever happens.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Drains without pause while `work` runs, then both halves once more.
fn drain_during<T>(
    drainer: &mut Drainer,
    mut each: impl FnMut(Collected) + Send,
    work: impl FnOnce() -> T,
) -> T {
    let done = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                each(Collected::drain(drainer));
            }
        });
        let _ends = Ends(&done);
        work()
    });
    each(Collected::drain(drainer));
    each(Collected::drain(drainer));
    result
}

/// Both CPUs send each of `frames`, `repeat` times, while a third thread drains; returns the sums and the packets sent.
fn hammer(probe: &Probe, drainer: &mut Drainer, frames: &[Vec<u8>], repeat: u32) -> (Sum, u64) {
    let program = probe.xdp("sensor_xdp").unwrap();
    let cpus = thread::available_parallelism().unwrap().get();
    let mut sum = Sum::default();
    drain_during(
        drainer,
        |drained| sum.add(&drained),
        || {
            thread::scope(|scope| {
                for worker in 0..2 {
                    scope.spawn(move || {
                        pin(worker % cpus);
                        for frame in frames {
                            let options = TestRunOptions {
                                data_in: Some(frame),
                                repeat,
                                ..TestRunOptions::new()
                            };
                            program.test_run(options).unwrap();
                        }
                    });
                }
            });
        },
    );
    println!("{sum:?}");
    (sum, 2 * frames.len() as u64 * u64::from(repeat))
}

#[test]
fn two_cpus_on_one_flow_lose_nothing_while_the_tables_flip() {
    if !require::bpf() {
        return;
    }
    let (probe, mut drainer) = Probe::load(&settings(4 << 20)).unwrap();
    let frames = vec![traffic::udp(1, 40_000); 60];
    let (sum, sent) = hammer(&probe, &mut drainer, &frames, 50_000);
    assert_eq!(
        (sum.seen, sum.flows, sum.overflow, sum.skipped),
        (sent, sent, 0, 0),
        "{sum:?}"
    );
    // Two of them come after the traffic; how many fit beside it depends on the machine.
    assert!(sum.drains > 4, "{sum:?}");
}

#[test]
fn two_cpus_with_changing_flows_lose_nothing_while_full_tables_flip() {
    if !require::bpf() {
        return;
    }
    // 16 slots a CPU: full at once after each flip.
    let (probe, mut drainer) = Probe::load(&settings(16 << 10)).unwrap();
    // Once each: for repeated runs the kernel patches its XDP dispatcher every time, which takes milliseconds.
    let frames: Vec<_> = (0..500_000).map(|client| traffic::udp(client, 40_000)).collect();
    let (sum, sent) = hammer(&probe, &mut drainer, &frames, 1);
    assert_eq!(
        (sum.seen, sum.flows + sum.overflow, sum.skipped),
        (sent, sent, 0),
        "{sum:?}"
    );
    assert!(sum.drains > 4 && sum.evicted > 1_000, "{sum:?}");
}

#[test]
fn a_million_new_flows_on_a_full_table_balance() {
    if !require::bpf() {
        return;
    }
    pin(0);
    let (probe, mut drainer) = Probe::load(&settings(256 << 10)).unwrap();
    let program = probe.xdp("sensor_xdp").unwrap();
    for client in 0..1_000_000u32 {
        let frame = traffic::udp(client, (client >> 16) as u16);
        let options = TestRunOptions {
            data_in: Some(&frame),
            ..TestRunOptions::new()
        };
        program.test_run(options).unwrap();
    }
    let occupancy = drainer.occupancy();
    let mut sum = Sum::default();
    let drained = Collected::drain(&mut drainer);
    sum.add(&drained);
    assert!(occupancy > 0.99, "{occupancy}");
    assert_eq!(sum.seen, 1_000_000);
    assert!(sum.overflow > 990_000 && sum.evicted > 0, "{sum:?}");
    assert_eq!(drained.books.used_slots, drained.records.len() as u64);
    assert_eq!(
        drained.books.started_flows,
        drained.books.used_slots + drained.books.evicted_flows
    );
}

/// Packets and bytes of the test's own frames in records, by half 0 (left to right).
fn ours(records: &[FlowRecord]) -> (u64, u64) {
    let own = records.iter().filter(|record| traffic::is_ours(&record.key));
    own.flat_map(|record| record.half)
        .fold((0, 0), |(packets, bytes), half| {
            (packets + u64::from(half.packets), bytes + half.bytes)
        })
}

/// Sends `count` frames of 64 flows on an interface of `namespace` from each of two CPUs; returns frames and bytes that
/// the kernel took.
fn send_from_both_cpus(namespace: &Netns, interface: &str, count: u32) -> (u64, u64) {
    let cpus = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2u32)
            .map(|worker| {
                scope.spawn(move || {
                    namespace
                        .run(move || {
                            pin(worker as usize % cpus);
                            send_paced(&PacketSocket::open(interface).unwrap(), worker << 16, count)
                        })
                        .unwrap()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    })
}

/// Short bursts with pauses: the ring of a veth holds 256 frames.
fn send_paced(socket: &PacketSocket, client: u32, count: u32) -> (u64, u64) {
    let (mut frames, mut bytes) = (0, 0);
    for number in 0..count {
        let frame = traffic::udp(client + number % 64, 40_000);
        if socket.send(&frame).is_ok() {
            frames += 1;
            bytes += frame.len() as u64;
        }
        if number % 64 == 63 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    (frames, bytes)
}

#[test]
fn every_frame_of_a_native_interface_is_counted_while_the_tables_flip() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (left, right) = quiet_pair();
    let (mut probe, mut drainer) = Probe::load(&ProbeSettings {
        mode: AttachMode::Native,
        egress: false,
        ..settings(4 << 20)
    })
    .unwrap();
    let attachment = right.run(|| probe.attach("v1")).unwrap().unwrap();
    assert_eq!(attachment.ingress, Mode::Native, "{attachment:?}");
    let (before, left_before) = (right.counters("v1").unwrap(), left.counters("v0").unwrap());
    let (mut sum, mut own) = (Sum::default(), (0, 0));
    let count = |drained: Collected| {
        sum.add(&drained);
        let (packets, bytes) = ours(&drained.records);
        own = (own.0 + packets, own.1 + bytes);
    };
    let (sent, bytes) = drain_during(&mut drainer, count, || {
        let sent = send_from_both_cpus(&left, "v0", 100_000);
        thread::sleep(Duration::from_millis(50));
        sent
    });
    let after = right.counters("v1").unwrap();
    // On a machine that is busy with other things the veth's ring of 256 frames may run full; it counts what it drops.
    let dropped = left.counters("v0").unwrap().transmit_dropped - left_before.transmit_dropped;
    assert_eq!(sent, 200_000);
    assert!(dropped < sent / 20, "{dropped} frames never left");
    assert_eq!(own.0, sent - dropped, "{sum:?}");
    if dropped == 0 {
        assert_eq!(own.1, bytes, "{sum:?}");
    }
    assert_eq!(
        after.receive_packets - before.receive_packets,
        sum.seen,
        "the interface's own counter"
    );
    let counters = probe.interface_counters()[0].1;
    assert_eq!((counters.receive_packets, counters.receive_bytes), own);
    println!("{sum:?}");
}

#[test]
fn egress_and_ingress_are_both_counted() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (left, right) = quiet_pair();
    let (mut probe, mut drainer) = Probe::load(&settings(4 << 20)).unwrap();
    let attachment = right.run(|| probe.attach("v1")).unwrap().unwrap();
    assert_eq!(attachment.egress, Some(Mode::Tcx));
    let there = left
        .run(|| send_paced(&PacketSocket::open("v0").unwrap(), 1 << 20, 5_000))
        .unwrap();
    let back = right
        .run(|| send_paced(&PacketSocket::open("v1").unwrap(), 2 << 20, 3_000))
        .unwrap();
    thread::sleep(Duration::from_millis(50));
    let drained = Collected::drain(&mut drainer);
    drained.assert_balanced();
    assert_eq!(ours(&drained.records), (there.0 + back.0, there.1 + back.1));
    let counters = probe.interface_counters()[0].1;
    let link = right.counters("v1").unwrap();
    assert_eq!((counters.receive_packets, counters.receive_bytes), there);
    assert_eq!((counters.transmit_packets, counters.transmit_bytes), back);
    assert_eq!((link.receive_packets, link.transmit_packets), (there.0, back.0));
}

/// Frames that an interface received by its own counter and that the tables saw, while `change` works on it.
fn received_and_seen(mode: AttachMode, change: impl Fn(&Netns)) -> (u64, u64) {
    let (left, right) = quiet_pair();
    let (mut probe, mut drainer) = Probe::load(&ProbeSettings {
        mode,
        egress: false,
        ..settings(4 << 20)
    })
    .unwrap();
    right.run(|| probe.attach("v1")).unwrap().unwrap();
    let before = right.counters("v1").unwrap();
    let mut sum = Sum::default();
    let (sent, _) = drain_during(
        &mut drainer,
        |drained| sum.add(&drained),
        || {
            thread::scope(|scope| {
                let sending = scope.spawn(|| send_from_both_cpus(&left, "v0", 60_000));
                for _ in 0..CHANGES {
                    thread::sleep(Duration::from_millis(60));
                    change(&right);
                }
                let sent = sending.join().unwrap();
                thread::sleep(Duration::from_millis(50));
                sent
            })
        },
    );
    let after = right.counters("v1").unwrap();
    let received = after.receive_packets - before.receive_packets;
    println!("{mode:?}: sent {sent}, received {received}, {sum:?}");
    assert!(received > 1_000 && received <= sent);
    (received, sum.seen)
}

#[test]
fn an_interface_whose_mtu_changes_is_counted_as_it_counts_itself() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (received, seen) = received_and_seen(AttachMode::Native, |right| {
        right.ip("link set v1 mtu 1400").unwrap();
        right.ip("link set v1 mtu 1500").unwrap();
    });
    assert_eq!(seen, received);
}

fn down_and_up(right: &Netns) {
    right.ip("link set v1 down").unwrap();
    thread::sleep(Duration::from_millis(20));
    right.ip("link set v1 up").unwrap();
}

#[test]
fn an_interface_that_goes_down_and_up_is_counted_as_it_counts_itself_at_tc() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (received, seen) = received_and_seen(AttachMode::Tcx, down_and_up);
    assert_eq!(seen, received);
}

/// When a veth device goes down, its driver takes the XDP program off the receive queue before it stops the queue
/// (`veth_disable_xdp`): what is in the ring at that instant passes without XDP. No program can see it.
#[test]
fn an_interface_that_goes_down_and_up_loses_at_most_its_ring_to_native_xdp() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (received, seen) = received_and_seen(AttachMode::Native, down_and_up);
    assert!(
        seen <= received && received - seen <= CHANGES * VETH_RING,
        "{received} received, {seen} seen"
    );
}
