//! Reasons in words and numbers, and the sentence that sums an incident up. It must never print an absent value as if
//! it had been seen.

use crate::detect::autoencoder::Contribution;
use crate::features::{Feature, RowKind};

use super::{Behaviour, Reason, service_text};
use crate::privacy::AddressNames;

/// Reasons given at most.
const MAX_REASONS: usize = 5;
/// A feature that carries less than this share of the score is no reason.
const MIN_SHARE: f32 = 0.02;

/// The strongest contributions of a row as reasons; at least one for any row with an error.
pub fn reasons(kind: RowKind, contributions: &[Contribution]) -> Vec<Reason> {
    let features = kind.features();
    let mut reasons: Vec<Reason> = Vec::new();
    for part in contributions {
        if reasons.len() >= MAX_REASONS {
            break;
        }
        if part.error <= 0.0 || (part.share < MIN_SHARE && !reasons.is_empty()) || !part.observed.is_finite()
        {
            continue;
        }
        let Some(feature) = features.get(part.column) else {
            continue;
        };
        // The same quantity over a minute, ten minutes and an hour is one reason.
        if reasons
            .iter()
            .any(|reason| stem(&reason.feature) == stem(feature.name))
        {
            continue;
        }
        reasons.push(Reason {
            feature: feature.name.to_owned(),
            observed: round(part.observed),
            expected: round(part.expected),
            low: round(part.low),
            high: round(part.high),
            contribution: f64::from((part.share * 1e4).round()) / 1e4,
            text: text(feature, part),
        });
    }
    reasons
}

/// A feature's name without its time scale.
fn stem(name: &str) -> &str {
    ["_1m", "_10m", "_1h"]
        .iter()
        .find_map(|scale| name.strip_suffix(scale))
        .unwrap_or(name)
}

fn text(feature: &Feature, part: &Contribution) -> String {
    feature
        .text
        .replace("{observed}", &number(part.observed))
        .replace("{low}", &number(part.low))
        .replace("{high}", &number(part.high))
}

/// Six significant digits are plenty, and hide that values are `f32`.
fn round(value: f32) -> f64 {
    format!("{value:.6e}")
        .parse()
        .unwrap_or_else(|_| f64::from(value))
}

/// A number for people: `1,004`, `37.5`, `0.04`.
pub fn number(value: f32) -> String {
    if value.abs() < 100.0 && value.fract().abs() > 0.005 {
        let digits = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let plain = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(plain.len() * 4 / 3 + 1);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 && text != "0" {
        format!("-{text}")
    } else {
        text
    }
}

/// What a summary needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it looks like.
    pub behaviour: Behaviour,
    /// Actor, or victim of a flood.
    pub subject: &'a [u8; 16],
    /// Who does it, if it is one host.
    pub actor: Option<&'a [u8; 16]>,
    /// Sources of a flood, about.
    pub sources: u64,
    /// First target, if any.
    pub target: Option<&'a [u8; 16]>,
    /// Protocol and port mostly concerned.
    pub service: (u8, u16),
    /// Targets, ports, sources or connections, as the behaviour counts them.
    pub count: u64,
    /// Bytes of the subject in the window.
    pub bytes: u64,
    /// Length of the window in seconds.
    pub window_s: f64,
}

/// One sentence, with addresses as `names` writes them.
pub fn summary(subject: &Subject<'_>, reasons: &[Reason], names: &AddressNames) -> String {
    let actor = names.text(subject.subject);
    let from = subject.actor.map_or_else(
        || {
            format!(
                "about {} sources (spoofed or distributed)",
                number(subject.sources as f32)
            )
        },
        |actor| names.text(actor),
    );
    let target = subject
        .target
        .map_or_else(|| "several hosts".to_owned(), |target| names.text(target));
    let service = service_text(subject.service.0, subject.service.1);
    let count = number(subject.count as f32);
    let span = number(subject.window_s as f32);
    let why = reasons
        .first()
        .map_or("unlike anything learned", |reason| reason.text.as_str());
    match subject.behaviour {
        Behaviour::VerticalScan => format!("{actor} tried {count} ports of {target} in {span} s"),
        Behaviour::HorizontalScan => format!("{actor} tried {service} on {count} hosts in {span} s"),
        Behaviour::ArpScan => format!("{actor} asked by ARP for {count} addresses in {span} s"),
        Behaviour::SynFlood => {
            format!(
                "{actor} was sent {count} connection attempts to {service} in {span} s that were not completed, from {from}"
            )
        }
        Behaviour::UdpFlood => {
            format!("{actor} was sent {count} packets to {service} in {span} s from {from}")
        }
        Behaviour::IcmpFlood => format!("{actor} was sent {count} ICMP packets in {span} s from {from}"),
        Behaviour::Amplification => {
            format!(
                "{actor} was sent {count} packets it had not asked for from {service} in {span} s, from {from}"
            )
        }
        Behaviour::BruteForce => {
            format!("{actor} opened {count} connections to {service} of {target} in {span} s")
        }
        Behaviour::Exfiltration => {
            let bytes = number(subject.bytes as f32);
            format!(
                "{actor} sends far more than usual out of the network, to {service} of {target} ({bytes} bytes of traffic in {span} s): {why}"
            )
        }
        Behaviour::Beacon => format!("{actor} contacts {service} of {target} as if by the clock: {why}"),
        Behaviour::SilentHost => {
            format!("{actor} no longer serves what it is known to serve ({service}): {why}")
        }
        Behaviour::VolumeSurge => format!("{actor} moves much more traffic than usual: {why}"),
        Behaviour::NewPeer => format!("{actor} talks to hosts it had no contact with before: {why}"),
        Behaviour::NewService => format!("{actor} uses a service it had not used before: {why}"),
        Behaviour::Unclassified if subject.actor.is_none() => {
            format!("{count} hosts behave unlike their normal towards {actor}: {why}")
        }
        Behaviour::Unclassified => format!("{actor} behaves unlike its normal: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [
            (1004.0, "1,004"),
            (0.0, "0"),
            (0.04, "0.04"),
            (37.5, "37.5"),
            (1e6, "1,000,000"),
            (-3.0, "-3"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_flood_of_many_sources_tells_their_number_and_one_of_few_its_source() {
        let victim = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let source = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66];
        let mut subject = Subject {
            behaviour: Behaviour::SynFlood,
            subject: &victim,
            actor: None,
            sources: 2800,
            target: Some(&victim),
            service: (6, 80),
            count: 3000,
            bytes: 180_000,
            window_s: 2.0,
        };
        let text = summary(&subject, &[], &AddressNames::plain());
        assert!(text.starts_with("2001:db8::1 was sent 3,000"), "{text}");
        assert!(
            text.ends_with("from about 2,800 sources (spoofed or distributed)"),
            "{text}"
        );
        subject.actor = Some(&source);
        assert!(summary(&subject, &[], &AddressNames::plain()).ends_with("from 2001:db8::66"));
    }

    #[test]
    fn reasons_fill_the_text_and_skip_what_was_absent() {
        let part = |column, observed, share| Contribution {
            column,
            observed,
            expected: 2.0,
            low: 0.0,
            high: 6.0,
            error: share * 10.0,
            share,
        };
        let parts = [part(0, 1004.0, 0.8), part(1, f32::NAN, 0.1), part(2, 5.0, 0.01)];
        let reasons = reasons(RowKind::Host, &parts);
        assert_eq!(reasons.len(), 1);
        assert!(
            reasons[0].text.contains("1,004") && reasons[0].text.contains("0–6"),
            "{}",
            reasons[0].text
        );
    }
}
