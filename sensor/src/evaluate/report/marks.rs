//! Names of events above a timeline and incidents below it. However many there are, they stay bounded: incidents that
//! would be drawn on each other are one mark with a count.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{page::escaped, plot::Plot};
use crate::evaluate::{events::Mark, run::Evaluated};

/// Rows of names above the timeline.
const NAME_ROWS: usize = 4;
const NAME_ROW_PX: f64 = 12.0;
/// Width of a letter, about.
const LETTER_PX: f64 = 6.2;
/// Incidents closer than this are one mark.
const MARK_PX: f64 = 7.0;
/// Behaviours named in a mark's title at most.
const NAMED: usize = 4;

/// Names of the events, where there is room.
pub(super) fn names(plot: &mut Plot, model: &Evaluated, after: &dyn Fn(u64) -> f64) {
    let mut ends = [f64::NEG_INFINITY; NAME_ROWS];
    let (top, _) = plot.top_bottom();
    let (_, right) = plot.left_right();
    let mut svg = String::new();
    for event in model.detail.events() {
        let Some(label) = model.figures.labels.get(usize::from(event.label)) else {
            continue;
        };
        let missed = event.delay_ns.is_none();
        let name = format!("{}{}", label.label, if missed { " (missed)" } else { "" });
        let width = name.chars().count() as f64 * LETTER_PX;
        let left = plot.x(after(event.start_ns)).min(right - width);
        // The lowest row that is free; a name that finds none is still in the band's title.
        let Some(row) = ends.iter().position(|end| *end < left) else {
            continue;
        };
        if let Some(end) = ends.get_mut(row) {
            *end = left + width + 6.0;
        }
        let y = top - 4.0 - row as f64 * NAME_ROW_PX;
        let _ = write!(
            svg,
            "<text x=\"{left:.1}\" y=\"{y:.1}\" font-size=\"11\">{}</text>",
            escaped(&name)
        );
    }
    plot.svg(&svg);
}

/// Marks of the incidents in two rows: right ones above, false ones below.
pub(super) fn incidents(plot: &mut Plot, marks: &[Mark], after: &dyn Fn(u64) -> f64) {
    let mut groups: BTreeMap<(bool, u64), Vec<&Mark>> = BTreeMap::new();
    for mark in marks {
        let place = (plot.x(after(mark.at_ns)) / MARK_PX).round() as u64;
        groups.entry((mark.right, place)).or_default().push(mark);
    }
    let (_, bottom) = plot.top_bottom();
    let mut svg = String::new();
    for ((right, place), group) in groups {
        let x = place as f64 * MARK_PX;
        let (class, y, path) = if right {
            ("right", bottom + 4.0, "l4 8h-8z")
        } else {
            ("wrong", bottom + 18.0, "m-3.5 0l7 7m0 -7l-7 7")
        };
        let mut named: Vec<&str> = group.iter().map(|mark| mark.behaviour).collect();
        named.sort_unstable();
        named.dedup();
        let count = group.len();
        let more = named.len().saturating_sub(NAMED);
        named.truncate(NAMED);
        let title = format!(
            "{count} {}incident{}: {}{}",
            if right { "" } else { "false " },
            if count == 1 { "" } else { "s" },
            named.join(", "),
            if more > 0 { " and others" } else { "" }
        );
        let _ = write!(
            svg,
            "<path class=\"{class}\" d=\"M{x:.1} {y:.1}{path}\"><title>{}</title></path>",
            escaped(&title)
        );
    }
    plot.svg(&svg);
}
