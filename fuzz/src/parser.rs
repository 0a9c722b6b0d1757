//! The packet parser on any frame: it must never panic, find another flow in a cut frame, or count more than there is.
//!
//! The first five bytes of an input say how the rest is a frame: where parsing begins, a tag beside the frame, how much
//! longer it was on the wire, and where it is cut.

use sensor::capture::CaptureReader;
use sensor_common::counter::Skip;
use sensor_common::flow::{NET_ARP, TUNNEL_NONE};
use sensor_common::parse::{self, ETH_IPV4, ETH_IPV6, Frame, Start};
use sensor_tests::generate::{self, Random};

use super::seeds;

/// Bytes before the frame.
pub const CONTROL: usize = 5;
/// Frames that are generated as seeds.
const GENERATED: usize = 400;
/// Frames of each real capture that are seeds.
const REAL: usize = 3;

/// Parses the frame in `data`.
pub fn run(data: &[u8]) {
    let Some((control, bytes)) = data.split_first_chunk::<CONTROL>() else {
        return;
    };
    let frame = frame(*control, bytes.len());
    let whole = parse::parse(bytes, &frame);
    if let Ok(parsed) = &whole {
        let key = &parsed.key;
        let ends = [(key.addr[0], key.port[0]), (key.addr[1], key.port[1])];
        assert!(parsed.half <= 1 && parsed.fragment <= 1);
        // Endpoints are ordered by address, then port; ICMP keeps type and code in the place of ports.
        assert!(ends[0] <= ends[1], "{parsed:?}");
        assert!(parsed.payload_len <= frame.len, "{parsed:?} of {frame:?}");
        assert_eq!(key.iface, frame.iface);
        if key.kind >> 4 == NET_ARP {
            assert!(parsed.tcp_flags <= 2 && parsed.payload_len == 0);
        }
    }
    let cut = &bytes[..bytes.len() * usize::from(control[4]) / 256];
    match (&whole, parse::parse(cut, &frame)) {
        (_, Err(Skip::Truncated)) => {}
        (Ok(whole), Ok(cut)) => {
            // A tunnel that is cut is its outer flow.
            let outer = whole.key.kind & 0xf != TUNNEL_NONE && cut.key.kind & 0xf == TUNNEL_NONE;
            assert!(outer || cut.key == whole.key, "{whole:?}\n{cut:?}");
            assert!(outer || cut.half == whole.half);
        }
        (Err(whole), Err(cut)) => assert_eq!(*whole, cut),
        (whole, cut) => panic!("{whole:?}, but cut: {cut:?}"),
    }
}

/// What the control bytes say.
fn frame(control: [u8; CONTROL], captured: usize) -> Frame {
    let start = match control[0] & 7 {
        0 | 1 => Start::Ethernet,
        2 => Start::Ip,
        3 => Start::EtherType {
            ethertype: ETH_IPV4,
            offset: u32::from(control[1] & 0x1f),
        },
        4 => Start::EtherType {
            ethertype: ETH_IPV6,
            offset: u32::from(control[1] & 0x1f),
        },
        _ => Start::EtherType {
            ethertype: u16::from_be_bytes([control[1], control[2]]),
            offset: 16,
        },
    };
    Frame {
        start,
        len: captured as u32 + (u32::from(control[3]) << (control[0] >> 4)),
        // VLAN_PRESENT | id, as the kernel hands it over.
        tag: if control[0] & 8 == 0 {
            0
        } else {
            0x1000 | u16::from(control[2])
        },
        iface: 3,
    }
}

/// Frames of the generator, frames cut into raw IP, and frames of real captures.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random::new(0xf0_2200);
    let mut all = Vec::new();
    for number in 0..GENERATED {
        let frame = generate::frame(&mut random);
        let cut = random.number() as u8;
        let (kind, bytes) = match number % 8 {
            0 => (2, frame.get(14..).unwrap_or_default()),
            1 => (8, frame.as_slice()),
            2 => (5, frame.get(12..).unwrap_or_default()),
            _ => (0, frame.as_slice()),
        };
        all.push([&[kind, 8, 0, 0, cut], bytes].concat());
    }
    for capture in seeds::real_captures() {
        let stream = Box::new(std::io::Cursor::new(capture));
        let Ok(mut reader) = CaptureReader::new(stream, "seed") else {
            continue;
        };
        for _ in 0..REAL {
            let Some(head) = reader.advance() else { break };
            let kind = if head.start == Start::Ip { 2 } else { 0 };
            let cut = random.number() as u8;
            all.push([&[kind, 8, 0, 0, cut], reader.data(&head)].concat());
        }
    }
    all
}
