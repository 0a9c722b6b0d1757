//! Memory over windows: small evidence against one host that keeps coming adds up, so that what is unremarkable in any
//! single window (a beacon, a slow scan, a slow brute force) is found all the same. It must never grow on what is
//! ordinary: only windows among the most unusual tenth add to it.

/// Windows after which evidence counts for 1/e of what it did.
const MEMORY_WINDOWS: f64 = 60.0;
/// Evidence of one window at most: one window alone is the business of its own threshold.
const MOST: f64 = 3.0;

/// The evidence against one host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Persistence {
    evidence: f32,
    window: u32,
}

impl Persistence {
    /// Adds a window's p-value: what it exceeds one in ten by, in powers of ten. Returns the evidence now.
    pub fn add(&mut self, window: u32, p_value: f64) -> f32 {
        let evidence = (-p_value.max(1e-300).log10() - 1.0).clamp(0.0, MOST);
        self.evidence = (f64::from(self.at(window)) + evidence) as f32;
        self.window = window;
        self.evidence
    }

    /// What is left of the evidence in a later window.
    pub fn at(&self, window: u32) -> f32 {
        let elapsed = f64::from(window.saturating_sub(self.window));
        (f64::from(self.evidence) * (-elapsed / MEMORY_WINDOWS).exp()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_evidence_adds_up_and_fades() {
        let mut host = Persistence::default();
        for window in 0..8 {
            host.add(window, 0.01);
        }
        // Eight windows of one power of ten each, the first a little faded.
        assert!((7.0..8.0).contains(&host.at(8)), "{}", host.at(8));
        assert!(host.at(8 + 600) < 1e-3);
    }

    #[test]
    fn ordinary_windows_add_nothing_and_one_window_alone_is_bounded() {
        let mut host = Persistence::default();
        for window in 0..1000 {
            assert!(host.add(window, 0.2) <= 0.0);
        }
        assert!((host.add(1001, 1e-30) - 3.0).abs() < 1e-6);
    }
}
