//! The report of an evaluation: one HTML file with everything in it, readable in light and dark, on paper and without
//! colour. It must never load anything from elsewhere, run a script, or write a text that it did not escape.

mod charts;
mod marks;
mod page;
mod plot;
mod tables;
#[cfg(test)]
mod tests;
mod training;

use super::{run::Evaluated, summary};
use page::{Page, escaped};

/// The report on one or several models, evaluated on the same inputs. `inputs` and `labels` are how they were named.
pub fn html(models: &[Evaluated], inputs: &[String], labels: &str) -> String {
    let mut page = Page::new("Evaluation");
    if let Some(first) = models.first() {
        page.html(&tables::about(first, inputs, labels));
    }
    if let [only] = models {
        page.html(&tables::cards(&only.figures));
    }
    page.section("Figures", &tables::figures(models));
    page.section("Ranking", &charts::curves(models));
    for model in models {
        if models.len() > 1 {
            page.heading(&summary::model_name(&model.figures));
        }
        page.section("Attacks", &tables::labels(&model.figures));
        page.section("Timeline", &charts::timeline(model));
        page.row(&[
            ("Scores", &charts::histogram(model)),
            ("Rows at the threshold", &tables::confusion(&model.figures)),
        ]);
        page.section("What the alarms rested on", &charts::contributions(model));
        page.section("Training and calibration", &training::training(model));
    }
    page.finish()
}

/// A short text in an element.
fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}
