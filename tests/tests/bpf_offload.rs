//! Segmentation offload: a transfer must count the same packets and bytes where the sender hands super-packets down and
//! where the receiver gets them, whatever the hook.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use common::Collected;
use nix::sys::socket::{setsockopt, sockopt};
use sensor::probe::{AttachMode, Drainer, Mode, Probe, ProbeSettings};
use sensor_common::flow::{ACK, Half, SYN};
use sensor_tests::{netns, netns::Netns, require};

const PORT: u16 = 5_201;
const TRANSFER_BYTES: usize = 20_000_000;

/// Two hosts on a veth pair with addresses, offloads as the kernel sets them.
fn hosts() -> (Netns, Netns) {
    let (left, right) = (
        Netns::create("sender").unwrap(),
        Netns::create("receiver").unwrap(),
    );
    for namespace in [&left, &right] {
        namespace.disable_ipv6().unwrap();
    }
    netns::connect((&left, "v0"), (&right, "v1")).unwrap();
    left.ip("addr add 192.0.2.1/24 dev v0").unwrap();
    right.ip("addr add 192.0.2.2/24 dev v1").unwrap();
    (left, right)
}

fn attached(namespace: &Netns, interface: &str, mode: AttachMode) -> (Probe, Drainer, Mode) {
    let settings = ProbeSettings {
        table_bytes: 4 << 20,
        mode,
        kernel_log: false,
        ..ProbeSettings::default()
    };
    let (mut probe, drainer) = Probe::load(&settings).unwrap();
    let attachment = namespace.run(|| probe.attach(interface)).unwrap().unwrap();
    (probe, drainer, attachment.ingress)
}

/// Sends [`TRANSFER_BYTES`] from left to right. A small receive buffer keeps what is under way below the length of every
/// queue, so that nothing is dropped between the two hooks.
fn transfer(left: &Netns, right: &Netns, segment_bytes: Option<u32>) {
    let listener = right
        .run(|| TcpListener::bind(("192.0.2.2", PORT)))
        .unwrap()
        .unwrap();
    setsockopt(&listener, sockopt::RcvBuf, &(64 << 10)).unwrap();
    if let Some(bytes) = segment_bytes {
        setsockopt(&listener, sockopt::TcpMaxSeg, &bytes).unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    read => total += read,
                }
            }
            assert_eq!(total, TRANSFER_BYTES);
        });
        let mut stream = left
            .run(|| TcpStream::connect(("192.0.2.2", PORT)))
            .unwrap()
            .unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let block = vec![0x5a; 1 << 16];
        let mut left_bytes = TRANSFER_BYTES;
        while left_bytes > 0 {
            let written = stream.write(&block[..left_bytes.min(block.len())]).unwrap();
            left_bytes -= written;
        }
        let _end = stream.shutdown(std::net::Shutdown::Write);
    });
    // The last acknowledgements.
    thread::sleep(Duration::from_millis(100));
}

/// What a hook counted of the transfer: sender's packets and receiver's packets. 192.0.2.1 is the lower address.
fn transfer_of(drainer: &mut Drainer) -> [Half; 2] {
    let drained = Collected::drain(drainer);
    drained.assert_balanced();
    let mut sums = [bytemuck::Zeroable::zeroed(); 2];
    for record in drained
        .records
        .iter()
        .filter(|record| record.key.port.contains(&PORT))
    {
        for (sum, half) in sums.iter_mut().zip(&record.half) {
            add(sum, half);
        }
    }
    sums
}

fn add(sum: &mut Half, half: &Half) {
    if half.packets == 0 {
        return;
    }
    sum.len_min = if sum.packets == 0 {
        half.len_min
    } else {
        sum.len_min.min(half.len_min)
    };
    sum.len_max = sum.len_max.max(half.len_max);
    sum.packets += half.packets;
    sum.bytes += half.bytes;
    sum.payload_bytes += half.payload_bytes;
    sum.len_sumsq += half.len_sumsq;
    for (sum, count) in sum.flag_counts.iter_mut().zip(half.flag_counts) {
        *sum += count;
    }
}

