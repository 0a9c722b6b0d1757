//! What applications say over TCP: browsing, HTTP, SSH, file shares, login attempts. Sizes and pauses are drawn from
//! heavy tails. It must never send anything itself; it only writes scripts.

use super::{
    payload::{Payload, client_finished, client_hello, server_hello},
    random::Random,
    stage::{MICRO, MILLI, SECOND},
    tcp::{Script, Side, Step, steps},
};

/// One question and its answer, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// Pause before the question.
    pub(super) think_ns: u64,
    /// Bytes of the question.
    pub(super) request: usize,
    /// Time the server needs.
    pub(super) serve_ns: u64,
    /// Bytes of the answer.
    pub(super) response: usize,
}

fn say(side: Side, payload: Payload) -> Step {
    Step::Say(side, payload)
}

/// A TLS handshake.
fn handshake(list: &mut Vec<Step>, name: &str, random: &mut Random) {
    list.push(say(Side::Client, client_hello(name, random)));
    list.push(Step::Wait(random.between(300, 3000) * MICRO));
    let certificate = random.between(2200, 4200) as usize;
    list.push(say(Side::Server, server_hello(certificate, random)));
    list.push(Step::Wait(random.between(500, 4000) * MICRO));
    list.push(say(Side::Client, client_finished(random)));
}

/// HTTPS with these exchanges.
pub(super) fn https(name: &str, exchanges: &[Exchange], random: &mut Random) -> Script {
    let mut list = Vec::new();
    handshake(&mut list, name, random);
    for exchange in exchanges {
        list.push(Step::Wait(exchange.think_ns));
        list.push(say(Side::Client, Payload::tls(exchange.request)));
        list.push(Step::Wait(exchange.serve_ns));
        list.push(say(Side::Server, Payload::tls(exchange.response)));
    }
    let side = if random.chance(0.7) {
        Side::Client
    } else {
        Side::Server
    };
    list.push(Step::Wait(random.exponential(3.0 * SECOND as f64) as u64));
    list.push(if random.chance(0.1) {
        Step::Reset(Side::Client)
    } else {
        Step::Close(side)
    });
    steps(list)
}

/// Plain HTTP with these exchanges.
pub(super) fn http(name: &str, exchanges: &[Exchange], random: &mut Random) -> Script {
    let mut list = Vec::new();
    for exchange in exchanges {
        let path = random.next();
        let request = format!(
            "GET /{path:x} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
        );
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            exchange.response
        );
        list.push(Step::Wait(exchange.think_ns));
        list.push(say(Side::Client, Payload::bytes(request)));
        list.push(Step::Wait(exchange.serve_ns));
        list.push(say(
            Side::Server,
            Payload::with_noise(response, exchange.response),
        ));
    }
    steps(list)
}

/// The exchanges of a visit to a web page, heavy-tailed.
pub(super) fn page(random: &mut Random) -> Vec<Exchange> {
    let count = random.pareto(1.0, 1.3, 12.0) as usize;
    (0..count.max(1))
        .map(|_| Exchange {
            think_ns: random.exponential(80.0 * MILLI as f64) as u64,
            request: random.log_normal(520.0, 0.4) as usize,
            serve_ns: random.log_normal(25.0 * MILLI as f64, 0.8) as u64,
            response: random.pareto(900.0, 1.05, 1_500_000.0) as usize,
        })
        .collect()
}

/// Password guessing over FTP.
pub(super) fn ftp_guesses(attempts: u64, random: &mut Random) -> Script {
    let mut list = vec![Step::Wait(random.delay(3 * MILLI))];
    let mut line = |list: &mut Vec<Step>, side, text: String, wait: u64| {
        list.push(say(side, Payload::bytes(text + "\r\n")));
        list.push(Step::Wait(random.delay(wait)));
    };
    line(
        &mut list,
        Side::Server,
        "220 (vsFTPd 3.0.5)".to_owned(),
        2 * MILLI,
    );
    for attempt in 0..attempts {
        line(&mut list, Side::Client, "USER admin".to_owned(), 2 * MILLI);
        line(
            &mut list,
            Side::Server,
            "331 Please specify the password.".to_owned(),
            3 * MILLI,
        );
        line(
            &mut list,
            Side::Client,
            format!("PASS guess{attempt}"),
            1200 * MILLI,
        );
        line(
            &mut list,
            Side::Server,
            "530 Login incorrect.".to_owned(),
            5 * MILLI,
        );
    }
    list.push(Step::Close(Side::Client));
    steps(list)
}

