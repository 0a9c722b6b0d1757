//! Captures that are strange as files: link types, byte orders, blocks, times, ends in the middle of something. It must
//! never depend on what a frame holds.

use crate::{
    Strange, fixtures,
    frames::pcap,
    write::{self, BEGIN_S, MICRO, MODIFIED, NANO, Order},
};

pub(crate) fn all() -> Vec<Strange> {
    [link_types(), blocks(), resolutions(), times(), ends()].concat()
}

/// Link types that are understood, and some that are not.
const LINK_TYPES: [(u32, bool); 18] = [
    (0, true),
    (1, true),
    (12, true),
    (14, true),
    (101, true),
    (108, true),
    (113, true),
    (228, true),
    (229, true),
    (276, true),
    (6, false),
    (9, false),
    (50, false),
    (105, false),
    (127, false),
    (195, false),
    (249, false),
    (65_535, false),
];

fn link_types() -> Vec<Strange> {
    let (plain, _) = fixtures::plain_tcp(b"text");
    let mut captures = Vec::new();
    for (link_type, supported) in LINK_TYPES {
        for order in Order::BOTH {
            for magic in [MICRO, NANO, MODIFIED] {
                if (order, magic) == (Order::Big, MODIFIED) {
                    // The library that reads file headers knows that kind in little-endian order only.
                    continue;
                }
                // Too short, garbage, and the same frame behind link headers of every length.
                let mut frames: Vec<Vec<u8>> =
                    (0..24).map(|length| vec![length; usize::from(length)]).collect();
                frames.extend((0..24).map(|skip| plain[skip.min(plain.len())..].to_vec()));
                let count = frames.len() as u64;
                let file = if magic == MODIFIED {
                    modified(order, link_type, &frames)
                } else {
                    pcap(order, magic, link_type, &frames)
                };
                captures.push(Strange {
                    unsupported: if supported { 0 } else { count },
                    ..Strange::whole(
                        format!("link type {link_type}, {order:?}, {magic:#x}"),
                        file,
                        count,
                    )
                });
            }
        }
    }
    let mut only = captures
        .iter()
        .find(|one| one.name.starts_with("link type 127"))
        .unwrap()
        .clone();
    "only link type 127".clone_into(&mut only.name);
    captures.push(only);
    captures
}

/// A file of the "modified" kind, whose record headers are longer.
fn modified(order: Order, link_type: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = write::pcap_header(order, MODIFIED, link_type);
    for (number, frame) in frames.iter().enumerate() {
        let time_s = BEGIN_S + number as u32;
        let record = write::record(order, time_s, 0, frame, frame.len() as u32);
        file.extend(&record[..16]);
        file.extend([1, 0, 0, 0, 8, 0, 4, 0]);
        file.extend(frame);
    }
    file
}

/// A simple packet block.
fn simple(order: Order, data: &[u8], wire: u32) -> Vec<u8> {
    write::block(order, 3, &[&order.u32(wire)[..], data].concat())
}

/// The packet block of before 2009.
fn obsolete(order: Order, interface: u16, ticks: u64, data: &[u8]) -> Vec<u8> {
    let mut body = [order.u16(interface), order.u16(3)].concat();
    body.extend(order.u32((ticks >> 32) as u32));
    body.extend(order.u32(ticks as u32));
    body.extend(order.u32(data.len() as u32));
    body.extend(order.u32(data.len() as u32));
    body.extend(data);
    write::block(order, 2, &body)
}

