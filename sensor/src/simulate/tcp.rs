//! TCP conversations: handshake, flights that grow, acknowledgements, losses, and the ways in which they end.
//! It must never know what is said; a script says who says how much, and when.

mod flight;

use super::{
    frame::{self, Tcp, flags},
    host::{Answer, HostId, Label},
    payload::Payload,
    random::Random,
    stack::{Agreed, Options},
    stage::{Actor, MICRO, MILLI, SECOND, Stage},
};

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Who opened it.
    Client,
    /// Who was asked.
    Server,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What happens next in a conversation.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// One side sends a message.
    Say(Side, Payload),
    /// Nobody speaks.
    Wait(u64),
    /// One side closes in order.
    Close(Side),
    /// One side resets.
    Reset(Side),
}

/// Gives the steps one by one; after the last the client closes.
pub(super) type Script = Box<dyn FnMut(&mut Random) -> Option<Step>>;

/// The script of a list.
pub(super) fn steps(list: Vec<Step>) -> Script {
    let mut list = list.into_iter();
    Box::new(move |_| list.next())
}

enum Phase {
    Opening {
        tries: u32,
    },
    Open,
    Sending {
        side: Side,
        message: Payload,
        at: usize,
        flight: usize,
    },
    Abandoned {
        tries: u32,
    },
}

/// A conversation, as an actor.
pub(super) struct Conversation {
    ends: (HostId, HostId),
    ports: (u16, u16),
    v6: bool,
    label: Label,
    script: Script,
    random: Random,
    agreed: Agreed,
    /// Next sequence number of client and server.
    next: [u32; 2],
    /// Last timestamp seen by client and server.
    seen: [u32; 2],
    phase: Phase,
}

impl Conversation {
    /// A conversation from a fresh port of the client.
    pub(super) fn new(
        stage: &mut Stage,
        label: Label,
        client: HostId,
        (server, port): (HostId, u16),
        random: &mut Random,
        script: Script,
    ) -> Self {
        let mut random = random.fork();
        let sport = stage.host_mut(client).ephemeral_port(&mut random);
        let (from, to) = (stage.host(client), stage.host(server));
        Self {
            ends: (client, server),
            ports: (sport, port),
            v6: from.v6.is_some() && to.v6.is_some(),
            label,
            script,
            agreed: Agreed::between(from.stack, to.stack),
            next: [random.next() as u32, random.next() as u32],
            seen: [0; 2],
            phase: Phase::Opening { tries: 0 },
            random,
        }
    }

    const fn host(&self, side: Side) -> HostId {
        match side {
            Side::Client => self.ends.0,
            Side::Server => self.ends.1,
        }
    }

    /// From the place of the capture to a host and back.
    fn echo(&mut self, stage: &Stage, side: Side) -> u64 {
        let delay = stage.host(self.host(side)).delay_ns;
        self.random.delay(2 * delay) + 5 * MICRO
    }

    fn segment(&mut self, stage: &mut Stage, at: u64, side: Side, bits: u8, options: Option<Options>) {
        let (seq, ack) = (self.next[side as usize], self.next[side.other() as usize]);
        self.emit(stage, at, side, (seq, ack, bits), options, None);
    }

    fn emit(
        &mut self,
        stage: &mut Stage,
        at: u64,
        side: Side,
        (seq, ack, bits): (u32, u32, u8),
        options: Option<Options>,
        part: Option<(&Payload, usize, usize)>,
    ) {
        let (from, to) = (self.host(side), self.host(side.other()));
        let ports = match side {
            Side::Client => self.ports,
            Side::Server => (self.ports.1, self.ports.0),
        };
        let mut path = stage.path(from, to, self.v6);
        let host = stage.host(from);
        let reset = bits & flags::RST != 0;
        path.dont_fragment = true;
        let stamp = host.stamp(at - stage.begin_ns());
        let options = options.unwrap_or_else(|| {
            let agreed = Agreed {
                timestamps: self.agreed.timestamps && !reset,
                ..self.agreed
            };
            Options::plain(agreed, (stamp, self.seen[side as usize]))
        });
        let window = match (reset, bits & flags::SYN != 0, self.agreed.scaled) {
            (true, ..) => 0,
            (_, false, true) => host.stack.window,
            _ => host.stack.syn_window,
        };
        self.seen[side.other() as usize] = stamp;
        let head = Tcp {
            sport: ports.0,
            dport: ports.1,
            seq,
            ack: if bits & flags::ACK == 0 { 0 } else { ack },
            flags: bits,
            window,
            options: options.bytes(),
        };
        let len = part.map_or(0, |(_, _, len)| len);
        stage.send(at, self.label, (from, to), |out, noise| {
            frame::tcp(out, &path, &head, len, |out| {
                if let Some((payload, offset, len)) = part {
                    payload.write(out, offset, len, seq as usize, noise);
                }
            });
        });
    }

