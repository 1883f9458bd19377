//! libFuzzer program of [`fuzz::api_cursor`].
#![no_main]
#![allow(unsafe_code, reason = "the macro exports what libFuzzer calls")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::api_cursor(data));
