//! The parts of a base capture's own network, given to its own hosts. It must never invent a host where the capture
//! has one that fits.

use std::net::Ipv4Addr;

use super::{
    SimulateError,
    cast::{Cast, Site},
    host::{Host, HostId},
    random::Random,
    stack::{EMBEDDED, LINUX, Stack, WINDOWS},
    stage::Stage,
    survey::{Seen, Survey},
};

/// Sites taken from the capture.
const SITES: usize = 24;

/// The smallest common initial TTL that explains what was seen, and the routers in between.
fn stack_of(ttl: u8) -> (&'static Stack, u8) {
    let stack = match ttl {
        0..=64 => &LINUX,
        65..=128 => &WINDOWS,
        _ => &EMBEDDED,
    };
    // Addresses seen only in ARP have no TTL.
    let hops = if ttl == 0 { 0 } else { stack.ttl - ttl };
    (stack, hops)
}

fn is_private(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local()
}

/// Puts the network of a capture on the stage.
pub(super) fn build(stage: &mut Stage, survey: &Survey, random: &mut Random) -> Result<Cast, SimulateError> {
    let any_private = survey.hosts.keys().copied().any(is_private);
    // A network of public addresses: its own are those that do not share an Ethernet address with others.
    let alone = |seen: &Seen| survey.macs.get(&seen.mac).is_none_or(|all| all.len() <= 2);
    let ours = |address: Ipv4Addr, seen: &Seen| {
        if any_private {
            is_private(address)
        } else {
            alone(seen)
        }
    };
    let way_out = survey
        .macs
        .iter()
        .map(|(mac, all)| {
            let strange = |address: &&Ipv4Addr| {
                survey
                    .hosts
                    .get(*address)
                    .is_some_and(|seen| !ours(**address, seen))
            };
            (all.iter().filter(strange).count(), *mac)
        })
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, _)| *count)
        .map(|(_, mac)| mac);
    let behind = |seen: &Seen| Some(seen.mac) == way_out;
    let mut locals: Vec<(Ipv4Addr, &Seen)> = survey
        .hosts
        .iter()
        .filter(|(address, seen)| ours(**address, seen) && !behind(seen))
        .map(|(address, seen)| (*address, seen))
        .collect();
    locals.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.packets));
    let network = busiest_network(&locals)?;
    // The gateway's own address is in the local network; the capture may not show it.
    let gateway_address = survey
        .hosts
        .iter()
        .filter(|(address, seen)| behind(seen) && network_of(**address) == network)
        .max_by_key(|(_, seen)| seen.packets)
        .map_or_else(
            || Ipv4Addr::from_bits(network.to_bits() + 1),
            |(address, _)| *address,
        );
    let mut builder = Builder {
        stage,
        random,
        way_out,
    };
    let gateway = builder.add(gateway_address, survey.hosts.get(&gateway_address), true);
    if let Some(mac) = way_out {
        builder.stage.host_mut(gateway).mac = mac;
    }
    let on_link = locals
        .iter()
        .filter(|(address, _)| network_of(*address) == network);
    let ids: Vec<(HostId, &Seen)> = on_link
        .map(|(address, seen)| (builder.add(*address, Some(seen), true), *seen))
        .collect();
    let served = |seen: &Seen| seen.services.values().sum::<u64>();
    let server = ids
        .iter()
        .filter(|(_, seen)| served(seen) > 0)
        .max_by_key(|(_, seen)| served(seen))
        .or_else(|| ids.first());
    let (server, service) = server.map_or((gateway, 80), |(id, seen)| {
        let top = seen.services.iter().max_by_key(|(_, count)| **count);
        (*id, top.map_or(80, |(port, _)| *port))
    });
    if let Some(ports) = &mut builder.stage.host_mut(server).listens
        && !ports.contains(&service)
    {
        ports.push(service);
    }
    // Windows machines are people's; of the others the busier half plays the people.
    let others: Vec<HostId> = ids.iter().map(|(id, _)| *id).filter(|id| *id != server).collect();
    let is_windows = |id: &HostId| builder.stage.host(*id).stack.ttl == WINDOWS.ttl;
    let (mut people, mut devices): (Vec<HostId>, Vec<HostId>) = others.iter().copied().partition(is_windows);
    if people.is_empty() {
        people = devices.drain(..devices.len().div_ceil(2)).collect();
    }
    if devices.is_empty() {
        devices = people.iter().rev().copied().chain([server]).take(2).collect();
    }
    if people.is_empty() {
        people.push(server);
    }
    let resolver = builder.role(survey, &survey.resolvers).unwrap_or(gateway);
    let clock = builder.role(survey, &survey.clocks).unwrap_or(gateway);
    let sites = builder.sites(survey, &ours);
    Ok(Cast {
        gateway,
        routed: way_out.is_some(),
        resolver,
        upstream: None,
        clock,
        people,
        devices,
        server,
        service,
        sites,
        network: (network, 24),
    })
}

fn network_of(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00)
}

/// The /24 whose hosts sent most.
fn busiest_network(locals: &[(Ipv4Addr, &Seen)]) -> Result<Ipv4Addr, SimulateError> {
    let mut networks = std::collections::BTreeMap::<Ipv4Addr, u64>::new();
    for (address, seen) in locals {
        *networks.entry(network_of(*address)).or_default() += seen.packets;
    }
    let busiest = networks.into_iter().max_by_key(|(_, packets)| *packets);
    busiest
        .map(|(network, _)| network)
        .ok_or(SimulateError::NoLocalHosts)
}

struct Builder<'a> {
    stage: &'a mut Stage,
    random: &'a mut Random,
    way_out: Option<[u8; 6]>,
}

impl Builder<'_> {
    fn add(&mut self, address: Ipv4Addr, seen: Option<&Seen>, local: bool) -> HostId {
        let unknown = Seen {
            mac: self.way_out.unwrap_or([2, 0x5e, 0x10, 0, 0, 1]),
            ..Seen::default()
        };
        let seen = seen.unwrap_or(&unknown);
        let (stack, hops) = stack_of(seen.ttl);
        let host = if local {
            Host {
                hops,
                listens: Some(seen.services.keys().copied().collect()),
                ..Host::local(seen.mac, address, stack, self.random)
            }
        } else {
            Host {
                hops,
                stack,
                v4: address,
                ..Host::remote_server(seen.mac, self.random)
            }
        };
        self.stage.add(host)
    }

    /// The host that answers most in a role.
    fn role(
        &mut self,
        survey: &Survey,
        counts: &std::collections::BTreeMap<Ipv4Addr, u64>,
    ) -> Option<HostId> {
        let (address, _) = counts.iter().max_by_key(|(_, count)| **count)?;
        let known = self.stage.hosts().iter().position(|host| host.v4 == *address);
        if let Some(index) = known {
            return Some(HostId(index as u32));
        }
        Some(self.add(*address, survey.hosts.get(address), false))
    }

    /// Servers beyond the gateway that answered most.
    fn sites(&mut self, survey: &Survey, ours: &dyn Fn(Ipv4Addr, &Seen) -> bool) -> Vec<Site> {
        let mut strangers: Vec<(Ipv4Addr, &Seen)> = survey
            .hosts
            .iter()
            .filter(|(address, seen)| !ours(**address, seen) && !seen.services.is_empty())
            .map(|(address, seen)| (*address, seen))
            .collect();
        strangers.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.packets));
        let sites = strangers.into_iter().take(SITES);
        sites
            .map(|(address, seen)| Site {
                name: format!("site-{address}.example"),
                host: self.add(address, Some(seen), false),
            })
            .collect()
    }
}
