//! SSH as it looks from outside: banners, a key exchange in the clear, then sizes and pauses.
//! It must never send anything itself; it only writes scripts.

use super::{
    payload::Payload,
    random::Random,
    stage::{MILLI, SECOND},
    tcp::{Script, Side, Step, steps},
};

fn say(side: Side, payload: Payload) -> Step {
    Step::Say(side, payload)
}

fn noise(count: usize, random: &mut Random) -> Vec<u8> {
    (0..count).map(|_| random.next() as u8).collect()
}

/// A string with its length (RFC 4251 section 5).
fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A packet before encryption begins (RFC 4253 section 6).
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    // Length, padding length, kind and body with at least four bytes of padding are a multiple of eight.
    let padding = 4 + (8 - (6 + body.len() + 4) % 8) % 8;
    let mut out = ((2 + body.len() + padding) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&[padding as u8, kind]);
    out.extend_from_slice(body);
    out.resize(out.len() + padding, 0);
    out
}

/// What one side can do (RFC 4253 section 7.1), with `more` key exchanges than the one that is used.
fn offer(more: usize, random: &mut Random) -> Vec<u8> {
    let kex = "curve25519-sha256".to_owned() + &",diffie-hellman-group16-sha512".repeat(more);
    let hosts = "ssh-ed25519,rsa-sha2-512,rsa-sha2-256";
    let ciphers = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com";
    let macs =
        "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1";
    let mut body = noise(16, random);
    for list in [&kex, hosts, ciphers, ciphers, macs, macs, "none", "none", "", ""] {
        body.extend(text(list.as_bytes()));
    }
    body.extend_from_slice(&[0; 5]);
    packet(20, &body)
}

/// Banner and key exchange of SSH, up to where a password is asked for.
fn open(list: &mut Vec<Step>, client: &str, random: &mut Random) {
    let pause = |random: &mut Random, ms: u64| Step::Wait(random.delay(ms * MILLI));
    list.push(say(Side::Client, Payload::bytes(format!("SSH-2.0-{client}\r\n"))));
    list.push(pause(random, 4));
    list.push(say(Side::Server, Payload::bytes("SSH-2.0-OpenSSH_9.6\r\n")));
    list.push(pause(random, 1));
    list.push(say(Side::Server, Payload::bytes(offer(6, random))));
    list.push(say(Side::Client, Payload::bytes(offer(11, random))));
    let key = packet(30, &text(&noise(32, random)));
    list.push(say(Side::Client, Payload::bytes(key)));
    list.push(pause(random, 6));
    // Host key, the server's half of the secret, signature; then both change to the new keys.
    let host_key = [text(b"ssh-ed25519"), text(&noise(32, random))].concat();
    let signature = [text(b"ssh-ed25519"), text(&noise(64, random))].concat();
    let reply = [text(&host_key), text(&noise(32, random)), text(&signature)].concat();
    let reply = [packet(31, &reply), packet(21, &[])].concat();
    list.push(say(Side::Server, Payload::bytes(reply)));
    list.push(say(Side::Client, Payload::with_noise(packet(21, &[]), 44)));
    list.push(say(Side::Server, Payload::with_noise(Vec::new(), 44)));
    list.push(say(Side::Client, Payload::with_noise(Vec::new(), 68)));
    list.push(say(Side::Server, Payload::with_noise(Vec::new(), 52)));
}

/// A person at a shell: keys that echo, commands with output, pauses. Lasts about `length_ns`.
pub(super) fn session(length_ns: u64, random: &mut Random) -> Script {
    let mut opening = Vec::new();
    open(&mut opening, "OpenSSH_9.7", random);
    opening.push(Step::Wait(random.delay(2 * SECOND)));
    opening.push(say(Side::Client, Payload::with_noise(Vec::new(), 148)));
    opening.push(Step::Wait(random.delay(30 * MILLI)));
    opening.push(say(Side::Server, Payload::with_noise(Vec::new(), 28)));
    opening.push(say(Side::Server, Payload::with_noise(Vec::new(), 636)));
    let mut queue = std::collections::VecDeque::from(opening);
    let mut left = length_ns;
    Box::new(move |random| {
        if queue.is_empty() && left > 0 {
            let keys = random.between(3, 25);
            for _ in 0..keys {
                let pause = random.delay(140 * MILLI);
                left = left.saturating_sub(pause);
                queue.push_back(Step::Wait(pause));
                queue.push_back(say(Side::Client, Payload::with_noise(Vec::new(), 36)));
                queue.push_back(say(Side::Server, Payload::with_noise(Vec::new(), 36)));
            }
            let output = random.pareto(80.0, 1.1, 60_000.0) as usize;
            queue.push_back(Step::Wait(random.delay(20 * MILLI)));
            queue.push_back(say(Side::Server, Payload::with_noise(Vec::new(), output)));
            let pause = random.pareto(SECOND as f64, 1.2, 40.0 * SECOND as f64) as u64;
            left = left.saturating_sub(pause);
            queue.push_back(Step::Wait(pause));
        }
        queue.pop_front()
    })
}

/// Password guessing over SSH: one connection with some attempts, closed by the server.
pub(super) fn guesses(attempts: u64, random: &mut Random) -> Script {
    let mut list = Vec::new();
    open(&mut list, "libssh2_1.11.0", random);
    for _ in 0..attempts {
        list.push(say(
            Side::Client,
            Payload::with_noise(Vec::new(), random.between(84, 116) as usize),
        ));
        // pam_unix delays a failure by about two seconds.
        list.push(Step::Wait(random.delay(1900 * MILLI)));
        list.push(say(Side::Server, Payload::with_noise(Vec::new(), 52)));
    }
    list.push(Step::Close(Side::Server));
    steps(list)
}