/// Counts one transfer at both ends.
fn both_ends(mode: AttachMode, expected: Mode, segment_bytes: Option<u32>) -> ([Half; 2], [Half; 2]) {
    let (left, right) = hosts();
    let (_sender, mut at_sender, _) = attached(&left, "v0", AttachMode::Tcx);
    let (_receiver, mut at_receiver, given) = attached(&right, "v1", mode);
    assert_eq!(given, expected);
    transfer(&left, &right, segment_bytes);
    (transfer_of(&mut at_sender), transfer_of(&mut at_receiver))
}

fn describe(name: &str, half: &Half) {
    println!(
        "{name}: {} packets, {} bytes, {} of payload, {} to {} bytes long",
        half.packets, half.bytes, half.payload_bytes, half.len_min, half.len_max
    );
}

#[track_caller]
fn assert_same(sent: &Half, received: &Half) {
    describe("egress", sent);
    describe("ingress", received);
    assert_eq!(sent.payload_bytes, received.payload_bytes, "payload");
    assert_eq!(sent.packets, received.packets, "packets");
    assert_eq!(sent.bytes, received.bytes, "bytes");
    assert_eq!(sent.len_sumsq, received.len_sumsq, "sum of squared lengths");
    assert_eq!(
        (sent.len_min, sent.len_max),
        (received.len_min, received.len_max),
        "lengths"
    );
    assert_eq!(sent.flag_counts[ACK], received.flag_counts[ACK], "ACK");
    assert_eq!((sent.flag_counts[SYN], received.flag_counts[SYN]), (1, 1));
}

/// All of it was sent (a segment now and then twice), in segments as long as the wire's.
#[track_caller]
fn assert_whole(sent: &Half, longest: u16) {
    assert!(sent.payload_bytes >= TRANSFER_BYTES as u64);
    assert_eq!(sent.len_max, longest);
    assert!(u64::from(sent.packets) >= TRANSFER_BYTES as u64 / 1_448);
}

/// A transfer in full segments is the same at both ends: what was sent, and the acknowledgements, which go out at the
/// receiver's egress.
#[track_caller]
fn assert_whole_transfer_is_the_same(mode: AttachMode, expected: Mode) {
    let (sender, receiver) = both_ends(mode, expected, None);
    assert_whole(&sender[0], 1_514);
    assert_same(&sender[0], &receiver[0]);
    assert_eq!(
        (sender[1].packets, sender[1].bytes),
        (receiver[1].packets, receiver[1].bytes)
    );
}

#[test]
fn native_xdp_counts_what_egress_counted() {
    if !require::bpf() || !require::netns() {
        return;
    }
    assert_whole_transfer_is_the_same(AttachMode::Native, Mode::Native);
}

#[test]
fn tc_ingress_counts_what_egress_counted() {
    if !require::bpf() || !require::netns() {
        return;
    }
    assert_whole_transfer_is_the_same(AttachMode::Tcx, Mode::Tcx);
}

#[test]
fn tc_ingress_counts_small_segments_exactly() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (sender, receiver) = both_ends(AttachMode::Tcx, Mode::Tcx, Some(900));
    assert!(sender[0].len_max < 1_000, "{:?}", sender[0]);
    assert_same(&sender[0], &receiver[0]);
}

#[test]
fn generic_xdp_counts_super_packets_of_full_segments_as_egress_does() {
    if !require::bpf() || !require::netns() {
        return;
    }
    assert_whole_transfer_is_the_same(AttachMode::Generic, Mode::Generic);
}

/// XDP does not say how long a segment is. With segments shorter than the MTU allows, generic XDP on merged frames
/// counts every byte of payload, but fewer packets and so fewer repeated headers; operators have TC for that.
#[test]
fn generic_xdp_counts_all_payload_of_small_segments_and_never_too_many_packets() {
    if !require::bpf() || !require::netns() {
        return;
    }
    let (sender, receiver) = both_ends(AttachMode::Generic, Mode::Generic, Some(900));
    describe("egress", &sender[0]);
    describe("generic ingress", &receiver[0]);
    assert_eq!(sender[0].payload_bytes, receiver[0].payload_bytes);
    assert!(receiver[0].packets <= sender[0].packets);
    assert!(receiver[0].bytes <= sender[0].bytes);
    let missing = u64::from(sender[0].packets - receiver[0].packets);
    // Timestamps make a TCP header of 32 bytes: 66 with Ethernet and IPv4.
    assert_eq!(
        sender[0].bytes - receiver[0].bytes,
        66 * missing,
        "exactly the headers of the packets not told apart"
    );
}
