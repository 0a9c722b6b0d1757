//! Interface names with the wildcards `*` and `?`, as a shell has them.
//! It must never match by prefix alone: `eth1` is not `eth10`.

use std::{fmt, str::FromStr};

/// Longest interface name the kernel takes (`IFNAMSIZ` less the terminating zero).
const LONGEST: usize = 15;

/// An interface name, perhaps with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether an interface name matches.
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }

    /// The name itself if it holds no wildcard: such an interface is expected to exist.
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(self.0.as_str())
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, tail)| matches(pattern, tail))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([p, rest @ ..], [n, tail @ ..]) => p == n && matches(rest, tail),
        _ => false,
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |c: char| c.is_whitespace() || c == '/' || c.is_control();
        if text.is_empty() || text.contains(bad) {
            return Err(format!(
                "\"{text}\" is no interface name: write \"eth0\" or a pattern such as \"eth*\""
            ));
        }
        if text.len() > LONGEST {
            return Err(format!(
                "\"{text}\" is longer than the {LONGEST} bytes of an interface name"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
