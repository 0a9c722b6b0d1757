//! One labelled stretch of time, optionally of certain hosts and ports. It must never match by direction: an answer
//! belongs to what it answers.

use sensor_common::{flow::FlowKey, parse::Parsed};

use super::LabelId;
use crate::config::Network;

/// One side of a conversation; `None` matches anything.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// Network in the form of flow keys, and length of its prefix.
    network: Option<(u128, u8)>,
    port: Option<u16>,
}

impl Side {
    fn holds(&self, address: &[u8; 16], port: u16) -> bool {
        self.network.is_none_or(|(network, len)| {
            let differing = network ^ u128::from_be_bytes(*address);
            differing.checked_shr(128 - u32::from(len)).unwrap_or(0) == 0
        }) && self.port.is_none_or(|wanted| wanted == port)
    }
}

/// A line of the interval form.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    start_ns: u64,
    end_ns: u64,
    sides: [Side; 2],
    proto: Option<u8>,
    label: LabelId,
}

impl Interval {
    /// Reads the fields `start,end,src,dst,src_port,dst_port,proto`.
    pub(super) fn parse<'a>(field: &dyn Fn(usize) -> &'a str) -> Result<Self, String> {
        let (start_ns, end_ns) = (time(field(0), 0)?, time(field(1), u64::MAX)?);
        if end_ns < start_ns {
            return Err("the end is before the start".to_owned());
        }
        let side = |address: usize, port: usize| {
            Ok::<_, String>(Side {
                network: network(field(address))?,
                port: optional(field(port), "port (0 to 65535)")?,
            })
        };
        Ok(Self {
            start_ns,
            end_ns,
            sides: [side(2, 4)?, side(3, 5)?],
            proto: proto(field(6))?,
            label: 0,
        })
    }

    pub(super) fn labelled(self, label: LabelId) -> Self {
        Self { label, ..self }
    }

    pub(super) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.end_ns
    }

    pub(super) fn label(&self) -> LabelId {
        self.label
    }

    /// Whether a frame is in it, either way round.
    pub(super) fn holds(&self, time_ns: u64, parsed: Option<&Parsed>) -> bool {
        time_ns >= self.start_ns && time_ns <= self.end_ns && self.concerns(parsed.map(|parsed| &parsed.key))
    }

    /// Whether a flow is one of those it is about, either way round; `None` is a frame without a flow.
    pub(super) fn concerns(&self, key: Option<&FlowKey>) -> bool {
        let [a, b] = &self.sides;
        let unbound = |side: &Side| side.network.is_none() && side.port.is_none();
        let Some(key) = key else {
            return unbound(a) && unbound(b) && self.proto.is_none();
        };
        let ends = |from: usize, to: usize| {
            a.holds(&key.addr[from], key.port[from]) && b.holds(&key.addr[to], key.port[to])
        };
        self.proto.is_none_or(|proto| proto == key.proto) && (ends(0, 1) || ends(1, 0))
    }
}

/// Epoch seconds with a fraction, or RFC 3339, as Unix nanoseconds.
fn time(text: &str, default_ns: u64) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(default_ns);
    }
    if let Some(ns) = epoch_ns(text) {
        return Ok(ns);
    }
    let stamp: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("`{text}` is no time: epoch seconds or RFC 3339 is expected"))?;
    u64::try_from(stamp.as_nanosecond()).map_err(|_| format!("`{text}` is before 1970"))
}

/// Decimal seconds, exactly: floating point would lose the last digits of today's times.
fn epoch_ns(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nine.parse().ok()?)
}

fn network(text: &str) -> Result<Option<(u128, u8)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let network: Network = text.parse()?;
    let (address, len) = network.mapped();
    Ok(Some((u128::from_be_bytes(address), len)))
}

fn optional<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| format!("`{text}` is no {what}"))
}

/// A protocol by number or name.
fn proto(text: &str) -> Result<Option<u8>, String> {
    match text.to_ascii_lowercase().as_str() {
        "icmp" => Ok(Some(1)),
        "tcp" => Ok(Some(6)),
        "udp" => Ok(Some(17)),
        "icmpv6" | "ipv6-icmp" => Ok(Some(58)),
        "sctp" => Ok(Some(132)),
        "arp" => Ok(Some(0)),
        other => optional(other, "protocol: a number or tcp, udp, icmp, icmpv6, sctp, arp"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    fn v4(last: u8) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last]
    }

    fn interval(line: &str) -> Interval {
        let fields: Vec<&str> = line.split(',').collect();
        Interval::parse(&|index| fields[index]).unwrap()
    }

    fn packet(proto: u8, a: (u8, u16), b: (u8, u16)) -> Parsed {
        let mut parsed = Parsed::zeroed();
        parsed.key.addr = [v4(a.0), v4(b.0)];
        parsed.key.port = [a.1, b.1];
        parsed.key.proto = proto;
        parsed
    }

    #[test]
    fn hosts_and_ports_match_in_either_direction_and_together() {
        let ssh = interval("1,2,192.0.2.9,192.0.2.0/30,,22,tcp");
        let holds = |parsed: &Parsed| ssh.holds(1_500_000_000, Some(parsed));
        assert!(holds(&packet(6, (1, 22), (9, 4000))));
        assert!(holds(&packet(6, (9, 4000), (1, 22))));
        assert!(
            !holds(&packet(6, (9, 22), (1, 4000))),
            "the port is the other side's"
        );
        assert!(!holds(&packet(17, (9, 4000), (1, 22))));
        assert!(!holds(&packet(6, (9, 4000), (8, 22))));
        assert!(!ssh.holds(2_000_000_001, Some(&packet(6, (9, 4000), (1, 22)))));
        assert!(!ssh.holds(1_500_000_000, None));
    }

    #[test]
    fn a_frame_without_a_flow_matches_only_what_names_no_flow() {
        assert!(interval("1,2,,,,,").holds(1_000_000_000, None));
        assert!(!interval("1,2,,,,,udp").holds(1_000_000_000, None));
    }

    #[test]
    fn times_keep_all_their_digits() {
        assert_eq!(epoch_ns("1714608600.412738123"), Some(1_714_608_600_412_738_123));
        assert_eq!(epoch_ns("1714608600"), Some(1_714_608_600_000_000_000));
        assert_eq!(epoch_ns("1.5e3"), None);
        assert_eq!(time("2023-11-14T22:13:20Z", 0), Ok(1_700_000_000_000_000_000));
        assert!(time("yesterday", 0).is_err());
    }
}
