//! The contract between the kernel programs and the agent, and the only packet parser of the project.
//!
//! `no_std`, no unsafe code, no clock, no allocation: the same functions run inside the BPF programs, in the agent
//! when it reads captures, in tests, in Miri and under the fuzzer. Only integers and byte arrays cross the kernel
//! boundary; every shared type has explicit padding and a size assertion.
#![no_std]
#![forbid(unsafe_code)]

pub mod counter;
pub mod flow;
pub mod hash;
pub mod layout;
pub mod observe;
pub mod overflow;
pub mod packet;
pub mod parse;
pub mod table;
