//! `sensor doctor`: what this kernel, this process and these interfaces allow, with the fix for what is missing.
//! It must never change anything on the host: it reads, and asks the kernel.

use std::fmt;

use crate::config::Settings;

mod host;
mod interfaces;

/// How a finding counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; the sensor works without it.
    Note,
    /// The sensor cannot work like this.
    Missing,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Missing => "MISSING",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Verdict.
    pub verdict: Verdict,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

impl Finding {
    fn new(
        verdict: Verdict,
        subject: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            verdict,
            subject: subject.into(),
            found: found.into(),
            fix: fix.into(),
        }
    }

    fn good(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Verdict::Good, subject, found, "")
    }

    fn note(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Note, subject, found, fix)
    }

    fn missing(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Missing, subject, found, fix)
    }
}

/// The whole report.
#[derive(Clone, Debug)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether nothing that is needed is missing.
    pub fn complete(&self) -> bool {
        self.0.iter().all(|finding| finding.verdict != Verdict::Missing)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject_width = self
            .0
            .iter()
            .map(|finding| finding.subject.chars().count())
            .max()
            .unwrap_or(0);
        for finding in &self.0 {
            writeln!(
                f,
                "{:<8}{:<subject_width$}  {}",
                finding.verdict.as_str(),
                finding.subject,
                finding.found
            )?;
            if !finding.fix.is_empty() {
                writeln!(f, "{:<8}{:<subject_width$}  -> {}", "", "", finding.fix)?;
            }
        }
        let missing = self
            .0
            .iter()
            .filter(|finding| finding.verdict == Verdict::Missing)
            .count();
        match missing {
            0 => writeln!(f, "\nNothing that is needed is missing."),
            1 => writeln!(f, "\nOne thing that is needed is missing."),
            _ => writeln!(f, "\n{missing} things that are needed are missing."),
        }
    }
}

/// Looks at everything.
pub fn examine(settings: &Settings) -> Report {
    let mut findings = host::examine(settings);
    findings.extend(interfaces::examine(settings));
    Report(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_makes_the_report_incomplete() {
        let note = Finding::note("clock", "not synchronised", "run an NTP client");
        let mut report = Report(vec![Finding::good("kernel", "6.18"), note]);
        assert!(report.complete());
        report
            .0
            .push(Finding::missing("CAP_BPF", "not held", "run as root"));
        assert!(!report.complete());
        let text = report.to_string();
        assert!(text.contains("MISSING CAP_BPF"), "{text}");
        assert!(text.contains("-> run as root"), "{text}");
        assert!(text.ends_with("One thing that is needed is missing.\n"), "{text}");
    }
}
