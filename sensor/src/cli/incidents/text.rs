//! Incidents and suppressions as text for a terminal. It must never let what was stored steer the terminal.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    alert::rfc3339,
    incidents::{
        feedback::Feedback,
        query::{Listed, Moment},
        scope::ScopeText,
        suppression::{DryRun, Suppression},
    },
};

/// A stored text on one line, without what could move the cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A field of a journal line as text.
fn field(line: &Value, key: &str) -> String {
    match line.get(key) {
        Some(Value::String(text)) => plain(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => plain(&other.to_string()),
    }
}

/// Texts of a list in a journal line.
fn listed(line: &Value, key: &str) -> String {
    let items = line.get(key).and_then(Value::as_array);
    let texts = items.into_iter().flatten().filter_map(Value::as_str);
    plain(&texts.collect::<Vec<_>>().join(", "))
}

/// A time to the second.
fn seconds(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|time| time.round(jiff::Unit::Second).ok())
        .map_or_else(|| plain(text), |time| time.to_string())
}

fn time(unix_ns: i64) -> String {
    seconds(&rfc3339(unix_ns))
}

/// What sets an incident apart from others in a list.
fn marks(found: &Listed) -> String {
    let mut marks = String::new();
    if let Some(rule) = found.suppressed_by {
        let _ = write!(marks, "[hidden by {rule}] ");
    }
    if !found.verdict.is_empty() {
        let _ = write!(marks, "[{}] ", plain(&found.verdict));
    }
    marks
}

pub(super) fn list(found: &[Listed]) -> String {
    let mut out = format!(
        "{:<18}{:<22}{:<22}{:<8}{:<10}{:<17}what\n",
        "id", "first seen", "last seen", "state", "severity", "behaviour"
    );
    for one in found {
        let line = &one.alert;
        let _ = writeln!(
            out,
            "{:<18}{:<22}{:<22}{:<8}{:<10}{:<17}{}{}",
            plain(&one.id),
            seconds(&field(line, "first_seen")),
            seconds(&field(line, "last_seen")),
            if field(line, "state") == "closed" {
                "closed"
            } else {
                "open"
            },
            field(line, "severity"),
            field(line, "behaviour"),
            marks(one),
            field(line, "summary"),
        );
    }
    out
}

pub(super) fn incident(
    found: &Listed,
    rule: Option<&Suppression>,
    timeline: &[Moment],
    feedback: &[Feedback],
) -> String {
    let line = &found.alert;
    let mut out = format!("{}\n\n", field(line, "summary"));
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:<16}{text}");
        }
    };
    fact("id", plain(&found.id));
    fact("state", field(line, "state"));
    fact("severity", field(line, "severity"));
    let technique = field(line, "technique");
    let named = if technique.is_empty() {
        String::new()
    } else {
        format!(" ({technique})")
    };
    fact("behaviour", format!("{}{named}", field(line, "behaviour")));
    fact("actor", field(line, "actor"));
    fact("targets", listed(line, "targets"));
    fact("target count", field(line, "target_count"));
    fact("services", listed(line, "services"));
    fact("first seen", seconds(&field(line, "first_seen")));
    fact("last seen", seconds(&field(line, "last_seen")));
    for (name, key) in [
        ("packets", "packets"),
        ("bytes", "bytes"),
        ("rows", "rows"),
        ("score", "score"),
        ("p-value", "p_value"),
        ("interface", "interface"),
        ("model", "model"),
    ] {
        fact(name, field(line, key));
    }
    fact("community ids", listed(line, "community_ids"));
    fact("verdict", plain(&found.verdict));
    if let Some(id) = found.suppressed_by {
        let about = rule.map_or_else(String::new, |rule| {
            format!(
                ": {} ({}, until {})",
                plain(&rule.reason),
                plain(&rule.author),
                time(rule.expires_ns)
            )
        });
        fact("hidden by", format!("{id}{about}"));
    }
    reasons(&mut out, line);
    let _ = writeln!(out, "\nlife ({} updates)", found.updates);
    let mut last = String::new();
    for moment in timeline {
        let hidden = moment
            .suppressed_by
            .map_or_else(String::new, |rule| format!("[hidden by {rule}] "));
        let summary = plain(&moment.summary);
        let _ = writeln!(
            out,
            "  {:<22}{:<8}{:<10}{:<17}{hidden}{}",
            seconds(&moment.ts),
            plain(&moment.state),
            plain(&moment.severity),
            plain(&moment.behaviour),
            if summary == last { "" } else { &summary },
        );
        last = summary;
    }
    if !feedback.is_empty() {
        out.push_str("\nfeedback\n");
    }
    for entry in feedback {
        let _ = writeln!(
            out,
            "  {:<22}{:<11}{:<16}{}",
            time(entry.ts_ns),
            entry.verdict.label(),
            plain(&entry.author),
            plain(&entry.text)
        );
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn reasons(out: &mut String, line: &Value) {
    let reasons = line.get("reasons").and_then(Value::as_array);
    let mut reasons = reasons.into_iter().flatten().peekable();
    if reasons.peek().is_some() {
        out.push_str("\nreasons\n");
    }
    for reason in reasons {
        let share = reason.get("contribution").and_then(Value::as_f64).unwrap_or(0.0);
        let _ = writeln!(out, "  {:>4.0} %  {}", 100.0 * share, field(reason, "text"));
    }
}

/// A scope in words.
fn scope(scope: &ScopeText) -> String {
    let parts = [
        ("actor", &scope.actor),
        ("target", &scope.target),
        ("behaviour", &scope.behaviour),
        ("service", &scope.service),
    ];
    let given: Vec<_> = parts
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| format!("{name} {}", plain(text)))
        .collect();
    given.join(", ")
}

fn incidents(count: u64) -> String {
    format!("{count} incident{}", if count == 1 { "" } else { "s" })
}

pub(super) fn dry_run(found: &DryRun) -> String {
    let mut out = format!(
        "would have hidden {} in 7 days, of {}\n",
        incidents(found.hidden),
        found.incidents
    );
    if found.escalated > 0 {
        let _ = writeln!(
            out,
            "{} of them would have been told when they became more severe",
            found.escalated
        );
    }
    for (id, summary) in &found.examples {
        let _ = writeln!(out, "  {:<18}{}", plain(id), plain(summary));
    }
    let named = found.examples.len() as u64;
    if found.hidden > named {
        let _ = writeln!(out, "  and {} more", found.hidden - named);
    }
    out
}

pub(super) fn written(suppression: &Suppression, found: &DryRun) -> String {
    format!(
        "suppression {} until {}: {}; would have hidden {} in 7 days\n",
        suppression.id,
        time(suppression.expires_ns),
        scope(&suppression.scope),
        incidents(found.hidden),
    )
}

pub(super) fn suppressions(found: &[Suppression], now_ns: i64) -> String {
    let mut out = format!(
        "{:<6}{:<22}{:<22}{:<9}{:>7}  {:<16}scope: reason\n",
        "id", "created", "until", "state", "hidden", "author"
    );
    for one in found {
        let state = match (one.removed_ns, one.in_force(now_ns)) {
            (Some(_), _) => "ended",
            (None, true) => "in force",
            (None, false) => "expired",
        };
        let _ = writeln!(
            out,
            "{:<6}{:<22}{:<22}{:<9}{:>7}  {:<16}{}: {}",
            one.id,
            time(one.created_ns),
            time(one.removed_ns.unwrap_or(one.expires_ns)),
            state,
            one.hidden,
            plain(&one.author),
            scope(&one.scope),
            plain(&one.reason),
        );
    }
    out
}
