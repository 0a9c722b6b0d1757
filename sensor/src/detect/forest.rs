//! The random forest detector: rows with known classes teach trees that vote on the class of a row. Only where labels
//! exist; it knows the classes it was shown and no others. It must never loop or read beyond its nodes, whatever the
//! file it came from held, and gives the same bits for a row in any batch and on every machine.

mod grow;

/// Class of rows that are not an attack.
pub const BENIGN: usize = 0;
/// What an absent value counts as: below every present one, so that a split can set absent rows apart.
const ABSENT: f32 = -1e30;
/// Present values count as at most this far from zero.
const PRESENT_MOST: f32 = 1e29;
/// Most nodes that a model may have.
pub const NODES_MOST: usize = 1 << 24;

/// How to grow a forest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForestSettings {
    /// Seed of the rows and features that each tree sees.
    pub seed: u64,
    /// Number of trees.
    pub trees: u16,
    /// Longest way from a root to a leaf.
    pub max_depth: u16,
    /// Rows in a leaf, at least.
    pub min_leaf_rows: usize,
    /// Rows of one class that take part, evenly spaced over those given: growing costs rows times nodes.
    pub max_class_rows: usize,
    /// A class with less than this share of the largest class's rows is repeated up to it, so that a rare attack is not
    /// outvoted.
    pub least_class_share: f64,
}

impl Default for ForestSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            trees: 100,
            max_depth: 24,
            min_leaf_rows: 2,
            max_class_rows: 2000,
            least_class_share: 0.5,
        }
    }
}

/// Why rows or parts make no forest.
#[derive(Debug, thiserror::Error)]
pub enum ForestError {
    /// Values and classes do not go together.
    #[error("{classes} classes and {values} values are no labelled rows of {width} features")]
    Rows {
        /// Values given.
        values: usize,
        /// Classes given.
        classes: usize,
        /// Features per row.
        width: usize,
    },
    /// A row has a class that does not exist.
    #[error("a training row has class {class}, but there are only {count} classes, counted from 0")]
    Class {
        /// The row's class.
        class: u16,
        /// Classes there are.
        count: usize,
    },
    /// Nothing to tell apart.
    #[error(
        "a forest needs benign rows and rows of at least one attack; {missing} are missing from the labelled training data"
    )]
    OneSided {
        /// Which rows there are none of.
        missing: &'static str,
    },
    /// The library failed.
    #[error("the forest could not be grown: {0}")]
    Grow(String),
    /// Parts that are no forest.
    #[error("a forest's {what}; the file is damaged, train it again")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
}

/// One node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// Column that decides, and the largest value that goes left.
    feature: u32,
    threshold: f32,
    /// Left child, always after its parent; the right child is the next. 0 for a leaf.
    left: u32,
    /// A leaf's vote.
    class: u32,
    /// Share of training rows below this node that benign leaves hold.
    benign: f32,
}

/// Flat arrays of all nodes of all trees, as models are saved: all but the roots are equally long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForestParts {
    /// First node of each tree.
    pub roots: Vec<u32>,
    /// Column that decides; 0 for a leaf.
    pub features: Vec<u32>,
    /// Largest value that goes to the left child; 0 for a leaf.
    pub thresholds: Vec<f32>,
    /// Left child; the right one is the next node. 0 for a leaf.
    pub lefts: Vec<u32>,
    /// The class that a leaf votes for; 0 for other nodes.
    pub classes: Vec<u32>,
    /// Share of training rows below the node that benign leaves hold.
    pub benign: Vec<f32>,
}

/// What one feature did to a row's probability of being benign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Influence {
    /// Column of the feature.
    pub column: usize,
    /// Raw value.
    pub observed: f32,
    /// Change of the probability of benign along the row's way through the trees; negative speaks for an attack.
    pub benign_change: f32,
}

/// Trees with their classes, for one kind of row.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    width: usize,
    class_count: usize,
    roots: Vec<u32>,
    nodes: Vec<Node>,
}

impl Forest {
    /// Joins the parts of a forest over rows of `width` features.
    ///
    /// # Errors
    /// If the arrays differ in length, or any node points outside: then a row could loop, or read what is not there.
    pub fn from_parts(width: usize, class_count: usize, parts: &ForestParts) -> Result<Self, ForestError> {
        let damaged = |what| Err(ForestError::Damaged { what });
        let count = parts.features.len();
        let same = [
            parts.thresholds.len(),
            parts.lefts.len(),
            parts.classes.len(),
            parts.benign.len(),
        ];
        if same.iter().any(|length| *length != count) || count > NODES_MOST {
            return damaged("nodes are incomplete or too many");
        }
        if width == 0 || class_count < 2 {
            return damaged("rows have no features or its classes are fewer than two");
        }
        if parts.roots.is_empty() || parts.roots.iter().any(|root| *root as usize >= count) {
            return damaged("trees are none, or begin outside of its nodes");
        }
        let mut nodes = Vec::with_capacity(count);
        let columns = parts.features.iter().zip(&parts.thresholds).zip(&parts.lefts);
        for (at, ((columns, class), benign)) in columns.zip(&parts.classes).zip(&parts.benign).enumerate() {
            let ((feature, threshold), left) = columns;
            let child = *left as usize;
            if child != 0 && (child <= at || child + 1 >= count) {
                return damaged("nodes point back or outside");
            }
            if *feature as usize >= width || *class as usize >= class_count {
                return damaged("nodes name a feature or a class that does not exist");
            }
            if !threshold.is_finite() || !(0.0..=1.0).contains(benign) {
                return damaged("thresholds or shares are not usable numbers");
            }
            nodes.push(Node {
                feature: *feature,
                threshold: *threshold,
                left: *left,
                class: *class,
                benign: *benign,
            });
        }
        Ok(Self {
            width,
            class_count,
            roots: parts.roots.clone(),
            nodes,
        })
    }

