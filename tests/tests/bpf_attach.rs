//! Attaching: which hook is taken, what happens when somebody else holds it, and that nothing stays behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    time::Duration,
};

use aya::{
    programs::SchedClassifier,
    sys::{Stats, enable_stats},
};
use common::{
    Collected,
    hooks::{attach, count_through, foreign_tcx, foreign_xdp, holders, quiet_pair},
    traffic,
    tun::Tun,
};
use sensor::probe::{AttachMode, Drainer, Mode, Probe, ProbeSettings};
use sensor_tests::{netns, netns::Netns, packet_socket::PacketSocket, require};

fn load(mode: AttachMode) -> (Probe, Drainer) {
    let settings = ProbeSettings {
        table_bytes: 4 << 20,
        mode,
        kernel_log: false,
        ..ProbeSettings::default()
    };
    Probe::load(&settings).unwrap()
}

fn able() -> bool {
    require::bpf() && require::netns()
}

#[test]
fn a_veth_interface_is_native_and_egress_is_tcx() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let attachment = attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(
        (attachment.ingress, attachment.egress),
        (Mode::Native, Some(Mode::Tcx)),
        "{attachment:?}"
    );
    assert!(attachment.notes.is_empty(), "{attachment:?}");
    assert_eq!(
        holders(&right, "v1"),
        ["xdp native sensor_xdp", "tcx egress sensor_egress"]
    );
    assert_eq!(count_through(&left, "v0", &mut drainer, 100), 100);
    // A second time changes nothing.
    assert_eq!(attach(&right, &mut probe, "v1").unwrap(), attachment);
    assert_eq!(probe.attachments(), [attachment]);
}

#[test]
fn each_mode_that_is_asked_for_is_taken_and_counts() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    for (asked, given, hook) in [
        (AttachMode::Native, Mode::Native, "xdp native sensor_xdp"),
        (AttachMode::Generic, Mode::Generic, "xdp generic sensor_xdp"),
        (AttachMode::Tcx, Mode::Tcx, "tcx ingress sensor_ingress"),
    ] {
        let (mut probe, mut drainer) = load(asked);
        let attachment = attach(&right, &mut probe, "v1").unwrap();
        assert_eq!(attachment.ingress, given);
        assert_eq!(holders(&right, "v1"), [hook, "tcx egress sensor_egress"]);
        assert_eq!(count_through(&left, "v0", &mut drainer, 100), 100, "{asked:?}");
        probe.detach("v1");
        assert_eq!(holders(&right, "v1"), [""; 0], "{asked:?} leaves nothing");
        assert_eq!(probe.attachments(), []);
        assert_eq!(
            count_through(&left, "v0", &mut drainer, 10),
            0,
            "detached, nothing is counted"
        );
    }
}

#[test]
fn loopback_has_no_native_mode_and_says_so() {
    if !able() {
        return;
    }
    let namespace = Netns::create("lo").unwrap();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let attachment = attach(&namespace, &mut probe, "lo").unwrap();
    assert_eq!(attachment.ingress, Mode::Tcx, "{attachment:?}");
    assert!(
        attachment
            .notes
            .iter()
            .any(|note| note.starts_with("native XDP (sensor_xdp):")),
        "{attachment:?}"
    );
    // Out and in again: both hooks see each frame.
    assert_eq!(count_through(&namespace, "lo", &mut drainer, 50), 100);
}

#[test]
fn a_taken_xdp_hook_is_left_alone_and_its_holder_is_named() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    let (_foreigner, id) = foreign_xdp(&right, "v1");
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let attachment = attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(attachment.ingress, Mode::Tcx);
    assert_eq!(
        attachment.notes,
        [format!("XDP hook held by empty_xdp (native, id {id})")]
    );
    assert_eq!(
        holders(&right, "v1"),
        [
            "xdp native empty_xdp",
            "tcx ingress sensor_ingress",
            "tcx egress sensor_egress"
        ]
    );
    assert_eq!(count_through(&left, "v0", &mut drainer, 100), 100);
    probe.detach("v1");
    assert_eq!(holders(&right, "v1"), ["xdp native empty_xdp"]);
}

