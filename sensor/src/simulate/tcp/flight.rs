//! Flights of segments: how a message is cut, acknowledged, lost and sent again.
//! It must never send more than a window, nor a segment larger than both ends take.

use super::{Conversation, Phase, Side};
use crate::simulate::{
    frame::flags,
    payload::Payload,
    stack::Options,
    stage::{MICRO, MILLI, SECOND, Stage},
};

/// Segments of a first flight (RFC 6928) and of the largest.
pub(super) const FIRST_FLIGHT: usize = 10;
const LARGEST_FLIGHT: usize = 44;
/// How long a sender waits at least for an acknowledgement.
const RETRANSMIT: u64 = 200 * MILLI;

impl Conversation {
    /// Sends one flight of a message and its acknowledgements.
    pub(super) fn sending(
        &mut self,
        stage: &mut Stage,
        now: u64,
        (side, message, mut at, flight): (Side, Payload, usize, usize),
    ) -> u64 {
        let (from, to) = (self.host(side), self.host(side.other()));
        let mss = {
            let (from, to) = (stage.host(from), stage.host(to));
            let most = usize::from(from.stack.mss.min(to.stack.mss));
            most - self.agreed.option_bytes() - if self.v6 { 20 } else { 0 }
        };
        let line = stage.host(from).line_bps.min(stage.host(to).line_bps).max(1000);
        let loss = stage.host(from).loss + stage.host(to).loss;
        let begin = self.next[side as usize];
        let total = message.len();
        let count = total.saturating_sub(at).div_ceil(mss).min(flight);
        let lost = (self.random.chance(loss) && count > 0).then(|| self.random.below(count as u64) as usize);
        let back = self.echo(stage, side.other());
        let (mut time, mut gap) = (now, None);
        let mut acked = now;
        for index in 0..count {
            let len = (total - at).min(mss);
            let seq = begin.wrapping_add((index * mss) as u32);
            let last = at + len == total;
            let ack = self.next[side.other() as usize];
            let bits = if last { flags::ACK | flags::PSH } else { flags::ACK };
            self.emit(
                stage,
                time,
                side,
                (seq, ack, bits),
                None,
                Some((&message, at, len)),
            );
            self.next[side as usize] = seq.wrapping_add(len as u32);
            let edge = self.next[side as usize];
            if lost == Some(index) {
                gap = Some((seq, at, len, bits));
            } else if let Some((missing, ..)) = gap {
                // What follows a loss is acknowledged with the number of what is missing.
                acked = acked.max(time + back);
                let from = missing.wrapping_add(mss as u32);
                self.acknowledge(stage, acked, side.other(), missing, Some((from, edge)));
            } else if index % 2 == 1 || last || index + 1 == count {
                acked = acked.max(time + back);
                self.acknowledge(stage, acked, side.other(), edge, None);
            }
            acked += MICRO;
            at += len;
            time += ((len + 66) as u64 * 8 * SECOND / line).max(MICRO);
        }
        if let Some((seq, at, len, bits)) = gap {
            // Sent again when three duplicates have come back, or when the timer runs out.
            let wait = if lost.is_some_and(|lost| lost + 3 < count) {
                self.echo(stage, side)
            } else {
                RETRANSMIT + back
            };
            let again = acked.max(time) + wait;
            let ack = self.next[side.other() as usize];
            self.emit(
                stage,
                again,
                side,
                (seq, ack, bits),
                None,
                Some((&message, at, len)),
            );
            acked = again + back;
            let edge = self.next[side as usize];
            self.acknowledge(stage, acked, side.other(), edge, None);
            acked += MICRO;
        }
        if at < total {
            let flight = if gap.is_some() { flight / 2 } else { flight * 2 };
            let flight = flight.clamp(2, LARGEST_FLIGHT);
            self.phase = Phase::Sending {
                side,
                message,
                at,
                flight,
            };
            (acked + self.echo(stage, side)).max(time)
        } else {
            self.phase = Phase::Open;
            acked.max(time)
        }
    }

    fn acknowledge(&mut self, stage: &mut Stage, at: u64, side: Side, ack: u32, block: Option<(u32, u32)>) {
        let seq = self.next[side as usize];
        let options = block.filter(|_| self.agreed.sack).map(|(from, to)| {
            let stamp = stage.host(self.host(side)).stamp(at - stage.begin_ns());
            Options::plain(self.agreed, (stamp, self.seen[side as usize])).with_sack(from, to)
        });
        self.emit(stage, at, side, (seq, ack, flags::ACK), options, None);
    }
}