/// Every kind of block, sections one behind the other, interfaces of many link types.
fn blocks() -> Vec<Strange> {
    let (frame, _) = fixtures::plain_tcp(b"text");
    let wire = frame.len() as u32;
    let mut captures = Vec::new();
    let mut sections = Vec::new();
    for order in Order::BOTH {
        let mut file = write::section(order);
        file.extend(write::interface(order, 1, 0, Some("eth0"), None, None));
        file.extend(write::enhanced(
            order,
            0,
            write::frame_ns(1) / 1_000,
            &frame,
            wire,
        ));
        file.extend(simple(order, &frame, wire));
        file.extend(obsolete(order, 0, write::frame_ns(2) / 1_000, &frame));
        file.extend(write::enhanced_with_options(
            order,
            write::frame_ns(3) / 1_000,
            &frame,
        ));
        // Names, statistics, keys, custom blocks, and one that nobody knows.
        for kind in [4, 5, 10, 0xbad, 0x4000_0bad, 0x7fff_ffff] {
            file.extend(write::block(order, kind, &order.u32(7)));
            file.extend(write::block(order, kind, &[]));
        }
        file.extend(write::enhanced(order, 0, write::frame_ns(4) / 1_000, &[], 0));
        captures.push(Strange::whole(
            format!("pcapng with every kind of block, {order:?}"),
            file.clone(),
            5,
        ));
        sections.extend(file);
    }
    captures[0].name = "pcapng with every kind of block".into();
    captures.push(Strange::whole(
        "sections of both orders",
        [sections.clone(), sections].concat(),
        20,
    ));
    for order in Order::BOTH {
        let mut file = write::section(order);
        let mut unsupported = 0;
        for (link_type, supported) in LINK_TYPES {
            file.extend(write::interface(order, link_type as u16, 96, None, Some(9), None));
            unsupported += 3 * u64::from(!supported);
        }
        for round in 0..3 {
            for interface in 0..LINK_TYPES.len() as u32 {
                let time_ns = write::frame_ns(round * 40 + u64::from(interface));
                file.extend(write::enhanced(order, interface, time_ns, &frame, wire));
            }
        }
        let count = 3 * LINK_TYPES.len() as u64;
        captures.push(Strange {
            unsupported,
            ..Strange::whole(format!("interfaces of every link type, {order:?}"), file, count)
        });
        let mut file = write::section(order);
        file.extend(write::enhanced(order, 0, 1, &frame, wire));
        captures.push(Strange {
            damaged: Some(true),
            ..Strange::whole(format!("a packet of no interface, {order:?}"), file, 0)
        });
        let mut file = write::section(order);
        for number in 0..300 {
            file.extend(write::interface(
                order,
                1,
                0,
                Some(&format!("veth{number}")),
                Some(9),
                None,
            ));
            file.extend(write::enhanced(order, number, write::frame_ns(1), &frame, wire));
        }
        captures.push(Strange::whole(
            format!("three hundred interfaces, {order:?}"),
            file,
            300,
        ));
        let mut file = write::section(order);
        file.extend(write::interface(order, 1, 20, None, None, None));
        for _ in 0..5 {
            // The snap length of the interface says how much there is.
            file.extend(simple(order, &frame[..20], wire));
        }
        captures.push(Strange::whole(
            format!("simple packets cut by the snap length, {order:?}"),
            file,
            5,
        ));
        captures.push(Strange::whole(
            format!("a section and nothing else, {order:?}"),
            write::section(order),
            0,
        ));
    }
    captures
}

/// Every resolution of time stamps that matters, with small, ordinary and largest stamps.
fn resolutions() -> Vec<Strange> {
    let (frame, _) = fixtures::plain_tcp(b"text");
    let resolutions = [
        0u8, 3, 6, 9, 10, 12, 19, 28, 29, 63, 127, 0x80, 0x8a, 0x94, 0x9e, 0xbf, 0xc0, 0xff,
    ];
    let offsets = [None, Some(0), Some(-1), Some(i64::MIN), Some(i64::MAX)];
    let mut captures = Vec::new();
    for resolution in resolutions {
        let order = Order::BOTH[usize::from(resolution & 1)];
        let mut file = write::section(order);
        let mut count = 0;
        for (interface, offset) in offsets.into_iter().enumerate() {
            file.extend(write::interface(order, 1, 0, None, Some(resolution), offset));
            for ticks in [0, 1, 1_700_000_000_000_000, 1 << 62, u64::MAX] {
                file.extend(write::enhanced(
                    order,
                    interface as u32,
                    ticks,
                    &frame,
                    frame.len() as u32,
                ));
                count += 1;
            }
        }
        captures.push(Strange::whole(
            format!("times of resolution {resolution:#x}"),
            file,
            count,
        ));
    }
    captures
}

