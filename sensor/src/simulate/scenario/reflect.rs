//! Amplification: responses of many servers that the victim never asked. The questions, with the victim's forged
//! address, went to the servers and are not seen here.

use super::{Setup, victim::Victim};
use crate::simulate::{
    frame,
    host::HostId,
    payload::{self, Answers, kind},
    random::Random,
    stack::LINUX,
    stage::MICRO,
};

/// What a reflector sends for one forged question: payloads of one or more datagrams.
type Response = fn(&mut Random) -> Vec<Vec<u8>>;

fn reflect(setup: &mut Setup<'_>, port: u16, response: Response) {
    let (server, label) = (setup.cast.server, setup.label);
    setup.declare(Some(server), None, Some(port), "udp");
    setup.declare(None, Some(server), None, "icmp");
    let mut reflectors = setup.values.count("reflectors");
    if !setup.cast.routed {
        reflectors = reflectors.min(40);
    }
    let reflectors: Vec<HostId> = (0..reflectors)
        .map(|_| setup.cast.stranger(setup.stage, &LINUX, &mut setup.random))
        .collect();
    let mut last = vec![0; reflectors.len()];
    let mut victim = Victim::new(server, label);
    let count = setup.values.count("packets");
    let step = setup.step_ns(count);
    // The forged source port, the same in all questions.
    let dport = setup.random.between(1024, 65_535) as u16;
    let mut random = setup.random.fork();
    let mut sent = 0;
    setup.stage.act(setup.begin_ns, move |stage, now| {
        let index = random.below(reflectors.len() as u64) as usize;
        let (reflector, last) = (reflectors.get(index)?, last.get_mut(index)?);
        let parts = response(&mut random);
        let mut time = now;
        for part in &parts {
            let ends = (*reflector, server);
            let path = stage.path(ends.0, ends.1, false);
            stage.udp_on(time, label, ends, &path, (port, dport), part);
            let mut about = Vec::new();
            let quoted = part.get(..520.min(part.len())).unwrap_or_default();
            frame::udp(&mut about, &path, port, dport, quoted);
            victim.port_unreachable(stage, time, &path, &about, last);
            time += (part.len() as u64 * 100 + 20_000).max(20 * MICRO);
        }
        sent += parts.len() as u64;
        let pause = random.exponential((step * parts.len() as u64) as f64) as u64;
        (sent < count).then(|| now.max(time) + pause.saturating_sub(time - now))
    });
}

pub(super) fn dns(setup: &mut Setup<'_>) {
    reflect(setup, 53, |random| {
        // A signed zone asked for ANY: more than one packet holds.
        let records = random.between(6, 13);
        let data: Vec<Vec<u8>> = (0..records).map(|_| payload::txt(random, 230)).collect();
        let id = random.next() as u16;
        let answers = Answers::Data(kind::TXT, &data);
        vec![payload::dns_response(
            id,
            "records.zone.example",
            kind::ANY,
            &answers,
        )]
    });
}

pub(super) fn ntp(setup: &mut Setup<'_>) {
    reflect(setup, 123, |random| {
        // Mode 7, request 42 (monitor list): six clients a packet, up to a hundred packets.
        (0..random.between(10, 100))
            .map(|sequence| {
                let mut out = vec![0xd7, sequence as u8 & 0x7f, 3, 42, 0, 6, 0, 72];
                out.extend((0..432).map(|_| random.next() as u8));
                out
            })
            .collect()
    });
}

/// A BER value with a definite length.
fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len() as u16;
    let mut out = vec![tag];
    if len < 128 {
        out.push(len as u8);
    } else {
        out.push(0x82);
        out.extend_from_slice(&len.to_be_bytes());
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn snmp(setup: &mut Setup<'_>) {
    reflect(setup, 161, |random| {
        // GetBulk with many repetitions: strings of the interface table.
        let bindings: Vec<u8> = (0..random.between(12, 28))
            .flat_map(|row| {
                let name = ber(6, &[0x2b, 6, 1, 2, 1, 2, 2, 1, 2, row as u8 + 1]);
                let text = payload::base32(random, 28);
                ber(0x30, &[name, ber(4, text.as_bytes())].concat())
            })
            .collect();
        let request = (random.next() as u32 & 0x7fff_ffff).to_be_bytes();
        let body = [ber(2, &request), ber(2, &[0]), ber(2, &[0]), ber(0x30, &bindings)].concat();
        let message = [ber(2, &[1]), ber(4, b"public"), ber(0xa2, &body)].concat();
        vec![ber(0x30, &message)]
    });
}

pub(super) fn memcached(setup: &mut Setup<'_>) {
    reflect(setup, 11_211, |random| {
        // A stored value over UDP: each datagram has its number and the total before 1,392 bytes of it.
        let request = (random.next() as u16).to_be_bytes();
        let total = random.between(20, 200) as u16;
        (0..total)
            .map(|sequence| {
                let mut out = request.to_vec();
                out.extend_from_slice(&sequence.to_be_bytes());
                out.extend_from_slice(&total.to_be_bytes());
                out.extend_from_slice(&[0, 0]);
                if sequence == 0 {
                    out.extend_from_slice(b"VALUE a 0 262144\r\n");
                }
                out.resize(1400, b'a');
                out
            })
            .collect()
    });
}