    /// The parts that [`Self::from_parts`] takes.
    pub fn parts(&self) -> ForestParts {
        ForestParts {
            roots: self.roots.clone(),
            features: self.nodes.iter().map(|node| node.feature).collect(),
            thresholds: self.nodes.iter().map(|node| node.threshold).collect(),
            lefts: self.nodes.iter().map(|node| node.left).collect(),
            classes: self.nodes.iter().map(|node| node.class).collect(),
            benign: self.nodes.iter().map(|node| node.benign).collect(),
        }
    }

    /// Features per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of classes, benign included.
    pub fn class_count(&self) -> usize {
        self.class_count
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// Share of the trees that vote for each class, for each row (row-major raw values, NaN = absent): rows × classes,
    /// every row adding up to 1. `probabilities` is overwritten.
    pub fn probabilities(&self, values: &[f32], probabilities: &mut Vec<f32>) {
        probabilities.clear();
        let mut place = vec![0.0; self.width];
        let mut votes = vec![0u32; self.class_count];
        for row in values.chunks_exact(self.width) {
            presentable(row, &mut place);
            votes.fill(0);
            for root in &self.roots {
                if let Some(votes) = votes.get_mut(self.leaf(*root, &place).class as usize) {
                    *votes += 1;
                }
            }
            let trees = self.roots.len() as f32;
            probabilities.extend(votes.iter().map(|votes| *votes as f32 / trees));
        }
    }

    /// Scores rows: the share of the trees that do not vote for benign. `scores` is overwritten.
    pub fn score(&self, values: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        let mut place = vec![0.0; self.width];
        for row in values.chunks_exact(self.width) {
            presentable(row, &mut place);
            let attacks = self
                .roots
                .iter()
                .filter(|root| self.leaf(**root, &place).class as usize != BENIGN);
            scores.push(attacks.count() as f32 / self.roots.len() as f32);
        }
    }

    /// The probability of benign before any feature is looked at.
    pub fn base_benign(&self) -> f32 {
        let roots = self
            .roots
            .iter()
            .filter_map(|root| self.nodes.get(*root as usize));
        roots.map(|node| node.benign).sum::<f32>() / self.roots.len() as f32
    }

    /// Each feature's part in one row's probability of benign: at each node on the row's way through a tree, the feature
    /// that decides is given the change (Saabas 2014, "Interpreting random forests"). The parts add up to that
    /// probability less [`Self::base_benign`]. Those that speak for an attack come first, ties in feature order.
    pub fn explain(&self, row: &[f32]) -> Vec<Influence> {
        let Some(row) = row.get(..self.width) else {
            return Vec::new();
        };
        let mut place = vec![0.0; self.width];
        presentable(row, &mut place);
        let mut changes = vec![0.0f64; self.width];
        for root in &self.roots {
            let mut at = *root;
            while let Some((node, (next, child))) = self
                .node(at)
                .and_then(|node| Some((node, self.child(node, &place)?)))
            {
                if let Some(change) = changes.get_mut(node.feature as usize) {
                    *change += f64::from(child.benign) - f64::from(node.benign);
                }
                at = next;
            }
        }
        let trees = self.roots.len() as f64;
        let columns = changes.iter().zip(row).enumerate();
        let mut influences: Vec<_> = columns
            .map(|(column, (change, observed))| Influence {
                column,
                observed: *observed,
                benign_change: (change / trees) as f32,
            })
            .collect();
        influences.sort_by(|a, b| {
            a.benign_change
                .total_cmp(&b.benign_change)
                .then(a.column.cmp(&b.column))
        });
        influences
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    /// The child that a row goes to; nothing for a leaf. Children come after their parents, so every way ends.
    #[inline(always)]
    fn child(&self, node: &Node, place: &[f32]) -> Option<(u32, &Node)> {
        if node.left == 0 {
            return None;
        }
        let value = place.get(node.feature as usize).copied().unwrap_or(ABSENT);
        let next = node.left + u32::from(value > node.threshold);
        Some((next, self.node(next)?))
    }

    /// The leaf that a row comes to.
    #[inline(always)]
    fn leaf(&self, root: u32, place: &[f32]) -> Node {
        let Some(mut node) = self.node(root) else {
            return Node {
                feature: 0,
                threshold: 0.0,
                left: 0,
                class: BENIGN as u32,
                benign: 1.0,
            };
        };
        while let Some((_, child)) = self.child(node, place) {
            node = child;
        }
        *node
    }
}

/// The row as trees see it: finite throughout.
fn presentable(row: &[f32], place: &mut [f32]) {
    for (place, value) in place.iter_mut().zip(row) {
        *place = if value.is_nan() {
            ABSENT
        } else {
            value.clamp(-PRESENT_MOST, PRESENT_MOST)
        };
    }
}

#[cfg(test)]
mod tests;
