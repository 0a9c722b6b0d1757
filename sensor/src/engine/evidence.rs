//! Evidence against hosts over many windows, in bounded memory. It must never let a flood of strangers push out the hosts
//! against which there is some: a newcomer waits until faded ones have made room.

use hashbrown::HashMap;

use crate::detect::persistence::Persistence;

/// Hosts with evidence at most; 24 bytes each.
const MAX_HOSTS: usize = 65_536;
/// Evidence below this has faded.
const FADED: f32 = 0.05;

/// See the module's description.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    hosts: HashMap<[u8; 16], Persistence, foldhash::quality::FixedState>,
    window: u32,
}

impl Evidence {
    /// No evidence. `seed` keys the table, so that addresses cannot be chosen to collide.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hosts: HashMap::with_hasher(foldhash::quality::FixedState::with_seed(seed)),
            window: 0,
        }
    }

    /// The next window begins, `windows` after the one before.
    pub(super) fn advance(&mut self, windows: u32) {
        self.window = self.window.saturating_add(windows);
        if self.hosts.len() >= MAX_HOSTS / 2 {
            let window = self.window;
            self.hosts.retain(|_, held| held.at(window) > FADED);
        }
    }

    /// Adds a host's p-value of this window; returns the evidence now, 0 for a host there is no room for.
    pub(super) fn add(&mut self, host: &[u8; 16], p_value: f64) -> f32 {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(host) {
            return 0.0;
        }
        self.hosts.entry(*host).or_default().add(self.window, p_value)
    }

    /// The host was told about: evidence begins anew.
    pub(super) fn clear(&mut self, host: &[u8; 16]) {
        self.hosts.remove(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_neither_grows_the_table_nor_displaces_a_suspect() {
        let mut evidence = Evidence::new(1);
        for _ in 0..5 {
            evidence.add(&[1; 16], 1e-3);
        }
        for stranger in 0..1_000_000u128 {
            evidence.add(&(stranger << 8).to_be_bytes(), 1e-2);
        }
        assert!(evidence.hosts.len() <= MAX_HOSTS);
        assert!(evidence.add(&[1; 16], 1e-3) > 10.0);
        // An hour later the strangers have faded.
        evidence.advance(360);
        assert!(evidence.hosts.len() < 10);
    }

    #[test]
    fn evidence_begins_anew_after_it_was_told() {
        let mut evidence = Evidence::new(1);
        evidence.add(&[1; 16], 1e-3);
        evidence.clear(&[1; 16]);
        assert!((evidence.add(&[1; 16], 1e-3) - 2.0).abs() < 1e-6);
    }
}
