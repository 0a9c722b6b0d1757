//! Names of behaviours, their MITRE ATT&CK techniques, and severities. Label values of metrics come from here, so the
//! set is closed; it must never grow with traffic.

use serde::{Deserialize, Serialize};

/// What traffic looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// One host tries many ports of another.
    VerticalScan,
    /// One host tries one port of many hosts.
    HorizontalScan,
    /// One host asks by ARP for many addresses.
    ArpScan,
    /// Many connection attempts that are never completed.
    SynFlood,
    /// Many UDP packets at one host.
    UdpFlood,
    /// Many ICMP packets at one host.
    IcmpFlood,
    /// Answers that nobody asked for, from services known to amplify.
    Amplification,
    /// Repeated connections to a service that asks for a password.
    BruteForce,
    /// Much more sent out of the local networks than usual.
    Exfiltration,
    /// Contacts with a host outside that come by the clock.
    Beacon,
    /// A host or service that no longer answers.
    SilentHost,
    /// Much more traffic than usual.
    VolumeSurge,
    /// Contact with a host never seen before.
    NewPeer,
    /// Use of a service never used before.
    NewService,
    /// Unusual, without a name.
    Unclassified,
}

impl Behaviour {
    /// All behaviours.
    pub const ALL: [Self; 15] = [
        Self::VerticalScan,
        Self::HorizontalScan,
        Self::ArpScan,
        Self::SynFlood,
        Self::UdpFlood,
        Self::IcmpFlood,
        Self::Amplification,
        Self::BruteForce,
        Self::Exfiltration,
        Self::Beacon,
        Self::SilentHost,
        Self::VolumeSurge,
        Self::NewPeer,
        Self::NewService,
        Self::Unclassified,
    ];

    /// Name in alerts and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::VerticalScan => "vertical_scan",
            Self::HorizontalScan => "horizontal_scan",
            Self::ArpScan => "arp_scan",
            Self::SynFlood => "syn_flood",
            Self::UdpFlood => "udp_flood",
            Self::IcmpFlood => "icmp_flood",
            Self::Amplification => "amplification",
            Self::BruteForce => "brute_force",
            Self::Exfiltration => "exfiltration",
            Self::Beacon => "beacon",
            Self::SilentHost => "silent_host",
            Self::VolumeSurge => "volume_surge",
            Self::NewPeer => "new_peer",
            Self::NewService => "new_service",
            Self::Unclassified => "unclassified",
        }
    }

    /// MITRE ATT&CK technique (Enterprise matrix), where one fits without guessing.
    pub const fn technique(self) -> Option<&'static str> {
        match self {
            Self::VerticalScan | Self::HorizontalScan => Some("T1046"),
            Self::ArpScan => Some("T1018"),
            Self::SynFlood => Some("T1499.001"),
            Self::UdpFlood | Self::IcmpFlood => Some("T1498.001"),
            Self::Amplification => Some("T1498.002"),
            Self::BruteForce => Some("T1110"),
            Self::Exfiltration => Some("T1048"),
            Self::Beacon => Some("T1071"),
            Self::SilentHost | Self::VolumeSurge | Self::NewPeer | Self::NewService | Self::Unclassified => {
                None
            }
        }
    }

    /// Whether the behaviour explains itself; the others only say that something is unusual and give way to these.
    pub const fn is_specific(self) -> bool {
        !matches!(
            self,
            Self::VolumeSurge | Self::NewPeer | Self::NewService | Self::Unclassified
        )
    }

    /// Whether a victim stands in the middle, not an actor.
    pub const fn is_flood(self) -> bool {
        matches!(
            self,
            Self::SynFlood | Self::UdpFlood | Self::IcmpFlood | Self::Amplification
        )
    }

    /// How far an attacker has come who does this: looking for hosts, for services, for a way in, being in.
    pub(super) const fn stage(self) -> u8 {
        match self {
            Self::ArpScan | Self::HorizontalScan => 1,
            Self::VerticalScan => 2,
            Self::BruteForce => 3,
            Self::Beacon => 4,
            Self::Exfiltration => 5,
            _ => 0,
        }
    }

    /// Severity before spread, persistence and rarity are considered.
    const fn base_severity(self) -> Severity {
        match self {
            Self::SynFlood | Self::UdpFlood | Self::IcmpFlood | Self::Amplification | Self::Exfiltration => {
                Severity::High
            }
            Self::VerticalScan | Self::HorizontalScan | Self::ArpScan | Self::BruteForce | Self::Beacon => {
                Severity::Medium
            }
            Self::SilentHost | Self::VolumeSurge | Self::NewService | Self::Unclassified => Severity::Low,
            Self::NewPeer => Severity::Info,
        }
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look when there is time.
    Low,
    /// Look today.
    Medium,
    /// Look now.
    High,
    /// Wake somebody.
    Critical,
}

