//! The sensor: packets counted in the kernel become windows, features, scores, alarms and metrics.
//!
//! Data flows one way: [`source`] → [`window`] → [`features`] → [`detect`] → [`alert`] → [`sink`]. The first five
//! are pure: no I/O, no clock, randomness passed in. [`probe`] (the kernel side), [`model`] (files), [`sink`],
//! [`metrics`], [`http`] and [`service`] are the rim. ARCHITECTURE.md states the invariants; a test enforces them.

pub mod alert;
pub mod capture;
pub mod cli;
pub mod config;
pub mod detect;
pub mod doctor;
pub mod engine;
pub mod evaluate;
pub mod features;
pub mod flows;
pub mod http;
pub mod incidents;
pub mod labels;
pub mod metrics;
pub mod model;
pub mod privacy;
pub mod probe;
pub mod replay;
pub mod service;
pub mod simulate;
pub mod sink;
pub mod source;
pub mod window;
