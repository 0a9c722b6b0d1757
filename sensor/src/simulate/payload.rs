//! Payloads that look like what they pretend to be: TLS records and handshakes, HTTP heads, DNS messages, and noise.
//! Large ones are never held in memory, only described. It must never contain anything that was recorded.

use std::net::IpAddr;

use super::random::Random;

/// Largest TLS record, without its header (RFC 8446 section 5.1).
const RECORD: usize = 16_384;
const RECORD_HEAD: usize = 5;

/// A message of one side of a conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Payload {
    head: Vec<u8>,
    /// Bytes behind the head, made when sent.
    body: usize,
    /// Whether the body is TLS records.
    records: bool,
}

impl Payload {
    /// These bytes.
    pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            head: bytes.into(),
            ..Self::default()
        }
    }

    /// These bytes and then noise.
    pub(super) fn with_noise(head: impl Into<Vec<u8>>, body: usize) -> Self {
        Self {
            head: head.into(),
            body,
            records: false,
        }
    }

    /// Application data in TLS records.
    pub(super) fn tls(plain: usize) -> Self {
        let plain = plain.max(1);
        Self {
            head: Vec::new(),
            body: plain + plain.div_ceil(RECORD) * RECORD_HEAD,
            records: true,
        }
    }

    /// Bytes of the whole message.
    pub(super) const fn len(&self) -> usize {
        self.head.len() + self.body
    }

    /// Appends `len` bytes of the message from `offset` on. `salt` chooses the noise.
    pub(super) fn write(&self, out: &mut Vec<u8>, offset: usize, len: usize, salt: usize, noise: &[u8]) {
        let end = offset + len;
        if let Some(part) = self.head.get(offset..end.min(self.head.len())) {
            out.extend_from_slice(part);
        }
        let mut at = offset.max(self.head.len()) - self.head.len();
        let end = end.saturating_sub(self.head.len());
        while at < end {
            let within = at % (RECORD + RECORD_HEAD);
            if self.records && within < RECORD_HEAD {
                let record = (self.body - (at - within) - RECORD_HEAD).min(RECORD);
                let [high, low] = (record as u16).to_be_bytes();
                out.push([0x17, 3, 3, high, low][within]);
                at += 1;
                continue;
            }
            let mut run = end - at;
            if self.records {
                run = run.min(RECORD + RECORD_HEAD - within);
            }
            let from = (salt.wrapping_mul(31).wrapping_add(at)) % (noise.len() / 2).max(1);
            let part = noise.get(from..(from + run).min(noise.len())).unwrap_or_default();
            out.extend_from_slice(part);
            at += part.len().max(1);
        }
    }
}

fn with_length(out: &mut Vec<u8>, width: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + width, 0);
    body(out);
    let len = (out.len() - at - width).to_be_bytes();
    if let (Some(field), Some(low)) = (out.get_mut(at..at + width), len.get(len.len() - width..)) {
        field.copy_from_slice(low);
    }
}

fn noise(out: &mut Vec<u8>, random: &mut Random, count: usize) {
    out.extend((0..count).map(|_| random.next() as u8));
}

/// A TLS 1.3 client hello for a server name.
pub(super) fn client_hello(name: &str, random: &mut Random) -> Payload {
    let mut out = vec![0x16, 3, 1];
    with_length(&mut out, 2, |out| {
        out.push(1);
        with_length(out, 3, |out| {
            out.extend_from_slice(&[3, 3]);
            noise(out, random, 32);
            out.push(32);
            noise(out, random, 32);
            out.extend_from_slice(&[0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0]);
            with_length(out, 2, |out| {
                // Server name, groups, signature algorithms, supported versions, key share.
                out.extend_from_slice(&[0, 0]);
                with_length(out, 2, |out| {
                    with_length(out, 2, |out| {
                        out.push(0);
                        with_length(out, 2, |out| out.extend_from_slice(name.as_bytes()));
                    });
                });
                out.extend_from_slice(&[0, 10, 0, 4, 0, 2, 0, 29]);
                out.extend_from_slice(&[0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1]);
                out.extend_from_slice(&[0, 43, 0, 3, 2, 3, 4]);
                out.extend_from_slice(&[0, 51, 0, 38, 0, 36, 0, 29, 0, 32]);
                noise(out, random, 32);
                // Padding, as browsers add it.
                out.extend_from_slice(&[0, 21]);
                let fill = random.between(100, 240) as usize;
                with_length(out, 2, |out| out.resize(out.len() + fill, 0));
            });
        });
    });
    Payload::bytes(out)
}

