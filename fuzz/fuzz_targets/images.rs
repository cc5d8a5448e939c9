//! The decoder of `podman images` and `podman image inspect`, fed with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rt_podman::fuzz::images(bytes));
