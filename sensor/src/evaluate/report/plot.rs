//! A drawing with two axes, as SVG. It must never let a value outside of its axes leave the frame.

use std::fmt::Write as _;

use super::page::escaped;

const LEFT: f64 = 52.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 42.0;

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What it shows.
    pub(super) title: &'static str,
    /// Values at both ends.
    pub(super) range: (f64, f64),
    /// Places and their names.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to 1 by fifths.
    pub(super) fn share(title: &'static str) -> Self {
        let ticks = (0..=5).map(|fifth| f64::from(fifth) / 5.0);
        Self {
            title,
            range: (0.0, 1.0),
            ticks: ticks.map(|tick| (tick, format!("{tick:.1}"))).collect(),
        }
    }

    /// Decimal logarithms from `low` to `high`, with a tick at every power of ten.
    pub(super) fn decades(title: &'static str, low: f64, high: f64) -> Self {
        let powers = low.ceil() as i32..=high.floor() as i32;
        Self {
            title,
            range: (low, high),
            ticks: powers
                .map(|power| {
                    (
                        f64::from(power),
                        super::super::summary::number(Some(10f64.powi(power))),
                    )
                })
                .collect(),
        }
    }
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Plot {
    size: (f64, f64),
    /// Room above the frame.
    top: f64,
    /// Room below the axis' names.
    below: f64,
    x: Axis,
    y: Axis,
    body: String,
}

impl Plot {
    pub(super) fn new(size: (f64, f64), x: Axis, y: Axis) -> Self {
        Self::with_room(size, 10.0, 0.0, x, y)
    }

    /// A drawing with room above and below the frame.
    pub(super) fn with_room(size: (f64, f64), top: f64, below: f64, x: Axis, y: Axis) -> Self {
        Self {
            size,
            top,
            below,
            x,
            y,
            body: String::new(),
        }
    }

    pub(super) fn left_right(&self) -> (f64, f64) {
        (LEFT, self.size.0 - RIGHT)
    }

    pub(super) fn top_bottom(&self) -> (f64, f64) {
        (self.top, self.size.1 - BOTTOM - self.below)
    }

    /// Where a value of the horizontal axis is.
    pub(super) fn x(&self, value: f64) -> f64 {
        let (left, right) = self.left_right();
        left + part(value, self.x.range) * (right - left)
    }

    /// Where a value of the vertical axis is.
    pub(super) fn y(&self, value: f64) -> f64 {
        let (top, bottom) = self.top_bottom();
        bottom - part(value, self.y.range) * (bottom - top)
    }

    /// Adds SVG as it is.
    pub(super) fn svg(&mut self, svg: &str) {
        self.body.push_str(svg);
    }

    pub(super) fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, class: &str) {
        let mut path = String::new();
        for (x, y) in points {
            let letter = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x(x), self.y(y));
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    pub(super) fn circle(&mut self, at: (f64, f64), class: &str, title: &str) {
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\"><title>{}</title></circle>",
            self.x(at.0),
            self.y(at.1),
            escaped(title)
        );
    }

    /// A rectangle between two places of both axes, at least `least` wide.
    pub(super) fn rectangle(&mut self, x: (f64, f64), y: (f64, f64), least: f64, class: &str, title: &str) {
        let (left, right) = (self.x(x.0), self.x(x.1));
        let (bottom, top) = (self.y(y.0), self.y(y.1));
        let title = if title.is_empty() {
            String::new()
        } else {
            format!("<title>{}</title>", escaped(title))
        };
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\">{title}</rect>",
            (right - left).max(least),
            (bottom - top).max(0.0),
        );
    }

    pub(super) fn vertical(&mut self, at: f64, class: &str) {
        let (x, (top, bottom)) = (self.x(at), self.top_bottom());
        let _ = write!(
            self.body,
            "<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"
        );
    }

    pub(super) fn horizontal(&mut self, at: f64, class: &str) {
        let (y, (left, right)) = (self.y(at), self.left_right());
        let _ = write!(
            self.body,
            "<path class=\"{class}\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"
        );
    }

    /// The drawing; `description` is for who cannot see it.
    pub(super) fn finish(self, description: &str) -> String {
        let (width, height) = self.size;
        let ((left, right), (top, bottom)) = (self.left_right(), self.top_bottom());
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">",
            escaped(description)
        );
        for (value, name) in &self.x.ticks {
            let x = self.x(*value);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0 + self.below,
                escaped(name)
            );
        }
        for (value, name) in &self.y.ticks {
            let y = self.y(*value);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                escaped(name)
            );
        }
        let (middle, centre) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        let _ = write!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {centre:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\
             {}<rect class=\"frame\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></svg>",
            height - 6.0,
            escaped(self.x.title),
            escaped(self.y.title),
            self.body,
            right - left,
            bottom - top
        );
        svg
    }
}

/// Place of a value between two ends, 0 to 1; what is no number is at the low end.
fn part(value: f64, (low, high): (f64, f64)) -> f64 {
    let part = (value - low) / (high - low);
    if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) }
}
