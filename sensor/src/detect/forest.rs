//! placeholder
use super::autoencoder::Contribution;
#[derive(Debug, Clone)]
pub struct Forest {}
#[derive(Debug, Clone, Default)]
pub struct ForestSettings {
    pub seed: u64,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ForestError;
impl Forest {
    pub fn fit(_: &[f32], _: usize, _: &[u16], _: usize, _: &ForestSettings) -> Result<Self, ForestError> {
        Err(ForestError)
    }
    pub fn score(&self, _: &[f32], _: &mut Vec<f32>) {}
    pub fn explain(&self, _: &[f32]) -> Vec<Contribution> {
        Vec::new()
    }
}
