//! Crafted frames with what they must be counted as, for the host build and the kernel programs alike.
//!
//! Frames come from `etherparse` where it can build them and from bytes by hand otherwise; expectations are written
//! down, never computed by the project's own parser.

/// The bytes that a builder of `etherparse` writes.
macro_rules! written {
    ($step:expr, $payload:expr) => {{
        let mut frame = Vec::new();
        $step.write(&mut frame, $payload).unwrap();
        frame
    }};
}

#[path = "fixtures/broken.rs"]
mod broken;
#[path = "fixtures/link.rs"]
mod link;
#[path = "fixtures/network.rs"]
mod network;
#[path = "fixtures/transport.rs"]
mod transport;
#[path = "fixtures/tunnel.rs"]
mod tunnel;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use sensor_common::{
    counter::Skip,
    flow::{FlowKey, NET_IPV4, NET_IPV6},
    parse::Start,
};

pub const SOURCE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
pub const TARGET_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];
/// Lower than [`B4`]: packets from A to B are half 0.
pub const A4: [u8; 4] = [192, 0, 2, 1];
pub const B4: [u8; 4] = [198, 51, 100, 7];
pub const A6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const B6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
pub const TTL: u8 = 57;
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// What a frame must be counted as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub key: FlowKey,
    pub half: u8,
    pub payload_len: u32,
    pub flags: u8,
    pub ttl: u8,
    pub fragment: u8,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Where parsing begins; the kernel's test runs only know Ethernet.
    pub start: Start,
    /// A tag beside the frame, as offloads leave it.
    pub tag: u16,
    pub expected: Result<Expected, Skip>,
    /// Of a tunnelled frame: the flow that counts when the inside is cut off.
    pub outer: Option<FlowKey>,
}

impl Fixture {
    fn flow(name: &'static str, bytes: Vec<u8>, expected: Expected) -> Self {
        Self {
            name,
            bytes,
            start: Start::Ethernet,
            tag: 0,
            expected: Ok(expected),
            outer: None,
        }
    }

    fn skipped(name: &'static str, bytes: Vec<u8>, skip: Skip) -> Self {
        Self {
            name,
            bytes,
            start: Start::Ethernet,
            tag: 0,
            expected: Err(skip),
            outer: None,
        }
    }
}

impl Expected {
    /// A flow between two endpoints, seen from the source.
    fn new(network: u8, proto: u8, source: ([u8; 16], u16), target: ([u8; 16], u16), payload: usize) -> Self {
        let forward = source <= target;
        let (low, high) = if forward {
            (source, target)
        } else {
            (target, source)
        };
        let key = FlowKey {
            addr: [low.0, high.0],
            tunnel_id: 0,
            port: [low.1, high.1],
            vlan: [0, 0],
            iface: 0,
            proto,
            kind: network << 4,
        };
        let half = u8::from(!forward);
        Self {
            key,
            half,
            payload_len: payload as u32,
            flags: 0,
            ttl: TTL,
            fragment: 0,
        }
    }

    pub fn v4(proto: u8, source: ([u8; 4], u16), target: ([u8; 4], u16), payload: usize) -> Self {
        Self::new(
            NET_IPV4,
            proto,
            (mapped(source.0), source.1),
            (mapped(target.0), target.1),
            payload,
        )
    }

    pub fn v6(proto: u8, source: ([u8; 16], u16), target: ([u8; 16], u16), payload: usize) -> Self {
        Self::new(NET_IPV6, proto, source, target, payload)
    }

    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    pub fn fragment(mut self) -> Self {
        self.fragment = 1;
        self
    }

    pub fn vlan(mut self, outer: u16, inner: u16) -> Self {
        self.key.vlan = [outer, inner];
        self
    }

    pub fn tunnel(mut self, kind: u8, id: u32) -> Self {
        self.key.kind |= kind;
        self.key.tunnel_id = id;
        self
    }
}

/// IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2).
pub fn mapped(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

/// An Ethernet header and what follows it.
pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [TARGET_MAC, SOURCE_MAC].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 header from A to B for `etherparse`.
pub fn header_v4() -> Ipv4Header {
    let mut header = Ipv4Header::new(0, TTL, IpNumber::TCP, A4, B4).unwrap();
    header.identification = 7;
    header
}

/// An IPv6 header from A to B for `etherparse`.
pub fn header_v6() -> Ipv6Header {
    Ipv6Header {
        hop_limit: TTL,
        source: A6,
        destination: B6,
        ..Ipv6Header::default()
    }
}

/// A frame with these IP headers and TCP from port 12345 to 8080 with ACK.
pub fn tcp_with(ip: IpHeaders, payload: &[u8]) -> Vec<u8> {
    let step = PacketBuilder::ethernet2(SOURCE_MAC, TARGET_MAC)
        .ip(ip)
        .tcp(12_345, 8080, 1, 512)
        .ack(1);
    written!(step, payload)
}

/// A plain TCP frame from A to B with ACK, and its expectation.
pub fn plain_tcp(payload: &[u8]) -> (Vec<u8>, Expected) {
    let frame = tcp_with(
        IpHeaders::Ipv4(header_v4(), etherparse::Ipv4Extensions::default()),
        payload,
    );
    (
        frame,
        Expected::v4(TCP, (A4, 12_345), (B4, 8080), payload.len()).flags(ACK),
    )
}

/// The IPv4 packet of A to B with any protocol and payload, without link header.
pub fn ipv4(proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = Ipv4Header::new(payload.len() as u16, TTL, IpNumber(proto), A4, B4).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

/// A frame with an IPv4 packet of any protocol.
pub fn frame_v4(proto: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(proto, payload))
}

/// All fixtures.
pub fn all() -> Vec<Fixture> {
    [
        link::all(),
        network::all(),
        transport::all(),
        tunnel::all(),
        broken::all(),
    ]
    .concat()
}

/// The fixture of that name.
pub fn named(name: &str) -> Fixture {
    all()
        .into_iter()
        .find(|fixture| fixture.name == name)
        .unwrap_or_else(|| panic!("no fixture {name}"))
}