/// Password guessing over RDP with network level authentication: one attempt a connection.
pub(super) fn rdp_guess(random: &mut Random) -> Script {
    let mut request = vec![3, 0, 0, 43, 38, 0xe0, 0, 0, 0, 0, 0];
    request.extend_from_slice(b"Cookie: mstshash=admin\r\n");
    request.extend_from_slice(&[1, 0, 8, 0, 3, 0, 0, 0]);
    let reply = vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 2, 0, 0, 0];
    let mut list = vec![
        say(Side::Client, Payload::bytes(request)),
        Step::Wait(random.delay(3 * MILLI)),
        say(Side::Server, Payload::bytes(reply)),
    ];
    handshake(&mut list, "rdp", random);
    for (side, size) in [
        (Side::Client, 90),
        (Side::Server, 300),
        (Side::Client, 520),
        (Side::Server, 60),
    ] {
        list.push(Step::Wait(random.delay(4 * MILLI)));
        list.push(say(side, Payload::tls(size)));
    }
    list.push(Step::Reset(Side::Server));
    steps(list)
}

/// An encrypted SMB 3 message of `size` bytes: a length, then the transform header.
fn smb(size: usize, random: &mut Random) -> Payload {
    let [.., a, b, c] = (size + 52).to_be_bytes();
    let mut head = vec![0, a, b, c, 0xfd, b'S', b'M', b'B'];
    head.extend((0..32).map(|_| random.next() as u8));
    head.extend_from_slice(&(size as u32).to_le_bytes());
    head.extend_from_slice(&[0, 0, 1, 0]);
    head.extend(7u64.to_le_bytes());
    Payload::with_noise(head, size)
}

/// Files over a share: requests of the client, transfers either way.
pub(super) fn share(transfers: u64, upload: bool, random: &mut Random) -> Script {
    let mut list = Vec::new();
    for _ in 0..4 {
        let (ask, tell) = (random.between(90, 200), random.between(90, 280));
        list.push(say(Side::Client, smb(ask as usize, random)));
        list.push(Step::Wait(random.delay(MILLI)));
        list.push(say(Side::Server, smb(tell as usize, random)));
    }
    for _ in 0..transfers {
        let size = random.pareto(4_000.0, 0.9, 3_000_000.0) as usize;
        let (up, down) = if upload { (size, 84) } else { (116, size) };
        list.push(say(Side::Client, smb(up, random)));
        list.push(Step::Wait(random.delay(2 * MILLI)));
        list.push(say(Side::Server, smb(down, random)));
        list.push(Step::Wait(random.exponential(4.0 * SECOND as f64) as u64));
    }
    list.push(Step::Close(Side::Client));
    steps(list)
}

/// A connection kept alive: a handshake, then a small exchange each period until `length_ns` is over.
pub(super) fn keepalive(
    name: &str,
    period_ns: u64,
    length_ns: u64,
    size: usize,
    random: &mut Random,
) -> Script {
    let mut opening = Vec::new();
    handshake(&mut opening, name, random);
    let mut queue = std::collections::VecDeque::from(opening);
    let mut left = length_ns;
    Box::new(move |random| {
        if queue.is_empty() && left > period_ns {
            left -= period_ns;
            queue.push_back(Step::Wait(random.jitter(period_ns, 0.01)));
            queue.push_back(say(Side::Client, Payload::tls(size)));
            queue.push_back(Step::Wait(random.delay(3 * MILLI)));
            queue.push_back(say(Side::Server, Payload::tls(size.min(40))));
        }
        queue.pop_front()
    })
}

/// A large transfer over TLS at no more than `rate_bps`, in pieces.
pub(super) fn bulk(name: &str, from: Side, bytes: u64, rate_bps: u64, random: &mut Random) -> Script {
    const PIECE: u64 = 262_144;
    let mut opening = Vec::new();
    handshake(&mut opening, name, random);
    opening.push(say(Side::Client, Payload::tls(600)));
    let mut queue = std::collections::VecDeque::from(opening);
    let mut left = bytes;
    let pause = PIECE * 8 * SECOND / rate_bps.max(1);
    Box::new(move |random| {
        if queue.is_empty() && left > 0 {
            let piece = left.min(PIECE);
            left -= piece;
            queue.push_back(say(from, Payload::tls(piece as usize)));
            // The transfer itself takes part of the time; the pause fills up the rest, roughly.
            queue.push_back(Step::Wait(random.jitter(pause * piece / PIECE * 3 / 4, 0.2)));
            if left == 0 {
                let side = match from {
                    Side::Client => Side::Server,
                    Side::Server => Side::Client,
                };
                queue.push_back(say(side, Payload::tls(220)));
            }
        }
        queue.pop_front()
    })
}
