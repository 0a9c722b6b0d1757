//! What the ingress hooks cost beside each other, for docs/adr/0005-ingress-hooks.md: generic XDP and TC run the same
//! counting, but the kernel does different things to a packet before each. Prints, and asserts only that all was counted.
//!
//! `cargo test --release -p sensor-tests --test bpf_hook_cost -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use common::{Collected, hooks::attach, hooks::quiet_pair, pin, traffic, tun::Tun};
use sensor::probe::{AttachMode, Drainer, Probe, ProbeSettings};
use sensor_tests::{netns::Netns, packet_socket::PacketSocket, require};

const ROUNDS: usize = 15;
const FRAMES: u32 = 20_000;
const TRANSFER_BYTES: usize = 100_000_000;
const CASES: [(&str, Option<AttachMode>); 3] = [
    ("nothing", None),
    ("generic XDP", Some(AttachMode::Generic)),
    ("TCX", Some(AttachMode::Tcx)),
];

/// CPU time of this process in nanoseconds: softirqs run in the context of who caused them.
fn cpu_ns() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid struct that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn load(mode: AttachMode) -> (Probe, Drainer) {
    let settings = ProbeSettings {
        table_bytes: 4 << 20,
        mode,
        egress: false,
        kernel_log: false,
        ..ProbeSettings::default()
    };
    Probe::load(&settings).unwrap()
}

/// Runs `work` in turn with nothing attached, generic XDP and TCX; prints medians and leasts for each of `units`.
fn compare(title: &str, namespace: &Netns, interface: &str, units: f64, mut work: impl FnMut()) {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, mode), times) in CASES.iter().zip(&mut times) {
            let mut loaded = mode.map(load);
            if let Some((probe, _)) = &mut loaded {
                attach(namespace, probe, interface).unwrap();
            }
            let began = cpu_ns();
            work();
            times.push((cpu_ns() - began) / units);
            if let Some((_, drainer)) = &mut loaded {
                let drained = Collected::drain(drainer);
                drained.assert_balanced();
                assert!(drained.flow_packets() > 0, "{title}: {mode:?} counts");
            }
        }
    }
    for ((name, _), times) in CASES.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{title:34} {name:12} {:9.0} ({:.0})", times[ROUNDS / 2], times[0]);
    }
}

#[test]
#[ignore = "a measurement, not a check"]
fn generic_xdp_and_tcx_side_by_side() {
    assert!(require::bpf() && require::netns());
    println!("CPU time: median (least) of {ROUNDS} interleaved rounds");
    pin(1);
    let (left, right) = quiet_pair();
    for bytes in [60, 1_400] {
        let mut frame = traffic::udp(1, 40_000);
        frame.resize(bytes, 0);
        let title = format!("veth, {bytes} bytes, ns a frame");
        compare(&title, &right, "v1", f64::from(FRAMES), || {
            left.run(|| {
                let socket = PacketSocket::open("v0").unwrap();
                for _ in 0..FRAMES {
                    socket.send(&frame).unwrap();
                }
            })
            .unwrap();
        });
    }
    let inside = Netns::create("tun").unwrap();
    inside.disable_ipv6().unwrap();
    let tun = inside.run(|| Tun::create("tun7")).unwrap();
    inside.ip("link set tun7 up").unwrap();
    let packet = traffic::udp(1, 40_000);
    compare(
        "tun, 50 bytes, ns a packet",
        &inside,
        "tun7",
        f64::from(FRAMES),
        || {
            for _ in 0..FRAMES {
                tun.write(&packet[14..]);
            }
        },
    );
    left.ip("addr add 192.0.2.1/24 dev v0").unwrap();
    right.ip("addr add 192.0.2.2/24 dev v1").unwrap();
    let listener = right
        .run(|| TcpListener::bind(("192.0.2.2", 5_201)))
        .unwrap()
        .unwrap();
    compare(
        "veth, TCP with offloads, us a MB",
        &right,
        "v1",
        TRANSFER_BYTES as f64 / 1e6 * 1e3,
        || transfer(&left, &listener),
    );
}

fn transfer(left: &Netns, listener: &TcpListener) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut buffer, mut total) = (vec![0; 1 << 18], 0);
            loop {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    read => total += read,
                }
            }
            assert_eq!(total, TRANSFER_BYTES);
        });
        let mut stream = left
            .run(|| TcpStream::connect(("192.0.2.2", 5_201)))
            .unwrap()
            .unwrap();
        let block = vec![0x5a; 1 << 18];
        let mut rest = TRANSFER_BYTES;
        while rest > 0 {
            rest -= stream.write(&block[..rest.min(block.len())]).unwrap();
        }
    });
}
