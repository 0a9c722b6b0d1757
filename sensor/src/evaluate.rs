//! How good a detector is on labelled traffic: figures of the contract, at the threshold the model carries, and a report
//! that shows them. It must never choose a threshold, or anything else, on the labels it reports on.

pub mod curves;
pub mod detail;
pub mod events;
pub mod labeller;
pub mod report;
pub mod run;
pub mod summary;
pub mod tally;
