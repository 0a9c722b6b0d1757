//! Who plays which part: the hosts that background and scenarios need, whether invented or learned from a capture.
//! It must never contain traffic.

use std::net::Ipv4Addr;

use super::{
    frame::Mac,
    host::{Host, HostId},
    random::Random,
    stack::Stack,
    stage::Stage,
};

/// A web site: a name and the server that has it.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) host: HostId,
}

/// The parts.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    /// Router to the Internet; some local host where there is none.
    pub(super) gateway: HostId,
    /// Whether there is a way to the Internet.
    pub(super) routed: bool,
    /// Whom the local hosts ask for names.
    pub(super) resolver: HostId,
    /// Whom the resolver asks, when it is local.
    pub(super) upstream: Option<HostId>,
    /// Time server.
    pub(super) clock: HostId,
    /// People's machines, the busiest first. Never empty.
    pub(super) people: Vec<HostId>,
    /// Devices without people, the busiest first. Never empty.
    pub(super) devices: Vec<HostId>,
    /// The local server that most others use.
    pub(super) server: HostId,
    /// The TCP port that it is used for.
    pub(super) service: u16,
    /// Sites of the Internet.
    pub(super) sites: Vec<Site>,
    /// The local IPv4 network: its first address and its prefix length.
    pub(super) network: (Ipv4Addr, u8),
}

impl Cast {
    /// The Ethernet address through which the Internet is reached.
    pub(super) fn way_out(&self, stage: &Stage) -> Mac {
        stage.host(self.gateway).mac
    }

    /// An address of the local network by its number within it.
    pub(super) fn local_address(&self, number: u32) -> Ipv4Addr {
        let size = 1u32.checked_shl(32 - u32::from(self.network.1)).unwrap_or(256);
        Ipv4Addr::from_bits(self.network.0.to_bits() + number % size.max(1))
    }

    /// Addresses that hosts may have in the local network; a /24 at most.
    pub(super) fn local_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<'_> {
        let bits = u32::from(self.network.1.clamp(24, 30));
        (1..(1u32 << (32 - bits)) - 1).map(|number| self.local_address(number))
    }

    /// The host that has a local address.
    pub(super) fn holder(stage: &Stage, address: Ipv4Addr) -> Option<HostId> {
        let found = stage
            .hosts()
            .iter()
            .position(|host| host.local && host.v4 == address);
        found.map(|index| HostId(index as u32))
    }

    /// A local host that was not there before, on a free address.
    pub(super) fn newcomer(&self, stage: &mut Stage, stack: &'static Stack, random: &mut Random) -> HostId {
        let mut free: Vec<Ipv4Addr> = self
            .local_addresses()
            .filter(|address| Self::holder(stage, *address).is_none())
            .collect();
        random.shuffle(&mut free);
        let address = free.first().copied().unwrap_or_else(|| self.local_address(250));
        let [a, b, c, ..] = random.next().to_be_bytes();
        // Locally administered, so that it is nobody's.
        let mac = [0x02, 0x5e, 0x10, a, b, c];
        let host = Host::local(mac, address, stack, random);
        stage.add(host)
    }

    /// A stranger who can reach the local network: beyond the gateway, or plugged in where there is none.
    pub(super) fn stranger(&self, stage: &mut Stage, stack: &'static Stack, random: &mut Random) -> HostId {
        if self.routed {
            let host = Host {
                stack,
                ..Host::remote_server(self.way_out(stage), random)
            };
            stage.add(host)
        } else {
            self.newcomer(stage, stack, random)
        }
    }

    /// A client beyond the gateway, or plugged in where there is none.
    pub(super) fn visitor(&self, stage: &mut Stage, random: &mut Random) -> HostId {
        let client = Host::remote_client(self.way_out(stage), random);
        if self.routed {
            stage.add(client)
        } else {
            self.newcomer(stage, client.stack, random)
        }
    }

    /// The busiest of the people's machines.
    pub(super) fn busiest_person(&self) -> HostId {
        self.people.first().copied().unwrap_or(self.server)
    }

    /// A person's machine that is not `other`, if there is one.
    pub(super) fn person_but(&self, other: HostId) -> HostId {
        let mut candidates = self.people.iter().chain(&self.devices).copied();
        candidates.find(|host| *host != other).unwrap_or(other)
    }
}
