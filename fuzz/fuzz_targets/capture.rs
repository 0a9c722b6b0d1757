//! libFuzzer's entry to the target `capture`; must never do more than call it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sensor_fuzz::capture::run(data));
