//! Outputs against the programs they are for: rsyslog, Prometheus Alertmanager, and the schemas of OCSF and Suricata. It must
//! never take the outputs' own word for what arrived.
//!
//! Needs the Debian packages rsyslog, rsyslog-gnutls, openssl and prometheus-alertmanager, and the Python packages named in
//! `outputs/formats.rs`; a test that lacks its own says so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "outputs/alertmanager.rs"]
mod alertmanager;
#[path = "outputs/bench.rs"]
mod bench;
#[path = "outputs/formats.rs"]
mod formats;
#[path = "outputs/rsyslog.rs"]
mod rsyslog;
