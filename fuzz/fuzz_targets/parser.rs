//! libFuzzer's entry to the target `parser`; must never do more than call it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sensor_fuzz::parser::run(data));
