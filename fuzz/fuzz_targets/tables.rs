//! libFuzzer's entry to the target `tables`; must never do more than call it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sensor_fuzz::tables::run(data));
