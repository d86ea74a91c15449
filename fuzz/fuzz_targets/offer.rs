//! A relay's offer of a draw, and the request, the execution and the head in it.

#![no_main]

#[allow(dead_code, reason = "each fuzzer has a decoder of its own")]
#[path = "../../crates/wire/tests/decoders/mod.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    decoders::offer(bytes);
});
