//! Interfaces of a test, what hangs on their hooks, and somebody else's programs there.

use std::time::Duration;

use aya::{
    Ebpf,
    programs::{
        SchedClassifier, TcAttachType, Xdp, XdpMode,
        tc::{SchedClassifierLink, TcAttachOptions},
    },
};
use sensor::probe::{Attachment, BENCH_OBJECT, Drainer, Probe, ProbeError, kernel};
use sensor_tests::{netns, netns::Netns, packet_socket::PacketSocket};

use super::{Collected, traffic};

/// Two namespaces joined by a veth pair that say nothing by themselves.
pub fn quiet_pair() -> (Netns, Netns) {
    let (left, right) = (Netns::create("left").unwrap(), Netns::create("right").unwrap());
    for namespace in [&left, &right] {
        namespace.disable_ipv6().unwrap();
    }
    netns::connect((&left, "v0"), (&right, "v1")).unwrap();
    (left, right)
}

pub fn attach(namespace: &Netns, probe: &mut Probe, interface: &str) -> Result<Attachment, ProbeError> {
    namespace.run(|| probe.attach(interface)).unwrap()
}

/// Hooks in use on an interface, as `hook program`.
pub fn holders(namespace: &Netns, interface: &str) -> Vec<String> {
    let holders = namespace
        .run(|| kernel::hook_holders(interface))
        .unwrap()
        .unwrap();
    holders
        .into_iter()
        .map(|holder| format!("{} {}", holder.hook, holder.program))
        .collect()
}

/// Sends frames and returns how many of them the tables hold afterwards.
pub fn count_through(sender: &Netns, interface: &str, drainer: &mut Drainer, frames: u32) -> u64 {
    sender
        .run(|| {
            let socket = PacketSocket::open(interface).unwrap();
            for client in 0..frames {
                socket.send(&traffic::udp(client % 8, 40_000)).unwrap();
            }
        })
        .unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let drained = Collected::drain(drainer);
    drained.assert_balanced();
    let own = drained
        .records
        .iter()
        .filter(|record| traffic::is_ours(&record.key));
    own.flat_map(|record| record.half)
        .map(|half| u64::from(half.packets))
        .sum()
}

/// Somebody else's XDP program on an interface.
pub fn foreign_xdp(namespace: &Netns, interface: &str) -> (Ebpf, u32) {
    let mut object = Ebpf::load(BENCH_OBJECT).unwrap();
    let program: &mut Xdp = object.program_mut("empty_xdp").unwrap().try_into().unwrap();
    program.load().unwrap();
    namespace
        .run(|| program.attach(interface, XdpMode::Driver))
        .unwrap()
        .unwrap();
    let id = program.info().unwrap().id();
    (object, id)
}

/// Somebody else's program on both TCX hooks of an interface.
pub fn foreign_tcx(namespace: &Netns, interface: &str) -> (Ebpf, Vec<SchedClassifierLink>) {
    let mut object = Ebpf::load(BENCH_OBJECT).unwrap();
    let program: &mut SchedClassifier = object.program_mut("empty_tc").unwrap().try_into().unwrap();
    program.load().unwrap();
    let links = [TcAttachType::Ingress, TcAttachType::Egress].map(|direction| {
        let options = TcAttachOptions::TcxOrder(aya::programs::LinkOrder::default());
        let id = namespace
            .run(|| program.attach_with_options(interface, direction, options))
            .unwrap()
            .unwrap();
        program.take_link(id).unwrap()
    });
    (object, links.into())
}
