//! What a reload changes: which keys differ, and which of them wait for a restart.
//! It must never apply anything itself.

use super::{Settings, keys};

/// A key whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: &'static str,
    /// Value in force, as a TOML literal.
    pub old: String,
    /// Value wanted.
    pub new: String,
    /// Whether it is applied now; otherwise it needs a restart.
    pub reloads: bool,
}

/// Compares the settings in force with new ones.
pub fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    keys::all()
        .map(|key| Change {
            key: key.name,
            old: (key.get)(old),
            new: (key.get)(new),
            reloads: key.reloads,
        })
        .filter(|change| change.old != change.new)
        .collect()
}
