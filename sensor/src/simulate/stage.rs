//! The stage: actors wake in order of time and send frames, which leave in order of time.
//!
//! An actor sends at most a few round trips ahead of its wake, so that what waits here is bounded by the number of
//! actors, not by the length of the capture. It must never know what the actors do.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{
    frame::{self, Path, group_mac},
    host::{Host, HostId, Label},
    random::Random,
};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub(super) const MILLI: u64 = 1_000_000;
/// Nanoseconds of a microsecond.
pub(super) const MICRO: u64 = 1_000;

/// The most actors at once; more are turned away and counted.
const MAX_ACTORS: usize = 262_144;
/// Buffers kept for the next frames.
const SPARE_BUFFERS: usize = 4096;
/// Bytes of which payloads are cut.
const NOISE: usize = 65_536;

/// Something that sends frames over time.
pub(super) trait Actor {
    /// Acts at `now`, nanoseconds since the Unix epoch. Frames sent must not be earlier. Returns when to be woken
    /// again, or `None` when it is done.
    fn wake(&mut self, stage: &mut Stage, now: u64) -> Option<u64>;
}

/// An actor made of a function.
pub(super) struct Act<F>(pub(super) F);

impl<F: FnMut(&mut Stage, u64) -> Option<u64>> Actor for Act<F> {
    fn wake(&mut self, stage: &mut Stage, now: u64) -> Option<u64> {
        (self.0)(stage, now)
    }
}

/// Something at a time; equal times keep the order of arrival.
struct Timed<T> {
    time: u64,
    order: u64,
    item: T,
}

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.order) == (other.time, other.order)
    }
}
impl<T> Eq for Timed<T> {}
impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Timed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.order).cmp(&(other.time, other.order))
    }
}

type Queue<T> = BinaryHeap<Reverse<Timed<T>>>;

/// A frame that was made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// Nanoseconds since the Unix epoch.
    pub(super) time_ns: u64,
    /// The scenario it belongs to.
    pub(super) label: Label,
    /// Its bytes.
    pub(super) data: &'a [u8],
}

/// Hosts, actors and frames under way.
pub(super) struct Stage {
    hosts: Vec<Host>,
    actors: Queue<Box<dyn Actor>>,
    frames: Queue<(Label, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    current: Vec<u8>,
    order: u64,
    noise: Vec<u8>,
    random: Random,
    begin_ns: u64,
    end_ns: u64,
    turned_away: u64,
}

impl Stage {
    /// An empty stage for `begin_ns..end_ns`.
    pub(super) fn new(begin_ns: u64, end_ns: u64, random: &mut Random) -> Self {
        let mut random = random.fork();
        Self {
            hosts: Vec::new(),
            actors: Queue::new(),
            frames: Queue::new(),
            spare: Vec::new(),
            current: Vec::new(),
            order: 0,
            noise: (0..NOISE / 8).flat_map(|_| random.next().to_le_bytes()).collect(),
            random,
            begin_ns,
            end_ns,
            turned_away: 0,
        }
    }

    /// When the capture begins.
    pub(super) const fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    /// Actors that found no place.
    pub(super) const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Frames and actors that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.frames.len() + self.actors.len()
    }

    /// Adds a host.
    pub(super) fn add(&mut self, host: Host) -> HostId {
        self.hosts.push(host);
        HostId(self.hosts.len() as u32 - 1)
    }

    /// A host. Ids come from [`Self::add`], so that the first host stands in for none.
    pub(super) fn host(&self, id: HostId) -> &Host {
        self.hosts.get(id.0 as usize).unwrap_or(&self.hosts[0])
    }

    /// A host, to change it.
    pub(super) fn host_mut(&mut self, id: HostId) -> &mut Host {
        let index = (id.0 as usize).min(self.hosts.len() - 1);
        &mut self.hosts[index]
    }

    /// All hosts.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Wakes an actor at `time`.
    pub(super) fn spawn(&mut self, time: u64, actor: impl Actor + 'static) {
        if self.actors.len() >= MAX_ACTORS {
            self.turned_away += 1;
            return;
        }
        self.order += 1;
        self.actors.push(Reverse(Timed {
            time,
            order: self.order,
            item: Box::new(actor),
        }));
    }

    /// Runs a function as an actor.
    pub(super) fn act(&mut self, time: u64, act: impl FnMut(&mut Self, u64) -> Option<u64> + 'static) {
        self.spawn(time, Act(act));
    }

