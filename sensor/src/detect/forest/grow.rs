//! Growing the trees with smartcore, and taking them out of it. Its forest keeps the trees to itself and gives no
//! probabilities, but serde sees everything: the nodes are read from its serialised form. It must never keep more of the
//! training rows than they decide.

use serde::Deserialize;
use smartcore::ensemble::random_forest_classifier::{
    RandomForestClassifier, RandomForestClassifierParameters,
};
use smartcore::linalg::basic::matrix::DenseMatrix;

use super::{BENIGN, Forest, ForestError, ForestParts, ForestSettings, presentable};

/// smartcore's forest over our rows.
pub(super) type Grown = RandomForestClassifier<f32, u16, DenseMatrix<f32>, Vec<u16>>;

/// What smartcore's forest serialises to, as far as it is needed.
#[derive(Deserialize)]
struct GrownForest {
    trees: Vec<GrownTree>,
    classes: Vec<u16>,
}

#[derive(Deserialize)]
struct GrownTree {
    nodes: Vec<GrownNode>,
}

#[derive(Deserialize)]
struct GrownNode {
    /// Index into the classes.
    output: usize,
    n_node_samples: usize,
    split_feature: u32,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

impl Forest {
    /// Grows a forest from `values` (row-major raw values of `width` features, NaN = absent) and each row's class, below
    /// `class_count`, 0 for benign.
    ///
    /// Reproducible: the same rows and settings give the same trees.
    ///
    /// # Errors
    /// If values and classes do not go together, or there is nothing to tell apart.
    pub fn fit(
        values: &[f32],
        width: usize,
        classes: &[u16],
        class_count: usize,
        settings: &ForestSettings,
    ) -> Result<Self, ForestError> {
        if width == 0 || classes.is_empty() || classes.len().checked_mul(width) != Some(values.len()) {
            return Err(ForestError::Rows {
                values: values.len(),
                classes: classes.len(),
                width,
            });
        }
        if let Some(class) = classes.iter().find(|class| usize::from(**class) >= class_count) {
            return Err(ForestError::Class {
                class: *class,
                count: class_count,
            });
        }
        let benign = classes
            .iter()
            .filter(|class| usize::from(**class) == BENIGN)
            .count();
        if benign == 0 || benign == classes.len() {
            return Err(ForestError::OneSided {
                missing: if benign == 0 { "benign rows" } else { "attacks" },
            });
        }
        let rows = balanced(classes, class_count, settings);
        let (x, y) = matrix(values, width, classes, &rows)?;
        flatten(&grow(&x, &y, settings)?, width, class_count)
    }
}

/// The rows that take part: at most so many of each class, and those of rare classes several times.
fn balanced(classes: &[u16], class_count: usize, settings: &ForestSettings) -> Vec<usize> {
    let mut by_class = vec![Vec::new(); class_count];
    for (row, class) in classes.iter().enumerate() {
        if let Some(rows) = by_class.get_mut(usize::from(*class)) {
            rows.push(row);
        }
    }
    for rows in &mut by_class {
        let stride = rows.len().div_ceil(settings.max_class_rows.max(1)).max(1);
        *rows = rows.iter().copied().step_by(stride).collect();
    }
    let largest = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let least = (largest as f64 * settings.least_class_share.clamp(0.0, 1.0)) as usize;
    let repeated = by_class.into_iter().flat_map(|rows| {
        let wanted = if rows.is_empty() { 0 } else { rows.len().max(least) };
        rows.into_iter().cycle().take(wanted)
    });
    repeated.collect()
}

/// The rows named, as smartcore wants them.
pub(super) fn matrix(
    values: &[f32],
    width: usize,
    classes: &[u16],
    rows: &[usize],
) -> Result<(DenseMatrix<f32>, Vec<u16>), ForestError> {
    let mut columns = vec![0.0; rows.len() * width];
    let mut place = vec![0.0; width];
    for (index, row) in rows.iter().enumerate() {
        presentable(
            values.get(row * width..(row + 1) * width).unwrap_or_default(),
            &mut place,
        );
        for (column, value) in place.iter().enumerate() {
            if let Some(cell) = columns.get_mut(column * rows.len() + index) {
                *cell = *value;
            }
        }
    }
    let classes = rows.iter().filter_map(|row| classes.get(*row).copied()).collect();
    let x = DenseMatrix::new(rows.len(), width, columns, true);
    Ok((x.map_err(|error| ForestError::Grow(error.to_string()))?, classes))
}

/// smartcore's forest for these rows.
pub(super) fn grow(
    x: &DenseMatrix<f32>,
    y: &Vec<u16>,
    settings: &ForestSettings,
) -> Result<Grown, ForestError> {
    let parameters = RandomForestClassifierParameters::default()
        .with_n_trees(settings.trees.max(1))
        .with_max_depth(settings.max_depth.max(1))
        .with_min_samples_leaf(settings.min_leaf_rows.max(1))
        .with_seed(settings.seed);
    RandomForestClassifier::fit(x, y, parameters).map_err(|error| ForestError::Grow(error.to_string()))
}

/// The nodes of smartcore's trees, one tree behind the other.
pub(super) fn flatten(grown: &Grown, width: usize, class_count: usize) -> Result<Forest, ForestError> {
    let wrong = |error: serde_json::Error| ForestError::Grow(format!("its trees cannot be read: {error}"));
    // A value and not text: numbers come out as they went in.
    let grown = serde_json::to_value(grown).map_err(wrong)?;
    let grown: GrownForest = serde_json::from_value(grown).map_err(wrong)?;
    let mut parts = ForestParts::default();
    for tree in &grown.trees {
        let first = parts.features.len();
        parts.roots.push(first as u32);
        let votes: Vec<u32> = tree
            .nodes
            .iter()
            .map(|node| {
                grown
                    .classes
                    .get(node.output)
                    .copied()
                    .map_or(u32::MAX, u32::from)
            })
            .collect();
        let benign = benign_shares(tree, &votes);
        for ((node, vote), benign) in tree.nodes.iter().zip(votes).zip(benign) {
            let children = node.true_child.zip(node.false_child);
            if children.is_some_and(|(left, right)| right != left + 1) {
                return Err(ForestError::Grow("its children are not side by side".to_owned()));
            }
            let (feature, threshold) = match (children, node.split_value) {
                (Some(_), Some(threshold)) => (node.split_feature, threshold as f32),
                (Some(_), None) => return Err(ForestError::Grow("a split has no threshold".to_owned())),
                (None, _) => (0, 0.0),
            };
            parts.features.push(feature);
            parts.thresholds.push(threshold);
            parts
                .lefts
                .push(children.map_or(0, |(left, _)| (first + left) as u32));
            parts.classes.push(if children.is_some() { 0 } else { vote });
            parts.benign.push(benign);
        }
    }
    Forest::from_parts(width, class_count, &parts)
}

/// For each node the share of training rows below it that end in a leaf voting benign. Children come after their
/// parents, so one pass from the end sees every child before its parent.
fn benign_shares(tree: &GrownTree, votes: &[u32]) -> Vec<f32> {
    let mut shares = vec![0.0f64; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        let below = |child: usize| {
            let rows = tree.nodes.get(child).map_or(0, |node| node.n_node_samples) as f64;
            (rows, shares.get(child).copied().unwrap_or(0.0))
        };
        let share = match node.true_child.zip(node.false_child) {
            None if votes.get(at) == Some(&(BENIGN as u32)) => 1.0,
            None => 0.0,
            Some((left, right)) => {
                let ((left_rows, left), (right_rows, right)) = (below(left), below(right));
                (left * left_rows + right * right_rows) / (left_rows + right_rows).max(1.0)
            }
        };
        if let Some(place) = shares.get_mut(at) {
            *place = share;
        }
    }
    shares.into_iter().map(|share| share as f32).collect()
}