#[test]
fn a_demand_for_xdp_on_a_taken_hook_fails_with_the_holders_name() {
    if !able() {
        return;
    }
    let (_left, right) = quiet_pair();
    let (_foreigner, id) = foreign_xdp(&right, "v1");
    for mode in [AttachMode::Native, AttachMode::Generic] {
        let (mut probe, _drainer) = load(mode);
        let error = attach(&right, &mut probe, "v1").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot attach to v1: XDP hook held by empty_xdp (native, id {id}). Detach the other program or \
                 choose another interface"
            )
        );
        assert_eq!(error.exit_code(), 4);
        assert_eq!(
            holders(&right, "v1"),
            ["xdp native empty_xdp"],
            "the interface is as it was"
        );
        assert_eq!(probe.attachments(), []);
    }
}

#[test]
fn an_unknown_interface_is_refused_with_the_names_of_those_that_exist() {
    if !able() {
        return;
    }
    let (left, _right) = quiet_pair();
    let (mut probe, _drainer) = load(AttachMode::Auto);
    let error = attach(&left, &mut probe, "eth9").unwrap_err();
    assert_eq!(
        error.to_string(),
        "interface \"eth9\" does not exist. Interfaces here: lo, v0"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn other_programs_on_the_tc_hooks_keep_running() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    let (object, _links) = foreign_tcx(&right, "v1");
    let (mut probe, mut drainer) = load(AttachMode::Tcx);
    attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(
        holders(&right, "v1"),
        [
            "tcx ingress sensor_ingress",
            "tcx ingress empty_tc",
            "tcx egress sensor_egress",
            "tcx egress empty_tc"
        ]
    );
    let foreigner: &SchedClassifier = object.program("empty_tc").unwrap().try_into().unwrap();
    let _statistics = enable_stats(Stats::RunTime).unwrap();
    assert_eq!(count_through(&left, "v0", &mut drainer, 100), 100);
    assert_eq!(count_through(&right, "v1", &mut drainer, 50), 50);
    assert!(
        foreigner.info().unwrap().run_count() >= 150,
        "{}",
        foreigner.info().unwrap().run_count()
    );
    let stats = probe.program_stats();
    let runs = |name: &str| stats.iter().find(|stats| stats.name == name).unwrap().runs;
    assert!(
        runs("sensor_ingress") >= 100 && runs("sensor_egress") >= 50,
        "{stats:?}"
    );
    probe.detach("v1");
    assert_eq!(
        holders(&right, "v1"),
        ["tcx ingress empty_tc", "tcx egress empty_tc"]
    );
}

const CHILD: &str = "SENSOR_TEST_CHILD_INTERFACE";

/// Not a test: what the next one starts and kills.
#[test]
#[ignore = "the child process of another test"]
fn child_that_attaches_and_waits() {
    let interface = std::env::var(CHILD).expect("run by its parent only");
    let (mut probe, _drainer) = load(AttachMode::Auto);
    let attachment = probe.attach(&interface).unwrap();
    println!("\nattached {}", attachment.ingress.label());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_mins(1));
}

#[test]
fn a_killed_process_leaves_nothing_attached() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    let mut command = right.command(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "child_that_attaches_and_waits",
        "--nocapture",
    ]);
    let mut child = command.env(CHILD, "v1").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("attached")));
    let held = holders(&right, "v1");
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(said.unwrap().unwrap(), "attached native");
    assert_eq!(held, ["xdp native sensor_xdp", "tcx egress sensor_egress"]);
    assert_eq!(status.signal(), Some(9));
    assert_eq!(holders(&right, "v1"), [""; 0]);
    // The next one finds the hooks free and counts.
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    assert_eq!(attach(&right, &mut probe, "v1").unwrap().ingress, Mode::Native);
    assert_eq!(count_through(&left, "v0", &mut drainer, 20), 20);
}

#[test]
fn an_interface_that_was_deleted_and_made_again_can_be_attached_again() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let first = attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(count_through(&left, "v0", &mut drainer, 10), 10);
    right.ip("link del v1").unwrap();
    netns::connect((&left, "v0"), (&right, "v1")).unwrap();
    let second = attach(&right, &mut probe, "v1").unwrap();
    assert_ne!(first.ifindex, second.ifindex);
    assert_eq!(second.ingress, Mode::Native);
    assert_eq!(probe.attachments(), [second]);
    assert_eq!(count_through(&left, "v0", &mut drainer, 20), 20);
}

