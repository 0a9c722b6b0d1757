//! What the integration tests and `cargo xtask lab` share: namespaces, traffic, frames, the sensor as a process.
//!
//! Nothing here may touch a network that it did not create: all traffic stays on veth pairs between namespaces whose
//! names carry this process's id, so two runs on one machine never meet, and a run that was killed is swept by the
//! next one. Generators are bounded in count and time and end within a second of [`stop::Stop::request`].

pub mod agent;
pub mod data;
pub mod frames;
pub mod generate;
pub mod metrics;
pub mod netns;
pub mod packet_socket;
pub mod python;
pub mod require;
pub mod stop;
pub mod topology;
pub mod traffic;
pub mod usage;
