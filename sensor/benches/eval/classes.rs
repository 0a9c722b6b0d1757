//! How well a forest tells classes apart, row by row. The class of a row is the one most trees vote for.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sensor::{detect::scorer::Detector, model};
use serde_json::{Value, json};

use crate::{Trial, rows};

/// Counts of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    right: u64,
    wrongly_named: u64,
    missed: u64,
}

/// Precision, recall and F1 of each class, and their mean over the attack classes that occur in the trial.
pub(crate) fn figures(directory: &Path, trial: &Trial) -> Result<Value> {
    let model = model::files::load(directory)?;
    let mut members = model.flow.members().iter();
    let forest = members
        .find_map(|member| match &member.detector {
            Detector::Forest(forest) => Some(forest),
            _ => None,
        })
        .context("the model has no forest for flow rows")?;
    ensure!(
        trial.test.len() == trial.labels.len(),
        "as many --labels as --test are needed"
    );
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut mixed: BTreeMap<(String, String), u64> = BTreeMap::new();
    let class = |index: usize| match index {
        0 => "benign",
        _ => model.classes.get(index - 1).map_or("?", String::as_str),
    };
    for (capture, labels) in trial.test.iter().zip(&trial.labels) {
        let labels = rows::labels(labels)?;
        let (mut votes, names) = (Vec::new(), labels.names().to_vec());
        rows::windows(std::slice::from_ref(capture), &labels, &mut |rows, of, _| {
            forest.probabilities(&rows.values, &mut votes);
            for (key, votes) in rows.keys.iter().zip(votes.chunks_exact(forest.class_count())) {
                let label = of.get(&(key.flow.addr, key.flow.port, key.flow.proto));
                let truth = label.map_or("benign", |label| {
                    names.get(usize::from(*label)).map_or("?", String::as_str)
                });
                let most = votes.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
                let said = class(most.map_or(0, |(index, _)| index));
                if said == truth {
                    counts.entry(truth.to_owned()).or_default().right += 1;
                } else {
                    counts.entry(truth.to_owned()).or_default().missed += 1;
                    counts.entry(said.to_owned()).or_default().wrongly_named += 1;
                    *mixed.entry((truth.to_owned(), said.to_owned())).or_default() += 1;
                }
            }
        })?;
    }
    let occurs = counts
        .iter()
        .filter(|(name, counts)| name.as_str() != "benign" && counts.right + counts.missed > 0);
    let f1: Vec<f64> = occurs.map(|(_, counts)| counts.f1()).collect();
    let mut confused: Vec<_> = mixed.into_iter().collect();
    confused.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let list = counts.iter().map(|(name, counts)| {
        json!({"class": name, "rows": counts.right + counts.missed, "precision": counts.precision(),
            "recall": counts.recall(), "f1": counts.f1()})
    });
    Ok(json!({
        "macro_f1": f1.iter().sum::<f64>() / f1.len().max(1) as f64,
        "classes": list.collect::<Vec<_>>(),
        "confused": confused.iter().take(12)
            .map(|((truth, said), rows)| json!({"class": truth, "taken_for": said, "rows": rows}))
            .collect::<Vec<_>>(),
    }))
}

impl Counts {
    fn precision(self) -> f64 {
        self.right as f64 / (self.right + self.wrongly_named).max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }

    fn f1(self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.wrongly_named + self.missed).max(1) as f64
    }
}
