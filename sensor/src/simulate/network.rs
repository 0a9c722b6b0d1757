//! The simulator's own small network: a gateway, a resolver, five people's machines, a server, five devices, and the
//! part of the Internet that they use. Names and addresses are nobody's.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    cast::{Cast, Site},
    host::{Host, HostId},
    random::Random,
    stack::{APPLE, EMBEDDED, LINUX, Stack, WINDOWS},
    stage::{MICRO, Stage},
};

/// Web sites that people visit.
const SITES: u64 = 60;

/// Services of the local server.
const SERVER_PORTS: [u16; 5] = [21, 22, 80, 443, 445];

struct Builder<'a> {
    stage: &'a mut Stage,
    random: &'a mut Random,
}

impl Builder<'_> {
    fn local(&mut self, number: u8, stack: &'static Stack, ports: &[u16]) -> HostId {
        let [a, b, ..] = self.random.next().to_be_bytes();
        let mac = [0x02, 0x5e, 0x20, a, b, number];
        let v4 = Ipv4Addr::new(192, 168, 20, number);
        let mut host = Host::local(mac, v4, stack, self.random).listening(ports);
        // Small devices often have IPv4 only.
        if stack.ttl != EMBEDDED.ttl {
            host.v6 = Some(Ipv6Addr::new(0xfd20, 0x20, 0, 0, 0, 0, 0, u16::from(number)));
        }
        // Filtered, as Windows machines are.
        host.filtered = stack.ttl == WINDOWS.ttl;
        self.stage.add(host)
    }

    fn wireless(&mut self, id: HostId) -> HostId {
        let delay = self.random.between(1200, 4000) * MICRO;
        let host = self.stage.host_mut(id);
        host.delay_ns = delay;
        host.line_bps = 80_000_000;
        host.loss = 0.002;
        id
    }
}

/// Puts the network on the stage.
pub(super) fn build(stage: &mut Stage, random: &mut Random) -> Cast {
    let mut build = Builder { stage, random };
    let gateway = build.local(1, &LINUX, &[53, 80]);
    let resolver = build.local(2, &LINUX, &[53, 22]);
    let server = build.local(10, &LINUX, &SERVER_PORTS);
    let desktop = build.local(21, &WINDOWS, &[135, 445, 3389]);
    let laptop = build.local(22, &WINDOWS, &[135, 445]);
    let apple = build.local(23, &APPLE, &[]);
    let linux = build.local(24, &LINUX, &[22]);
    let phone = build.local(25, &APPLE, &[]);
    let printer = build.local(40, &LINUX, &[80, 515, 631, 9100]);
    let camera = build.local(41, &LINUX, &[80, 554]);
    let plug = build.local(42, &EMBEDDED, &[]);
    let thermostat = build.local(43, &EMBEDDED, &[]);
    let speaker = build.local(44, &LINUX, &[8008, 8009]);
    for id in [laptop, phone, camera, plug, thermostat, speaker] {
        build.wireless(id);
    }
    let way_out = build.stage.host(gateway).mac;
    let Builder { stage, random } = build;
    let upstream = Host::remote_server(way_out, random);
    let upstream = stage.add(upstream);
    let clock = Host::remote_server(way_out, random);
    let clock = stage.add(clock);
    let sites = (0..SITES)
        .map(|index| {
            let mut host = Host::remote_server(way_out, random);
            if random.chance(0.35) {
                let [a, b, c, d] = host.v4.octets().map(u16::from);
                host.v6 = Some(Ipv6Addr::new(0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 1));
            }
            Site {
                name: format!("www{index}.site-{index}.example"),
                host: stage.add(host),
            }
        })
        .collect();
    Cast {
        gateway,
        routed: true,
        resolver,
        upstream: Some(upstream),
        clock,
        people: vec![laptop, desktop, apple, linux, phone],
        devices: vec![camera, thermostat, plug, speaker, printer],
        server,
        service: 443,
        sites,
        network: (Ipv4Addr::new(192, 168, 20, 0), 24),
    }
}
