//! How a victim's kernel answers packets that no application sent: SYN-ACK or reset, port unreachable, echo reply.
//! Its answers belong to the attack. It must never answer more than the kernel's limits allow.

use crate::simulate::{
    datagrams::{answer_delay, unreachable},
    frame::{self, Path, Tcp, flags},
    host::{Answer, HostId, Label},
    random::Random,
    stack::{Agreed, LINUX, Options},
    stage::{MILLI, SECOND, Stage},
};

/// Half-open connections that Linux remembers before it answers with cookies, which are sent once only.
const BACKLOG: u64 = 256;
/// Linux sends one ICMP error a second to one destination (`icmp_ratelimit`) ...
const PER_TARGET: u64 = SECOND;
/// ... and 1,000 a second to all (`icmp_msgs_per_sec`).
const PER_HOST: u64 = MILLI;

/// A host under attack.
pub(super) struct Victim {
    pub(super) id: HostId,
    label: Label,
    half_open: u64,
    next_error_ns: u64,
}

/// A TCP packet on its way to the victim.
pub(super) struct Arriving<'a> {
    pub(super) path: &'a Path,
    pub(super) sport: u16,
    pub(super) dport: u16,
    pub(super) seq: u32,
    pub(super) agreed: Agreed,
    /// Timestamp of the sender, if it sent one.
    pub(super) stamp: u32,
    /// Whether nobody will answer the victim, so that it sends its SYN-ACK again.
    pub(super) unfinished: bool,
}

impl Victim {
    pub(super) const fn new(id: HostId, label: Label) -> Self {
        Self {
            id,
            label,
            half_open: 0,
            next_error_ns: 0,
        }
    }

    /// The way back to where a packet came from.
    pub(super) fn back(&self, stage: &mut Stage, path: &Path) -> Path {
        Path {
            dst_mac: path.src_mac,
            src: path.dst,
            ..stage.path_to(self.id, path.src, false)
        }
    }

    /// Answers a SYN. Returns when, and the sequence number, if it accepted.
    pub(super) fn syn(
        &mut self,
        stage: &mut Stage,
        now: u64,
        syn: &Arriving<'_>,
        random: &mut Random,
    ) -> Option<(u64, u32)> {
        let (answer, _) = stage.host(self.id).answers(syn.dport);
        let at = now + answer_delay(stage, self.id, random);
        let mut path = self.back(stage, syn.path);
        path.dont_fragment = true;
        match answer {
            Answer::Silence => None,
            Answer::Refuse => {
                self.reset(stage, at, syn, true);
                None
            }
            Answer::Accept => {
                let seq = random.next() as u32;
                // With cookies there are no more retransmissions.
                let copies: &[u64] = if self.half_open < BACKLOG && syn.unfinished {
                    self.half_open += 1;
                    &[0, 1, 3, 7]
                } else {
                    &[0]
                };
                let host = stage.host(self.id);
                let (stack, uptime) = (host.stack, host.stamp(at - stage.begin_ns()));
                let options = Options::syn(stack, stack.mss, syn.agreed, (uptime, syn.stamp));
                let head = Tcp {
                    sport: syn.dport,
                    dport: syn.sport,
                    seq,
                    ack: syn.seq.wrapping_add(1),
                    flags: flags::SYN | flags::ACK,
                    window: stack.syn_window,
                    options: options.bytes(),
                };
                for after in copies {
                    let time = at + after * SECOND;
                    stage.send_raw(time, self.label, |out, _| {
                        frame::tcp(out, &path, &head, 0, |_| {});
                    });
                }
                Some((at, seq))
            }
        }
    }

    /// Answers a packet for which there is no connection with a reset (RFC 9293 section 3.10.7.1).
    pub(super) fn reset(&mut self, stage: &mut Stage, at: u64, to: &Arriving<'_>, counts_one: bool) {
        let mut path = self.back(stage, to.path);
        path.dont_fragment = true;
        path.id = 0;
        let head = Tcp {
            sport: to.dport,
            dport: to.sport,
            seq: 0,
            ack: to.seq.wrapping_add(u32::from(counts_one)),
            flags: flags::RST | flags::ACK,
            window: 0,
            options: &[],
        };
        stage.send_raw(at, self.label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
    }

    /// Answers a datagram to a closed port, within the limits. `last_ns` is when this source was last answered.
    pub(super) fn port_unreachable(
        &mut self,
        stage: &mut Stage,
        now: u64,
        path: &Path,
        about: &[u8],
        last_ns: &mut u64,
    ) {
        let at = now + 2 * stage.host(self.id).delay_ns + 20_000;
        if at < self.next_error_ns || at < last_ns.saturating_add(PER_TARGET) && *last_ns != 0 {
            return;
        }
        self.next_error_ns = at + PER_HOST;
        *last_ns = at;
        let back = self.back(stage, path);
        unreachable(stage, at, self.label, &back, 3, about);
    }

    /// Sends the victim's echo reply.
    pub(super) fn echo_reply(&self, stage: &mut Stage, at: u64, path: &Path, word: u32, body: &[u8]) {
        let back = self.back(stage, path);
        stage.send_raw(at, self.label, |out, _| frame::icmp(out, &back, 0, 0, word, body));
    }
}

/// The bare reset of a host that got an answer it did not ask for.
pub(super) fn bare_reset(stage: &mut Stage, at: u64, label: Label, path: &Path, ports: (u16, u16), seq: u32) {
    let head = Tcp {
        sport: ports.0,
        dport: ports.1,
        seq,
        ack: 0,
        flags: flags::RST,
        window: 0,
        options: &[],
    };
    let path = Path {
        id: 0,
        dont_fragment: true,
        ..*path
    };
    stage.send_raw(at, label, |out, _| frame::tcp(out, &path, &head, 0, |_| {}));
}

/// A SYN without options agrees to nothing.
pub(super) fn nothing_agreed() -> Agreed {
    Agreed {
        timestamps: false,
        scaled: false,
        sack: false,
    }
}

/// What a bot's own stack agrees on with a Linux server.
pub(super) fn agreed_with(stack: &'static crate::simulate::stack::Stack) -> Agreed {
    Agreed::between(stack, &LINUX)
}
