//! Canonical JSON, in which certificates are written.

#![no_main]

#[allow(dead_code, reason = "each fuzzer has a decoder of its own")]
#[path = "../../crates/wire/tests/decoders/mod.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::certificate_json(bytes);
});