/// Slots are interface indices modulo 256.
#[test]
fn an_interface_in_the_slot_of_a_gone_one_does_not_inherit_its_counters() {
    if !able() {
        return;
    }
    let right = Netns::create("right").unwrap();
    right.disable_ipv6().unwrap();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    for (index, frames) in [(3_300u32, 30u64), (3_300 + 256, 7)] {
        right
            .ip(&format!("link add v1 index {index} type veth peer name v0"))
            .unwrap();
        right.ip("link set v0 up").unwrap();
        right.ip("link set v1 up").unwrap();
        assert_eq!(attach(&right, &mut probe, "v1").unwrap().slot, 3_300 % 256);
        let counted = count_through(&right, "v0", &mut drainer, frames as u32);
        let received = probe.interface_counters()[0].1.receive_packets;
        assert_eq!((counted, received), (frames, frames));
        probe.detach("v1");
        right.ip("link del v1").unwrap();
    }
}

#[test]
fn several_interfaces_are_told_apart() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    netns::connect((&left, "w0"), (&right, "w1")).unwrap();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let slots = ["v1", "w1"].map(|name| attach(&right, &mut probe, name).unwrap().slot);
    assert_ne!(slots[0], slots[1]);
    left.run(|| {
        for (interface, frames) in [("v0", 30), ("w0", 50)] {
            let socket = PacketSocket::open(interface).unwrap();
            for _ in 0..frames {
                socket.send(&traffic::udp(5, 40_000)).unwrap();
            }
        }
    })
    .unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let drained = Collected::drain(&mut drainer);
    for (slot, frames) in slots.into_iter().zip([30u32, 50]) {
        let own = drained.records.iter().filter(|record| record.key.iface == slot);
        let packets: u32 = own.flat_map(|record| record.half).map(|half| half.packets).sum();
        assert_eq!(packets, frames);
    }
    let counters = probe.interface_counters();
    let received: Vec<_> = counters
        .iter()
        .map(|(name, counters)| (name.as_str(), counters.receive_packets))
        .collect();
    assert_eq!(received, [("v1", 30), ("w1", 50)]);
}

#[test]
fn jumbo_frames_are_counted_natively() {
    if !able() {
        return;
    }
    let (left, right) = quiet_pair();
    left.ip("link set v0 mtu 9000").unwrap();
    right.ip("link set v1 mtu 9000").unwrap();
    let (mut probe, mut drainer) = load(AttachMode::Auto);
    let attachment = attach(&right, &mut probe, "v1").unwrap();
    assert_eq!(attachment.ingress, Mode::Native, "{attachment:?}");
    assert!(
        holders(&right, "v1").contains(&"xdp native sensor_xdp_frag".to_owned()),
        "{attachment:?}"
    );
    let mut frame = traffic::udp(1, 40_000);
    frame.resize(9_000, 0);
    frame[16..18].copy_from_slice(&(9_000u16 - 14).to_be_bytes());
    left.run(|| PacketSocket::open("v0").unwrap().send(&frame))
        .unwrap()
        .unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let drained = Collected::drain(&mut drainer);
    let half = drained.records[0].half[0];
    assert_eq!(
        (half.packets, half.bytes, half.payload_bytes),
        (1, 9_000, 9_000 - 42)
    );
}

#[test]
fn a_tun_device_without_link_layer_is_counted_in_every_mode() {
    if !able() {
        return;
    }
    let namespace = Netns::create("tun").unwrap();
    namespace.disable_ipv6().unwrap();
    let tun = namespace.run(|| Tun::create("tun7")).unwrap();
    namespace.ip("link set tun7 up").unwrap();
    for mode in [AttachMode::Auto, AttachMode::Generic, AttachMode::Tcx] {
        let (mut probe, mut drainer) = load(mode);
        let attachment = attach(&namespace, &mut probe, "tun7").unwrap();
        for client in 0..40 {
            tun.write(&traffic::udp(client, 40_000)[14..]);
        }
        let drained = Collected::drain(&mut drainer);
        drained.assert_balanced();
        let own: Vec<_> = drained
            .records
            .iter()
            .filter(|record| traffic::is_ours(&record.key))
            .collect();
        assert_eq!(own.len(), 40, "{attachment:?}: {:?}", drained.books);
        for record in own {
            let expected = traffic::udp(u32::from(record.key.addr[0][15]), 40_000).len() as u64 - 14;
            assert_eq!(record.half[0].bytes, expected, "{attachment:?}");
            assert_eq!((record.mac, record.key.iface), ([0; 6], attachment.slot));
        }
    }
}
