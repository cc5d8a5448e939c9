//! The decoder of `podman events`, fed with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rt_podman::fuzz::events(bytes));
