//! Counts one frame of one hook: finds this CPU's region of the active epoch and calls `observe`.
//! It must never keep state outside the maps.

use aya_ebpf::{
    EbpfContext as _,
    bindings::__sk_buff,
    helpers::{
        bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns,
        bpf_skb_pull_data, bpf_xdp_get_buff_len,
    },
    programs::{TcContext, XdpContext},
};
use aya_log_ebpf::warn;
use sensor_common::{
    counter::Counters,
    flow::{Sighting, VLAN_NONE, VLAN_PRESENT},
    layout::{
        CLOCK_COARSE, CLOCK_JIFFIES, CLOCK_SUPPLIED, Control, IFACE_L3, IFACE_PROBES, IFACES as IFACE_SLOTS,
        IfaceSlot, Layout,
    },
    observe::{self, Tables, Wire},
    overflow::{CELLS, OverflowCell},
    parse::{Frame, Parsed, Start, TAG_LEN},
    table::Pair,
};

use crate::{
    frame::Bytes,
    maps::{BOOKS, CLOCK, CONTROL, CPUS, FLOWS, IFACES, KERNEL_LOG, OVERFLOW, PAIRS, SCRATCH},
};

/// Linear bytes that are asked for before a socket buffer is parsed: enough for every header in scope.
const HEADER_ROOM: u32 = 192;
/// Ethernet header.
const ETHERNET_LEN: u32 = 14;

/// Which counter of the interface a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ingress.
    Receive,
    /// Egress.
    Transmit,
}

/// This CPU's tables in the active epoch.
struct Region {
    index: u32,
}

impl Tables for Region {
    #[inline(always)]
    fn pair(&mut self, hash: u64) -> Option<&mut Pair> {
        let pairs = PAIRS.load();
        let index = self.index * pairs + (hash as u32 & (pairs - 1));
        // SAFETY: only this CPU writes this region, and programs of one CPU do not interrupt each other (both hooks
        // run with bottom halves disabled), so the reference is exclusive.
        FLOWS.get_ptr_mut(index).map(|pair| unsafe { &mut *pair })
    }

    #[inline(always)]
    fn cell(&mut self, index: u32) -> Option<&mut OverflowCell> {
        // SAFETY: as for `pair`.
        OVERFLOW
            .get_ptr_mut(self.index * CELLS + index)
            .map(|cell| unsafe { &mut *cell })
    }
}

/// Counts a frame at XDP. `frags` says whether the frame may have more buffers than the linear one.
#[inline(always)]
pub fn xdp(ctx: &XdpContext, frags: bool) {
    let Some(control) = control() else { return };
    let (iface, slot) = interface(control, ctx.ingress_ifindex() as u32);
    let Some((mut region, counters, scratch)) = region(control) else {
        return;
    };
    let bytes = Bytes::new(ctx.data(), ctx.data_end(), &raw mut counters.pad);
    let len = if frags {
        // SAFETY: the context is the program's own.
        (unsafe { bpf_xdp_get_buff_len(ctx.ctx) }) as u32
    } else {
        bytes.linear_len()
    };
    let start = start(slot);
    let frame = Frame {
        start,
        len,
        tag: 0,
        iface,
    };
    // XDP does not say how many segments a merged frame was: what exceeds the MTU is divided by it.
    let sight = |parsed: Option<&Parsed>| {
        let link = if start == Start::Ip { 0 } else { ETHERNET_LEN };
        let mut seen = Sighting::packet(now(control), len);
        if let Some(parsed) = parsed
            && slot.mtu != 0
        {
            // The MTU holds for what is behind the tags.
            let outer = u32::from(parsed.key.vlan[0] != VLAN_NONE);
            let inner = u32::from(parsed.key.vlan[1] != VLAN_NONE);
            let longest = slot.mtu + link + (outer + inner) * TAG_LEN;
            if len > longest && parsed.header_len < longest {
                divide(&mut seen, longest - parsed.header_len, parsed);
            }
        }
        seen
    };
    let before = counters.overflow_packets;
    let wire = observe::observe(
        &bytes,
        &frame,
        sight,
        &control.seed,
        counters,
        &mut region,
        scratch,
    );
    credit(iface, Direction::Receive, wire);
    if before == 0 && counters.overflow_packets != 0 && KERNEL_LOG.load() != 0 {
        warn!(
            ctx,
            "flow table of CPU {} is full: new flows go to the overflow sketch",
            cpu()
        );
    }
}

