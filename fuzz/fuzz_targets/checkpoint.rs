//! Checkpoint notes and lines of cosignature.

#![no_main]

#[allow(dead_code, reason = "each fuzzer has a decoder of its own")]
#[path = "../../crates/wire/tests/decoders/mod.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::checkpoint(bytes);
});
