//! The network of the lab: the internet side, a gateway on which the sensor runs, and a local network behind it.
//!
//! ```text
//!   wan namespace                     gateway namespace              lan namespace
//!   clients .10-.17, server .200,     wan0 [sensor]       lan0       web server .10,
//!   resolver .53, attacker .66        203.0.113.1         10.77.0.1  resolver .53,
//!                                     2001:db8:1::1       fd77::1    devices .20-.23
//! ```
//! Documentation addresses outside, private ones inside, all of them only within the three namespaces. Must never
//! route to the machine's network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;

use crate::netns::{Netns, connect};

/// The interface of the gateway that faces the internet: where the sensor is attached.
pub const GATEWAY_INTERFACE: &str = "wan0";
/// The other end of the same veth pair, in the wan namespace.
pub const WAN_INTERFACE: &str = "peer0";
/// Where the attacks come from.
pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// The web server on the local network: what is scanned and flooded.
pub const WEB_SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);

/// MAC addresses that never change, so that frames can be built by hand.
const GATEWAY_MAC: [u8; 6] = [0x02, 0x53, 0, 0, 0, 0x01];
const WAN_MAC: [u8; 6] = [0x02, 0x53, 0, 0, 0, 0x02];

/// The three namespaces, joined and addressed. Everything vanishes when it is dropped.
#[derive(Debug)]
pub struct Topology {
    /// The internet side: clients, a web server, a resolver, the attacker.
    pub wan: Netns,
    /// The gateway; the sensor runs here.
    pub gateway: Netns,
    /// The local network: servers and devices.
    pub lan: Netns,
}

impl Topology {
    /// Makes the namespaces, cables, addresses and routes.
    ///
    /// # Errors
    /// When the process may not, or `ip` is missing.
    pub fn create() -> Result<Self> {
        let topology = Self {
            wan: Netns::create("wan")?,
            gateway: Netns::create("gateway")?,
            lan: Netns::create("lan")?,
        };
        let Self { wan, gateway, lan } = &topology;
        connect((gateway, GATEWAY_INTERFACE), (wan, WAN_INTERFACE))?;
        connect((gateway, "lan0"), (lan, "peer1"))?;
        gateway.ip(&format!(
            "link set {GATEWAY_INTERFACE} address {}",
            mac_text(GATEWAY_MAC)
        ))?;
        wan.ip(&format!("link set {WAN_INTERFACE} address {}", mac_text(WAN_MAC)))?;

        gateway.ip(&format!("addr add 203.0.113.1/24 dev {GATEWAY_INTERFACE}"))?;
        gateway.ip(&format!(
            "addr add 2001:db8:1::1/64 dev {GATEWAY_INTERFACE} nodad"
        ))?;
        gateway.ip("addr add 10.77.0.1/24 dev lan0")?;
        gateway.ip("addr add fd77::1/64 dev lan0 nodad")?;
        // A router asks for its neighbours from a link-local address, which our namespaces do not make by themselves.
        for interface in [GATEWAY_INTERFACE, "lan0"] {
            gateway.ip(&format!("addr add fe80::1/64 dev {interface} nodad"))?;
        }
        gateway.sysctl("ipv4/ip_forward", "1")?;
        gateway.sysctl("ipv6/conf/all/forwarding", "1")?;
        // Answers to spoofed sources go back where a real gateway would send them; the wan side drops them.
        gateway.ip("route add default via 203.0.113.10")?;

        for host in wan_hosts() {
            wan.ip(&format!("addr add 203.0.113.{host}/24 dev {WAN_INTERFACE}"))?;
            wan.ip(&format!(
                "addr add 2001:db8:1::{host}/64 dev {WAN_INTERFACE} nodad"
            ))?;
        }
        wan.ip("route add default via 203.0.113.1")?;
        wan.ip("route add default via 2001:db8:1::1")?;
        for host in lan_hosts() {
            lan.ip(&format!("addr add 10.77.0.{host}/24 dev peer1"))?;
            lan.ip(&format!("addr add fd77::{host}/64 dev peer1 nodad"))?;
        }
        lan.ip("route add default via 10.77.0.1")?;
        lan.ip("route add default via fd77::1")?;
        Ok(topology)
    }
}

/// MAC addresses of a frame that goes from the wan side to the gateway: source, destination.
pub fn macs_to_gateway() -> ([u8; 6], [u8; 6]) {
    (WAN_MAC, GATEWAY_MAC)
}

/// An address on the wan side: clients are 10 to 17, the resolver 53, the attacker 66, the web server 200.
pub fn wan_v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, host))
}

/// As [`wan_v4`]. The host number is written in hexadecimal digits as it reads in decimal (`::53`, `::200`).
pub fn wan_v6(host: u8) -> IpAddr {
    v6([0x2001, 0xdb8, 1], host)
}

/// An address on the local network: web server 10, devices 20 to 23, resolver 53.
pub fn lan_v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, host))
}

/// As [`lan_v4`], written as [`wan_v6`] is.
pub fn lan_v6(host: u8) -> IpAddr {
    v6([0xfd77, 0, 0], host)
}

/// A socket address, for the tables of servers.
pub fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

fn v6(network: [u16; 3], host: u8) -> IpAddr {
    let host = u16::from(host);
    // 200 decimal is written ::200, that is 0x200.
    let digits = host / 100 * 0x100 + host / 10 % 10 * 0x10 + host % 10;
    IpAddr::V6(Ipv6Addr::new(
        network[0], network[1], network[2], 0, 0, 0, 0, digits,
    ))
}

fn wan_hosts() -> impl Iterator<Item = u8> {
    (10..=17).chain([53, 66, 200])
}

fn lan_hosts() -> impl Iterator<Item = u8> {
    [10, 53].into_iter().chain(20..=23)
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