/// Counts a frame at TC.
#[inline(always)]
pub fn tc(ctx: &TcContext, direction: Direction) {
    let Some(control) = control() else { return };
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: the context is the program's own; the verifier turns these into reads of the socket buffer.
    let (ifindex, total) = unsafe { ((*skb).ifindex, (*skb).len) };
    let room = if total < HEADER_ROOM { total } else { HEADER_ROOM };
    // SAFETY: as above.
    let linear = unsafe { (*skb).data_end - (*skb).data };
    if linear < room {
        // Headers in page fragments: make them readable. It moves bytes, it does not change the packet.
        // SAFETY: the context is the program's own; data and data_end are read after this call.
        unsafe { bpf_skb_pull_data(skb, room) };
    }
    let (iface, slot) = interface(control, ifindex);
    let Some((mut region, counters, scratch)) = region(control) else {
        return;
    };
    // SAFETY: as above.
    let (data, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
    // SAFETY: as above.
    let (segments, segment_len) = unsafe { ((*skb).gso_segs, (*skb).gso_size) };
    // Read anew, because the verifier would go on apart for each range that the comparison above told it.
    // SAFETY: as above.
    let skb_len = unsafe { (&raw const (*skb).len).read_volatile() };
    // SAFETY: as above.
    let (tagged, tci) = unsafe { ((*skb).vlan_present, (*skb).vlan_tci) };
    let bytes = Bytes::new(data, end, &raw mut counters.pad);
    // All bits or none, instead of a branch that the verifier would walk twice.
    let tag = 0u16.wrapping_sub(tagged as u16 & 1) & (VLAN_PRESENT | tci as u16 & 0x0fff);
    let frame = Frame {
        start: start(slot),
        len: skb_len,
        tag,
        iface,
    };
    let sight = |parsed: Option<&Parsed>| {
        // A tag that the device will insert is on the wire, too.
        let mut seen = Sighting::packet(now(control), skb_len + frame.tag_len());
        if let Some(parsed) = parsed {
            if segments > 1 {
                seen.segments = segments;
                seen.segment_len = segment_len;
            } else if segment_len != 0 {
                // Frames of virtual machines and of tun say how long a segment is, but not how many there are.
                divide(&mut seen, segment_len, parsed);
            }
        }
        seen
    };
    let before = counters.overflow_packets;
    let wire = observe::observe(
        &bytes,
        &frame,
        sight,
        &control.seed,
        counters,
        &mut region,
        scratch,
    );
    credit(iface, direction, wire);
    if before == 0 && counters.overflow_packets != 0 && KERNEL_LOG.load() != 0 {
        warn!(
            ctx,
            "flow table of CPU {} is full: new flows go to the overflow sketch",
            cpu()
        );
    }
}

/// Segments of `segment_len` payload bytes each, the last one shorter.
#[inline(always)]
fn divide(seen: &mut Sighting, segment_len: u32, parsed: &Parsed) {
    if parsed.header_len < seen.len && seen.len - parsed.header_len > segment_len {
        seen.segment_len = segment_len;
        seen.segments = (seen.len - parsed.header_len).div_ceil(segment_len);
    }
}

#[inline(always)]
fn control() -> Option<&'static Control> {
    // SAFETY: the element lives as long as the map; the agent writes single words, which are read one by one.
    CONTROL.get_ptr(0).map(|control| unsafe { &*control })
}

#[inline(always)]
fn cpu() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_smp_processor_id() }
}

#[inline(always)]
fn region(control: &Control) -> Option<(Region, &'static mut Counters, &'static mut Parsed)> {
    // SAFETY: a word of a live map element. The agent flips it at any time: one read decides for this packet.
    let epoch = unsafe { (&raw const control.epoch).read_volatile() };
    let cpu = cpu();
    let index = Layout::region(epoch, cpu, CPUS.load());
    // SAFETY: only this CPU writes this element; see `Region::pair`.
    let counters = BOOKS
        .get_ptr_mut(index)
        .map(|counters| unsafe { &mut *counters })?;
    // SAFETY: as above.
    let scratch = SCRATCH.get_ptr_mut(cpu).map(|scratch| unsafe { &mut *scratch })?;
    Some((Region { index }, counters, scratch))
}

/// Slot number and facts of an interface; slot 0 if the agent does not know it.
#[inline(always)]
fn interface(control: &Control, ifindex: u32) -> (u16, IfaceSlot) {
    for probe in 0..IFACE_PROBES {
        let slot = (ifindex + probe) & (IFACE_SLOTS - 1);
        let held = control.ifaces[slot as usize];
        if held.ifindex == ifindex {
            return (slot as u16, held);
        }
    }
    (
        0,
        IfaceSlot {
            ifindex: 0,
            mtu: 0,
            flags: 0,
            pad: 0,
        },
    )
}

#[inline(always)]
const fn start(slot: IfaceSlot) -> Start {
    if slot.flags & IFACE_L3 == 0 {
        Start::Ethernet
    } else {
        Start::Ip
    }
}

#[inline(always)]
fn credit(iface: u16, direction: Direction, wire: Wire) {
    let Some(counters) = IFACES.get_ptr_mut(cpu() * IFACE_SLOTS + iface as u32) else {
        return;
    };
    // SAFETY: only this CPU writes this element; see `Region::pair`.
    let counters = unsafe { &mut *counters };
    if direction == Direction::Receive {
        counters.receive_packets += wire.packets;
        counters.receive_bytes += wire.bytes;
    } else {
        counters.transmit_packets += wire.packets;
        counters.transmit_bytes += wire.bytes;
    }
}

#[inline(always)]
fn now(control: &Control) -> u64 {
    match CLOCK.load() {
        // SAFETY: a helper without arguments.
        CLOCK_COARSE => unsafe { bpf_ktime_get_coarse_ns() },
        // SAFETY: a helper without arguments.
        CLOCK_JIFFIES => unsafe { bpf_jiffies64() * 4_000_000 },
        CLOCK_SUPPLIED => control.supplied_ns,
        // SAFETY: a helper without arguments.
        _ => unsafe { bpf_ktime_get_ns() },
    }
}