    fn opening(&mut self, stage: &mut Stage, now: u64, tries: u32) -> Option<u64> {
        let (client, server) = (stage.host(self.ends.0), stage.host(self.ends.1));
        if client.down.is_some() {
            return None;
        }
        let (answer, fault) = server.answers(self.ports.1);
        if self.label == Label::BENIGN {
            self.label = fault;
        }
        let (client_stack, server_stack) = (client.stack, server.stack);
        let mss = if self.v6 { 20 } else { 0 };
        let stamp = client.stamp(now - stage.begin_ns());
        let offer = Options::syn(
            client_stack,
            client_stack.mss - mss,
            Agreed::offered(client_stack),
            (stamp, 0),
        );
        self.segment(stage, now, Side::Client, flags::SYN, Some(offer));
        let answered = now + self.echo(stage, Side::Server);
        match answer {
            Answer::Silence => {
                self.phase = Phase::Opening { tries: tries + 1 };
                (tries < client_stack.syn_retries)
                    .then(|| now + (SECOND << tries) + self.random.below(8 * MILLI))
            }
            Answer::Refuse => {
                self.next[Side::Client as usize] = self.next[Side::Client as usize].wrapping_add(1);
                let (seq, ack) = (0, self.next[Side::Client as usize]);
                self.emit(
                    stage,
                    answered,
                    Side::Server,
                    (seq, ack, flags::RST | flags::ACK),
                    None,
                    None,
                );
                None
            }
            Answer::Accept => {
                self.next[Side::Client as usize] = self.next[Side::Client as usize].wrapping_add(1);
                let stamps = (
                    stage.host(self.ends.1).stamp(answered - stage.begin_ns()),
                    self.seen[Side::Server as usize],
                );
                let reply = Options::syn(server_stack, server_stack.mss - mss, self.agreed, stamps);
                self.segment(
                    stage,
                    answered,
                    Side::Server,
                    flags::SYN | flags::ACK,
                    Some(reply),
                );
                self.next[Side::Server as usize] = self.next[Side::Server as usize].wrapping_add(1);
                let opened = answered + self.echo(stage, Side::Client);
                self.segment(stage, opened, Side::Client, flags::ACK, None);
                self.phase = Phase::Open;
                Some(opened + self.random.between(20, 300) * MICRO)
            }
        }
    }

    fn open(&mut self, stage: &mut Stage, now: u64) -> Option<u64> {
        match (self.script)(&mut self.random) {
            Some(Step::Wait(pause)) => Some(now + pause),
            Some(Step::Say(side, message)) => {
                Some(self.sending(stage, now, (side, message, 0, flight::FIRST_FLIGHT)))
            }
            Some(Step::Reset(side)) => {
                self.segment(stage, now, side, flags::RST | flags::ACK, None);
                None
            }
            Some(Step::Close(side)) => self.close(stage, now, side),
            None => self.close(stage, now, Side::Client),
        }
    }

    fn close(&mut self, stage: &mut Stage, now: u64, side: Side) -> Option<u64> {
        let other = side.other();
        let answered = now + self.echo(stage, other);
        let last = answered + self.echo(stage, side);
        self.segment(stage, now, side, flags::FIN | flags::ACK, None);
        self.next[side as usize] = self.next[side as usize].wrapping_add(1);
        self.segment(stage, answered, other, flags::FIN | flags::ACK, None);
        self.next[other as usize] = self.next[other as usize].wrapping_add(1);
        self.segment(stage, last, side, flags::ACK, None);
        None
    }

    /// One side is gone: the other sends its last byte a few times more, then gives up.
    fn abandoned(&mut self, stage: &mut Stage, now: u64, tries: u32) -> Option<u64> {
        let live = if stage.host(self.ends.0).down.is_some() {
            Side::Server
        } else {
            Side::Client
        };
        let seq = self.next[live as usize].wrapping_sub(1);
        let ack = self.next[live.other() as usize];
        self.emit(stage, now, live, (seq, ack, flags::ACK), None, None);
        self.phase = Phase::Abandoned { tries: tries + 1 };
        (tries < 5).then(|| now + (SECOND << tries))
    }
}

impl Actor for Conversation {
    fn wake(&mut self, stage: &mut Stage, now: u64) -> Option<u64> {
        let phase = std::mem::replace(&mut self.phase, Phase::Open);
        if let Phase::Opening { tries } = phase {
            return self.opening(stage, now, tries);
        }
        if let Phase::Abandoned { tries } = phase {
            return self.abandoned(stage, now, tries);
        }
        let (client, server) = (stage.host(self.ends.0), stage.host(self.ends.1));
        if client.down.is_some() || server.down.is_some() {
            // Both gone: silence.
            if client.down.is_some() && server.down.is_some() {
                return None;
            }
            return self.abandoned(stage, now, 0);
        }
        if let Some(outage) = server.outage.filter(|outage| outage.port == self.ports.1) {
            self.label = outage.label;
            self.segment(stage, now, Side::Server, flags::RST | flags::ACK, None);
            return None;
        }
        match phase {
            Phase::Sending {
                side,
                message,
                at,
                flight,
            } => Some(self.sending(stage, now, (side, message, at, flight))),
            _ => self.open(stage, now),
        }
    }
}
