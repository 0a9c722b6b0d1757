//! The times in which a flow was active within a window, as a few disjoint spans; the gaps between them become
//! inter-arrival times. Records of two CPUs may overlap in time (no gap there); it must never grow beyond `MAX_SPANS`.

/// Disjoint spans kept per flow. Drains of one CPU follow each other, those of several CPUs mostly overlap: more are
/// rare. Beyond, the two closest become one and their gap is counted at once.
const MAX_SPANS: usize = 4;

/// Up to `MAX_SPANS` disjoint spans `[first_ns, last_ns]`, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    held: [(u64, u64); MAX_SPANS],
    len: u8,
}

impl Spans {
    /// Adds a span, joining it with those it overlaps. Returns a gap (its two ends) that had to be closed for want of
    /// room.
    pub(super) fn add(&mut self, first_ns: u64, last_ns: u64) -> Option<(u64, u64)> {
        let mut joined = (first_ns, last_ns.max(first_ns));
        let mut all = [(0, 0); MAX_SPANS + 1];
        let mut len = 0;
        for &span in self.as_slice() {
            if span.1 < joined.0 || joined.1 < span.0 {
                all[len] = span;
                len += 1;
            } else {
                joined = (joined.0.min(span.0), joined.1.max(span.1));
            }
        }
        // Insertion keeps the order: at most five elements.
        let at = all[..len]
            .iter()
            .position(|span| span.0 > joined.0)
            .unwrap_or(len);
        all.copy_within(at..len, at + 1);
        all[at] = joined;
        len += 1;
        let closed = (len > MAX_SPANS).then(|| close_smallest_gap(&mut all));
        len = len.min(MAX_SPANS);
        self.held.copy_from_slice(&all[..MAX_SPANS]);
        self.len = len as u8;
        closed
    }

    /// Both ends of each gap between the spans, ascending in time.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.as_slice().windows(2).map(|pair| (pair[0].1, pair[1].0))
    }

    fn as_slice(&self) -> &[(u64, u64)] {
        &self.held[..usize::from(self.len)]
    }
}

/// Joins the two neighbours with the smallest gap and moves the rest up. Returns the ends of the gap.
fn close_smallest_gap(spans: &mut [(u64, u64); MAX_SPANS + 1]) -> (u64, u64) {
    let gap = |index: usize| spans[index + 1].0 - spans[index].1;
    let at = (0..MAX_SPANS).min_by_key(|&index| gap(index)).unwrap_or(0);
    let closed = (spans[at].1, spans[at + 1].0);
    spans[at].1 = spans[at + 1].1;
    spans.copy_within(at + 2.., at + 1);
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        for &(first, last) in list {
            assert_eq!(spans.add(first, last), None);
        }
        spans
    }

    #[test]
    fn gaps_are_between_disjoint_spans_in_any_order() {
        for list in [[(10, 20), (30, 40), (50, 60)], [(50, 60), (10, 20), (30, 40)]] {
            assert_eq!(spans(&list).gaps().collect::<Vec<_>>(), [(20, 30), (40, 50)]);
        }
    }

    #[test]
    fn overlapping_spans_leave_no_gap() {
        assert_eq!(spans(&[(10, 20), (15, 30)]).gaps().count(), 0);
        assert_eq!(spans(&[(10, 20), (40, 50), (18, 41)]).gaps().count(), 0);
        assert_eq!(spans(&[(10, 20), (20, 30)]).gaps().count(), 0);
    }

    #[test]
    fn the_fifth_span_closes_the_smallest_gap_and_reports_it() {
        let mut spans = spans(&[(0, 10), (20, 30), (33, 40), (60, 70)]);
        assert_eq!(spans.add(100, 110), Some((30, 33)));
        assert_eq!(spans.gaps().collect::<Vec<_>>(), [(10, 20), (40, 60), (70, 100)]);
    }
}
