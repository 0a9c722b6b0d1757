//! Captures whose frames are strange: every fixture of the parser and its cuts, stacks of tags and headers, all numbers
//! of a field, lengths that lie, garbage. It must never need a file.

use etherparse::IpHeaders;
use sensor_common::parse::Start;
use sensor_tests::generate::{self, Random};

use crate::{
    Strange, fixtures,
    write::{self, Order},
};

/// A pcap of a link type, a frame a second, in whatever order and unit.
pub(crate) fn pcap(order: Order, magic: u32, link_type: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = write::pcap_header(order, magic, link_type);
    for (number, frame) in frames.iter().enumerate() {
        let time_s = write::BEGIN_S + number as u32;
        file.extend(write::record(
            order,
            time_s,
            number as u32,
            frame,
            frame.len() as u32,
        ));
    }
    file
}

fn ethernet(name: &str, frames: &[Vec<u8>]) -> Strange {
    let file = pcap(Order::Little, write::MICRO, 1, frames);
    Strange::whole(name, file, frames.len() as u64)
}

pub(crate) fn all() -> Vec<Strange> {
    [of_fixtures(), stacks(), fields(), lengths(), noise()].concat()
}

/// Every fixture of the parser: alone, cut by every snap length, and in a pcapng of the other byte order.
fn of_fixtures() -> Vec<Strange> {
    let mut captures = Vec::new();
    for fixture in fixtures::all() {
        let link_type = match fixture.start {
            Start::Ethernet => 1,
            Start::Ip => 101,
            // A link header of its own, which the cooked capture has in front.
            Start::EtherType { .. } => 113,
        };
        let name = fixture.name;
        let twice = [fixture.bytes.clone(), fixture.bytes.clone()];
        let file = pcap(Order::Big, write::NANO, link_type, &twice);
        captures.push(Strange::whole(format!("{name}, twice"), file, 2));

        let mut file = write::pcap_header(Order::Little, write::MICRO, link_type);
        let wire = fixture.bytes.len() as u32;
        let cuts = fixture.bytes.len().min(160);
        for cut in 0..cuts {
            let time_s = write::BEGIN_S + cut as u32;
            file.extend(write::record(
                Order::Little,
                time_s,
                7,
                &fixture.bytes[..cut],
                wire,
            ));
        }
        captures.push(Strange::whole(
            format!("{name}, cut everywhere"),
            file,
            cuts as u64,
        ));

        let mut file = write::section(Order::Big);
        file.extend(write::interface(
            Order::Big,
            link_type as u16,
            0,
            None,
            Some(9),
            None,
        ));
        for round in 0..3 {
            let time_ns = write::frame_ns(round * 20);
            file.extend(write::enhanced(Order::Big, 0, time_ns, &fixture.bytes, wire));
        }
        captures.push(Strange::whole(format!("{name}, in a pcapng"), file, 3));
    }
    captures
}

/// An IPv4 frame from A to B around a payload.
fn v4(proto: u8, payload: &[u8]) -> Vec<u8> {
    fixtures::frame_v4(proto, payload)
}

/// An IPv6 packet from A to B with this next header.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, fixtures::TTL]);
    packet.extend(fixtures::A6);
    packet.extend(fixtures::B6);
    packet.extend(payload);
    packet
}