/// One frame at each of these times.
fn timed(name: &str, magic: u32, times: &[(u32, u32)]) -> Strange {
    let (frame, _) = fixtures::plain_tcp(b"text");
    let mut file = write::pcap_header(Order::Little, magic, 1);
    for (seconds, fraction) in times {
        file.extend(write::record(
            Order::Little,
            *seconds,
            *fraction,
            &frame,
            frame.len() as u32,
        ));
    }
    Strange::whole(name, file, times.len() as u64)
}

fn times() -> Vec<Strange> {
    let day = 86_400;
    let around = |offsets: &[i64]| -> Vec<(u32, u32)> {
        let at = |offset: &i64| ((i64::from(BEGIN_S) + offset) as u32, 0);
        offsets.iter().map(at).collect()
    };
    vec![
        timed(
            "times of the epoch and of 2106",
            MICRO,
            &[(0, 0), (u32::MAX, 999_999), (0, 1), (u32::MAX, 0)],
        ),
        timed("times of the epoch only", NANO, &[(0, 0), (0, 0), (0, 1), (1, 0)]),
        timed("one frame of 2106", NANO, &[(u32::MAX, 999_999_999)]),
        timed("all at one time", MICRO, &[(BEGIN_S, 5); 200]),
        timed(
            "backwards by microseconds",
            MICRO,
            &(0..200).map(|n| (BEGIN_S, 999 - n)).collect::<Vec<_>>(),
        ),
        timed(
            "backwards by days",
            MICRO,
            &around(&(0..30).map(|n| -n * day).collect::<Vec<_>>()),
        ),
        timed(
            "forwards by weeks and more",
            MICRO,
            &around(&[0, 8 * day, 90 * day, 4_000 * day]),
        ),
        timed("a day of silence", MICRO, &around(&[0, day, day + 1])),
        timed(
            "forth and back by a month",
            NANO,
            &around(&[0, 30 * day, 1, 30 * day + 1, 2, 30 * day + 2]),
        ),
        timed(
            "back by a second and forth",
            MICRO,
            &around(&[10, 9, 11, 10, 12, 11, 13]),
        ),
        timed(
            "a leap at the border of a window",
            NANO,
            &around(&[0, 10, 20, 20, 29, 30, 40, 49, 50]),
        ),
        timed(
            "fractions beyond a second",
            MICRO,
            &[
                (BEGIN_S, 0),
                (BEGIN_S, 1_000_000),
                (BEGIN_S + 1, 3_999_999),
                (BEGIN_S + 9, 0),
            ],
        ),
    ]
}

/// Captures that end too early, and holes in them.
fn ends() -> Vec<Strange> {
    let mut captures = vec![
        Strange::whole("a header and nothing else", write::pcap(0), 0),
        Strange::whole("a pcapng without frames", write::pcapng(0), 0),
    ];
    let (whole, five) = (write::pcap(6), write::pcap(5).len());
    for cut in five + 1..whole.len() {
        captures.push(Strange {
            damaged: Some(true),
            ..Strange::whole(format!("a record cut at {cut}"), whole[..cut].to_vec(), 5)
        });
    }
    let mut cut = captures[captures.len() - 1].clone();
    "a frame cut in the middle".clone_into(&mut cut.name);
    captures.push(cut);
    let (whole, five) = (write::pcapng(6), write::pcapng(5).len());
    for cut in (five + 1..whole.len()).step_by(5) {
        captures.push(Strange {
            damaged: Some(true),
            ..Strange::whole(format!("a block cut at {cut}"), whole[..cut].to_vec(), 5)
        });
    }
    let mut cut = captures[captures.len() - 1].clone();
    "pcapng that ends within a block".clone_into(&mut cut.name);
    captures.push(cut);
    for hole in [1usize, 4, 16, 64, 4_096] {
        for byte in [0u8, 0xff] {
            let mut file = write::pcap(3);
            let rest = write::pcap(9).split_off(file.len());
            file.extend(vec![byte; hole]);
            file.extend(rest);
            captures.push(Strange {
                // A hole of a few bytes may look like the beginning of a record: how much it costs is not asked here.
                frames: None,
                damaged: Some(true),
                ..Strange::whole(format!("a hole of {hole} bytes {byte:#x}"), file, 0)
            });
        }
    }
    captures
}