impl Severity {
    /// All severities, rising.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Name in alerts and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severities that a behaviour can have.
    pub fn possible(behaviour: Behaviour) -> impl Iterator<Item = Self> {
        let (least, most) = (
            Self::judge(behaviour, 0, 0, 1.0, false),
            Self::judge(behaviour, u64::MAX, i64::MAX, 0.0, true),
        );
        Self::ALL
            .into_iter()
            .filter(move |severity| *severity >= least && *severity <= most)
    }

    /// Severity of a behaviour: its base, one step up for a wide spread (`spread` targets, ports or sources of at least
    /// 1,000) and one for persistence (five minutes), one step down for a p-value that calibration traffic itself
    /// reached more than once in a hundred. Whoever scans or guesses from `inside` has got hold of a host of ours: one step
    /// up for that.
    pub fn judge(behaviour: Behaviour, spread: u64, lasted_ns: i64, p_value: f64, inside: bool) -> Self {
        let base = behaviour.base_severity() as usize;
        let break_in = inside && (1..=3).contains(&behaviour.stage());
        let up =
            usize::from(spread >= 1000) + usize::from(lasted_ns >= 300_000_000_000) + usize::from(break_in);
        let down = usize::from(p_value > 0.01);
        let level = (base + up).saturating_sub(down).min(Self::ALL.len() - 1);
        Self::ALL.get(level).copied().unwrap_or(Self::Critical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_alert_json() {
        for behaviour in Behaviour::ALL {
            let json = serde_json::to_string(&behaviour).unwrap_or_default();
            assert_eq!(json, format!("\"{}\"", behaviour.label()));
        }
        for severity in Severity::ALL {
            let json = serde_json::to_string(&severity).unwrap_or_default();
            assert_eq!(json, format!("\"{}\"", severity.label()));
        }
    }

    #[test]
    fn spread_and_persistence_raise_and_ordinariness_lowers_severity() {
        let judge = |behaviour, spread, lasted_ns, p_value| {
            Severity::judge(behaviour, spread, lasted_ns, p_value, false)
        };
        assert_eq!(judge(Behaviour::VerticalScan, 100, 0, 1e-5), Severity::Medium);
        assert_eq!(judge(Behaviour::VerticalScan, 5000, 0, 1e-5), Severity::High);
        assert_eq!(
            judge(Behaviour::SynFlood, 5000, 600_000_000_000, 1e-5),
            Severity::Critical
        );
        assert_eq!(judge(Behaviour::NewPeer, 1, 0, 0.5), Severity::Info);
        let inside = |behaviour| Severity::judge(behaviour, 1, 0, 1e-5, true);
        assert_eq!(inside(Behaviour::BruteForce), Severity::High);
        assert_eq!(inside(Behaviour::Unclassified), Severity::Low);
        assert_eq!(judge(Behaviour::BruteForce, 1, 0, 0.02), Severity::Low);
    }
}
