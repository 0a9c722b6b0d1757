//! Services that local hosts are known to answer on, whoever asks: what tells a device that suddenly serves strangers, or
//! is tried on a port it never had, from a server at work. It must never learn an offer from an attempt that went
//! unanswered.

use super::{
    familiar::{Familiar, familiarity},
    graph::service,
    hosts::Hosts,
    keyed::Keyed,
};
use crate::window::Flow;

/// The services answered on, of a bounded number.
#[derive(Debug)]
pub(super) struct Offers {
    keyed: Keyed,
    known: Familiar,
}

impl Offers {
    /// Room for about `capacity` offers, 16 bytes each.
    pub(super) fn new(capacity: usize, window_ns: u64, keyed: Keyed) -> Self {
        Self {
            keyed,
            known: Familiar::new(capacity, window_ns),
        }
    }

    /// How well known it is that a responder answers on a service, 0 to 1; NaN unless it is a local host with an entry.
    /// `of_responder` has its number and the indices of its flows on that service in window `now`.
    pub(super) fn familiarity(
        &mut self,
        mut of_responder: impl Iterator<Item = (u32, usize)>,
        flows: &[Flow],
        hosts: &Hosts,
        now: u32,
    ) -> f32 {
        let Some((number, first)) = of_responder.next() else {
            return f32::NAN;
        };
        let (Some(responder), Some(flow)) = (hosts.get(number), flows.get(first)) else {
            return f32::NAN;
        };
        if !responder.local {
            return f32::NAN;
        }
        let hash = self
            .keyed
            .pair(self.keyed.address(&responder.address), service(flow).into());
        let answered = |index: usize| flows.get(index).is_some_and(Flow::answered);
        let windows = if answered(first) || of_responder.any(|(_, index)| answered(index)) {
            self.known.touch(hash, now)
        } else {
            self.known.peek(hash, now)
        };
        familiarity(windows)
    }
}