fn udp(target_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = 40_000u16.to_be_bytes().to_vec();
    datagram.extend(target_port.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

fn tagged(tags: &[u16], frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    for (number, tag) in tags.iter().enumerate() {
        out.extend(tag.to_be_bytes());
        out.extend((number as u16).to_be_bytes());
    }
    out.extend(&frame[12..]);
    out
}

/// Things inside things.
fn stacks() -> Vec<Strange> {
    let (plain, _) = fixtures::plain_tcp(b"inside");
    let inner = fixtures::ipv4(17, &udp(53, b"question"));
    let mut captures = Vec::new();
    for ethertype in [0x8100u16, 0x88a8, 0x9100, 0x9200] {
        let frames: Vec<_> = (0..12)
            .map(|depth| tagged(&vec![ethertype; depth], &plain))
            .collect();
        captures.push(ethernet(&format!("up to 11 tags {ethertype:#06x}"), &frames));
    }
    let mixed: Vec<_> = (0..64u32)
        .map(|bits| {
            let tags: Vec<u16> = (0..6)
                .map(|at| if bits >> at & 1 == 0 { 0x8100 } else { 0x88a8 })
                .collect();
            tagged(&tags[..(bits % 7) as usize], &plain)
        })
        .collect();
    captures.push(ethernet("tags mixed", &mixed));
    // Extension headers: hop by hop, routing, fragment, destination, authentication, mobility, HIP, shim6.
    for kind in [0u8, 43, 44, 60, 51, 135, 139, 140, 253] {
        let chains: Vec<_> = (0..24usize)
            .map(|depth| {
                let mut payload = Vec::new();
                for level in 0..depth {
                    let next = if level + 1 == depth { 17 } else { kind };
                    payload.extend([next, 0, 0, 0, 0, 0, 0, 0]);
                }
                payload.extend(udp(443, &[1; 20]));
                fixtures::ethernet(0x86dd, &v6(if depth == 0 { 17 } else { kind }, &payload))
            })
            .collect();
        captures.push(ethernet(&format!("chains of IPv6 header {kind}"), &chains));
    }
    let mut nested = inner.clone();
    let in_ip: Vec<_> = (0..12)
        .map(|_| {
            nested = fixtures::ipv4(4, &nested);
            fixtures::ethernet(0x0800, &nested)
        })
        .collect();
    captures.push(ethernet("IP in IP in IP", &in_ip));
    let mut nested = fixtures::ethernet(0x0800, &inner);
    let vxlan: Vec<_> = (0..8)
        .map(|_| {
            let payload = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &nested].concat();
            nested = v4(17, &udp(4789, &payload));
            nested.clone()
        })
        .collect();
    captures.push(ethernet("VXLAN in VXLAN", &vxlan));
    let geneve: Vec<_> = (0..64u8)
        .map(|words| {
            let mut payload = vec![words, 0, 0x65, 0x58, 0, 0, 7, 0];
            payload.resize(8 + 4 * usize::from(words), 0xaa);
            payload.extend(fixtures::ethernet(0x0800, &inner));
            v4(17, &udp(6081, &payload))
        })
        .collect();
    captures.push(ethernet("GENEVE with every length of options", &geneve));
    let gre: Vec<_> = (0..=255u8)
        .map(|flags| {
            let payload = [&[flags, flags % 3, 8, 0][..], &[9; 12], &inner].concat();
            v4(47, &payload)
        })
        .collect();
    captures.push(ethernet("GRE with every flag", &gre));
    let six: Vec<_> = [4, 41, 47, 50, 51, 94, 97, 108, 115, 137]
        .map(|proto| v4(proto, &v6(17, &udp(53, b"x"))))
        .to_vec();
    captures.push(ethernet("IPv6 in everything", &six));
    for fragment in [0x2000u16, 0x2001, 0x1fff, 0x3fff, 0x4000, 0x6000, 0x8000, 0xffff] {
        let frames: Vec<_> = [6, 17, 1, 47, 4, 132]
            .map(|proto| {
                let mut frame = v4(proto, &udp(53, &inner));
                frame[20..22].copy_from_slice(&fragment.to_be_bytes());
                frame
            })
            .to_vec();
        captures.push(ethernet(&format!("fragments {fragment:#06x}"), &frames));
    }
    captures
}

/// All values of one field.
fn fields() -> Vec<Strange> {
    let (tcp, _) = fixtures::plain_tcp(b"data");
    let (mut captures, every) = (Vec::new(), 0..=255u8);
    let of_byte = |name: &str, at: usize, frame: &[u8]| {
        let frames: Vec<_> = every
            .clone()
            .map(|value| {
                let mut frame = frame.to_vec();
                frame[at] = value;
                frame
            })
            .collect();
        ethernet(name, &frames)
    };
    captures.push(of_byte("every version and header length", 14, &tcp));
    captures.push(of_byte("every IP protocol", 23, &tcp));
    captures.push(of_byte("every TTL", 22, &tcp));
    captures.push(of_byte("every TCP data offset", 46, &tcp));
    captures.push(of_byte("every set of TCP flags", 47, &tcp));
    captures.push(of_byte("every ICMP type", 34, &v4(1, &[0; 16])));
    captures.push(of_byte("every high byte of EtherType", 12, &tcp));
    captures.push(of_byte("every low byte of EtherType", 13, &tcp));
    let icmpv6 = fixtures::ethernet(0x86dd, &v6(58, &[0; 24]));
    captures.push(of_byte("every ICMPv6 type", 54, &icmpv6));
    captures.push(of_byte("every IPv6 next header", 20, &icmpv6));
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[2; 20]].concat();
    let arp = fixtures::ethernet(0x0806, &arp);
    for (at, what) in [
        (15, "hardware"),
        (17, "protocol"),
        (18, "length"),
        (21, "operation"),
    ] {
        captures.push(of_byte(&format!("every ARP {what}"), at, &arp));
    }
    let same = |address: [u8; 4], port: u16| {
        let mut frame = tcp.clone();
        frame[26..30].copy_from_slice(&address);
        frame[30..34].copy_from_slice(&address);
        frame[34..38].copy_from_slice(&[port.to_be_bytes(), port.to_be_bytes()].concat());
        frame
    };
    let selves: Vec<_> = [[0; 4], [255; 4], [127, 0, 0, 1], [224, 0, 0, 1], [169, 254, 0, 1]]
        .iter()
        .flat_map(|address| [same(*address, 0), same(*address, 139), same(*address, 65_535)])
        .collect();
    captures.push(ethernet("packets to their sender", &selves));
    // More flows than are followed, and more hosts than are remembered.
    let many: Vec<_> = (0..1_000u16)
        .map(|number| {
            let mut frame = tcp.clone();
            frame[28..30].copy_from_slice(&number.to_be_bytes());
            frame
        })
        .collect();
    let mut file = write::pcap_header(Order::Little, write::MICRO, 1);
    for (number, frame) in many.iter().enumerate() {
        let part = number as u32;
        file.extend(write::record(
            Order::Little,
            write::BEGIN_S,
            part,
            frame,
            frame.len() as u32,
        ));
    }
    captures.push(Strange::whole("more flows than are followed", file, 1_000));
    captures
}

