//! The table of scenarios: one line each with name, meaning, technique, parameters and the function that starts it.
//! It must never send anything itself.

mod benign;
mod brute_force;
mod command;
mod exfiltration;
mod flood;
mod local;
mod reflect;
mod scan;
mod table;
mod victim;

use std::rc::Rc;

use super::{
    cast::Cast,
    frame::Mac,
    host::{HostId, Label},
    labels::Pattern,
    parameter::{Parameter, Values},
    random::Random,
    stage::Stage,
};

pub use table::SCENARIOS;

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Name, and the label of its frames.
    pub name: &'static str,
    /// What happens, in a line.
    pub summary: &'static str,
    /// Whether it must not alarm: its frames have no label.
    pub benign: bool,
    /// Technique of MITRE ATT&CK (Enterprise), where one fits.
    pub technique: Option<&'static str>,
    /// What can be set.
    pub parameters: &'static [Parameter],
    /// Starts it.
    pub(super) start: fn(&mut Setup<'_>),
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a scenario needs to start.
pub(super) struct Setup<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) cast: &'a Rc<Cast>,
    pub(super) random: Random,
    pub(super) label: Label,
    /// When it begins and how long it takes.
    pub(super) begin_ns: u64,
    pub(super) length_ns: u64,
    pub(super) values: Values,
    pub(super) patterns: &'a mut Vec<Pattern>,
    pub(super) withheld: &'a mut Vec<Withheld>,
}

/// Frames of a base capture that a scenario makes impossible: those of a host that is off, or of a service that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Withheld {
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    /// Ethernet address of the host, so that IPv6 goes too.
    pub(super) host: Mac,
    /// Only frames to and from this TCP port of the host; otherwise all that it sends.
    pub(super) port: Option<u16>,
}

impl Setup<'_> {
    /// When it is over.
    fn end_ns(&self) -> u64 {
        self.begin_ns + self.length_ns
    }

    /// The time between two of `count` equal steps.
    fn step_ns(&self, count: u64) -> u64 {
        (self.length_ns / count.max(1)).max(1)
    }

    /// Declares IPv4 traffic between two hosts, of a protocol and a port of the second.
    fn declare(
        &mut self,
        src: Option<HostId>,
        dst: Option<HostId>,
        dst_port: Option<u16>,
        proto: &'static str,
    ) {
        self.declare_family(src, dst, dst_port, proto, false);
    }

    /// As [`Self::declare`], and the same over IPv6 where the hosts have it: conversations choose.
    fn declare_both(
        &mut self,
        src: Option<HostId>,
        dst: Option<HostId>,
        dst_port: Option<u16>,
        proto: &'static str,
    ) {
        self.declare_family(src, dst, dst_port, proto, false);
        let mut hosts = src.into_iter().chain(dst);
        if hosts.all(|id| self.stage.host(id).v6.is_some()) {
            self.declare_family(src, dst, dst_port, proto, true);
        }
    }

    fn declare_family(
        &mut self,
        src: Option<HostId>,
        dst: Option<HostId>,
        dst_port: Option<u16>,
        proto: &'static str,
        v6: bool,
    ) {
        let address = |id: HostId| self.stage.host(id).address(v6);
        let pattern = Pattern {
            src: src.map(address),
            dst: dst.map(address),
            src_port: None,
            dst_port,
            proto: (!proto.is_empty()).then_some(proto),
        };
        self.patterns.push(pattern);
    }

    /// Who attacks: a stranger from outside, or one of the people's machines.
    fn attacker(&mut self, stack: &'static super::stack::Stack, victim: HostId) -> HostId {
        if self.values.is_second("from") {
            self.cast.person_but(victim)
        } else {
            self.cast.stranger(self.stage, stack, &mut self.random)
        }
    }
}

/// A scenario by name.
///
/// # Errors
/// The nearest names.
pub fn find(name: &str) -> Result<&'static Scenario, String> {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| {
        let nearest = SCENARIOS
            .iter()
            .map(|scenario| (strsim::jaro_winkler(name, scenario.name), scenario.name))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
            .unwrap_or_default();
        format!(
            "there is no scenario \"{name}\"; the nearest is \"{nearest}\" (`sensor simulate list` shows all)"
        )
    })
}
