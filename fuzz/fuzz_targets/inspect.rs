//! The decoder of `podman container inspect`, fed with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rt_podman::fuzz::inspect(bytes));