/// Lengths that lie, and extreme ones.
fn lengths() -> Vec<Strange> {
    let (tcp, _) = fixtures::plain_tcp(&[3; 30]);
    let mut captures = Vec::new();
    let lies = |at: usize, frame: &[u8]| -> Vec<Vec<u8>> {
        [0u16, 1, 8, 19, 20, 21, 39, 40, 41, 1_500, 0x7fff, 0xffff]
            .map(|length| {
                let mut frame = frame.to_vec();
                frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
                frame
            })
            .to_vec()
    };
    captures.push(ethernet("IPv4 lengths that lie", &lies(16, &tcp)));
    let datagram = v4(17, &udp(53, &[7; 50]));
    captures.push(ethernet("UDP lengths that lie", &lies(38, &datagram)));
    let six = fixtures::ethernet(0x86dd, &v6(17, &udp(53, &[7; 50])));
    captures.push(ethernet("IPv6 lengths that lie", &lies(18, &six)));
    for length in [1_500usize, 9_000, 65_535, 200_000, 262_144] {
        let mut jumbo = fixtures::tcp_with(
            IpHeaders::Ipv4(fixtures::header_v4(), etherparse::Ipv4Extensions::default()),
            &[5; 1_000],
        );
        jumbo.resize(length, 0x55);
        let mut file = write::pcap_header(Order::Little, write::MICRO, 1);
        // The header's snap length: none.
        file[16..20].copy_from_slice(&[0; 4]);
        for number in 0..3 {
            let time_s = write::BEGIN_S + number;
            file.extend(write::record(
                Order::Little,
                time_s,
                0,
                &jumbo,
                jumbo.len() as u32,
            ));
        }
        captures.push(Strange::whole(format!("frames of {length} bytes"), file, 3));
    }
    // Claimed lengths on the wire up to the largest number there is.
    let mut file = write::pcap_header(Order::Little, write::MICRO, 1);
    for (number, wire) in [60u32, 65_536, 1 << 20, 1 << 31, u32::MAX]
        .into_iter()
        .enumerate()
    {
        let time_s = write::BEGIN_S + number as u32;
        file.extend(write::record(
            Order::Little,
            time_s,
            0,
            &tcp,
            wire.max(tcp.len() as u32),
        ));
    }
    captures.push(Strange::whole("lengths on the wire up to 4 GiB", file, 5));
    let short: Vec<_> = (0..80).map(|length| vec![0; length]).collect();
    captures.push(ethernet("zeros of every length", &short));
    captures.push(ethernet("frames without a byte", &vec![Vec::new(); 20]));
    captures
}

/// Random frames, and bytes that are no frames.
fn noise() -> Vec<Strange> {
    let mut captures = Vec::new();
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let frames: Vec<_> = (0..100).map(|_| generate::frame(&mut random)).collect();
        captures.push(ethernet(&format!("random frames {seed}"), &frames));
    }
    let mut random = Random::new(99);
    let mut garbage = |count: usize| -> Vec<u8> { (0..count).map(|_| random.number() as u8).collect() };
    let payloads: Vec<_> = (0..60)
        .map(|round| match round % 3 {
            0 => fixtures::ethernet(0x0800, &garbage(round * 20)),
            1 => v4(6, &garbage(round * 20)),
            _ => garbage(round * 20),
        })
        .collect();
    captures.push(ethernet("garbage payloads", &payloads));
    captures
}