    /// The way of a packet from one host to another.
    pub(super) fn path(&mut self, from: HostId, to: HostId, v6: bool) -> Path {
        let (dst_mac, dst) = {
            let to = self.host(to);
            (to.mac, to.address(v6))
        };
        Path {
            dst_mac,
            ..self.path_to(from, dst, v6)
        }
    }

    /// The way of a packet to an address, a group's among them.
    pub(super) fn path_to(&mut self, from: HostId, dst: std::net::IpAddr, v6: bool) -> Path {
        let Self { hosts, random, .. } = self;
        let index = (from.0 as usize).min(hosts.len() - 1);
        let host = &mut hosts[index];
        Path {
            src_mac: host.mac,
            dst_mac: group_mac(dst).unwrap_or([0xff; 6]),
            src: host.address(v6),
            dst,
            ttl: host.ttl(),
            id: host.next_id(random),
            dont_fragment: false,
        }
    }

    /// Sends a frame that `write` makes, unless its sender is off the network. A fault of sender or receiver gives
    /// its label to frames without one.
    pub(super) fn send(
        &mut self,
        time: u64,
        label: Label,
        ends: (HostId, HostId),
        write: impl FnOnce(&mut Vec<u8>, &[u8]),
    ) {
        if self.host(ends.0).down.is_some() {
            return;
        }
        let label = match self.host(ends.1).down {
            Some(fault) if label == Label::BENIGN => fault,
            _ => label,
        };
        self.send_raw(time, label, write);
    }

    /// Sends a frame that `write` makes of nothing and some noise.
    pub(super) fn send_raw(&mut self, time: u64, label: Label, write: impl FnOnce(&mut Vec<u8>, &[u8])) {
        let mut data = self.spare.pop().unwrap_or_default();
        data.clear();
        write(&mut data, &self.noise);
        self.push(time, label, data);
    }

    fn push(&mut self, time: u64, label: Label, data: Vec<u8>) {
        self.order += 1;
        self.frames.push(Reverse(Timed {
            time,
            order: self.order,
            item: (label, data),
        }));
    }

    /// Sends a UDP datagram over IPv4 or IPv6, in fragments if it must be.
    pub(super) fn udp(
        &mut self,
        time: u64,
        label: Label,
        ends: (HostId, HostId),
        ports: (u16, u16),
        payload: &[u8],
    ) {
        let path = self.path(ends.0, ends.1, false);
        self.udp_on(time, label, ends, &path, ports, payload);
    }

    /// As [`Self::udp`], on a given way.
    pub(super) fn udp_on(
        &mut self,
        time: u64,
        label: Label,
        ends: (HostId, HostId),
        path: &Path,
        ports: (u16, u16),
        payload: &[u8],
    ) {
        if payload.len() <= frame::MAX_DATAGRAM - 20 * usize::from(path.src.is_ipv6()) {
            self.send(time, label, ends, |out, _| {
                frame::udp(out, path, ports.0, ports.1, payload);
            });
        } else if self.host(ends.0).down.is_none() {
            for (index, part) in (0..).zip(frame::fragments(path, ports.0, ports.1, payload)) {
                self.push(time + index * 12 * MICRO, label, part);
            }
        }
    }

    /// When the next frame leaves; `None` when the capture is over. Wakes actors until that is known.
    pub(super) fn ready(&mut self) -> Option<u64> {
        loop {
            let wake = self.actors.peek().map(|Reverse(actor)| actor.time);
            let frame = self.frames.peek().map(|Reverse(frame)| frame.time);
            let frame = frame.filter(|time| *time < self.end_ns);
            let Some(wake) =
                wake.filter(|wake| *wake < self.end_ns && frame.is_none_or(|frame| *wake <= frame))
            else {
                return frame;
            };
            let Reverse(mut actor) = self.actors.pop()?;
            if let Some(next) = actor.item.wake(self, wake) {
                // Time never stands still for an actor, or it would be woken for ever.
                actor.time = next.max(wake + 1);
                self.order += 1;
                actor.order = self.order;
                self.actors.push(Reverse(actor));
            }
        }
    }

    /// The next frame in order of time; `None` when the capture is over.
    pub(super) fn next_frame(&mut self) -> Option<Made<'_>> {
        self.ready()?;
        let Reverse(Timed { time, item, .. }) = self.frames.pop()?;
        let old = std::mem::replace(&mut self.current, item.1);
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(old);
        }
        Some(Made {
            time_ns: time,
            label: item.0,
            data: &self.current,
        })
    }
}
