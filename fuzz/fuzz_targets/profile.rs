//! The decoder of `podman version` and `podman info`, fed with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rt_podman::fuzz::profile(bytes));