/// A TLS 1.3 server hello, change of cipher, and an encrypted certificate of `certificate` bytes.
pub(super) fn server_hello(certificate: usize, random: &mut Random) -> Payload {
    let mut out = vec![0x16, 3, 3];
    with_length(&mut out, 2, |out| {
        out.push(2);
        with_length(out, 3, |out| {
            out.extend_from_slice(&[3, 3]);
            noise(out, random, 32);
            out.push(32);
            noise(out, random, 32);
            out.extend_from_slice(&[0x13, 1, 0]);
            with_length(out, 2, |out| {
                out.extend_from_slice(&[0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32]);
                noise(out, random, 32);
            });
        });
    });
    out.extend_from_slice(&[0x14, 3, 3, 0, 1, 1, 0x17, 3, 3]);
    out.extend_from_slice(&(certificate as u16).to_be_bytes());
    Payload::with_noise(out, certificate)
}

/// The client's end of the handshake: change of cipher and an encrypted "finished".
pub(super) fn client_finished(random: &mut Random) -> Payload {
    let mut out = vec![0x14, 3, 3, 0, 1, 1, 0x17, 3, 3, 0, 53];
    noise(&mut out, random, 53);
    Payload::bytes(out)
}

/// DNS record types.
pub(super) mod kind {
    pub(in crate::simulate) const A: u16 = 1;
    pub(in crate::simulate) const NULL: u16 = 10;
    pub(in crate::simulate) const TXT: u16 = 16;
    pub(in crate::simulate) const AAAA: u16 = 28;
    pub(in crate::simulate) const ANY: u16 = 255;
}

fn dns_name(out: &mut Vec<u8>, name: &str) {
    for part in name.split('.').filter(|part| !part.is_empty()) {
        out.push(part.len().min(63) as u8);
        out.extend(part.bytes().take(63));
    }
    out.push(0);
}

/// Answers of a DNS message.
#[derive(Clone, Debug)]
pub(super) enum Answers<'a> {
    /// Addresses.
    Addresses(&'a [IpAddr]),
    /// Text or other data of this type, one record each.
    Data(u16, &'a [Vec<u8>]),
    /// The name exists, but no record of this type.
    Nothing,
}

/// A DNS query with EDNS (RFC 6891).
pub(super) fn dns_query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    dns_name(&mut out, name);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// The response to a query.
pub(super) fn dns_response(id: u16, name: &str, kind: u16, answers: &Answers<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let count = match answers {
        Answers::Addresses(list) => list.len(),
        Answers::Data(_, list) => list.len(),
        Answers::Nothing => 0,
    };
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0x81, 0x80, 0, 1]);
    out.extend_from_slice(&(count as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    dns_name(&mut out, name);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    let mut record = |kind: u16, data: &[u8]| {
        // The owner is the name of the question (compressed), class IN, five minutes to live.
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    };
    match answers {
        Answers::Addresses(list) => {
            for address in *list {
                match address {
                    IpAddr::V4(address) => record(kind::A, &address.octets()),
                    IpAddr::V6(address) => record(kind::AAAA, &address.octets()),
                }
            }
        }
        Answers::Data(kind, list) => list.iter().for_each(|data| record(*kind, data)),
        Answers::Nothing => {}
    }
    out
}

/// Text as the data of a TXT record: strings of up to 255 bytes, each with its length.
pub(super) fn txt(random: &mut Random, len: usize) -> Vec<u8> {
    let text = base32(random, len);
    text.as_bytes()
        .chunks(255)
        .flat_map(|part| std::iter::once(part.len() as u8).chain(part.iter().copied()))
        .collect()
}

/// Random letters and digits, as encoders of binary data make them.
pub(super) fn base32(random: &mut Random, len: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..len)
        .map(|_| char::from(LETTERS[random.below(32) as usize]))
        .collect()
}

/// An NTP packet (RFC 5905): 3 for a client, 4 for a server.
pub(super) fn ntp(mode: u8, random: &mut Random) -> Vec<u8> {
    let mut out = vec![0x20 | mode, if mode == 4 { 2 } else { 0 }, 6, 0xec];
    if mode == 4 {
        noise(&mut out, random, 36);
    } else {
        out.resize(40, 0);
    }
    noise(&mut out, random, 8);
    out
}
