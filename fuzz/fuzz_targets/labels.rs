//! libFuzzer's entry to the target `labels`; must never do more than call it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sensor_fuzz::labels::run(data));
