//! libFuzzer program of [`fuzz::access_token`].
#![no_main]
#![allow(unsafe_code, reason = "the macro exports what libFuzzer calls")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::access_token(data));
