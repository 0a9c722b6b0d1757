//! The hosts of a simulated network: addresses, stack, distance, services, and what is wrong with them just now.
//! It must never send anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    frame::Mac,
    random::Random,
    stack::{APPLE, Ids, LINUX, Stack, WINDOWS},
};

/// Index of a host on its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(pub(super) u32);

/// Which scenario a frame belongs to; 0 is ordinary traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(pub(super) u16);

impl Label {
    /// Ordinary traffic.
    pub(super) const BENIGN: Self = Self(0);
}

/// How a host answers the first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It accepts.
    Accept,
    /// It resets: nobody listens.
    Refuse,
    /// It says nothing: filtered, or gone.
    Silence,
}

/// A service that fails for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) port: u16,
    pub(super) answer: Answer,
    pub(super) label: Label,
}

/// A host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Its Ethernet address, or that of the gateway for hosts beyond it.
    pub(super) mac: Mac,
    /// IPv4 address.
    pub(super) v4: Ipv4Addr,
    /// IPv6 address, if it has one.
    pub(super) v6: Option<Ipv6Addr>,
    /// Its network stack.
    pub(super) stack: &'static Stack,
    /// Routers between it and the place of the capture.
    pub(super) hops: u8,
    /// One-way delay between it and the place of the capture, median.
    pub(super) delay_ns: u64,
    /// What its line carries, bits per second.
    pub(super) line_bps: u64,
    /// Probability that a flight of segments loses one beyond the place of the capture.
    pub(super) loss: f64,
    /// Whether it is in the local network.
    pub(super) local: bool,
    /// TCP ports it listens on; `None` is every port that anyone asks for (servers of the Internet).
    pub(super) listens: Option<Vec<u16>>,
    /// Whether a packet filter swallows what is not listened for.
    pub(super) filtered: bool,
    /// Off the network: it sends nothing. The label goes on what others send to it.
    pub(super) down: Option<Label>,
    /// A service that fails.
    pub(super) outage: Option<Outage>,
    /// Milliseconds since it booted, at the beginning.
    pub(super) uptime_ms: u32,
    pub(super) next_port: u16,
    pub(super) next_id: u16,
}

/// How fast the local network and typical lines to the Internet are.
const LOCAL_BPS: u64 = 1_000_000_000;

impl Host {
    /// A host of the local network.
    pub(super) fn local(mac: Mac, v4: Ipv4Addr, stack: &'static Stack, random: &mut Random) -> Self {
        Self {
            mac,
            v4,
            v6: None,
            stack,
            hops: 0,
            delay_ns: random.between(60_000, 400_000),
            line_bps: LOCAL_BPS,
            loss: 0.0,
            local: true,
            listens: Some(Vec::new()),
            filtered: false,
            down: None,
            outage: None,
            uptime_ms: random.between(3_600_000, 2_000_000_000) as u32,
            next_port: 0,
            next_id: random.next() as u16,
        }
        .with_port(random)
    }

    /// A server somewhere on the Internet, reached over the gateway with this Ethernet address.
    pub(super) fn remote_server(gateway: Mac, random: &mut Random) -> Self {
        let v4 = public_address(random);
        Self {
            hops: random.between(6, 16) as u8,
            delay_ns: random.pareto(4e6, 1.2, 1.2e8) as u64,
            line_bps: random.between(30, 200) * 1_000_000,
            loss: 0.004,
            local: false,
            listens: None,
            ..Self::local(gateway, v4, &LINUX, random)
        }
    }

    /// Somebody's machine somewhere on the Internet.
    pub(super) fn remote_client(gateway: Mac, random: &mut Random) -> Self {
        let stack = match random.below(10) {
            0..=4 => &WINDOWS,
            5..=7 => &APPLE,
            _ => &LINUX,
        };
        Self {
            hops: random.between(8, 20) as u8,
            delay_ns: random.pareto(8e6, 1.1, 1.5e8) as u64,
            line_bps: random.between(8, 60) * 1_000_000,
            stack,
            listens: Some(Vec::new()),
            filtered: random.chance(0.7),
            ..Self::remote_server(gateway, random)
        }
        .with_port(random)
    }

    fn with_port(mut self, random: &mut Random) -> Self {
        let (low, high) = self.stack.ephemeral;
        self.next_port = random.between(u64::from(low), u64::from(high)) as u16;
        self
    }

    /// Listens on these TCP ports only.
    pub(super) fn listening(mut self, ports: &[u16]) -> Self {
        self.listens = Some(ports.to_vec());
        self
    }

    /// Its address of one family.
    pub(super) fn address(&self, v6: bool) -> IpAddr {
        match self.v6 {
            Some(address) if v6 => address.into(),
            _ => self.v4.into(),
        }
    }

    /// Its TTL where the capture is taken.
    pub(super) const fn ttl(&self) -> u8 {
        self.stack.ttl.saturating_sub(self.hops)
    }

    /// A port for a new outgoing connection.
    pub(super) fn ephemeral_port(&mut self, random: &mut Random) -> u16 {
        let (low, high) = self.stack.ephemeral;
        if self.stack.ports_in_order {
            let step = random.between(1, 3) as u16;
            self.next_port = match self.next_port.checked_add(step) {
                Some(port) if port <= high => port,
                _ => low,
            };
            self.next_port
        } else {
            random.between(u64::from(low), u64::from(high)) as u16
        }
    }

    /// The IPv4 identification of its next packet.
    pub(super) const fn next_id(&mut self, random: &mut Random) -> u16 {
        match self.stack.ids {
            Ids::Counter => {
                self.next_id = self.next_id.wrapping_add(1);
                self.next_id
            }
            Ids::Random => random.next() as u16,
        }
    }

    /// What it does with a connection attempt, and the label of a fault that explains it.
    pub(super) fn answers(&self, port: u16) -> (Answer, Label) {
        if let Some(label) = self.down {
            return (Answer::Silence, label);
        }
        if let Some(outage) = self.outage.filter(|outage| outage.port == port) {
            return (outage.answer, outage.label);
        }
        let answer = match &self.listens {
            Some(ports) if !ports.contains(&port) => {
                if self.filtered {
                    Answer::Silence
                } else {
                    Answer::Refuse
                }
            }
            _ => Answer::Accept,
        };
        (answer, Label::BENIGN)
    }

    /// Its clock of TCP timestamps.
    pub(super) const fn stamp(&self, elapsed_ns: u64) -> u32 {
        self.uptime_ms.wrapping_add((elapsed_ns / 1_000_000) as u32)
    }
}

/// An address that may occur on the Internet: global unicast without private, shared, link-local, documentation,
/// benchmark and loopback networks (RFC 6890).
pub(super) fn public_address(random: &mut Random) -> Ipv4Addr {
    loop {
        let address = Ipv4Addr::from_bits(random.next() as u32);
        let [a, b, c, d] = address.octets();
        let shared = a == 100 && b & 0xc0 == 64;
        let special = a == 0 || a >= 224 || a == 198 && b & 0xfe == 18 || a == 192 && b == 0 && c == 0;
        if !(shared
            || special
            || address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_documentation()
            || d == 0
            || d == 255)
        {
            return address;
        }
    }
}
