//! Writes captures for the tests, in every variant that readers meet.

/// A byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) const BOTH: [Self; 2] = [Self::Little, Self::Big];

    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

pub(super) const MICRO: u32 = 0xa1b2_c3d4;
pub(super) const NANO: u32 = 0xa1b2_3c4d;
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;

/// The header of a pcap file with a snap length of 65,535.
pub(super) fn pcap_header(order: Order, magic: u32, link_type: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    file.extend([0; 8]);
    file.extend(order.u32(65_535));
    file.extend(order.u32(link_type));
    file
}

/// A pcap record; `fraction` in the unit of the file.
pub(super) fn record(order: Order, seconds: u32, fraction: u32, data: &[u8], wire: u32) -> Vec<u8> {
    let mut record = order.u32(seconds).to_vec();
    record.extend(order.u32(fraction));
    record.extend(order.u32(data.len() as u32));
    record.extend(order.u32(wire));
    record.extend(data);
    record
}

/// The bytes of frame `number` of a made-up capture: lengths differ, and so do the bytes.
pub(super) fn frame(number: u64) -> Vec<u8> {
    let length = 14 + (number * 37 % 90) as usize;
    (0..length)
        .map(|at| (number as usize * 31 + at * 7) as u8)
        .collect()
}

/// Seconds at which made-up captures begin.
pub(super) const BEGIN_S: u32 = 1_700_000_000;

/// Time of frame `number` of a made-up capture.
pub(super) fn frame_ns(number: u64) -> u64 {
    (u64::from(BEGIN_S) + number) * 1_000_000_000 + number * 1_000
}

/// A pcap of `count` made-up Ethernet frames.
pub(super) fn pcap(count: u64) -> Vec<u8> {
    let mut file = pcap_header(Order::Little, MICRO, 1);
    for number in 1..=count {
        let data = frame(number);
        file.extend(record(
            Order::Little,
            BEGIN_S + number as u32,
            number as u32,
            &data,
            data.len() as u32,
        ));
    }
    file
}

/// A pcapng block around a body.
pub(super) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = order.u32((12 + body.len() + padding) as u32);
    let mut block = order.u32(kind).to_vec();
    block.extend(length);
    block.extend(body);
    block.resize(block.len() + padding, 0);
    block.extend(length);
    block
}

/// A section header block.
pub(super) fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// One option, padded.
fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut option = order.u16(code).to_vec();
    option.extend(order.u16(value.len() as u16));
    option.extend(value);
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

/// An interface description block with what it has of name, resolution and offset.
pub(super) fn interface(
    order: Order,
    link_type: u16,
    snap: u32,
    name: Option<&str>,
    resolution: Option<u8>,
    offset_s: Option<i64>,
) -> Vec<u8> {
    let mut body = order.u16(link_type).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(snap));
    if let Some(name) = name {
        body.extend(option(order, 2, name.as_bytes()));
    }
    if let Some(resolution) = resolution {
        body.extend(option(order, 9, &[resolution]));
    }
    if let Some(offset_s) = offset_s {
        body.extend(option(order, 14, &order.u64(offset_s as u64)));
    }
    body.extend(option(order, 0, &[]));
    block(order, 1, &body)
}

/// An enhanced packet block.
pub(super) fn enhanced(order: Order, interface: u32, ticks: u64, data: &[u8], wire: u32) -> Vec<u8> {
    let mut body = order.u32(interface).to_vec();
    body.extend(order.u32((ticks >> 32) as u32));
    body.extend(order.u32(ticks as u32));
    body.extend(order.u32(data.len() as u32));
    body.extend(order.u32(wire));
    body.extend(data);
    block(order, 6, &body)
}

/// An enhanced packet block with a flags option and a comment, as Wireshark writes them.
pub(super) fn enhanced_with_options(order: Order, ticks: u64, data: &[u8]) -> Vec<u8> {
    let plain = enhanced(order, 0, ticks, data, data.len() as u32);
    let mut body = plain[8..plain.len() - 4].to_vec();
    body.extend(option(order, 2, &order.u32(1)));
    body.extend(option(order, 1, b"a comment"));
    body.extend(option(order, 0, &[]));
    block(order, 6, &body)
}

/// A pcapng of `count` made-up Ethernet frames on an interface named `eth0`.
pub(super) fn pcapng(count: u64) -> Vec<u8> {
    let order = Order::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, 65_535, Some("eth0"), None, None));
    for number in 1..=count {
        let data = frame(number);
        file.extend(enhanced(
            order,
            0,
            frame_ns(number) / 1_000,
            &data,
            data.len() as u32,
        ));
    }
    file
}
