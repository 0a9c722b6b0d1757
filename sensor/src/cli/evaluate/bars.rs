//! Bars that a model must clear, for use in scripts. A figure that the data cannot give clears no bar.

use clap::Args;

use crate::evaluate::tally::Figures;

/// The bars.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Bars (exit code 5 below or above them)")]
pub(super) struct Bars {
    /// Least F1 of rows
    #[arg(long, value_name = "X")]
    min_f1: Option<f64>,
    /// Least precision of rows
    #[arg(long, value_name = "X")]
    min_precision: Option<f64>,
    /// Least recall of rows
    #[arg(long, value_name = "X")]
    min_recall: Option<f64>,
    /// Least area under the ROC curve of all rows
    #[arg(long, value_name = "X")]
    min_roc_auc: Option<f64>,
    /// Least area under the precision-recall curve
    #[arg(long, value_name = "X")]
    min_pr_auc: Option<f64>,
    /// Least share of events found
    #[arg(long, value_name = "X")]
    min_event_recall: Option<f64>,
    /// Largest false positive rate of rows
    #[arg(long, value_name = "X")]
    max_fpr: Option<f64>,
    /// Most false incidents per hour
    #[arg(long, value_name = "X")]
    max_false_per_hour: Option<f64>,
    /// Least mean over attacks of the area under the ROC curve
    #[arg(long, value_name = "X")]
    min_macro_roc_auc: Option<f64>,
    /// Least mean over attacks of the recall at the threshold
    #[arg(long, value_name = "X")]
    min_macro_recall: Option<f64>,
}

impl Bars {
    /// What each missed bar asked for and what was reached.
    pub(super) fn missed(&self, figures: &Figures) -> Vec<String> {
        let events = &figures.events;
        let event_recall = (events.total > 0).then(|| events.detected as f64 / events.total as f64);
        let mean = &figures.over_labels;
        let least = [
            ("f1", self.min_f1, figures.f1),
            ("precision", self.min_precision, figures.precision),
            ("recall", self.min_recall, figures.recall),
            ("roc_auc", self.min_roc_auc, figures.roc_auc),
            ("pr_auc", self.min_pr_auc, figures.pr_auc),
            ("event recall", self.min_event_recall, event_recall),
            ("macro roc_auc", self.min_macro_roc_auc, mean.roc_auc),
            ("macro recall", self.min_macro_recall, mean.recall),
        ];
        let most = [
            ("fpr", self.max_fpr, figures.fpr),
            (
                "false incidents per hour",
                self.max_false_per_hour,
                figures.incidents.false_per_hour,
            ),
        ];
        let below = least.iter().filter_map(|(name, bar, reached)| {
            let bar = (*bar)?;
            (!reached.is_some_and(|reached| reached >= bar)).then(|| missed(name, *reached, "at least", bar))
        });
        let above = most.iter().filter_map(|(name, bar, reached)| {
            let bar = (*bar)?;
            (!reached.is_some_and(|reached| reached <= bar)).then(|| missed(name, *reached, "at most", bar))
        });
        below.chain(above).collect()
    }
}

fn missed(name: &str, reached: Option<f64>, side: &str, bar: f64) -> String {
    match reached {
        Some(reached) => format!("{name} is {reached:.6}, {side} {bar} is asked for"),
        None => format!("{name} cannot be measured on these labels, {side} {bar} is asked for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_cleared_at_its_value_and_missed_where_nothing_was_measured() {
        let figures = Figures {
            f1: Some(0.9),
            fpr: Some(0.01),
            ..Figures::default()
        };
        let bars = Bars {
            min_f1: Some(0.9),
            max_fpr: Some(0.01),
            ..Bars::default()
        };
        assert!(bars.missed(&figures).is_empty());
        let bars = Bars {
            min_f1: Some(0.91),
            max_fpr: Some(0.001),
            min_recall: Some(0.0),
            min_event_recall: Some(1.0),
            ..Bars::default()
        };
        let missed = bars.missed(&figures);
        assert_eq!(missed.len(), 4);
        assert_eq!(missed[0], "f1 is 0.900000, at least 0.91 is asked for");
        assert!(missed[1].starts_with("recall cannot be measured"));
        assert!(missed[3].starts_with("fpr is 0.010000, at most 0.001"));
    }
}
